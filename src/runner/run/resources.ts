/** What this machine has to give, what running stages hold of it, and what no machine like it could ever give. */
import { availableParallelism, totalmem } from 'node:os';
import { PipeError } from '../diagnostic.ts';
import type { CellGraph, Resources } from '../pipeline/model.ts';
import type { Grant } from './executor.ts';
import { discoverGpus } from './gpu.ts';
import type { Gpu } from './gpu.ts';

export interface Machine {
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly gpus: readonly Gpu[];
  /** Own names with amounts, from PIPE_RESOURCES (`licence=2,disk=1`). A name that is not here has what its largest request asks for. */
  readonly named: Readonly<Record<string, number>>;
}

/** What is known of another host before it is asked. */
export const unbounded: Machine = { cpus: Number.MAX_SAFE_INTEGER, memoryBytes: Number.MAX_SAFE_INTEGER, gpus: [], named: {} };

/** `nvidia-smi` is only asked when `gpus` says that somebody wants one. */
export async function discoverMachine(environment: Readonly<Record<string, string | undefined>>, gpus = true): Promise<Machine> {
  return {
    cpus: availableParallelism(),
    memoryBytes: totalMemory(),
    gpus: gpus ? await discoverGpus(environment) : [],
    named: parseNamed(environment.PIPE_RESOURCES ?? ''),
  };
}

/** Total memory, or the limit of the container where that is lower. */
function totalMemory(): number {
  const limit = process.constrainedMemory?.() ?? 0;
  return limit > 0 && limit < totalmem() ? limit : totalmem();
}

function parseNamed(text: string): Record<string, number> {
  const result: Record<string, number> = {};
  for (const entry of text.split(',').filter(part => part.trim() !== '')) {
    const match = /^\s*([A-Za-z_][\w.-]*)\s*=\s*(\d+(?:\.\d+)?)\s*$/.exec(entry);
    if (!match) {
      throw new PipeError(`PIPE_RESOURCES holds \`${entry.trim()}\``, { exitCode: 2, code: 'bad-resources', hint: 'write names with amounts: licence=2,disk=1' });
    }
    result[match[1]!] = Number(match[2]);
  }
  return result;
}

export const wantsGpu = (graph: CellGraph): boolean => graph.cells.some(cell => cell.settings.resources.gpu !== 0);

/** Throws PipeError (exit 2) with every request that this machine can never meet, one a stage. `cells` narrows it to those that will run. */
export function checkResources(graph: CellGraph, machine: Machine, cells: Iterable<number> = graph.cells.keys()): void {
  const problems = new Map<string, string>();
  for (const index of cells) {
    const cell = graph.cells[index]!;
    if (cell.settings.on !== 'local' || cell.action.kind === 'decision') continue;
    const problem = impossible(cell.settings.resources, machine);
    const { name } = graph.stages[cell.stage]!;
    if (problem !== null && !problems.has(name)) problems.set(name, `${cell.id} asks for ${problem}`);
  }
  if (problems.size === 0) return;
  throw new PipeError([...problems.values()].join('\n'), {
    exitCode: 2, code: 'impossible-resources', hint: 'lower `resources:`, write `gpu: prefer` where a stage can do without, or run it on another host with `on:`',
  });
}

/** Too many cores is not impossible: such a cell runs alone. */
function impossible(wanted: Resources, machine: Machine): string | null {
  if (typeof wanted.gpu === 'number' && wanted.gpu > 0) {
    if (wanted.gpu > machine.gpus.length) {
      return `${amount(wanted.gpu, 'GPU')}, and this machine has ${machine.gpus.length === 0 ? 'none that `nvidia-smi` shows' : amount(machine.gpus.length, 'GPU')}`;
    }
    const large = machine.gpus.filter(gpu => gpu.memoryBytes >= (wanted.gpuMemory ?? 0)).length;
    if (large < Math.ceil(wanted.gpu)) {
      return `${gibibytes(wanted.gpuMemory!)} of GPU memory, and the largest GPU here has ${gibibytes(Math.max(...machine.gpus.map(gpu => gpu.memoryBytes)))}`;
    }
  }
  if (wanted.memory !== null && wanted.memory > machine.memoryBytes) return `${gibibytes(wanted.memory)} of memory, and this machine has ${gibibytes(machine.memoryBytes)}`;
  for (const [name, count] of Object.entries(wanted.named)) {
    const there = machine.named[name];
    if (there !== undefined && count > there) return `${count} of ${name}, and PIPE_RESOURCES gives ${there}`;
  }
  return null;
}

interface GpuState extends Gpu {
  share: number;
  usedMemory: number;
}

export interface Held extends Grant {
  readonly gpuShare: number;
  readonly gpuMemory: number;
  readonly named: Readonly<Record<string, number>>;
}

/** Shares are fractions such as 0.1 added up: a millionth is no difference. */
const tolerance = 1e-6;

export class ResourcePool {
  readonly #machine: Machine;
  readonly #jobs: number;
  readonly #gpus: GpuState[];
  readonly #named: Record<string, number>;
  readonly #namedUsed: Record<string, number> = {};
  #running = 0;
  #cpu = 0;
  #memory = 0;

