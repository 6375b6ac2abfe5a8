import { mkdir, readFile, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { extractZip, usualLimits } from '../../../src/study/data/archive.ts';
import { readNpz } from '../../../src/study/data/npz.ts';
import { npy, writeZip } from '../../rig/zip.ts';
import { temporaryFolder } from '../../stages/data-stage.ts';

/** Replaces bytes of equal length everywhere: what an honest writer would never write. */
async function forge(path: string, from: string, to: string): Promise<void> {
  const bytes = await readFile(path);
  for (let at = bytes.indexOf(from, 0, 'latin1'); at >= 0; at = bytes.indexOf(from, at + 1, 'latin1')) bytes.write(to, at, 'latin1');
  await writeFile(path, bytes);
}

async function place(): Promise<{ root: string; zip: string; to: string }> {
  const root = await temporaryFolder();
  await mkdir(join(root, 'in', 'to'), { recursive: true });
  return { root, zip: join(root, 'a.zip'), to: join(root, 'in', 'to') };
}

describe('an archive', () => {
  it('is unpacked; what climbs out is refused by name, the rest goes on, nothing outside is written', async () => {
    const { root, zip, to } = await place();
    await writeZip(zip, { 'a/one.txt': '1', 'xx_xx_evil.txt': 'evil', 'Zabs/evil.txt': 'evil', 'bQcQevil.txt': 'evil', 'a/two.txt': '2' });
    await forge(zip, 'xx_xx_evil.txt', '../../evil.txt');
    await forge(zip, 'Zabs/evil.txt', '/abs/evil.txt');
    await forge(zip, 'bQcQevil.txt', '..\\..\\ev.txt');
    const { files, refused } = await extractZip(zip, to);
    expect(files).toEqual(['a/one.txt', 'a/two.txt']);
    expect(refused.map(row => row.id)).toEqual(['../../evil.txt', '/abs/evil.txt', '..\\..\\ev.txt']);
    expect(refused.every(row => row.reason.includes('would leave the folder'))).toBe(true);
    expect(await readdir(root, { recursive: true })).toEqual(['a.zip', 'in', 'in/to', 'in/to/a', 'in/to/a/one.txt', 'in/to/a/two.txt']);
    expect(await readFile(join(to, 'a/two.txt'), 'utf8')).toBe('2');
  });
  it('has its links, doubles and files in the place of folders refused', async () => {
    const { zip, to } = await place();
    await writeZip(zip, { 'link.txt': '/etc/passwd', 'same1.txt': 'first', 'same2.txt': 'second', 'a': 'a file', 'a/b.txt': 'below it' });
    await forge(zip, 'same2.txt', 'same1.txt');
    const bytes = await readFile(zip);
    // The central directory's entry of link.txt: mode of a symbolic link.
    bytes.writeUInt32LE((0o120777 << 16) >>> 0, bytes.indexOf('PK\x01\x02', 0, 'latin1') + 38);
    await writeFile(zip, bytes);
    const { files, refused } = await extractZip(zip, to);
    expect(files).toEqual(['same1.txt', 'a']);
    expect(refused.map(row => `${row.id}: ${row.reason}`)).toEqual(['link.txt: it is a symbolic link', 'same1.txt: the archive holds this name twice; the first one counts', expect.stringMatching(/^a\/b\.txt: E(EXIST|NOTDIR)/)]);
    expect(await readFile(join(to, 'same1.txt'), 'utf8')).toBe('first');
  });
  it('is not unpacked where it is a bomb: by what it claims, by what it holds, and all together', async () => {
    const { zip, to } = await place();
    const limits = { ...usualLimits, freeBytes: 10_000 };
    await writeZip(zip, { 'bomb.bin': Buffer.alloc(5_000_000), 'fine.txt': 'fine', 'liar.bin': Buffer.alloc(9_999, 7) });
    const bytes = await readFile(zip);
    // liar.bin claims to hold 5 bytes where it is listed.
    const entry = bytes.lastIndexOf('PK\x01\x02', undefined, 'latin1');
    bytes.writeUInt32LE(5, entry + 24);
    await writeFile(zip, bytes);
    const { files, refused } = await extractZip(zip, to, { limits });
    expect(files).toEqual(['fine.txt']);
    expect(refused.map(row => row.id)).toEqual(['bomb.bin', 'liar.bin']);
    expect(refused[0]?.reason).toMatch(/claims to unpack \d+ bytes to 5000000, more than 200 times: a zip bomb/);
    expect(refused[1]?.reason).toMatch(/too many bytes/);
    expect(await readdir(to)).toEqual(['fine.txt']);

    const many = await place();
    await writeZip(many.zip, Object.fromEntries(Array.from({ length: 40 }, (_, index) => [`f${index}`, Buffer.alloc(9_000)])));
    const all = await extractZip(many.zip, many.to, { limits: { ...limits, ratio: 20 } });
    const size = (await stat(many.zip)).size;
    expect(all.files.length * 9_000).toBeLessThanOrEqual(20 * size);
    expect(all.refused.at(-1)?.reason).toMatch(/unpacks to more than \d+ bytes: a zip bomb/);
  });
  it('has entries that share packed bytes refused, as in bombs without nesting', async () => {
    const { zip, to } = await place();
    await writeZip(zip, Object.fromEntries(Array.from({ length: 30 }, (_, index) => [`f${String(index).padStart(2, '0')}`, Buffer.from(Array.from({ length: 4_000 }, (_, at) => (at * 7919 * (index + 1)) >> 3))])));
    const bytes = await readFile(zip);
    // Every entry of the central directory claims the packed size of half the archive.
    for (let at = bytes.indexOf('PK\x01\x02', 0, 'latin1'); at >= 0; at = bytes.indexOf('PK\x01\x02', at + 1, 'latin1')) bytes.writeUInt32LE(bytes.length >> 1, at + 20);
    await writeFile(zip, bytes);
    const { refused } = await extractZip(zip, to);
    expect(refused.filter(row => row.reason.includes('overlap')).length).toBeGreaterThanOrEqual(27);
  });
  it('is said to be no archive where it is a web page, cut off or empty', async () => {
    const { zip, to } = await place();
    await writeFile(zip, '<html>moved</html>');
    await expect(extractZip(zip, to)).rejects.toThrow(/a\.zip is no whole zip archive/);
    await writeZip(zip, { a: 'some text', b: 'other text' });
    await writeFile(zip, (await readFile(zip)).subarray(0, 60));
    await expect(extractZip(zip, to)).rejects.toThrow(/is no whole zip archive/);
  });
});

describe('npz', () => {
  it('gives arrays row by row, and their numbers', async () => {
    const { zip } = await place();
    const labels = Buffer.alloc(3 * 8);
    [5, -1, 2 ** 40].forEach((value, index) => labels.writeBigInt64LE(BigInt(value), index * 8));
    const images = Buffer.from(Array.from({ length: 3 * 200 * 300 }, (_, index) => index % 251));
    await writeZip(zip, { 'images.npy': npy([3, 200, 300], images), 'labels.npy': npy([3, 1], labels, '<i8') });
    const rows: Buffer[] = [];
    let numbers: number[] = [];
    expect(await readNpz(zip, async array => {
      if (array.name === 'labels') numbers = await array.numbers();
      else for await (const row of array.rows()) rows.push(Buffer.from(row));
    })).toEqual([]);
    expect(numbers).toEqual([5, -1, 2 ** 40]);
    expect(Buffer.concat(rows).equals(images)).toBe(true);
  });
  it('reports by name what lies about its shape, holds objects, is no array or a bomb, and goes on', async () => {
    const { zip } = await place();
    await writeZip(zip, {
      'short.npy': npy([4, 10], Buffer.alloc(30)), 'huge.npy': npy([1_000_000, 1_000_000], Buffer.alloc(30)), 'object.npy': npy([1], Buffer.alloc(8), '|O'),
      'text.npy': 'no array at all', 'bomb.npy': npy([70_000, 1000], Buffer.alloc(70_000_000)), 'fine.npy': npy([2, 2], Buffer.from([1, 2, 3, 4])),
    });
    const seen: string[] = [];
    const refused = await readNpz(zip, async array => void seen.push(`${array.name} ${(await array.numbers()).join(' ')}`));
    expect(seen).toEqual(['fine 1 2 3 4']);
    expect(Object.fromEntries(refused.map(row => [row.id, row.reason]))).toEqual({
      'short.npy': 'its shape (4, 10) needs 40 bytes, the file holds 30', 'huge.npy': expect.stringContaining('needs 1000000000000 bytes'),
      'object.npy': expect.stringContaining('is not read'), 'text.npy': 'it is no numpy array', 'bomb.npy': expect.stringContaining('zip bomb'),
    });
  });
});
