/**
 * A project whose cells are "run" inside the test: what an output holds is a function of what the cell was given. So
 * plans can be tested by the hundred, without processes.
 */
import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import type { Cell, CellGraph } from '../../../src/runner/pipeline/model.ts';
import { explain } from '../../../src/runner/plan/explain.ts';
import { loadGraph } from '../../../src/runner/plan/graph-cache.ts';
import type { Explanation, Plan, Reason } from '../../../src/runner/plan/model.ts';
import { makePlan } from '../../../src/runner/plan/planner.ts';
import type { PlanOptions, PlatformFacts } from '../../../src/runner/plan/planner.ts';
import { topologicalOrder } from '../../../src/runner/plan/order.ts';
import { settle } from '../../../src/runner/plan/settle.ts';
import type { Artefact } from '../../../src/runner/store/model.ts';
import { openStore } from '../../../src/runner/store/store.ts';
import type { Store } from '../../../src/runner/store/store.ts';
import { temporaryFolder } from '../store/temp-folder.ts';

export const packageRoot = fileURLToPath(new URL('../../../', import.meta.url)).replace(/\/$/, '');

type Outputs = Record<string, Artefact>;
/** What the stage writes; null: it fails. */
export type Body = (cell: Cell, read: (input: string) => string) => string | null;

export interface Run {
  readonly plan: Plan;
  /** Ids of the cells that were executed, in order. */
  readonly executed: readonly string[];
}

export interface PlanSettings {
  readonly targets?: readonly string[];
  readonly force?: 'all' | readonly string[];
  readonly platform?: Partial<PlatformFacts>;
  readonly environment?: PlanOptions['environment'];
  readonly profile?: string;
  readonly set?: readonly string[];
}

export class PlanRig {
  readonly root: string;
  readonly cache: string;
  readonly store: Store;
  body: Body = (cell, read) => `${cell.id.replace(/\[.*/, '')}(${Object.keys(cell.inputs).map(read).join(',')})${JSON.stringify(cell.with)}${JSON.stringify(cell.point)}`;

  constructor(files: Readonly<Record<string, string>>) {
    this.root = temporaryFolder();
    this.cache = join(this.root, 'cache');
    mkdirSync(join(this.root, '.git'));
    symlinkSync(join(packageRoot, 'node_modules'), join(this.root, 'node_modules'));
    for (const [path, text] of Object.entries(files)) this.write(path, text);
    this.store = openStore({ cache: this.cache, mode: 'write' });
    onTestFinished(() => this.store.close());
  }

  write(path: string, text: string): void {
    mkdirSync(dirname(join(this.root, path)), { recursive: true });
    writeFileSync(join(this.root, path), text);
  }

  remove(path: string): void {
    rmSync(join(this.root, path), { recursive: true });
  }

  graph(settings: PlanSettings = {}): Promise<CellGraph> {
    return loadGraph({ file: join(this.root, 'pipe.yaml'), profile: settings.profile ?? null, set: settings.set ?? [], cache: this.cache, packageRoot });
  }

  async plan(settings: PlanSettings = {}): Promise<Plan> {
    const graph = await this.graph(settings);
    const { force } = settings;
    return makePlan({
      graph, store: this.store, packageRoot,
      targets: settings.targets === undefined ? null : indices(graph, settings.targets),
      force: force === undefined ? 'none' : force === 'all' ? 'all' : indices(graph, force),
      platform: { backend: 'test', threads: '2', os: 'linux-x64', interpreters: command => `${command} 1.0`, ...settings.platform },
      environment: settings.environment ?? {},
    });
  }

  /** Plans, and runs what is not fresh, one cell after the other. */
  async run(settings: PlanSettings = {}): Promise<Run> {
    const plan = await this.plan(settings);
    return { plan, executed: await this.execute(plan) };
  }

