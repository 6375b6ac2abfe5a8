import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { appendFileSync, chmodSync, existsSync, linkSync, lstatSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { Artefact } from '../../../src/runner/store/model.ts';
import { removeTree } from '../../../src/runner/store/read-only-tree.ts';
import { openStore } from '../../../src/runner/store/store.ts';
import type { Store } from '../../../src/runner/store/store.ts';
import { temporaryFolder } from './temp-folder.ts';

interface Rig {
  readonly cache: string;
  readonly store: Store;
  file(content: string, mode?: number): string;
  tree(files: Readonly<Record<string, string>>): string;
}

function rig(cache = temporaryFolder()): Rig {
  const store = openStore({ cache, mode: 'write' });
  onTestFinished(() => store.close());
  let count = 0;
  const place = (): string => join(cache, 'work', `${process.pid}-${count++}`);
  return {
    cache, store,
    file(content, mode = 0o644) {
      const path = place();
      writeFileSync(path, content);
      chmodSync(path, mode);
      return path;
    },
    tree(files) {
      const path = place();
      mkdirSync(path);
      for (const [name, content] of Object.entries(files)) {
        mkdirSync(join(path, name, '..'), { recursive: true });
        writeFileSync(join(path, name), content);
      }
      return path;
    },
  };
}

const writable = (path: string): boolean => (lstatSync(path).mode & 0o222) !== 0;

test('a file is kept under its digest and name, read-only, with its bytes counted', async () => {
  const { store, file, cache } = rig();
  const artefact = await store.artefacts.add(file('hello'), 'out.txt');
  expect(artefact).toMatchObject({ name: 'out.txt', type: 'file', size: 5, files: 1 });
  const path = store.artefacts.pathOf(artefact);
  expect(path).toBe(join(cache, 'artefacts', artefact.digest, 'out.txt'));
  expect(readFileSync(path, 'utf8')).toBe('hello');
  expect(writable(path) || writable(join(path, '..'))).toBe(false);
  expect(store.artefacts.present(artefact)).toBe('here');
});

test('the digest covers name, executable bit and content', async () => {
  const { store, file } = rig();
  const add = async (content: string, name: string, mode?: number): Promise<string> => (await store.artefacts.add(file(content, mode), name)).digest;
  const digests = [await add('a', 'x'), await add('b', 'x'), await add('a', 'y'), await add('a', 'x', 0o755)];
  expect(new Set(digests).size).toBe(4);
  expect(await add('a', 'x')).toBe(digests[0]);
});

test('an equal artefact is kept once', async () => {
  const { store, tree, cache } = rig();
  const first = await store.artefacts.add(tree({ 'a/b': '1', c: '2' }), 'model');
  const inode = statSync(store.artefacts.pathOf(first)).ino;
  expect(await store.artefacts.add(tree({ c: '2', 'a/b': '1' }), 'model')).toEqual(first);
  expect(statSync(store.artefacts.pathOf(first)).ino).toBe(inode);
  expect(readdirSync(join(cache, 'artefacts'))).toEqual([first.digest]);
});

test('a folder is read-only all through', async () => {
  const { store, tree } = rig();
  const artefact = await store.artefacts.add(tree({ 'a/b': '12', c: '3' }), 'model');
  expect(artefact).toMatchObject({ type: 'folder', size: 3, files: 2 });
  const path = store.artefacts.pathOf(artefact);
  for (const place of ['', 'a', 'a/b', 'c']) expect(writable(join(path, place)), place).toBe(false);
});

const damages: Readonly<Record<string, (path: string) => void>> = {
  truncated: path => truncateSync(path, 1),
  'flipped in place, with its times set back': path => {
    const { atime, mtime } = statSync(path);
    writeFileSync(path, readFileSync(path, 'utf8').toUpperCase());
    execFileSync('touch', ['-d', mtime.toISOString(), path]);
    void atime;
  },
  'appended to': path => appendFileSync(path, 'x'),
  'replaced by a symbolic link': path => {
    rmSync(path);
    symlinkSync('/etc/hostname', path);
  },
  'replaced by a folder': path => {
    rmSync(path);
    mkdirSync(path);
  },
  'made executable': path => chmodSync(path, 0o555),
};

for (const [what, damage] of Object.entries(damages)) {
  test(`an artefact ${what} is found damaged, put aside, and made again`, async () => {
    const { store, file, tree, cache } = rig();
    for (const [artefact, inside, again] of [
      [await store.artefacts.add(file('hello'), 'f'), '', () => file('hello')],
      [await store.artefacts.add(tree({ 'a/b': 'hello' }), 'd'), 'a/b', () => tree({ 'a/b': 'hello' })],
    ] as [Artefact, string, () => string][]) {
      const path = store.artefacts.pathOf(artefact);
      unlock(join(cache, 'artefacts', artefact.digest));
      damage(join(path, inside));
      expect(store.artefacts.present(artefact)).toBe('damaged');
      expect((await store.artefacts.add(again(), artefact.name)).digest).toBe(artefact.digest);
      expect(store.artefacts.present(artefact)).toBe('here');
      expect(readFileSync(join(path, inside), 'utf8')).toBe('hello');
    }
    expect(readdirSync(join(cache, 'quarantine'))).toHaveLength(2);
  });
}

test('a file that was added to a folder, or is gone from it, is damage; a folder that is gone is gone', async () => {
  const { store, tree, cache } = rig();
  const artefact = await store.artefacts.add(tree({ a: '1', b: '2' }), 'd');
  const path = store.artefacts.pathOf(artefact);
  unlock(join(cache, 'artefacts', artefact.digest));
  writeFileSync(join(path, 'new'), '');
  expect(store.artefacts.present(artefact)).toBe('damaged');
  rmSync(join(path, 'new'));
  expect(store.artefacts.present(artefact)).toBe('here');
  rmSync(join(path, 'a'));
  expect(store.artefacts.present(artefact)).toBe('damaged');
  removeTree(join(cache, 'artefacts', artefact.digest));
  expect(store.artefacts.present(artefact)).toBe('gone');
});

test('a touched artefact is read, found the same, and its new times are known after that', async () => {
  const { store, file } = rig();
  const artefact = await store.artefacts.add(file('hello'), 'f');
  const before = store.database.prepare('SELECT stat FROM artefact').pluck().get();
  execFileSync('touch', [store.artefacts.pathOf(artefact)]);
  expect(store.artefacts.present(artefact)).toBe('here');
  expect(store.database.prepare('SELECT stat FROM artefact').pluck().get()).not.toEqual(before);
});

test('what is missing, a link, or holds a socket or a way out is refused by name', async () => {
  const { store, tree, cache } = rig();
  await expect(store.artefacts.add(join(cache, 'work', 'none'), 'out')).rejects.toThrow('the output out was not written');
  const link = join(cache, 'work', 'link');
  symlinkSync('/etc/hostname', link);
  await expect(store.artefacts.add(link, 'out')).rejects.toThrow('is a symbolic link');
  const leaving = tree({ a: '' });
  symlinkSync('/etc/hostname', join(leaving, 'host'));
  await expect(store.artefacts.add(leaving, 'out')).rejects.toThrow(`${leaving}/host leads out of`);
  const special = tree({ a: '' });
  execFileSync('mkfifo', [join(special, 'pipe')]);
  await expect(store.artefacts.add(special, 'out')).rejects.toThrow(`${special}/pipe is neither`);
});

test('links inside a folder are kept as links', async () => {
  const { store, tree } = rig();
  const path = tree({ 'a/b': '1' });
  symlinkSync('a/b', join(path, 'link'));
  const artefact = await store.artefacts.add(path, 'd');
  expect(lstatSync(join(store.artefacts.pathOf(artefact), 'link')).isSymbolicLink()).toBe(true);
  expect(store.artefacts.present(artefact)).toBe('here');
});

test('a hard link to a file of the project is cut: the project stays writable', async () => {
  const { store, cache } = rig();
  const own = join(cache, 'own.txt');
  writeFileSync(own, 'mine');
  linkSync(own, join(cache, 'work', 'linked'));
  const artefact = await store.artefacts.add(join(cache, 'work', 'linked'), 'out');
  expect(writable(own)).toBe(true);
  writeFileSync(own, 'changed');
  expect(readFileSync(store.artefacts.pathOf(artefact), 'utf8')).toBe('mine');
  expect(store.artefacts.present(artefact)).toBe('here');
});

test('the same content from many at once is kept once and whole', async () => {
  const { store, tree, cache } = rig();
  const content = Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`d${i % 3}/f${i}`, `content ${i}`]));
  const all = await Promise.all(Array.from({ length: 8 }, () => store.artefacts.add(tree(content), 'd')));
  expect(new Set(all.map(({ digest }) => digest)).size).toBe(1);
  expect(store.artefacts.present(all[0]!)).toBe('here');
  expect(readdirSync(join(cache, 'artefacts'))).toEqual([all[0]!.digest]);
});

