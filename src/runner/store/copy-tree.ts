/** A copy of an artefact that can be changed: what lies in the cache is read-only. */
import { constants } from 'node:fs';
import { chmod, copyFile, lstat, mkdir, readdir, readlink, symlink } from 'node:fs/promises';
import { bytePath, fsPath } from './file-bytes.ts';

/** Copying a file that is in memory keeps one core busy; the system's own copying uses no more than one. */
const atOnce = 3;

/**
 * Copies a file or a folder with all that is in it; symbolic links keep their text, modes gain the owner's right to
 * write. `to` must not exist; its parent must. Where the file system can share blocks, nothing is copied.
 */
export async function copyTree(from: string, to: string): Promise<void> {
  const root = bytePath(from);
  const copy = bytePath(to);
  const { files, folders } = await makeFolders(root, copy);
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let name = files[next++]; name !== undefined; name = files[next++]) await copyEntry(root + name, copy + name);
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, files.length) }, worker));
  // At the end, and those inside first: as they are, one may allow nothing to be put into it.
  for (const { name, mode } of folders.reverse()) await chmod(fsPath(copy + name), mode | 0o200);
}

/** Byte paths below the root, with a slash before them; the root's own is empty. */
async function makeFolders(root: string, copy: string): Promise<{ readonly files: string[]; readonly folders: { readonly name: string; readonly mode: number }[] }> {
  const stat = await lstat(fsPath(root));
  if (!stat.isDirectory()) return { files: [''], folders: [] };
  const files: string[] = [];
  const folders = [{ name: '', mode: stat.mode }];
  await mkdir(fsPath(copy));
  for (const { name: folder } of folders) {
    for (const entry of await readdir(fsPath(root + folder), { withFileTypes: true, encoding: 'latin1' })) {
      const name = `${folder}/${entry.name}`;
      if (!entry.isDirectory()) {
        files.push(name);
        continue;
      }
      folders.push({ name, mode: (await lstat(fsPath(root + name))).mode });
      await mkdir(fsPath(copy + name));
    }
  }
  return { files, folders };
}

async function copyEntry(from: string, to: string): Promise<void> {
  const stat = await lstat(fsPath(from));
  if (stat.isSymbolicLink()) return symlink(fsPath(await readlink(fsPath(from), 'latin1')), fsPath(to));
  await copyFile(fsPath(from), fsPath(to), constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL);
  await chmod(fsPath(to), stat.mode | 0o200);
}
