/** GPUs of this machine, as `nvidia-smi` on PATH tells. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface Gpu {
  /** What goes into CUDA_VISIBLE_DEVICES. */
  readonly id: string;
  readonly memoryBytes: number;
}

/**
 * The GPUs that stages may be given. `CUDA_VISIBLE_DEVICES` of the caller narrows them (indices or UUIDs; empty means
 * none). A machine without `nvidia-smi`, or where it fails, has none.
 */
export async function discoverGpus(environment: Readonly<Record<string, string | undefined>>): Promise<readonly Gpu[]> {
  const visible = environment.CUDA_VISIBLE_DEVICES;
  if (visible !== undefined && visible.trim() === '') return [];
  const named = visible?.includes('GPU-') === true;
  const rows = await query(environment, named ? 'index,memory.total,uuid' : 'index,memory.total').catch(() => []);
  const all = rows.flatMap(([index, memory, uuid]) => (index === undefined || !/^\d+$/.test(index) ? [] : [{ id: index, memoryBytes: mebibytes(memory), uuid: uuid ?? null }]));
  if (visible === undefined) return all.map(({ id, memoryBytes }) => ({ id, memoryBytes }));
  const chosen: Gpu[] = [];
  for (const entry of visible.split(',').map(text => text.trim())) {
    const gpu = all.find(({ id, uuid }) => id === entry || (uuid !== null && entry.startsWith('GPU-') && uuid.startsWith(entry)));
    // As CUDA does: an entry that names no device ends the list.
    if (!gpu) break;
    chosen.push({ id: entry, memoryBytes: gpu.memoryBytes });
  }
  return chosen;
}

export interface GpuSample {
  readonly id: string;
  /** Share of the last sample period in which a kernel ran, 0 to 1. */
  readonly use: number;
  readonly memoryBytes: number;
}

export async function sampleGpus(ids: readonly string[], environment: Readonly<Record<string, string | undefined>>): Promise<readonly GpuSample[]> {
  const rows = await query(environment, 'index,utilization.gpu,memory.used').catch(() => []);
  return rows.flatMap(([index, use, memory]) => {
    const share = Number(use) / 100;
    return index !== undefined && memory !== undefined && ids.includes(index) && share >= 0 && share <= 1 ? [{ id: index, use: share, memoryBytes: mebibytes(memory) }] : [];
  });
}

async function query(environment: Readonly<Record<string, string | undefined>>, fields: string): Promise<string[][]> {
  const { stdout } = await run('nvidia-smi', [`--query-gpu=${fields}`, '--format=csv,noheader,nounits'], { env: environment as NodeJS.ProcessEnv, timeout: 10_000 });
  return stdout.split('\n').filter(line => line.trim() !== '').map(line => line.split(',').map(field => field.trim()));
}

function mebibytes(text: string | undefined): number {
  const value = Number(text);
  return Number.isFinite(value) ? value * 2 ** 20 : 0;
}
