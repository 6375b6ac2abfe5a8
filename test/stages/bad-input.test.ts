/** What a folder or archive of somebody else's can hold: each is reported by id, the rest goes on, nothing is written outside. */
import { createHash } from 'node:crypto';
import { mkdir, readFile, readdir, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { expect, it } from 'vitest';
import { stage as loadFolder } from '../../stages/load-folder.ts';
import { stage as loadMedmnist } from '../../stages/load-medmnist.ts';
import { stage as preprocess } from '../../stages/preprocess.ts';
import { readPairs, readPairsReport } from '../../src/study/data/pairs.ts';
import type { LeftOut } from '../../src/study/data/pairs.ts';
import { npy, writeZip } from '../rig/zip.ts';
import { runStage, temporaryFolder } from './data-stage.ts';

const png = await sharp({ create: { width: 9, height: 9, channels: 3, background: '#884422' } }).png().toBuffer();
/** A picture of few bytes that claims 60,000 × 60,000 pixels. */
const claims = Buffer.from(png);
claims.writeUInt32BE(60_000, 16);
claims.writeUInt32BE(60_000, 20);

async function snapshot(folder: string): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  for (const entry of await readdir(folder, { withFileTypes: true, recursive: true })) {
    const path = join(entry.parentPath, entry.name);
    files.set(path, entry.isFile() ? createHash('sha256').update(await readFile(path)).digest('hex') : 'folder or link');
  }
  return files;
}
const reasons = (rows: readonly LeftOut[]): Record<string, string> => Object.fromEntries(rows.map(({ id, kind, reason }) => [id, `${kind}: ${reason}`]));

const captions = [
  'image,caption,id', 'good.png,Good,good', 'good.png,Again under the same id,good', 'other.png,Also good,other', 'empty-caption.png,,empty-caption', 'missing.png,There is none,missing', 'page.png,A web page,page', 'nothing.png,No bytes,nothing', 'text.png,Some text,text',
  'cut.png,Cut off,cut', 'claims.png,Claims much,claims', '../outside.png,Climbs out,climbs', '..\\outside.png,Climbs out too,climbs-too', '/etc/hostname,Absolute,absolute', 'C:\\x.png,A drive,drive', 'folder.png,Is a folder,is-folder', `bytes.png,${'\ufffd'},bytes`, 'short', '',
].join('\n');

async function badFolder(): Promise<{ root: string; folder: string }> {
  const root = await temporaryFolder();
  const folder = join(root, 'set');
  await mkdir(join(folder, 'folder.png'), { recursive: true });
  await writeFile(join(root, 'outside.png'), png);
  const noise = await sharp(Buffer.from(Array.from({ length: 30_000 }, (_, at) => (at * 7919) >> 3)), { raw: { width: 100, height: 100, channels: 3 } }).png().toBuffer();
  const files = { 'captions.csv': captions, 'good.png': png, 'other.png': png, 'no-caption.png': png, 'page.png': '<!doctype html><p>Not found', 'nothing.png': '', 'text.png': 'hello', 'cut.png': noise.subarray(0, noise.length >> 1), 'claims.png': claims, 'empty-caption.png': png, 'bytes.png': png };
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content);
  await symlink('/etc', join(folder, 'link'));
  return { root, folder };
}

it('a folder: every bad row is reported by its id, the good ones are taken, and nothing else is touched', async () => {
  const { root, folder } = await badFolder();
  const before = await snapshot(root);
  const { outputs, metrics } = await runStage(loadFolder, { params: { name: 'bad' }, inputs: { folder, archive: undefined } });
  expect(await snapshot(root)).toEqual(before);
  expect((await readPairs(outputs.pairs)).map(pair => pair.id)).toEqual(['good', 'other', 'cut', 'claims']);
  expect(reasons((await readPairsReport(outputs.pairs)).leftOut)).toEqual({
    good: 'duplicate: the id is there twice; the first one counts', 'empty-caption': 'text: captions.csv:5: the caption is empty', missing: 'absent: there is no image missing.png', page: 'broken: page.png is a web page or XML, not an image',
    nothing: 'broken: nothing.png is empty', text: 'broken: text.png is something else, not an image', 'no-caption': 'no caption: captions.csv has no row for the image no-caption.png', 'is-folder': 'absent: there is no image folder.png',
    climbs: expect.stringMatching(/^path: .*outside the folder/), 'climbs-too': expect.stringMatching(/^path: .*outside the folder/), absolute: expect.stringMatching(/^path: .*outside the folder/), drive: expect.stringMatching(/^path: .*outside the folder/),
    bytes: expect.stringMatching(/^text: captions\.csv:17: the caption is not valid text/), 'captions.csv:18': 'text: 1 fields under 3 columns',
  });
  expect(metrics.get('pairs')).toBe(4);
  // What looks like a picture and is none is found when it is decoded.
  const { outputs: { images }, metrics: counts } = await runStage(preprocess, { params: { resolution: 16 }, inputs: { pairs: outputs.pairs, dropped: undefined, groups: undefined } });
  expect([counts.get('images'), counts.get('broken')]).toEqual([2, 2]);
  const { leftOutRows } = JSON.parse(await readFile(join(images, 'report.json'), 'utf8')) as { leftOutRows: LeftOut[] };
  expect(leftOutRows.map(row => `${row.id} ${row.kind}`)).toEqual(['cut broken', 'claims broken']);
});

