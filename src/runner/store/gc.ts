/**
 * What can go from the cache, why the rest stays, and taking it away: results (all records of an attempt, with the
 * artefacts that no other record names), least recently used first, and what crashes have left behind.
 */
import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import type { Json } from '../json.ts';
import { listNames, sizeOf } from './cache-size.ts';
import type { Artefact, Digest } from './model.ts';
import { listPins } from './pins.ts';
import { pruneDatabase } from './prune-database.ts';
import { removeTree } from './read-only-tree.ts';
import { namedDigests, recordedArtefacts } from './recorded-artefacts.ts';
import type { Store } from './store.ts';

export interface GcOptions {
  /** Remove least recently used results until the artefacts take no more bytes than this; null: no cap. */
  readonly maxBytes: number | null;
  /** Remove results that were not used for so many milliseconds; null: age does not matter. */
  readonly unusedForMs: number | null;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/** `pin`: pinned by hand. `running`: a running stage reads it. `checkpoint`: a stage that will resume reads it. */
export type KeptBecause = 'pin' | 'running' | 'checkpoint' | 'used';

export interface GcResult {
  readonly attempt: number;
  readonly cell: string;
  readonly pipeline: string;
  /** The newest of: when it was made, and the runs of pipelines in which it is a cell's present result. */
  readonly lastUsed: number;
  /** Bytes that would be free if it went, artefacts shared with others that stay not counted. */
  readonly bytes: number;
}

export interface GcPlan {
  readonly remove: readonly (GcResult & { readonly why: 'size' | 'age' })[];
  readonly keep: readonly (GcResult & { readonly because: KeptBecause })[];
  /** Artefacts that no record names. */
  readonly orphans: readonly { readonly digest: Digest; readonly bytes: number }[];
  /** Folders that a crash left, damaged artefacts put aside, and the like; absolute paths. */
  readonly leftovers: readonly { readonly path: string; readonly bytes: number }[];
  readonly bytesBefore: number;
  readonly bytesAfter: number;
}

interface Candidate extends GcResult {
  readonly artefacts: readonly Artefact[];
}

/** Younger leftovers may belong to a commit that is going on. */
const graceMs = 3_600_000;

/** Reads only. What it lists as removable is checked again by `collectGarbage`. */
export function planGc(store: Store, options: GcOptions): GcPlan {
  const candidates = listCandidates(store);
  const protectedBy = protectedDigests(store);
  const uses = new Map<Digest, number>();
  const sizes = new Map<Digest, number>();
  for (const { artefacts } of candidates) {
    for (const { digest, size } of artefacts) {
      uses.set(digest, (uses.get(digest) ?? 0) + 1);
      sizes.set(digest, size);
    }
  }
  const stored = new Map(store.artefacts.list().filter(({ state }) => state === 'here').map(artefact => [artefact.digest, artefact]));
  const orphans = [...stored.values()].filter(({ digest, createdAt }) => !uses.has(digest) && !protectedBy.has(digest) && createdAt < options.now - graceMs)
    .map(({ digest, size }) => ({ digest, bytes: size }));
  const bytesOf = (digest: Digest): number => (stored.has(digest) ? sizes.get(digest)! : 0);
  const bytesBefore = [...stored.values()].reduce((sum, { size }) => sum + size, 0);
  let bytes = bytesBefore - orphans.reduce((sum, orphan) => sum + orphan.bytes, 0);

  const remove: (GcResult & { why: 'size' | 'age' })[] = [];
  const keep: (GcResult & { because: KeptBecause })[] = [];
  for (const { artefacts, ...result } of candidates) {
    const because = artefacts.map(({ digest }) => protectedBy.get(digest)).find(found => found !== undefined);
    const tooOld = options.unusedForMs !== null && result.lastUsed < options.now - options.unusedForMs;
    const tooMuch = options.maxBytes !== null && bytes > options.maxBytes;
    const digests = [...new Set(artefacts.map(({ digest }) => digest))];
    if (because !== undefined || (!tooOld && !tooMuch)) {
      keep.push({ ...result, bytes: digests.reduce((sum, digest) => sum + bytesOf(digest), 0), because: because ?? 'used' });
      continue;
    }
    let freed = 0;
    for (const artefact of artefacts) {
      const left = uses.get(artefact.digest)! - 1;
      uses.set(artefact.digest, left);
      if (left === 0) freed += bytesOf(artefact.digest);
    }
    bytes -= freed;
    remove.push({ ...result, bytes: freed, why: tooOld ? 'age' : 'size' });
  }
  return { remove, keep, orphans, leftovers: findLeftovers(store, options.now, stored), bytesBefore, bytesAfter: bytes };
}

/**
 * Does what the plan lists. Records go first, in one transaction, then files: a crash in between leaves artefacts
 * without a record, which the next call finds. What has come into use since the plan was made is left alone. Returns
 * the bytes that were freed.
 */
export function collectGarbage(store: Store, plan: GcPlan): number {
  const { database } = store;
  const removed = database.transaction(() => {
    const protectedBy = protectedDigests(store);
    const going: Artefact[] = [];
    for (const { attempt } of plan.remove) {
      const artefacts = recordedArtefacts(store, attempt);
      if (artefacts.some(({ digest }) => protectedBy.has(digest))) continue;
      database.prepare('DELETE FROM record WHERE attempt = ?').run(attempt);
      going.push(...artefacts);
    }
    const known = new Map(store.artefacts.list().map(artefact => [artefact.digest, artefact]));
    for (const { digest } of plan.orphans) if (known.has(digest)) going.push(known.get(digest)!);
    const named = namedDigests(store);
    return [...new Map(going.map(artefact => [artefact.digest, artefact])).values()].filter(({ digest }) => !named.has(digest) && !protectedBy.has(digest));
  }).immediate();
  let freed = 0;
  for (const artefact of removed) {
    if (store.artefacts.present(artefact) !== 'gone') freed += artefact.size;
    store.artefacts.remove(artefact);
  }
  for (const { path, bytes } of plan.leftovers) {
    removeTree(path);
    freed += bytes;
  }
  pruneDatabase(store);
  return freed;
}

/** Every attempt with a record, least recently used first. */
function listCandidates(store: Store): Candidate[] {
  const rows = store.database
    .prepare<[], { attempt: number; cell: string; pipeline: string; lastUsed: number; outputs: string }>(
      `WITH last_run AS (SELECT pipeline, max(started_at) AS at FROM run GROUP BY pipeline),
       used AS (SELECT attempt, max(at) AS at FROM current JOIN last_run USING (pipeline) GROUP BY attempt)
       SELECT record.attempt AS attempt, cell, pipeline, max(coalesce(attempt.ended_at, attempt.started_at), coalesce(used.at, 0)) AS lastUsed, outputs
       FROM (SELECT attempt, min(outputs) AS outputs FROM record GROUP BY attempt) AS record
       JOIN attempt ON attempt.id = record.attempt LEFT JOIN used ON used.attempt = record.attempt
       ORDER BY lastUsed, record.attempt`,
    )
    .all();
  return rows.map(({ outputs, ...row }) => ({ ...row, bytes: 0, artefacts: Object.values(JSON.parse(outputs) as Record<string, Artefact>) }));
}

/** Artefacts that are pinned, or that a running attempt or one that left a checkpoint reads. */
function protectedDigests(store: Store): Map<Digest, KeptBecause> {
  const found = new Map<Digest, KeptBecause>();
  const reading = (because: KeptBecause, sql: string): void => {
    for (const { id } of store.database.prepare<[], { id: number }>(sql).all()) {
      for (const { part, value } of store.results.manifestOf(id)) if (part.startsWith('in.')) for (const digest of digestsIn(value)) found.set(digest, because);
    }
  };
  reading('checkpoint', 'SELECT max(attempt.id) AS id FROM checkpoint JOIN attempt ON attempt.action_key = checkpoint.key GROUP BY checkpoint.key');
  reading('running', `SELECT id FROM attempt WHERE status = 'running'`);
  for (const { digest } of listPins(store)) found.set(digest, 'pin');
  return found;
}

function digestsIn(value: Json): Digest[] {
  if (typeof value !== 'object' || value === null) return [];
  if (Array.isArray(value)) return (value as readonly Json[]).flatMap(digestsIn);
  return Object.entries(value).flatMap(([key, item]) => (key === 'digest' && typeof item === 'string' ? [item as Digest] : digestsIn(item)));
}

function findLeftovers(store: Store, now: number, stored: ReadonlyMap<string, unknown>): { path: string; bytes: number }[] {
  const found: { path: string; bytes: number }[] = [];
  const look = (folder: string, isLeftover: (name: string) => boolean): void => {
    for (const name of listNames(join(store.cache, folder))) {
      const path = join(store.cache, folder, name);
      const stat = lstatSync(path, { throwIfNoEntry: false });
      if (stat !== undefined && stat.ctimeMs < now - graceMs && isLeftover(name)) found.push({ path, bytes: sizeOf(path) });
    }
  };
  // Commits that were cut off, and artefacts that this database knows nothing of, or has dropped.
  look('artefacts', name => name.startsWith('.incoming-') || (/^[0-9a-f]{64}$/.test(name) && !stored.has(name)));
  look('quarantine', () => true);
  look('plans', name => name.endsWith('.tmp'));
  return found;
}
