/** Whose a job's name is: taken by one attempt at a time, and by the agent that starts that. */
import { mkdirSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { randomBytes } from 'node:crypto';
import { ownerState, thisProcess } from '../../run/owner.ts';
import type { Owner } from '../../run/owner.ts';
import { errorCode } from '../../store/file-bytes.ts';
import type { HostJob } from '../protocol.ts';
import { jobPaths, jobsFolder, readJob, readJson, writeWhole } from './job-folder.ts';
import type { JobPaths } from './job-folder.ts';
import { withJobsLock } from './jobs-lock.ts';

/** After so long without a sign an agent on another machine, which cannot be asked, counts as gone. */
const silenceMs = 60_000;

/** Another attempt has the job's name now. */
export class Replaced extends Error {
  override readonly name = 'Replaced';
}

/** Takes the name for a job that this agent will start. False when another job has it. */
export function claimName(folder: string, job: HostJob): boolean {
  const staging = join(jobsFolder(folder), `.new-${process.pid}-${randomBytes(6).toString('hex')}`);
  mkdirSync(staging, { recursive: true });
  try {
    writeFileSync(join(staging, 'job.json'), JSON.stringify(job), { mode: 0o600 });
    writeFileSync(join(staging, 'starter.json'), JSON.stringify(thisProcess()), { mode: 0o600 });
    renameSync(staging, jobPaths(folder, job.name).folder);
    return true;
  } catch (error) {
    rmSync(staging, { recursive: true, force: true });
    const code = errorCode(error);
    if (code === 'ENOTEMPTY' || code === 'EEXIST') return false;
    throw error;
  }
}

/** Makes this agent the one that starts the job, after the connection to another was cut. False when the name is another attempt's. */
export async function takeOver(folder: string, job: HostJob): Promise<boolean> {
  return await withJobsLock(folder, () => {
    if (!isStillOf(folder, job)) return false;
    writeWhole(jobPaths(folder, job.name).starter, JSON.stringify(thisProcess()));
    return true;
  });
}

/** Moves the attempt out of the way that was found there; false when somebody else did. */
export async function retire(folder: string, found: HostJob): Promise<boolean> {
  const old = join(jobsFolder(folder), `.old-${process.pid}-${randomBytes(6).toString('hex')}`);
  const moved = await withJobsLock(folder, () => {
    if (!isStillOf(folder, found)) return false;
    renameSync(jobPaths(folder, found.name).folder, old);
    return true;
  });
  if (moved) rmSync(old, { recursive: true, force: true });
  return moved;
}

/** Whether the name is this attempt's still. Whoever acts on the answer holds the lock of the jobs. */
export const isStillOf = (folder: string, { name, token }: HostJob): boolean => readJob(jobPaths(folder, name))?.token === token;

/** Whether an agent is at starting the job, so that nobody need take it over. */
export function isBeingStarted(paths: JobPaths): boolean {
  const starter = readJson<Owner>(paths.starter);
  if (starter === null) return false;
  const state = ownerState(starter);
  if (state !== 'unknown') return state === 'alive';
  return Date.now() - (statSync(paths.starter, { throwIfNoEntry: false })?.mtimeMs ?? 0) < silenceMs;
}

/** A sign that this agent still waits to start it. */
export function stillStarting(paths: JobPaths): void {
  const now = new Date();
  utimesSync(paths.starter, now, now);
}
