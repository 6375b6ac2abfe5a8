import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readPairs } from '../../../src/study/data/pairs.ts';
import type { Pair } from '../../../src/study/data/pairs.ts';
import { drawPhantom } from '../../../src/study/data/phantom-draw.ts';
import { drawPresentation, presentationCount, presentationsOf, usualFrequencies } from '../../../src/study/data/phantom-presentations.ts';
import { captionOf, drawScene, viewNames } from '../../../src/study/data/phantom-scene.ts';
import type { Scene } from '../../../src/study/data/phantom-scene.ts';
import { drawPhantoms } from '../../../src/study/data/phantom.ts';
import { randomOf } from '../../../src/study/data/random.ts';
import { tokenize } from '../../../src/study/text/tokenizer.ts';

const options = { resolution: 32, seed: 3, captions: 'short', validation: 0.1, test: 0.2 } as const;
let root: string;
beforeAll(async () => { root = await mkdtemp(join(tmpdir(), 'phantom-')); });
afterAll(() => rm(root, { recursive: true }));
const folder = (): Promise<string> => mkdtemp(join(root, 'set-'));

function draw(scene: Scene, size = 48): Uint8Array {
  const out = new Uint8Array(size * size);
  drawPhantom(scene, size, randomOf('nuisance'), out);
  return out;
}

const scene: Scene = {
  view: 'ct brain', device: 'none', patient: 'large', tilt: 'none', noise: 'low', exposure: 'normal', other: null,
  lesions: { count: 1, size: 'medium', contrast: 'bright', shape: 'round', fill: 'solid', faint: false, side: 'left', level: 'upper' },
};
const withLesions = (change: Partial<Scene['lesions']>): Scene => ({ ...scene, lesions: { ...scene.lesions, ...change } });

/** Pixels that differ by much more than grain. */
const differing = (x: Uint8Array, y: Uint8Array): number => x.reduce((sum, value, index) => sum + (Math.abs(value - (y[index] ?? 0)) > 40 ? 1 : 0), 0);

describe('a phantom', () => {
  it.each(viewNames.flatMap(view => ([['count', { count: 3 }], ['size', { size: 'large' }], ['contrast', { contrast: 'dark' }], ['shape', { shape: 'irregular', size: 'large' }],
    ['fill', { fill: 'hollow', size: 'large' }], ['side', { side: 'right' }], ['level', { level: 'lower' }]] as const).map(([name, change]) => [view, name, change] as const)))(
    '%s shows the %s of its lesions',
    (view, _, change) => {
      const large = 'size' in change && !('fill' in change || 'shape' in change) ? {} : { size: 'size' in change ? change.size : 'medium' } as const;
      expect(differing(draw({ ...withLesions(large), view }), draw({ ...withLesions(change), view }))).toBeGreaterThan(4);
    },
  );
  it('shows its device, tilt, patient, and second lesions', () => {
    const changes: Partial<Scene>[] = [{ device: 'tube' }, { device: 'needle' }, { device: 'plate' }, { tilt: 'left' }, { tilt: 'right' }, { patient: 'thin' }, { other: { ...scene.lesions, side: 'right' } }];
    const images = [scene, ...changes.map(change => ({ ...scene, ...change }))].map(changed => draw(changed));
    for (const [index, image] of images.entries()) for (const other of images.slice(index + 1)) expect(differing(image, other)).toBeGreaterThan(8);
  });
  it.each(viewNames)('%s shows every word that a short caption may say of it', view => {
    const plain: Scene = { ...withLesions({ size: 'huge' }), view, patient: 'average' };
    const changes: Partial<Scene>[] = [{ device: 'tube' }, { device: 'needle' }, { device: 'plate' }, { tilt: 'left' }, { tilt: 'right' }, { patient: 'thin' }, { patient: 'large' },
      { lesions: { ...plain.lesions, side: 'right' } }, { lesions: { ...plain.lesions, contrast: 'dark' } }];
    const images = [plain, ...changes.map(change => ({ ...plain, ...change }))].map(changed => draw(changed, 32));
    for (const [index, image] of images.entries()) for (const other of images.slice(index + 1)) expect(differing(image, other)).toBeGreaterThan(4);
  });
  it("puts the patient's left on the right of the image", () => {
    const [left, right] = [draw(withLesions({ size: 'large' })), draw(withLesions({ size: 'large', side: 'right' }))];
    let balance = 0; // where the left-sided image is brighter, weighted by the column
    left.forEach((value, index) => { balance += (value - (right[index] ?? 0)) * ((index % 48) - 23.5); });
    expect(balance).toBeGreaterThan(0);
  });
});

