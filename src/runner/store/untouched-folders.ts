/** Folders of a tree of which everything is as it was when they were hashed: they are neither listed nor hashed again. */
import { provenNode } from './folder-proof.ts';
import type { FolderProof } from './folder-proof.ts';
import type { TreeFacts } from './merkle.ts';
import type { Digest } from './model.ts';
import type { StatRow } from './stat-row.ts';
import { checkFolders } from './stat-tasks.ts';
import type { Helpers } from './stat-tasks.ts';
import type { KnownFolder, StatTable } from './stat-table.ts';

interface Candidate {
  readonly path: string;
  readonly known: KnownFolder;
  readonly proof: FolderProof;
}

export interface UntouchedFolders {
  /** By byte path; only folders with all that is below them. */
  readonly facts: ReadonlyMap<string, TreeFacts>;
  /** The nodes of such a folder and of all below it. */
  nodes(folder: string): Generator<readonly [digest: Digest, node: Buffer]>;
}

/** By the stats of files and folders against what was known of them, on several threads where that pays. */
export function untouchedFolders(root: string, table: StatTable, helpers: Helpers | null): UntouchedFolders {
  const candidates = new Map<string, Candidate>();
  collect(root, table, candidates);
  const list = [...candidates.values()];
  const whole = checkFolders(list.map(({ path, known, proof }) => ({
    path, times: proof, files: known.files, packed: () => known.packed ?? known.row!.pack(), row: () => known.row,
  })), helpers);
  const facts = new Map<string, TreeFacts>();
  // Those in a folder come after it.
  for (let index = list.length - 1; index >= 0; index--) {
    const { path, proof } = list[index]!;
    const found = whole[index] ? factsOf(path, proof, facts) : null;
    if (found !== null) facts.set(path, found);
  }
  return {
    facts,
    *nodes(folder) {
      for (const { proof, row } of below(folder, candidates)) yield [proof.digest.toString('hex') as Digest, provenNode(proof, row)];
    },
  };
}

function collect(folder: string, table: StatTable, candidates: Map<string, Candidate>): void {
  const known = table.get(folder);
  const { proof } = known;
  if (proof === null || known.files !== proof.types.length || (known.packed === null && known.row === null)) return;
  candidates.set(folder, { path: folder, known, proof });
  for (const { name } of proof.folders) collect(`${folder}/${name}`, table, candidates);
}

function factsOf(path: string, proof: FolderProof, facts: ReadonlyMap<string, TreeFacts>): TreeFacts | null {
  let { size } = proof;
  let files = proof.types.length;
  for (const { name, digest } of proof.folders) {
    const child = facts.get(`${path}/${name}`);
    if (child === undefined || !child.digest.equals(digest)) return null;
    size += child.size;
    files += child.files;
  }
  return { digest: proof.digest, size, files };
}

function* below(folder: string, candidates: ReadonlyMap<string, Candidate>): Generator<{ readonly proof: FolderProof; readonly row: StatRow }> {
  const candidate = candidates.get(folder);
  if (candidate === undefined) return;
  yield { proof: candidate.proof, row: candidate.known.row! };
  for (const { name } of candidate.proof.folders) yield* below(`${folder}/${name}`, candidates);
}
