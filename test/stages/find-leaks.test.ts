import { copyFile, mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { expect, it } from 'vitest';
import { stage as filterStage } from '../../stages/filter.ts';
import { stage as findLeaks } from '../../stages/find-leaks.ts';
import { stage as fingerprint } from '../../stages/fingerprint-images.ts';
import { stage as loadFolder } from '../../stages/load-folder.ts';
import { stage as loadVqaRad } from '../../stages/load-vqa-rad.ts';
import { stage as preprocess } from '../../stages/preprocess.ts';
import { readGroups, readLeftOut } from '../../src/study/data/left-out.ts';
import { readMetrics } from '../../src/study/metric-lines.ts';
import { hasShared, sharedPath } from '../rig/shared.ts';
import { runStage, temporaryFolder } from './data-stage.ts';

const no = { vqaRad: undefined, slake: undefined, medpix: undefined, medmnist: undefined, roco: undefined, rocov2: undefined, other: undefined };

/** A picture that is like no other: blobs by number. */
const picture = (number: number): ReturnType<typeof sharp> => {
  const blobs = Array.from({ length: 9 }, (_, blob) => `<circle cx="${(number * 37 + blob * 71) % 120}" cy="${(number * 53 + blob * blob * 29) % 90}" r="${6 + ((number + blob * 5) % 19)}" fill="rgb(${Array(3).fill((60 + number * 31 + blob * 47) % 256).join(',')})"/>`);
  return sharp(Buffer.from(`<svg width="360" height="270" viewBox="0 0 120 90"><rect width="120" height="90" fill="#202020"/>${blobs.join('')}</svg>`));
};

async function folderOf(images: Readonly<Record<string, Buffer>>, rows: readonly string[]): Promise<string> {
  const folder = await temporaryFolder();
  for (const [name, bytes] of Object.entries(images)) await writeFile(join(folder, name), bytes);
  await writeFile(join(folder, 'captions.csv'), `image,caption,group,split\n${rows.join('\n')}\n`);
  return folder;
}

/** Loads and fingerprints a folder. */
async function fingerprints(folder: string, name: string): Promise<{ pairs: string; fingerprints: string; metrics: ReadonlyMap<string, number>; notes: readonly string[] }> {
  const { outputs: { pairs } } = await runStage(loadFolder, { params: { name }, inputs: { folder, archive: undefined } });
  const { outputs, metrics, notes } = await runStage(fingerprint, { params: {}, inputs: { pairs } });
  return { pairs, fingerprints: outputs.fingerprints, metrics, notes };
}

it('fingerprints, finds, lists and drops: copies, scaled JPEGs, ids, and duplicates on two sides', async () => {
  const png = async (number: number): Promise<Buffer> => picture(number).png().toBuffer();
  const training = await folderOf({
    'copy.png': await png(1), 'scaled.jpg': await picture(2).resize(200, 150).jpeg({ quality: 60 }).toBuffer(), 'MPX1_synpic123.png': await png(3), 'own.jpg': await picture(4).jpeg().toBuffer(), 'own-test.png': await png(4),
    'fine.png': await png(5), 'twin-1.png': await png(6), 'twin-2.png': await png(6), 'cut.png': (await png(7)).subarray(0, 200), 'flat.png': await sharp({ create: { width: 20, height: 20, channels: 3, background: '#777777' } }).png().toBuffer(),
  }, ['copy.png,a,g1,train', 'scaled.jpg,b,g2,train', 'MPX1_synpic123.png,c,g3,train', 'own.jpg,d,g4,train', 'own-test.png,e,g5,test', 'fine.png,f,g6,train', 'twin-1.png,g,g7,train', 'twin-2.png,h,g8,train', 'cut.png,i,g9,train', 'flat.png,j,g10,train']);
  const tests = await folderOf({ 't1.png': await png(1), 't2.png': await png(2), 'synpic123.png': await png(8), 'flat.png': await sharp({ create: { width: 30, height: 20, channels: 3, background: '#888888' } }).png().toBuffer() }, ['t1.png,a,1,test', 't2.png,b,2,test', 'synpic123.png,c,3,test', 'flat.png,d,4,test']);
  const [train, test] = [await fingerprints(training, 'mine'), await fingerprints(tests, 'bench')];
  expect([train.metrics.get('images'), train.metrics.get('undecoded'), train.metrics.get('flat')]).toEqual([10, 1, 1]);
  expect(train.notes[0]).toMatch(/^cut: /);
  const { outputs, notes } = await runStage(findLeaks, { params: {}, inputs: { ...no, training: train.fingerprints, other: test.fingerprints } });
  expect(Object.fromEntries((await readLeftOut(outputs.dropped)).map(row => [row.id, `${row.kind}: ${row.reason}`]))).toEqual({
    copy: 'leak: the same file as t1 of bench (test)',
    scaled: expect.stringMatching(/^leak: a near-duplicate \(\d+ of 256 bits\) of t2 of bench \(test\)$/),
    MPX1_synpic123: 'leak: names the same image as synpic123 of bench (test)',
    own: expect.stringMatching(/^leak: a near-duplicate \(\d+ of 256 bits\) of own-test of its own test split$/),
  });
  expect(await readGroups(outputs.groups)).toEqual(new Map([['twin-2', 'g7']]));
  const counts = await readMetrics(outputs.counts);
  expect(['leaks', 'identical', 'same_id', 'near_duplicate', 'leaks_bench', 'leaks_mine', 'clusters', 'regrouped', 'without_hash'].map(name => counts.get(name))).toEqual([4, 1, 1, 2, 3, 1, 5, 1, 2]);
  expect(notes.at(-1)).toBe('4 of 10 images leak (of 3 bench, 1 mine): 1 identical, 1 same id, 2 near duplicate (at most 30 of 256 bits)');

  // They are gone from every filter's list, and from what is trained on.
  const filtered = await runStage(filterStage, { params: { set: 'all' }, inputs: { pairs: train.pairs, leaks: outputs.dropped } });
  const { outputs: { captions } } = await runStage(preprocess, { params: { resolution: 16 }, inputs: { pairs: train.pairs, dropped: filtered.outputs.dropped, groups: outputs.groups } });
  const rows = (await readFile(captions, 'utf8')).trim().split('\n').map(line => JSON.parse(line) as { id: string; group: string });
  expect(rows.map(row => `${row.id} ${row.group}`)).toEqual(['own-test g5', 'fine g6', 'twin-1 g7', 'twin-2 g7', 'flat g10']);
});

it.skipIf(!hasShared)('finds exactly the VQA-RAD images hidden among ROCO figures, and none of these (needs the shared data)', async () => {
  const { outputs: { pairs } } = await runStage(loadVqaRad, { params: {}, inputs: { folder: sharedPath('vqa-rad'), archive: undefined } });
  const { outputs: { fingerprints: vqaRad }, metrics } = await runStage(fingerprint, { params: {}, inputs: { pairs } });
  expect([metrics.get('images'), metrics.get('undecoded')]).toEqual([314, 0]);
  const folder = await temporaryFolder();
  await mkdir(join(folder, 'images'));
  const rows: string[] = [];
  for (const article of (await readdir(sharedPath('roco-mirror', 'objects'))).slice(0, 120)) {
    for (const file of await readdir(sharedPath('roco-mirror', 'objects', article))) {
      if (!file.endsWith('.jpg')) continue;
      await copyFile(sharedPath('roco-mirror', 'objects', article, file), join(folder, `${article}-${file}`));
      rows.push(`${article}-${file},A figure,${article},train`);
    }
  }
  const figures = rows.length;
  const hidden = (await readdir(sharedPath('vqa-rad', 'images'))).slice(0, 300).filter((_, index) => index % 20 === 7);
  for (const [index, file] of hidden.entries()) {
    const bytes = await readFile(sharedPath('vqa-rad', 'images', file));
    const { width, height } = await sharp(bytes).metadata();
    const changed = [() => sharp(bytes).png(), () => sharp(bytes).resize(Math.round(width / 2), Math.round(height / 2)).jpeg({ quality: 70 }), () => sharp(bytes).linear(1.1, 8).jpeg({ quality: 40 })][index % 3]!();
    await writeFile(join(folder, `hidden-${index}.png`), await changed.toBuffer());
    rows.push(`hidden-${index}.png,Hidden,hidden-${index},train`);
  }
  await writeFile(join(folder, 'captions.csv'), `image,caption,group,split\n${rows.join('\n')}\n`);
  const training = await fingerprints(folder, 'figures');
  const { outputs } = await runStage(findLeaks, { params: {}, inputs: { ...no, training: training.fingerprints, vqaRad } });
  const dropped = await readLeftOut(outputs.dropped);
  expect([figures > 100, hidden.length]).toEqual([true, 15]);
  expect(dropped.map(row => row.id)).toEqual(hidden.map((_, index) => `hidden-${index}`));
  expect(dropped.map(row => /of (synpic\d+) of vqa-rad/.exec(row.reason)?.[1])).toEqual(hidden.map(file => file.replace('.jpg', '')));
}, 60_000);

it.each([[{ distance: 32 }, 'distance'], [{ ids: ['('] }, 'ids.0'], [{ ids: ['x*'] }, 'ids.0'], [{ own: 'keep' }, 'own']])('refuses %j at the param that is wrong', (params, path) => {
  expect(findLeaks.params.safeParse(params).error?.issues[0]?.path.join('.')).toBe(path);
});
