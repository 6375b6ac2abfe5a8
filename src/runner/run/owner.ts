/** Who holds a lease or runs an attempt: a process, named so that it cannot be mistaken for a later one with its pid. */
import { hostname } from 'node:os';
import { bootId } from '../store/boot.ts';
import { readProcess } from './process-table.ts';

export interface Owner {
  readonly host: string;
  readonly pid: number;
  /** Differs after each boot; empty where the system does not say. */
  readonly bootId: string;
  /** Clock ticks after boot at which the process started; empty where the system does not say. */
  readonly startTime: string;
}

let self: Owner | undefined;

export function thisProcess(): Owner {
  self ??= { host: hostname(), pid: process.pid, bootId: bootId(), startTime: readProcess('self')?.startTime ?? '' };
  return self;
}

export function sameOwner(a: Owner, b: Owner): boolean {
  return a.host === b.host && a.pid === b.pid && a.bootId === b.bootId && a.startTime === b.startTime;
}

/** `unknown`: it is on another machine, which cannot be asked. */
export function ownerState(owner: Owner): 'alive' | 'dead' | 'unknown' {
  const here = thisProcess();
  if (owner.host !== here.host) return 'unknown';
  if (owner.bootId !== here.bootId) return 'dead';
  const stat = readProcess(owner.pid);
  if (stat !== null) return stat.startTime === owner.startTime && stat.state !== 'Z' ? 'alive' : 'dead';
  if (owner.startTime !== '') return 'dead';
  try {
    process.kill(owner.pid, 0);
    return 'alive';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM' ? 'alive' : 'dead';
  }
}

export const describeOwner = (owner: Owner): string => `process ${owner.pid} on ${owner.host}`;

/** As one text, for a column of the database. */
export const encodeOwner = (owner: Owner): string => JSON.stringify([owner.host, owner.pid, owner.bootId, owner.startTime]);

export function decodeOwner(text: string): Owner | null {
  try {
    const value: unknown = JSON.parse(text);
    if (!Array.isArray(value)) return null;
    const [host, pid, bootId, startTime] = value as unknown[];
    if (typeof host !== 'string' || typeof pid !== 'number' || typeof bootId !== 'string' || typeof startTime !== 'string') return null;
    return { host, pid, bootId, startTime };
  } catch {
    return null;
  }
}
