/** Every process that a stage has started, found and ended: also those that left its group, its session, or their parent. */
import { hasEnvironmentEntry, hasProc, lastPid, listPids, readProcess, worksIn } from './process-table.ts';
import type { ProcessStat } from './process-table.ts';

/** Set for each stage to its private folder: a daemon that left group and session still carries it. */
export const markerVariable = 'PIPE_FOLDER';

export interface StageTree {
  /** The private folder, which is the value of the marker variable. */
  readonly folder: string;
  /** The first process; leader of its own session and group. Null when only the folder is known. */
  readonly root: number | null;
  /** Processes seen in the tree while it ran, pid → start time: one that also cleaned its environment is among these. */
  readonly seen: ReadonlyMap<number, string>;
}

/** The living processes of the tree. `pids` narrows the search where the caller knows better than all of /proc. */
export function findTree(tree: StageTree, pids: readonly number[] = listPids()): ProcessStat[] {
  const marker = `${markerVariable}=${tree.folder}`;
  const found = new Map<number, ProcessStat>();
  const rest: ProcessStat[] = [];
  for (const pid of pids) {
    if (pid === process.pid) continue;
    const stat = readProcess(pid);
    if (stat === null || stat.state === 'Z') continue;
    const own =
      (tree.root !== null && (stat.session === tree.root || stat.group === tree.root || stat.pid === tree.root)) ||
      tree.seen.get(pid) === stat.startTime ||
      hasEnvironmentEntry(pid, marker) ||
      // A daemon that cleaned its environment. Whoever looks around in the folder has a terminal.
      (!stat.hasTerminal && worksIn(pid, tree.folder));
    if (own) found.set(pid, stat);
    else rest.push(stat);
  }
  // Children of the tree that changed everything about themselves, but not yet their parent.
  for (let grew = found.size > 0; grew; ) {
    grew = false;
    for (const stat of rest) {
      if (found.has(stat.pid) || !found.has(stat.parent)) continue;
      found.set(stat.pid, stat);
      grew = true;
    }
  }
  return [...found.values()];
}

/** Sends a signal to the tree's group and to those of its processes that are not in it. */
export function signalTree(tree: StageTree, signal: NodeJS.Signals): void {
  if (tree.root !== null) send(-tree.root, signal);
  for (const { pid, group } of findTree(tree)) if (group !== tree.root) send(pid, signal);
}

/**
 * Ends the tree now. Processes that fork while they are being found are caught by looking again until nothing is left.
 * Returns how many were ended, and those that would not go (another user's, or stuck in the kernel).
 */
export async function endTree(tree: StageTree): Promise<{ readonly ended: number; readonly left: readonly number[] }> {
  if (tree.root !== null) send(-tree.root, 'SIGKILL');
  if (!hasProc) return { ended: 0, left: [] };
  const ended = new Set<number>();
  let left: number[] = [];
  for (let round = 0; round < 50; round++) {
    left = findTree(tree).map(({ pid }) => pid);
    if (left.length === 0) break;
    for (const pid of left) {
      ended.add(pid);
      send(pid, 'SIGKILL');
    }
    await new Promise<void>(resolve => setTimeout(resolve, Math.min(2 + round, 20)));
  }
  return { ended: ended.size, left };
}

const unattended = new Set<StageTree>();

/** If this process ends before `undo` is called, by whatever but SIGKILL (a bug, say), the tree ends with it. */
export function endWithThisProcess(tree: StageTree): () => void {
  if (unattended.size === 0) process.once('exit', endUnattended);
  unattended.add(tree);
  return () => {
    unattended.delete(tree);
    if (unattended.size === 0) process.off('exit', endUnattended);
  };
}

function endUnattended(): void {
  for (const tree of unattended) signalTree(tree, 'SIGKILL');
}

/**
 * The pids that processes started after `root` can have: pids are given out in turn, so a short stage need not look at
 * every process of the machine. `ranMs`: the longer it ran, the more likely it is that the numbers went round.
 */
export function pidsSince(root: number, ranMs: number, rootLives = false): number[] {
  const last = lastPid();
  if (last === null || last < root || ranMs > 2000) return listPids();
  // A few numbers are tried one by one: quicker than listing all processes. Threads of a living root have numbers, too.
  if (last - root < 50 && !rootLives) return Array.from({ length: last - root }, (_, index) => root + 1 + index);
  return listPids().filter(pid => pid > root && pid <= last);
}

export function groupIsEmpty(group: number): boolean {
  try {
    process.kill(-group, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}

function send(target: number, signal: NodeJS.Signals): void {
  try {
    process.kill(target, signal);
  } catch {
    // gone already, or not ours to end; the caller looks again
  }
}