  /** `requests`: those that may come, which give undeclared names their amount. */
  constructor(machine: Machine, jobs: number, requests: Iterable<Resources>) {
    this.#machine = machine;
    this.#jobs = jobs;
    this.#gpus = machine.gpus.map(gpu => ({ ...gpu, share: 0, usedMemory: 0 }));
    this.#named = {};
    for (const { named } of requests) {
      for (const [name, count] of Object.entries(named)) this.#named[name] = Math.max(this.#named[name] ?? 0, count);
    }
    Object.assign(this.#named, machine.named);
  }

  get full(): boolean {
    return this.#running >= this.#jobs;
  }

  get idle(): boolean {
    return this.#running === 0;
  }

  /** Takes what is asked for, or gives null when it is not free now. A cell that wants more cores than there are gets all, alone. */
  take(wanted: Resources): Held | null {
    if (this.full) return null;
    const cpu = Math.min(wanted.cpu, this.#machine.cpus);
    if (this.#running > 0 && this.#cpu + cpu > this.#machine.cpus + tolerance) return null;
    const memory = wanted.memory ?? 0;
    if (this.#running > 0 && this.#memory + memory > this.#machine.memoryBytes) return null;
    for (const [name, count] of Object.entries(wanted.named)) {
      if ((this.#namedUsed[name] ?? 0) + count > (this.#named[name] ?? count) + tolerance) return null;
    }
    const gpus = this.#chooseGpus(wanted);
    if (gpus === null) return null;
    const gpuShare = gpus.length === 0 ? 0 : gpuCount(wanted) < 1 ? gpuCount(wanted) : 1;
    const gpuMemory = gpus.length === 0 ? 0 : (wanted.gpuMemory ?? 0);
    for (const gpu of gpus) {
      gpu.share += gpuShare;
      gpu.usedMemory += gpuMemory;
    }
    for (const [name, count] of Object.entries(wanted.named)) this.#namedUsed[name] = (this.#namedUsed[name] ?? 0) + count;
    this.#running++;
    this.#cpu += cpu;
    this.#memory += memory;
    return { cpu, memory: wanted.memory, gpus: this.#gpus.filter(gpu => gpus.includes(gpu)).map(({ id }) => id), gpuShare, gpuMemory, named: wanted.named };
  }

  release(held: Held): void {
    this.#running--;
    this.#cpu = this.#running === 0 ? 0 : this.#cpu - held.cpu;
    this.#memory -= held.memory ?? 0;
    for (const [name, count] of Object.entries(held.named)) this.#namedUsed[name] = (this.#namedUsed[name] ?? 0) - count;
    for (const gpu of this.#gpus) {
      if (!held.gpus.includes(gpu.id)) continue;
      gpu.share = Math.max(0, gpu.share - held.gpuShare);
      gpu.usedMemory = Math.max(0, gpu.usedMemory - held.gpuMemory);
    }
  }

  /** None wanted (or none to prefer): an empty list. Not free now: null. Fractions go where the least is left, so that whole ones stay free. */
  #chooseGpus(wanted: Resources): GpuState[] | null {
    const count = gpuCount(wanted);
    if (count === 0) return [];
    const memory = wanted.gpuMemory ?? 0;
    const suitable = this.#gpus.filter(gpu => gpu.memoryBytes >= memory);
    if (wanted.gpu === 'prefer' && suitable.length === 0) return [];
    const free = suitable.filter(gpu => gpu.share + Math.min(1, count) <= 1 + tolerance && gpu.usedMemory + memory <= gpu.memoryBytes);
    free.sort((a, b) => b.share - a.share || a.memoryBytes - b.memoryBytes);
    const needed = Math.ceil(count - tolerance);
    return free.length < needed ? null : free.slice(0, needed);
  }
}

function gpuCount(wanted: Resources): number {
  return wanted.gpu === 'prefer' ? 1 : wanted.gpu;
}

/** Resources multiplied as `retries.grow` says; never beyond what the machine has. */
export function grow(wanted: Resources, factors: Readonly<Record<string, number>>, machine: Machine): Resources {
  const factor = (name: string): number => factors[name] ?? 1;
  const largestGpu = Math.max(0, ...machine.gpus.map(gpu => gpu.memoryBytes));
  return {
    cpu: Math.min(wanted.cpu * factor('cpu'), Math.max(wanted.cpu, machine.cpus)),
    memory: wanted.memory === null ? null : Math.min(Math.round(wanted.memory * factor('memory')), Math.max(wanted.memory, machine.memoryBytes)),
    gpu: typeof wanted.gpu === 'number' ? Math.min(wanted.gpu * factor('gpu'), Math.max(wanted.gpu, machine.gpus.length)) : wanted.gpu,
    gpuMemory: wanted.gpuMemory === null ? null : Math.min(Math.round(wanted.gpuMemory * factor('gpu_memory')), Math.max(wanted.gpuMemory, largestGpu)),
    named: Object.fromEntries(Object.entries(wanted.named).map(([name, count]) => [name, count * factor(name)])),
  };
}

const amount = (count: number, unit: string): string => `${count} ${unit}${count === 1 ? '' : 's'}`;

function gibibytes(bytes: number): string {
  const value = bytes / 2 ** 30;
  return value >= 10 ? `${Math.round(value)}G` : `${Number(value.toFixed(2))}G`;
}