test('files larger than one piece have the digest that sha256sum gives', async () => {
  const { store, cache } = rig();
  const path = join(cache, 'work', 'big');
  writeFileSync(path, Buffer.alloc((1 << 20) * 3 + 17, 'abc'));
  const sum = execFileSync('sha256sum', [path], { encoding: 'utf8' }).slice(0, 64);
  const artefact = await store.artefacts.add(path, 'big');
  const { digest } = store.stats.file(store.artefacts.pathOf(artefact))!;
  expect(digest.toString('hex')).toBe(sum);
  expect(store.artefacts.present(artefact)).toBe('here');
});

test('removing drops the files and remembers that they were', async () => {
  const { store, tree } = rig();
  const artefact = await store.artefacts.add(tree({ 'a/b': '1' }), 'd');
  store.artefacts.remove(artefact);
  expect(existsSync(join(store.artefacts.pathOf(artefact), '..'))).toBe(false);
  expect(store.artefacts.present(artefact)).toBe('gone');
  expect(store.artefacts.list()).toMatchObject([{ digest: artefact.digest, state: 'dropped' }]);
});

test('names that are not UTF-8 are kept in a folder', async () => {
  const { store, tree } = rig();
  const path = tree({ a: '' });
  writeFileSync(Buffer.concat([Buffer.from(`${path}/`), Buffer.from([0xff, 0x61])]), 'odd');
  const artefact = await store.artefacts.add(path, 'd');
  expect(readdirSync(store.artefacts.pathOf(artefact), 'latin1')).toContain('\xffa');
  expect(store.artefacts.present(artefact)).toBe('here');
});

