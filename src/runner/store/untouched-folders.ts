/** Folders of a tree of which everything is as it was when they were hashed: they are neither listed nor hashed again. */
import type { Stats } from 'node:fs';
import { provenNode } from './folder-proof.ts';
import type { FolderProof } from './folder-proof.ts';
import type { TreeFacts } from './merkle.ts';
import type { Digest } from './model.ts';
import type { StatRow } from './stat-row.ts';
import { checkFolders } from './stat-tasks.ts';
import type { FolderToCheck, Helpers } from './stat-tasks.ts';
import type { KnownFolder, StatTable } from './stat-table.ts';

class Candidate implements FolderToCheck {
  readonly path: string;
  readonly known: KnownFolder;
  readonly times: FolderProof;
  readonly files: number;
  readonly stat: Stats | null;

  constructor(path: string, known: KnownFolder, proof: FolderProof, stat: Stats | null) {
    this.path = path;
    this.known = known;
    this.times = proof;
    this.files = proof.files;
    this.stat = stat;
  }

  packed(): Buffer {
    return this.known.packed ?? this.known.row!.pack();
  }

  row(): StatRow | null {
    return this.known.row;
  }
}

export interface UntouchedFolders {
  /** By byte path; only folders with all that is below them. */
  readonly facts: ReadonlyMap<string, TreeFacts>;
  /** The nodes of such a folder and of all below it. */
  nodes(folder: string): Generator<readonly [digest: Digest, node: Buffer]>;
}

/**
 * By the stats of files and folders against what was known of them, on several threads where that pays. `stat`: of the
 * root, from just now.
 */
export function untouchedFolders(root: string, stat: Stats | null, table: StatTable, helpers: Helpers | null): UntouchedFolders {
  const candidates: Candidate[] = [];
  collect(root, stat, table, candidates);
  const whole = checkFolders(candidates, helpers);
  const facts = new Map<string, TreeFacts>();
  // Those in a folder come after it.
  for (let index = candidates.length - 1; index >= 0; index--) {
    const { path, times } = candidates[index]!;
    const found = whole[index] ? factsOf(path, times, facts) : null;
    if (found !== null) facts.set(path, found);
  }
  return {
    facts,
    *nodes(folder) {
      for (const { times, known } of below(folder, new Map(candidates.map(candidate => [candidate.path, candidate])))) {
        yield [times.digest.toString('hex') as Digest, provenNode(times, known.row!)];
      }
    },
  };
}

function collect(folder: string, stat: Stats | null, table: StatTable, candidates: Candidate[]): void {
  const known = table.get(folder);
  const { proof } = known;
  if (proof === null || known.files !== proof.files || (known.packed === null && known.row === null)) return;
  candidates.push(new Candidate(folder, known, proof, stat));
  for (const { name } of proof.folders) collect(`${folder}/${name}`, null, table, candidates);
}

function factsOf(path: string, proof: FolderProof, facts: ReadonlyMap<string, TreeFacts>): TreeFacts | null {
  let { size, files } = proof;
  for (const { name, digest } of proof.folders) {
    const child = facts.get(`${path}/${name}`);
    if (child === undefined || !child.digest.equals(digest)) return null;
    size += child.size;
    files += child.files;
  }
  return { digest: proof.digest, size, files };
}

function* below(folder: string, candidates: ReadonlyMap<string, Candidate>): Generator<Candidate> {
  const candidate = candidates.get(folder);
  if (candidate === undefined) return;
  yield candidate;
  for (const { name } of candidate.times.folders) yield* below(`${folder}/${name}`, candidates);
}
