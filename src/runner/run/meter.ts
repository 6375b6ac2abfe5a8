/**
 * Measures processor time and memory of process trees from outside, by sampling /proc; remembers every process it saw,
 * so that one which later hides is still found when the stage ends.
 */
import { availableParallelism } from 'node:os';
import { hasProc, listPids, peakResidentBytes, readProcess } from './process-table.ts';
import type { ProcessStat } from './process-table.ts';

export interface Measured {
  readonly cpuSeconds: number | null;
  readonly peakMemoryBytes: number | null;
}

const youngMs = 3000;
const youngIntervalMs = 200;
const oldIntervalMs = 1000;

interface Watched {
  readonly root: number;
  readonly since: number;
  readonly seen: Map<number, string>;
  sampledAt: number;
  readonly secondsBefore: number;
  cpuSeconds: number;
  peakBytes: number;
  samples: number;
}

/** One for all stages of this process: one pass over /proc serves them all. */
class Meter {
  readonly #watched = new Map<number, Watched>();
  #timer: NodeJS.Timeout | null = null;

  /** `secondsBefore`: processor time of the root that is not the stage's. */
  watch(root: number, secondsBefore = 0): void {
    if (!hasProc) return;
    this.#watched.set(root, { root, since: performance.now(), seen: new Map(), sampledAt: 0, secondsBefore, cpuSeconds: 0, peakBytes: 0, samples: 0 });
    this.#schedule();
  }

  seen(root: number): ReadonlyMap<number, string> {
    return this.#watched.get(root)?.seen ?? new Map<number, string>();
  }

  /** To be called when the stage has ended and its root process goes on. */
  finished(root: number): Measured {
    const watched = this.#watched.get(root);
    const { peakMemoryBytes } = this.exited(root, null);
    const stat = readProcess(root);
    return { cpuSeconds: watched === undefined || stat === null ? null : Math.max(watched.cpuSeconds, stat.cpuSeconds - watched.secondsBefore), peakMemoryBytes };
  }

  /** To be called when the root process has ended. `added`: see `ProcessEnd`. */
  exited(root: number, added: number | null): Measured {
    const watched = this.#watched.get(root);
    if (!watched) return { cpuSeconds: null, peakMemoryBytes: null };
    this.#watched.delete(root);
    if (this.#watched.size === 0 && this.#timer) {
      clearTimeout(this.#timer);
      this.#timer = null;
    }
    // Exact, unless two stages ended in the same instant: then it is not credible for one of them, and the samples are what is known.
    const sinceSample = (performance.now() - (watched.samples > 0 ? watched.sampledAt : watched.since)) / 1000;
    const credible = added !== null && added >= watched.cpuSeconds - 0.05 && added <= watched.cpuSeconds + sinceSample * availableParallelism() + 0.1;
    return {
      cpuSeconds: credible ? Math.max(added, watched.cpuSeconds) : watched.samples > 0 ? watched.cpuSeconds : null,
      peakMemoryBytes: watched.samples > 0 ? watched.peakBytes : null,
    };
  }

  #schedule(): void {
    if (this.#timer || this.#watched.size === 0) return;
    const now = performance.now();
    const young = [...this.#watched.values()].some(({ since }) => now - since < youngMs);
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#sample();
      this.#schedule();
    }, young ? youngIntervalMs : oldIntervalMs);
    this.#timer.unref();
  }

  #sample(): void {
    const children = new Map<number, ProcessStat[]>();
    const stats = new Map<number, ProcessStat>();
    for (const pid of listPids()) {
      const stat = readProcess(pid);
      if (stat === null) continue;
      stats.set(pid, stat);
      const siblings = children.get(stat.parent);
      if (siblings) siblings.push(stat);
      else children.set(stat.parent, [stat]);
    }
    for (const watched of this.#watched.values()) {
      const root = stats.get(watched.root);
      const tree = root ? [root] : [];
      for (const [pid, startTime] of watched.seen) {
        const stat = stats.get(pid);
        if (stat && stat.startTime === startTime && pid !== watched.root) tree.push(stat);
      }
      const known = new Set(tree.map(({ pid }) => pid));
      for (let i = 0; i < tree.length; i++) {
        for (const child of children.get(tree[i]!.pid) ?? []) {
          if (known.has(child.pid)) continue;
          known.add(child.pid);
          tree.push(child);
        }
      }
      const resident = tree.reduce((sum, { residentBytes }) => sum + residentBytes, 0);
      const highest = tree.reduce((most, { pid }) => Math.max(most, peakResidentBytes(pid) ?? 0), 0);
      watched.peakBytes = Math.max(watched.peakBytes, resident, highest);
      watched.cpuSeconds = Math.max(watched.cpuSeconds, tree.reduce((sum, { cpuSeconds }) => sum + cpuSeconds, -watched.secondsBefore));
      watched.sampledAt = performance.now();
      watched.samples++;
      for (const { pid, startTime } of tree) watched.seen.set(pid, startTime);
    }
  }
}

export const meter = new Meter();
