/** What running jobs hold of this host, whoever started them, and what is free for the next. */
import { discoverMachine, ResourcePool } from '../../run/resources.ts';
import type { Machine } from '../../run/resources.ts';
import type { Grant } from '../../run/executor.ts';
import { ownerState } from '../../run/owner.ts';
import type { Owner } from '../../run/owner.ts';
import type { HostJob } from '../protocol.ts';
import { isStillOf, Replaced } from './job-claims.ts';
import { jobNames, jobPaths, readJob, readJson, writeWhole } from './job-folder.ts';
import { withJobsLock } from './jobs-lock.ts';

let machine: Promise<Machine> | null = null;

export const thisMachine = (): Promise<Machine> => (machine ??= discoverMachine(process.env));

/**
 * Takes what the job asks for and writes it into its folder, or says why it has to wait. What no state of this host could
 * meet is said at once.
 */
export async function allot(folder: string, job: HostJob): Promise<{ readonly grant: Grant } | { readonly wait: string } | { readonly never: string }> {
  const here = await thisMachine();
  const { resources } = job;
  const count = typeof resources.gpu === 'number' ? resources.gpu : 0;
  if (count > here.gpus.length) return { never: `it asks for ${count} GPU${count === 1 ? '' : 's'}, and this host has ${here.gpus.length === 0 ? 'none that `nvidia-smi` shows' : here.gpus.length}` };
  if (count > 0 && here.gpus.filter(gpu => gpu.memoryBytes >= (resources.gpuMemory ?? 0)).length < Math.ceil(count)) return { never: 'no GPU of this host has as much memory as it asks for' };
  if (resources.memory !== null && resources.memory > here.memoryBytes) return { never: 'it asks for more memory than this host has' };
  for (const [name, wanted] of Object.entries(resources.named)) {
    const there = job.named[name];
    if (there !== undefined && wanted > there) return { never: `it asks for ${wanted} of ${name}, and the hosts file gives ${there}` };
  }
  return withJobsLock(folder, () => {
    if (!isStillOf(folder, job)) throw new Replaced();
    const running = jobNames(folder).flatMap(name => {
      const paths = jobPaths(folder, name);
      const grant = name === job.name ? null : readJson<Grant>(paths.grant);
      return grant !== null && readJson(paths.exit) === null && holds(paths.supervisor) ? [{ job: readJob(paths), grant }] : [];
    });
    if (running.length >= job.slots) return { wait: `all ${job.slots} slots are taken` };
    const free = new Set(here.gpus.map(({ id }) => id));
    let cpu = 0;
    let memory = 0;
    const shares = new Map<string, number>();
    for (const other of running) {
      cpu += other.grant.cpu;
      memory += other.grant.memory ?? 0;
      const wanted = other.job?.resources;
      const share = wanted !== undefined && typeof wanted.gpu === 'number' && wanted.gpu < 1 ? wanted.gpu : 1;
      for (const id of other.grant.gpus) shares.set(id, (shares.get(id) ?? 0) + share);
    }
    const own = typeof resources.gpu === 'number' && resources.gpu < 1 ? resources.gpu : 1;
    for (const [id, used] of shares) if (used + own > 1 + 1e-6) free.delete(id);
    const wantsCpu = Math.min(resources.cpu, here.cpus);
    if (running.length > 0 && cpu + wantsCpu > here.cpus + 1e-6) return { wait: 'its processor cores are taken' };
    if (running.length > 0 && memory + (resources.memory ?? 0) > here.memoryBytes) return { wait: 'its memory is taken' };
    for (const [name, wanted] of Object.entries(resources.named)) {
      const used = running.reduce((sum, other) => sum + (other.job?.resources.named[name] ?? 0), 0);
      if (used + wanted > (job.named[name] ?? Number.POSITIVE_INFINITY)) return { wait: `all of ${name} is taken` };
    }
    const held = new ResourcePool({ ...here, gpus: here.gpus.filter(({ id }) => free.has(id)) }, 1, []).take(resources);
    const needs = count > 0 || (resources.gpu === 'prefer' && here.gpus.length > 0);
    if (held === null || (needs && held.gpus.length === 0)) return { wait: 'its GPUs are taken' };
    const grant: Grant = { cpu: held.cpu, gpus: held.gpus, memory: held.memory };
    writeWhole(jobPaths(folder, job.name).grant, JSON.stringify(grant));
    return { grant };
  });
}

/** A job that has its grant and no supervisor yet is being started; one whose supervisor is gone holds nothing. */
function holds(supervisor: string): boolean {
  const owner = readJson<Owner>(supervisor);
  return owner === null || ownerState(owner) !== 'dead';
}
