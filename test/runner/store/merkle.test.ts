import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { bytePath, hashFile, shownPath } from '../../../src/runner/store/file-bytes.ts';
import { hashTree, readNode } from '../../../src/runner/store/merkle.ts';
import { temporaryFolder } from './temp-folder.ts';

function digest(folder: string): string {
  const root = bytePath(folder);
  return hashTree(root, { open: at => name => hashFile(`${at}/${name}`) }).digest.toString('hex');
}

function makeTree(folder: string): void {
  mkdirSync(join(folder, 'sub'), { recursive: true });
  writeFileSync(join(folder, 'a.txt'), 'a');
  writeFileSync(join(folder, 'sub', 'b.txt'), 'b');
}

test('a folder is known by names, types, executable bits and content, not by place or time', () => {
  const folder = temporaryFolder();
  const tree = join(folder, 'tree');
  makeTree(tree);
  const first = digest(tree);
  const seen = new Map([[first, 'first']]);
  const isNew = (what: string): void => {
    const now = digest(tree);
    expect(seen.get(now), `${what} gives a digest that was seen before`).toBeUndefined();
    seen.set(now, what);
  };
  renameSync(tree, join(folder, 'elsewhere'));
  expect(digest(join(folder, 'elsewhere'))).toBe(first);
  renameSync(join(folder, 'elsewhere'), tree);

  writeFileSync(join(tree, 'sub', 'b.txt'), 'c');
  isNew('content');
  renameSync(join(tree, 'a.txt'), join(tree, 'A.txt'));
  isNew('name');
  chmodSync(join(tree, 'A.txt'), 0o755);
  isNew('executable bit');
  mkdirSync(join(tree, 'empty'));
  isNew('an empty folder');
  symlinkSync('A.txt', join(tree, 'link'));
  isNew('a link');
  unlinkSync(join(tree, 'link'));
  symlinkSync('./A.txt', join(tree, 'link'));
  isNew('a link of another text to the same file');
  unlinkSync(join(tree, 'link'));
  writeFileSync(join(tree, 'link'), 'A.txt');
  isNew('a file with the text of the link');
});

test('a file moved between folders, or split into two, is not the same tree', () => {
  const folder = temporaryFolder();
  for (const name of ['one', 'two', 'three']) mkdirSync(join(folder, name, 'x'), { recursive: true });
  writeFileSync(join(folder, 'one', 'x', 'y'), 'z');
  writeFileSync(join(folder, 'two', 'xy'), 'z');
  writeFileSync(join(folder, 'three', 'y'), 'z');
  expect(new Set(['one', 'two', 'three'].map(name => digest(join(folder, name)))).size).toBe(3);
});

test('a link that leaves the tree is an error that names it', () => {
  const folder = temporaryFolder();
  const tree = join(folder, 'tree');
  makeTree(tree);
  writeFileSync(join(folder, 'outside'), '');
  for (const target of ['/etc/hostname', '../outside', 'sub/../../outside']) {
    symlinkSync(target, join(tree, 'link'));
    expect(() => digest(tree), target).toThrow(`${tree}/link leads out of`);
    unlinkSync(join(tree, 'link'));
  }
  symlinkSync('sub/../a.txt', join(tree, 'link'));
  symlinkSync('nothing-there', join(tree, 'dangling'));
  expect(digest(tree)).toHaveLength(64);
});

test('a link that stays by its text and leaves by way of another link is an error, too', () => {
  const tree = join(temporaryFolder(), 'tree');
  mkdirSync(join(tree, 'deep', 'er'), { recursive: true });
  symlinkSync('../..', join(tree, 'deep', 'er', 'top'));
  symlinkSync('deep/er/top/../..', join(tree, 'link'));
  expect(() => digest(tree)).toThrow('leads out of');
});

test('a ring of links is hashed as links', () => {
  const tree = temporaryFolder();
  symlinkSync('b', join(tree, 'a'));
  symlinkSync('a', join(tree, 'b'));
  expect(digest(tree)).toHaveLength(64);
});

test('names that are not UTF-8 are told apart and shown with their bytes', () => {
  const tree = temporaryFolder();
  const at = (name: Buffer): Buffer => Buffer.concat([Buffer.from(`${tree}/`), name]);
  writeFileSync(at(Buffer.from([0x61, 0xff])), '1');
  const first = digest(tree);
  renameSync(at(Buffer.from([0x61, 0xff])), at(Buffer.from([0x61, 0xfe])));
  expect(digest(tree)).not.toBe(first);
  // Read as UTF-8 both would be the same replacement character.
  writeFileSync(at(Buffer.from([0x61, 0xff])), '1');
  const names: string[] = [];
  hashTree(bytePath(tree), { open: (_folder, list) => { names.push(...list); return () => Buffer.alloc(32); } });
  expect(names.map(shownPath)).toEqual(['a\\xfe', 'a\\xff']);
  expect(shownPath(bytePath('über/日本'))).toBe('über/日本');
});

test('entries are sorted by the bytes of their names', () => {
  const tree = temporaryFolder();
  // UTF-16 order would put the last two the other way round.
  for (const name of ['b', 'B', 'é', '\ufb33', '😀']) writeFileSync(join(tree, name), '');
  let node: Uint8Array = new Uint8Array();
  hashTree(bytePath(tree), { open: () => () => Buffer.alloc(32), node: (_digest, bytes) => { node = bytes; } });
  expect([...readNode(node)].map(({ name }) => shownPath(name))).toEqual(['B', 'b', 'é', '\ufb33', '😀']);
});

test('a socket in a folder is an error that names it', async () => {
  const tree = temporaryFolder();
  const server = createServer();
  await new Promise<void>(resolve => void server.listen(join(tree, 'socket'), resolve));
  expect(() => digest(tree)).toThrow(`${tree}/socket is neither a file, a folder nor a symbolic link`);
  await new Promise(resolve => void server.close(resolve));
  execFileSync('mkfifo', [join(tree, 'pipe')]);
  expect(() => digest(tree)).toThrow(`${tree}/pipe is neither`);
});

test('a file that vanishes or cannot be read is an error that names it', () => {
  const tree = temporaryFolder();
  makeTree(tree);
  const vanishing = (): string => hashTree(bytePath(tree), {
    open: at => name => {
      rmSync(join(tree, 'a.txt'), { force: true });
      return hashFile(`${at}/${name}`);
    },
  }).digest.toString('hex');
  expect(vanishing).toThrow(`${tree}/a.txt vanished while it was being read`);
  expect(() => hashFile(bytePath(join(tree, 'sub')))).toThrow(`${tree}/sub cannot be read`);
});
