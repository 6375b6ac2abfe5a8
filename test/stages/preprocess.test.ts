import { copyFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { openImages } from '../../src/study/data/image-shards.ts';
import { stage as drawPhantom } from '../../stages/draw-phantom.ts';
import { stage as filter } from '../../stages/filter.ts';
import { stage } from '../../stages/preprocess.ts';
import { readPairs, writePairs } from '../../src/study/data/pairs.ts';
import { runStage, temporaryFolder } from './data-stage.ts';

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
  [{ resolution: 2 }, 'resolution'], [{ splitBy: 'article' }, 'splitBy'], [{ folds: 5 }, 'folds'], [{ splitBy: 'group', folds: 5, fold: 5 }, 'fold'], [{ splitBy: 'group', fold: 1 }, 'fold'],
  [{ validation: 0.6, test: 0.6 }, 'test'], [{ limit: 0 }, 'limit'],
])('refuses %j at the param that is wrong', (params, path) => {
  expect(stage.params.safeParse(params).error?.issues[0]?.path.join('.')).toBe(path);
});

it('cuts folds by group that are the same for every filter: each pair is tested once, no group is on two sides', async () => {
  const { outputs: { pairs: drawn } } = await runStage(drawPhantom, { params: { count: 150, resolution: 32 }, inputs: {} });
  const pairs = await temporaryFolder();
  // Three images a patient.
  const rows = (await readPairs(drawn)).map((pair, index) => ({ ...pair, group: `patient-${Math.floor(index / 3)}` }));
  await writePairs(pairs, rows, [], {});
  await copyFile(join(drawn, 'images.raw'), join(pairs, 'images.raw'));
  const { outputs: { dropped } } = await runStage(filter, { params: { set: 'permissive' }, inputs: { pairs, leaks: undefined } });
  const tested = new Map<string, number>();
  for (let fold = 0; fold < 5; fold += 1) {
    const splits = async (list: string | undefined): Promise<Map<string, { split: string; group: string }>> => {
      const { outputs: { captions } } = await runStage(stage, { params: { resolution: 32, splitBy: 'group', folds: 5, fold }, inputs: { pairs, dropped: list, groups: undefined } });
      return new Map((await readFile(captions, 'utf8')).trim().split('\n').map(line => JSON.parse(line) as { id: string; split: string; group: string }).map(row => [row.id, row]));
    };
    const [all, filtered] = [await splits(undefined), await splits(dropped)];
    expect([all.size, filtered.size < 150]).toEqual([150, true]);
    for (const [id, row] of filtered) expect(row.split).toBe(all.get(id)?.split);
    const sides = new Map<string, string>();
    for (const [id, { split, group }] of all) {
      expect(sides.get(group) ?? split).toBe(split);
      sides.set(group, split);
      if (split === 'test') tested.set(id, (tested.get(id) ?? 0) + 1);
    }
  }
  expect([tested.size, ...new Set(tested.values())]).toEqual([150, 1]);
});
