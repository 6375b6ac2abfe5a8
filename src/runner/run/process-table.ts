/**
 * What the kernel says about processes, read from /proc. Where there is no /proc (macOS) every question is answered
 * with "unknown", and process groups are all that is left to end a stage by.
 */
import { openSync, readFileSync, readSync, readdirSync, readlinkSync } from 'node:fs';

export interface ProcessStat {
  readonly pid: number;
  readonly parent: number;
  readonly group: number;
  readonly session: number;
  /** Whether it belongs to a terminal: somebody's shell, not a stage's daemon. */
  readonly hasTerminal: boolean;
  /** `Z` is a zombie: ended, not yet collected by its parent. */
  readonly state: string;
  /** Clock ticks after boot; with the pid it names a process for ever, because pids are used again. */
  readonly startTime: string;
  /** Seconds of processor time of the process itself, and of its children that it has waited for. */
  readonly cpuSeconds: number;
  /** The children's share of it. */
  readonly childSeconds: number;
  readonly residentBytes: number;
}

/** USER_HZ is 100 on every Linux that Node runs on. */
const ticksPerSecond = 100;
const pageBytes = 4096;

export const hasProc = process.platform === 'linux';

const opened = new Map<string, number>();
const page = Buffer.allocUnsafe(64 * 1024);

/** For files that are read for every stage: kept open, one call for each reading. */
function readAgain(path: string): string {
  const descriptor = opened.get(path) ?? openSync(path, 'r');
  opened.set(path, descriptor);
  return page.toString('latin1', 0, readSync(descriptor, page, 0, page.length, 0));
}

export function readProcess(pid: number | 'self'): ProcessStat | null {
  if (!hasProc) return null;
  let text: string;
  try {
    text = pid === 'self' ? readAgain('/proc/self/stat') : readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    return null; // ended
  }
  // The name is in parentheses and may hold anything, parentheses too: the last one ends it.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const ticks = (from: number, to: number): number => fields.slice(from, to).reduce((sum, field) => sum + Number(field), 0);
  return {
    pid: Number.parseInt(text, 10),
    state: fields[0]!,
    parent: Number(fields[1]),
    group: Number(fields[2]),
    session: Number(fields[3]),
    hasTerminal: fields[4] !== '0',
    cpuSeconds: ticks(11, 15) / ticksPerSecond,
    childSeconds: ticks(13, 15) / ticksPerSecond,
    startTime: fields[19]!,
    residentBytes: Number(fields[21]) * pageBytes,
  };
}

export function listPids(): number[] {
  if (!hasProc) return [];
  const pids: number[] = [];
  for (const name of readdirSync('/proc')) {
    const first = name.charCodeAt(0);
    if (first >= 49 && first <= 57) pids.push(Number(name));
  }
  return pids;
}

/** Seconds of all children of this process that have ended and were collected; null when unknown. */
export const childSeconds = (): number | null => readProcess('self')?.childSeconds ?? null;

/** The most memory that the process has held at once so far, in bytes; null when it has ended. */
export function peakResidentBytes(pid: number): number | null {
  try {
    const match = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'));
    return match ? Number(match[1]) * 1024 : null;
  } catch {
    return null;
  }
}

/** Whether the environment that the process was started with holds the entry `NAME=value`. */
export function hasEnvironmentEntry(pid: number, entry: string): boolean {
  try {
    const environment = readFileSync(`/proc/${pid}/environ`, 'latin1');
    return environment.startsWith(`${entry}\0`) || environment.includes(`\0${entry}\0`);
  } catch {
    return false; // ended, or another user's
  }
}

/** Whether it works somewhere below the folder. */
export function worksIn(pid: number, folder: string): boolean {
  try {
    const place = readlinkSync(`/proc/${pid}/cwd`);
    return place === folder || place.startsWith(`${folder}/`);
  } catch {
    return false;
  }
}

/** The pid that was given out last; null when it cannot be known. */
export function lastPid(): number | null {
  if (!hasProc) return null;
  try {
    return Number(readAgain('/proc/loadavg').trim().split(' ').at(-1));
  } catch {
    return null;
  }
}

/** How many processes the kernel has ended for want of memory since boot; null when it does not say. */
export function outOfMemoryKills(): number | null {
  try {
    const match = /^oom_kill (\d+)$/m.exec(readAgain('/proc/vmstat'));
    return match ? Number(match[1]) : null;
  } catch {
    return null;
  }
}