test('a file that something still writes to is refused', async () => {
  const { store, file, tree } = rig();
  const path = tree({ big: 'x'.repeat(1 << 20) });
  const adding = store.artefacts.add(path, 'd');
  // The files have been listed by now, and are being read.
  appendFileSync(join(path, 'big'), 'more');
  await expect(adding).rejects.toThrow('changed while it was being kept');
  expect((await store.artefacts.add(file('x'), 'other')).size).toBe(1);
});

function unlock(path: string): void {
  chmodSync(path, 0o755);
  for (const name of readdirSync(path)) {
    const entry = join(path, name);
    if (lstatSync(entry).isDirectory()) unlock(entry);
    else if (!lstatSync(entry).isSymbolicLink()) chmodSync(entry, lstatSync(entry).mode | 0o200);
  }
}

test('an interrupted commit leaves nothing that counts', async () => {
  const { store, file, cache } = rig();
  const path = file('x');
  const artefact = await store.artefacts.add(path, 'f');
  // As a crash between the two renames would leave it.
  const place = join(cache, 'artefacts', artefact.digest);
  chmodSync(place, 0o755);
  renameSync(place, join(cache, 'artefacts', '.incoming-1-x-0'));
  expect(store.artefacts.present(artefact)).toBe('gone');
  expect(await store.artefacts.add(file('x'), 'f')).toEqual(artefact);
  expect(store.artefacts.present(artefact)).toBe('here');
});

test('what came from elsewhere is read again after a boot, and not doubted before', async () => {
  const { store, file } = rig();
  const right = await store.artefacts.add(file('right'), 'f');
  store.artefacts.remove(right);
  const unsynced = (value: string): void => void store.database.prepare('UPDATE artefact SET unsynced = ?').run(value);
  const mark = (): unknown => store.database.prepare('SELECT unsynced FROM artefact').pluck().get();
  const come = async (content: string): Promise<void> => {
    const path = file(content);
    const known = { digests: new Map([[path, createHash('sha256').update('right').digest()]]), only: right.digest };
    expect(await store.artefacts.add(path, 'f', known)).toEqual(right);
    expect(store.artefacts.present(right)).toBe('here');
    expect(mark()).toEqual(expect.stringMatching(/./));
  };
  // Of its size, with its stats, and with bytes that the disk never got.
  await come('wrong');
  unsynced('an earlier boot');
  expect(store.artefacts.present(right)).toBe('damaged');
  store.artefacts.quarantine(right, 'test');

  await come('right');
  unsynced('an earlier boot');
  expect(store.artefacts.present(right)).toBe('here');
  expect(mark()).toBeNull();
  store.artefacts.remove(right);

  await come('right');
  await store.artefacts.settle();
  expect(mark()).toBeNull();
});
