import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { openImages } from '../../src/study/data/image-shards.ts';
import { stage as drawPhantom } from '../../stages/draw-phantom.ts';
import { stage as filter } from '../../stages/filter.ts';
import { stage } from '../../stages/preprocess.ts';
import { runStage } from './data-stage.ts';

it('makes images, captions and counts that agree', async () => {
  const { outputs: { pairs } } = await runStage(drawPhantom, { params: { count: 200, resolution: 32 }, inputs: {} });
  const { outputs: { dropped } } = await runStage(filter, { params: { set: 'permissive' }, inputs: { pairs, leaks: undefined } });
  const { outputs, metrics, notes } = await runStage(stage, { params: { resolution: 32, limit: 50 }, inputs: { pairs, dropped, groups: undefined } });
  const images = await openImages(outputs.images);
  const captions = (await readFile(outputs.captions, 'utf8')).trim().split('\n').map(line => JSON.parse(line) as { id: string; split: string });
  expect(captions.map(row => row.id)).toEqual(images.rows.map(row => row.id));
  expect(images.rows.filter(row => row.split === 'train')).toHaveLength(50);
  expect(images.rows.some(row => row.modality === 'ultrasound')).toBe(false);
  images.close();
  const counts = new Map((await readFile(outputs.report, 'utf8')).trim().split('\n').map(line => JSON.parse(line) as { metric: string; value: number }).map(row => [row.metric, row.value]));
  expect([counts.get('images'), counts.get('train'), counts.get('broken')]).toEqual([images.count, 50, 0]);
  expect((counts.get('images') ?? 0) + (counts.get('left_out_limit') ?? 0) + (counts.get('left_out_modality') ?? 0)).toBe(200);
  expect(metrics.get('images')).toBe(images.count);
  expect(notes.at(-1)).toMatch(/images: 50 train/);
});

it.each([
  [{ resolution: 2 }, 'resolution'], [{ splitBy: 'article' }, 'splitBy'], [{ folds: 5 }, 'folds'], [{ splitBy: 'group', folds: 5, fold: 5 }, 'fold'],
  [{ validation: 0.6, test: 0.6 }, 'test'], [{ limit: 0 }, 'limit'],
])('refuses %j at the param that is wrong', (params, path) => {
  expect(stage.params.safeParse(params).error?.issues[0]?.path.join('.')).toBe(path);
});