describe('captions', () => {
  const scenes = Array.from({ length: 4096 }, (_, index) => randomOf('captions', index)).map(random => ({ scene: drawScene(random, 'short'), random }));
  const captions = scenes.map(entry => captionOf(entry.scene, 'short', entry.random));
  it('of the short kind fit 14 CLIP tokens and use few of them', () => {
    const tokens = [...new Set(captions)].map(caption => tokenize(caption));
    expect(Math.max(...tokens.map(ids => ids.length))).toBeLessThanOrEqual(14);
    expect(new Set(tokens.flat()).size).toBeLessThan(60);
  });
  it('of the short kind are as many as there are presentations, and leave 1.2 nats in a pool of 256 that no model removes', () => {
    expect(new Set(captions).size).toBe(viewNames.length * usualFrequencies.presentations);
    let nats = 0;
    for (let begin = 0; begin < captions.length; begin += 256) {
      const pool = captions.slice(begin, begin + 256);
      for (const caption of pool) nats += Math.log(pool.filter(other => other === caption).length);
    }
    expect(nats / captions.length).toBeCloseTo(1.2, 1);
  });
  it('of the short kind say the same of images that differ', () => {
    const first = scenes.findIndex((_, index) => captions.indexOf(captions[index] ?? '') < index);
    const [one, two] = [scenes[captions.indexOf(captions[first] ?? '')], scenes[first]];
    expect(one?.scene).not.toEqual(two?.scene);
  });
  it('of the short kind tell all presentations of a view apart', () => {
    for (const view of viewNames) {
      const all = presentationsOf(view).map(({ contrast, side, ...rest }) => captionOf({ ...scene, ...rest, view, lesions: { ...scene.lesions, contrast, side } }, 'short', randomOf('none')));
      expect(new Set(all).size).toBe(presentationCount);
    }
  });
  it.each([0, 1, 2])('come as often as Zipf says: k^-%i', tail => {
    const [order, counts, random] = [presentationsOf('ct chest'), [0, 0, 0, 0], randomOf('zipf', tail)];
    for (let draw = 0; draw < 8000; draw += 1) counts[order.indexOf(drawPresentation('ct chest', { presentations: 4, tail }, random))]! += 1;
    const total = [1, 2, 3, 4].reduce((sum, k) => sum + k ** -tail, 0);
    counts.forEach((count, index) => { expect(Math.abs(count / 8000 - (index + 1) ** -tail / total)).toBeLessThan(0.02); });
  });
  it('of the long kind say every attribute, in few words but beyond 77 tokens for most', () => {
    const tokens: number[][] = [];
    for (let index = 0; index < 1000; index += 1) {
      const random = randomOf('long', index);
      const drawn = drawScene(random, 'long');
      const caption = captionOf(drawn, 'long', random);
      tokens.push(tokenize(caption));
      for (const word of [drawn.view.split(' ')[1], drawn.lesions.size, drawn.lesions.contrast, drawn.lesions.level, drawn.noise, drawn.exposure]) expect(caption).toContain(word);
      if (drawn.device !== 'none') expect(caption).toContain(`a ${drawn.device} crosses`);
    }
    expect(new Set(tokens.flat()).size).toBeLessThan(400);
    expect(tokens.filter(ids => ids.length > 75).length).toBeGreaterThan(500);
  });
});

describe('a set of phantoms', () => {
  it('is the same on a second run, and the beginning of a larger one', async () => {
    const [first, again, more, other] = [await folder(), await folder(), await folder(), await folder()];
    await drawPhantoms(first, { ...options, count: 40 });
    await drawPhantoms(again, { ...options, count: 40 });
    await drawPhantoms(more, { ...options, count: 700 });
    await drawPhantoms(other, { ...options, count: 40, seed: 4 });
    const bytes = (of: string): Promise<Buffer> => readFile(join(of, 'images.raw'));
    expect((await bytes(again)).equals(await bytes(first))).toBe(true);
    expect((await bytes(more)).subarray(0, 40 * 1024).equals(await bytes(first))).toBe(true);
    expect((await bytes(more)).length).toBe(700 * 1024);
    expect((await bytes(other)).equals(await bytes(first))).toBe(false);
    expect((await readPairs(more)).slice(0, 40)).toEqual(await readPairs(first));
    const splits = (await readPairs(more)).map((pair: Pair) => pair.split);
    expect(splits.filter(split => split === 'test').length / 700).toBeCloseTo(0.2, 1);
    expect(splits.filter(split => split === 'validation').length / 700).toBeCloseTo(0.1, 1);
    expect(JSON.parse(await readFile(join(first, 'report.json'), 'utf8'))).toMatchObject({ pairs: 40, seed: 3, counts: { licence: { CC0: 40 } } });
  });
  it('draws 2,000 images of 32 pixels in a few seconds', async () => {
    const started = performance.now();
    await drawPhantoms(await folder(), { ...options, count: 2000 });
    expect(performance.now() - started).toBeLessThan(4000); // 10,000 in 20 s
  });
  it('has the presentations it is asked for, with short captions only', async () => {
    const pairs = await drawPhantoms(await folder(), { ...options, count: 400, presentations: 1, tail: 0 });
    expect(new Set(pairs.map(({ caption }) => caption)).size).toBe(viewNames.length);
    await expect(drawPhantoms(await folder(), { ...options, captions: 'long', count: 1, tail: 0 })).rejects.toThrow('shape short captions');
  });
  it('stops when told to', async () => {
    await expect(drawPhantoms(await folder(), { ...options, count: 10 }, { signal: AbortSignal.abort(new Error('stop')) })).rejects.toThrow('stop');
  });
});
