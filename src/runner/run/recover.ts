/** What an earlier run that ended badly has left: leases, attempts, process trees, folders. Done at the start of each run. */
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { removeTree } from '../store/read-only-tree.ts';
import type { Store } from '../store/store.ts';
import type { Leases } from './leases.ts';
import { describeOwner } from './owner.ts';
import { listPids } from './process-table.ts';
import { endTree, markerVariable } from './process-tree.ts';
import { removeWorkFolder } from './work-folder.ts';

/** Whether there may be something to put in order: a look into two folders and at the leases. */
export function isLeftBehind(store: Store, leases: Leases): boolean {
  return folderNames(join(store.cache, 'work')).length > 0 || folderNames(join(store.cache, 'checkpoints')).length > 0 || leases.list().length > 0;
}

/** Puts it in order and says what there was, for people. */
export async function recover(store: Store, leases: Leases): Promise<string[]> {
  const notices: string[] = [];
  const working = new Set<number>();
  for (const holder of leases.list()) {
    if (leases.judge(holder) === 'working') {
      if (holder.attempt !== null) working.add(holder.attempt);
    } else if (await leases.clear(holder)) {
      notices.push(`${holder.cell} was left unfinished by ${describeOwner(holder)}, which is gone`);
    }
  }
  // A running attempt always has a lease; one without was left between two steps of an earlier takeover.
  for (const { id } of store.results.runningAttempts()) {
    if (working.has(id) || leases.list().some(({ attempt }) => attempt === id)) continue;
    store.database.prepare(`UPDATE attempt SET status = 'lost', ended_at = ?, message = 'its run ended without finishing it' WHERE id = ? AND status = 'running'`).run(Date.now(), id);
  }
  const cleared = await clearFolders(store, working);
  dropFinishedCheckpoints(store);
  // Its lease may have been taken over by a run that was going on; what it was at in the middle of a commit has a folder still.
  if (notices.length > 0 || cleared > 0) store.artefacts.dropHalfMade();
  return notices;
}

/** Of cells that were done when their run was killed. Nobody can begin with one meanwhile: that is written down first, and waits for this transaction. */
function dropFinishedCheckpoints({ cache, database }: Store): void {
  const folder = join(cache, 'checkpoints');
  const names = folderNames(folder);
  if (names.length === 0) return;
  const known = database.prepare<[string], unknown>('SELECT 1 FROM checkpoint WHERE key = ?');
  database.transaction(() => {
    for (const name of names) if (known.get(name) === undefined) removeTree(join(folder, name));
  }).immediate();
}

/** Folders of failed attempts stay, to be entered and run by hand; those of lost and of finished ones go, with what still runs there. */
async function clearFolders(store: Store, working: ReadonlySet<number>): Promise<number> {
  const work = join(store.cache, 'work');
  const stale = folderNames(work).filter(name => {
    const attempt = attemptOf(name);
    if (attempt === null || working.has(attempt)) return false;
    const status = store.results.attempt(attempt)?.status ?? null;
    return status === null || status === 'lost' || status === 'ran' || status === 'verified';
  });
  if (stale.length === 0) return 0;
  const busy = markedFolders(work);
  for (const name of stale) {
    const folder = join(work, name);
    if (busy.has(folder)) await endTree({ folder, root: null, seen: new Map() });
    await removeWorkFolder(folder);
  }
  return stale.length;
}

/** Work folders in which some process was started. */
function markedFolders(work: string): Set<string> {
  const found = new Set<string>();
  const start = `${markerVariable}=${work}/`;
  for (const pid of listPids()) {
    try {
      const entry = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').find(text => text.startsWith(start));
      if (entry !== undefined) found.add(entry.slice(markerVariable.length + 1));
    } catch {
      // ended meanwhile, or another user's
    }
  }
  return found;
}

/** Folders of all attempts at a key: once it is done, nobody needs to enter them. */
export async function dropEarlierFolders(cache: string, key: string): Promise<void> {
  const work = join(cache, 'work');
  const prefix = `${key.slice(0, 12)}-`;
  for (const name of folderNames(work)) if (name.startsWith(prefix)) await removeWorkFolder(join(work, name));
}

function folderNames(work: string): string[] {
  return existsSync(work) ? readdirSync(work) : [];
}

/** `<key prefix>-<attempt>` */
function attemptOf(name: string): number | null {
  const match = /^[0-9a-f]{12}-(\d+)$/.exec(name);
  return match ? Number(match[1]) : null;
}
