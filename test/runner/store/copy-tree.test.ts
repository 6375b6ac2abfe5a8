import { chmodSync, mkdirSync, readFileSync, readlinkSync, readdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { copyTree } from '../../../src/runner/store/copy-tree.ts';
import { temporaryFolder } from './temp-folder.ts';

const mode = (path: string): number => statSync(path).mode & 0o777;

test('a copy of a read-only tree can be changed, has the same bytes, links and names, and what was executable still is', async () => {
  const folder = temporaryFolder();
  const from = join(folder, 'from');
  mkdirSync(join(from, 'deep', 'empty'), { recursive: true });
  for (let i = 0; i < 20; i++) writeFileSync(join(from, 'deep', `f${i}`), `file ${i}`);
  writeFileSync(join(from, 'tool.sh'), 'true\n');
  writeFileSync(Buffer.concat([Buffer.from(`${from}/`), Buffer.from([0xff, 0xe9])]), 'odd');
  symlinkSync('deep/f1', join(from, 'link'));
  symlinkSync('nowhere', join(from, 'dangling'));
  for (let i = 0; i < 20; i++) chmodSync(join(from, 'deep', `f${i}`), 0o444);
  chmodSync(join(from, 'tool.sh'), 0o555);
  for (const path of ['deep/empty', 'deep', '']) chmodSync(join(from, path), 0o555);

  const to = join(folder, 'to');
  await copyTree(from, to);
  for (let i = 0; i < 20; i++) expect(readFileSync(join(to, 'deep', `f${i}`), 'utf8')).toBe(`file ${i}`);
  expect([mode(to), mode(join(to, 'deep')), mode(join(to, 'deep', 'empty')), mode(join(to, 'deep', 'f3')), mode(join(to, 'tool.sh'))]).toEqual([0o755, 0o755, 0o755, 0o644, 0o755]);
  expect([readlinkSync(join(to, 'link')), readlinkSync(join(to, 'dangling'))]).toEqual(['deep/f1', 'nowhere']);
  expect(readdirSync(to, { encoding: 'latin1' }).toSorted()).toEqual(['dangling', 'deep', 'link', 'tool.sh', '\u00ff\u00e9']);
  for (const path of ['', 'deep', 'deep/empty']) chmodSync(join(from, path), 0o755);
});

test('a single file', async () => {
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'a'), 'bytes');
  chmodSync(join(folder, 'a'), 0o444);
  await copyTree(join(folder, 'a'), join(folder, 'b'));
  expect([readFileSync(join(folder, 'b'), 'utf8'), mode(join(folder, 'b'))]).toEqual(['bytes', 0o644]);
  await expect(copyTree(join(folder, 'a'), join(folder, 'b'))).rejects.toThrow(/EEXIST/);
});
