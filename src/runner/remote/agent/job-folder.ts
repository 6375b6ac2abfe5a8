/** A job's folder on the host: files that appear by rename, so that whoever reads them finds nothing half written. */
import { existsSync, linkSync, readFileSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { randomBytes } from 'node:crypto';
import type { Grant } from '../../run/executor.ts';
import type { Owner } from '../../run/owner.ts';
import { errorCode } from '../../store/file-bytes.ts';
import type { HostExit, HostJob } from '../protocol.ts';

export interface Supervisor extends Owner {
  readonly token: string;
  /** How often Slurm has started the job again; 0 elsewhere. */
  readonly restart: number;
  readonly grant: Grant;
}

export interface SlurmRecord {
  /** Name of the submission: a repeated one is found by it. */
  readonly batch: string;
  /** `12` or `12_3`; null while nobody has written it down. */
  readonly id: string | null;
}

export interface JobPaths {
  readonly folder: string;
  readonly job: string;
  readonly work: string;
  readonly log: string;
  readonly supervisor: string;
  readonly lock: string;
  readonly heartbeat: string;
  readonly cancel: string;
  readonly exit: string;
  readonly released: string;
  readonly slurm: string;
  readonly grant: string;
  /** Names the agent that is starting it. */
  readonly starter: string;
}

export const jobsFolder = (folder: string): string => join(folder, 'jobs');

export function jobPaths(folder: string, name: string): JobPaths {
  const own = join(jobsFolder(folder), name);
  return {
    folder: own, job: join(own, 'job.json'), work: join(own, 'work'), log: join(own, 'log'), supervisor: join(own, 'supervisor.json'), lock: join(own, 'lock'),
    heartbeat: join(own, 'heartbeat'), cancel: join(own, 'cancel'), exit: join(own, 'exit.json'), released: join(own, 'released'), slurm: join(own, 'slurm.json'),
    grant: join(own, 'grant.json'), starter: join(own, 'starter.json'),
  };
}

export function jobNames(folder: string): string[] {
  return readdirSync(jobsFolder(folder)).filter(name => !name.startsWith('.'));
}

export const readJob = (paths: JobPaths): HostJob | null => readJson<HostJob>(paths.job);
export const readExit = (paths: JobPaths): HostExit | null => readJson<HostExit>(paths.exit);

export function readJson<T>(path: string): T | null {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as T;
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR' || error instanceof SyntaxError) return null;
    throw error;
  }
}

export function writeWhole(path: string, text: string): void {
  const temporary = `${path}.${process.pid}-${randomBytes(4).toString('hex')}`;
  try {
    writeFileSync(temporary, text, { mode: 0o600 });
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

/** Makes the file with all of its text, where there is none. False when there is one: whoever is killed half-way has made none. */
export function createWhole(path: string, text: string): boolean {
  const temporary = `${path}.${process.pid}-${randomBytes(4).toString('hex')}`;
  try {
    writeFileSync(temporary, text, { mode: 0o600 });
    linkSync(temporary, path);
    return true;
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw error;
    return false;
  } finally {
    rmSync(temporary, { force: true });
  }
}

/** Folders of jobs whose results were fetched a day ago or more go. */
export function dropOld(folder: string, ageMs = 86_400_000): void {
  for (const name of readdirSync(jobsFolder(folder))) {
    const path = join(jobsFolder(folder), name);
    const mark = name.startsWith('.') ? path : join(path, 'released');
    const stat = statSync(mark, { throwIfNoEntry: false });
    if (stat !== undefined && Date.now() - stat.mtimeMs > ageMs && existsSync(path)) rmSync(path, { recursive: true, force: true });
  }
}