  async execute(plan: Plan): Promise<string[]> {
    const { graph } = plan;
    const { results } = this.store;
    const executed: string[] = [];
    const done = new Map<number, Outputs | 'failed' | 'stopped'>();
    const outputsOf = (cell: number): Outputs | 'failed' | 'stopped' => done.get(cell) ?? plan.cells[cell]!.record?.outputs ?? 'failed';
    const run = results.beginRun({
      pipeline: graph.pipeline, file: graph.file, root: graph.root, profile: graph.profile, overrides: graph.overrides, params: graph.params,
      command: ['pipe', 'run'], host: 'test', pid: process.pid, version: '0', startedAt: Date.now(),
    });
    const producers = graph.cells.map(cell => [...new Set(inputCells(cell))]);
    for (const index of topologicalOrder(graph, producers)) {
      if (!plan.selected.has(index)) continue;
      const cell = graph.cells[index]!;
      const planned = plan.cells[index]!;
      if (planned.state === 'fresh' && planned.record !== null) {
        done.set(index, planned.record.outputs);
        continue;
      }
      if (planned.state === 'stopped' || this.#isStopped(cell, outputsOf)) {
        done.set(index, 'stopped');
        continue;
      }
      const { actionKey, planKey, manifest, record } = settle(plan, index, outputsOf);
      if (record !== null) {
        done.set(index, record.outputs);
        continue;
      }
      const attempt = results.beginAttempt({
        run, pipeline: graph.pipeline, stage: graph.stages[cell.stage]!.name, cell: cell.id, point: cell.point, params: cell.with,
        planKey: planned.planKey, actionKey, manifest, host: 'test', startedAt: 1000, log: '/log', platform: {},
      });
      executed.push(cell.id);
      const made = await this.#make(cell, attempt, outputsOf);
      done.set(index, made ?? 'failed');
      const end = { endedAt: 2500, cpuSeconds: null, peakMemoryBytes: null, gpu: null, exitCode: made === null ? 1 : 0, signal: null, cause: null };
      if (made === null) results.finishAttempt(attempt, { ...end, status: 'failed', cause: 'exit', message: 'it broke' }, null, null);
      else results.finishAttempt(attempt, { ...end, status: 'ran', message: null }, { action: actionKey, ...(planKey === null ? {} : { plan: planKey }) }, made);
    }
    return executed;
  }

  explain(plan: Plan, cell: string): Explanation {
    return explain(plan, plan.graph.cells.findIndex(({ id }) => id === cell), this.store);
  }

  async #make(cell: Cell, attempt: number, outputsOf: (cell: number) => Outputs | 'failed' | 'stopped'): Promise<Outputs | null> {
    const content = (producer: number, output: string): string => {
      const outputs = outputsOf(producer);
      return typeof outputs === 'string' ? outputs : readFileSync(this.store.artefacts.pathOf(outputs[output]!), 'utf8');
    };
    const text = this.body(cell, name => {
      const input = cell.inputs[name]!;
      if (input.kind === 'path') return name;
      return input.kind === 'output' ? content(input.cell, input.output) : input.items.map(item => content(item.cell, input.output)).join(';');
    });
    if (text === null) return null;
    const outputs: Outputs = {};
    for (const [name, { path }] of Object.entries(cell.outputs)) {
      const place = join(this.cache, 'work', `${attempt}-${name}`);
      writeFileSync(place, cell.action.kind === 'decision' ? text : `${name}:${text}`);
      outputs[name] = await this.store.artefacts.add(place, path);
    }
    return outputs;
  }

  #isStopped(cell: Cell, outputsOf: (cell: number) => Outputs | 'failed' | 'stopped'): boolean {
    if (cell.guard !== null) {
      const decision = outputsOf(cell.guard.decision);
      if (typeof decision === 'string') return true;
      const { survivors } = JSON.parse(readFileSync(this.store.artefacts.pathOf(decision['survivors']!), 'utf8')) as { survivors: string[] };
      if (!survivors.includes(cell.guard.member)) return true;
    }
    return Object.values(cell.inputs).some(input => input.kind === 'output' && outputsOf(input.cell) === 'stopped');
  }
}

function inputCells(cell: Cell): number[] {
  const cells = Object.values(cell.inputs).flatMap(input => (input.kind === 'output' ? [input.cell] : input.kind === 'gather' ? input.items.map(item => item.cell) : []));
  return cell.guard === null ? cells : [...cells, cell.guard.decision];
}

export function indices(graph: CellGraph, ids: readonly string[]): Set<number> {
  return new Set(graph.cells.filter(({ id }) => ids.some(wanted => id === wanted || id.startsWith(`${wanted}[`))).map(({ index }) => index));
}

/** `{ make: 'run', copy: 'pending' }` */
export function statesOf(plan: Plan): Record<string, string> {
  return Object.fromEntries(plan.cells.map(({ cell, state }) => [plan.graph.cells[cell]!.id, state]));
}

export function reasonsOf(plan: Plan, cell: string): readonly Reason[] {
  return plan.cells[plan.graph.cells.findIndex(({ id }) => id === cell)]!.reasons;
}