it('an archive: what climbs out, bombs and doubles is refused by name, the rest is read, nothing is written outside', async () => {
  const root = await temporaryFolder();
  const zip = join(root, 'set.zip');
  await writeZip(zip, {
    'captions.csv': 'image,caption\na.png,First\nb.png,Second\nbomb.png,Third\n', 'a.png': png, 'b.png': png, 'up_up_evil.png': png, 'xabs/evil.png': png, 'bomb.png': Buffer.concat([png, Buffer.alloc(80 * 1024 * 1024)]),
  });
  const bytes = await readFile(zip);
  for (const [from, to] of [['up_up_evil.png', '../../evil.png'], ['xabs/evil.png', '/abs/evil.png']] as const) {
    for (let at = bytes.indexOf(from, 0, 'latin1'); at >= 0; at = bytes.indexOf(from, at + 1, 'latin1')) bytes.write(to, at, 'latin1');
  }
  await writeFile(zip, bytes);
  const before = await snapshot(root);
  const { outputs } = await runStage(loadFolder, { params: {}, inputs: { folder: undefined, archive: zip } });
  expect(await snapshot(root)).toEqual(before);
  expect((await readPairs(outputs.pairs)).map(pair => pair.id)).toEqual(['a', 'b']);
  const found = reasons((await readPairsReport(outputs.pairs)).leftOut);
  expect(Object.keys(found).sort()).toEqual(['bomb', 'set.zip:../../evil.png', 'set.zip:/abs/evil.png', 'set.zip:bomb.png']);
  expect(found['set.zip:bomb.png']).toMatch(/zip bomb/);
  expect(found['bomb']).toBe('absent: there is no image bomb.png');
  await expect(stat(join(outputs.pairs, '..', '..', 'evil.png'))).rejects.toThrow('ENOENT');
  expect((await readdir(join(outputs.pairs, '..'))).sort()).toEqual(['pairs']);
});

it('an npz file: arrays that lie, hold objects or are bombs are refused by name, the other splits are read', async () => {
  const folder = await temporaryFolder();
  await writeZip(join(folder, 'pneumoniamnist.npz'), {
    'train_images.npy': npy([2, 28, 28], Buffer.alloc(2 * 784, 5)), 'train_labels.npy': npy([2, 1], Buffer.from([0, 1])), 'val_images.npy': npy([90_000, 28, 28], Buffer.alloc(90_000 * 784)), 'val_labels.npy': npy([1, 1], Buffer.from([1])),
    'test_images.npy': npy([1, 28, 28], Buffer.alloc(784)), 'test_labels.npy': npy([1], Buffer.alloc(8), '|O'),
  });
  const { outputs } = await runStage(loadMedmnist, { params: {}, inputs: { folder } });
  expect((await readPairs(outputs.pairs)).map(pair => pair.id)).toEqual(['pneumoniamnist-train-00000', 'pneumoniamnist-train-00001']);
  const found = reasons((await readPairsReport(outputs.pairs)).leftOut);
  expect(found['pneumoniamnist:val_images.npy']).toMatch(/zip bomb/);
  expect(found['pneumoniamnist:test_labels.npy']).toMatch(/is not read/);
  expect(Object.keys(found).sort()).toEqual(['pneumoniamnist:test', 'pneumoniamnist:test_labels.npy', 'pneumoniamnist:val_images.npy', 'pneumoniamnist:validation']);
});
