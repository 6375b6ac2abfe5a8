import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { readPairs } from '../../src/study/data/pairs.ts';
import { stage } from '../../stages/draw-phantom.ts';
import { runStage } from './data-stage.ts';

it('draws pairs that can be read, and tells how far it is', async () => {
  const { outputs, metrics, notes, fractions } = await runStage(stage, { params: { count: 600, resolution: 32, captions: 'long' }, inputs: {} });
  const pairs = await readPairs(outputs.pairs);
  expect(pairs).toHaveLength(600);
  expect(pairs[0]?.caption).toMatch(/^this is a (ct|mri|xray|ultrasound) image of the /);
  expect((await stat(join(outputs.pairs, 'images.raw'))).size).toBe(600 * 1024);
  expect(metrics.get('images')).toBe(600);
  expect((metrics.get('train') ?? 0) + (metrics.get('validation') ?? 0) + (metrics.get('test') ?? 0)).toBe(600);
  expect(fractions.at(-1)).toBe(1);
  expect(notes[0]).toMatch(/600 phantom images of 32 × 32/);
  expect(JSON.parse(await readFile(join(outputs.pairs, 'report.json'), 'utf8'))).toMatchObject({ source: 'phantom', captions: 'long' });
});

it.each([
  [{ count: 0 }, 'count'], [{ resolution: 16 }, 'resolution'], [{ captions: 'medium' }, 'captions'], [{ validation: 0.6, test: 0.5 }, 'test'], [{ sizes: 3 }, ''],
  [{ presentations: 145 }, 'presentations'], [{ tail: -1 }, 'tail'], [{ captions: 'long', presentations: 5 }, 'captions'],
])('refuses %j at the param that is wrong', (params, path) => {
  const result = stage.params.safeParse(params);
  expect(result.error?.issues[0]?.path.join('.')).toBe(path);
});
