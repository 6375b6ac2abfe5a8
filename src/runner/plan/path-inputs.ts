/** Files, folders and globs of the project that a cell reads: what they hold now. */
import { isAbsolute, resolve } from 'node:path';
import { PipeError } from '../diagnostic.ts';
import type { JsonObject } from '../json.ts';
import type { CellInput } from '../pipeline/model.ts';
import { bytePath } from '../store/file-bytes.ts';
import { namedDigest, NodeWriter } from '../store/merkle.ts';
import type { StatCache } from '../store/stat-cache.ts';
import type { TreeNodes } from '../store/tree-nodes.ts';
import { findFiles } from './glob.ts';

export type PathInput = Extract<CellInput, { kind: 'path' }>;

export interface PathContent {
  /** The part of the key; no path of this machine is in it. `missing` never equals what a stage was run with. */
  readonly value: JsonObject;
  readonly missing: boolean;
}

/**
 * The content of a path input as it is now; `nodes` gets the nodes of its folders, so that a later `why` can name the file that changed. A file's or folder's digest covers its name, as an artefact's does; a
 * glob's the sorted names relative to the project and what each file holds.
 */
export function readPathInput(input: PathInput, root: string, stats: StatCache, nodes: TreeNodes): PathContent {
  if (input.glob) return readGlob(input.path, root, stats, nodes);
  const path = absolutePath(input, root);
  const content = stats.content(path, nodes);
  if (content === null) return { value: { type: 'missing' }, missing: true };
  const name = bytePath(path.slice(path.lastIndexOf('/') + 1));
  if ('tree' in content) {
    const { digest } = content.tree;
    return { value: { type: 'folder', digest: namedDigest('d', name, digest), tree: digest.toString('hex') }, missing: false };
  }
  const { file } = content;
  return { value: { type: 'file', digest: namedDigest(file.type, name, file.digest) }, missing: false };
}

export function absolutePath(input: PathInput, root: string): string {
  return isAbsolute(input.path) ? input.path : resolve(root, input.path);
}

function readGlob(pattern: string, root: string, stats: StatCache, nodes: TreeNodes): PathContent {
  const node = new NodeWriter();
  const paths = findFiles(root, pattern);
  for (const path of paths) {
    const file = stats.file(path.startsWith('/') ? path : `${root}/${path}`);
    if (file === null) throw new PipeError(`${path} vanished while it was being read`, { exitCode: 1, code: 'file-vanished' });
    node.add(file.type, bytePath(path), file.digest);
  }
  const hex = node.digest().toString('hex');
  nodes.set(hex, node.bytes());
  return { value: { type: 'glob', digest: hex, tree: hex, files: paths.length }, missing: paths.length === 0 };
}
