/** A project in a temporary folder, planned and run by the real thing; what happened is kept as events. */
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import type { CellGraph } from '../../src/runner/pipeline/model.ts';
import { loadGraph } from '../../src/runner/plan/graph-cache.ts';
import type { Plan } from '../../src/runner/plan/model.ts';
import { makePlan } from '../../src/runner/plan/planner.ts';
import type { PlatformFacts } from '../../src/runner/plan/planner.ts';
import type { CellStatus, RunEvent } from '../../src/runner/run/event.ts';
import { createLocalExecutor } from '../../src/runner/run/local.ts';
import type { Machine } from '../../src/runner/run/resources.ts';
import { runPlan } from '../../src/runner/run/run-plan.ts';
import type { RunControl } from '../../src/runner/run/run-control.ts';
import type { RunPlanOptions, RunSummary } from '../../src/runner/run/run-plan.ts';
import { openStore } from '../../src/runner/store/store.ts';
import type { Store } from '../../src/runner/store/store.ts';
import { buildProgram } from './build.ts';

export const packageRoot = fileURLToPath(new URL('../../', import.meta.url)).replace(/\/$/, '');

export const testPlatform: PlatformFacts = { backend: 'test', threads: '2', os: 'linux-x64', interpreters: command => `${command} 1.0` };

export interface RunOptions {
  readonly targets?: readonly string[];
  readonly force?: 'none' | 'all' | readonly string[];
  readonly jobs?: number;
  readonly keepGoing?: boolean;
  readonly profile?: string;
  readonly set?: readonly string[];
  readonly signal?: AbortSignal;
  readonly kill?: AbortSignal;
  readonly budget?: RunPlanOptions['budget'];
  readonly environment?: Readonly<Record<string, string | undefined>>;
  readonly machine?: Machine;
  readonly graceMs?: number;
  readonly control?: RunControl;
  readonly onEvent?: (event: RunEvent) => void;
}

export interface Outcome {
  readonly summary: RunSummary;
  readonly events: readonly RunEvent[];
  /** How each cell ended, by its id. */
  readonly status: Readonly<Record<string, CellStatus>>;
  finished(cell: string): Extract<RunEvent, { event: 'cell.finished' }>;
  of<K extends RunEvent['event']>(kind: K): Extract<RunEvent, { event: K }>[];
}

export class TestProject {
  readonly root: string;
  readonly cache: string;

  constructor(files: Readonly<Record<string, string>>) {
    this.root = realpathSync(mkdtempSync(join(tmpdir(), 'pipe-test-')));
    this.cache = join(this.root, 'cache');
    onTestFinished(() => rmSync(this.root, { recursive: true, force: true }));
    mkdirSync(join(this.root, '.git'));
    // Stages of the project find packages as they would where it was installed.
    symlinkSync(join(packageRoot, 'node_modules'), join(this.root, 'node_modules'));
    for (const [path, text] of Object.entries(files)) this.write(path, text);
  }

  path(...parts: readonly string[]): string {
    return join(this.root, ...parts);
  }

  write(path: string, text: string): void {
    mkdirSync(dirname(this.path(path)), { recursive: true });
    writeFileSync(this.path(path), text);
  }

  read(path: string): string {
    return readFileSync(this.path(path), 'utf8');
  }

  /** What `cache/out` shows of an output of the pipeline `p`. */
  output(cell: string, output: string): string {
    return this.read(join('cache/out/p', cell, output));
  }

  store(): Store {
    return openStore({ cache: this.cache, mode: 'write' });
  }

  async graph(options: RunOptions = {}): Promise<CellGraph> {
    return await loadGraph({ file: this.path('pipe.yaml'), profile: options.profile ?? null, set: options.set ?? [], cache: this.cache, packageRoot });
  }

  async plan(store: Store, options: RunOptions = {}): Promise<Plan> {
    const graph = await this.graph(options);
    const indices = (ids: readonly string[]): Set<number> => new Set(graph.cells.filter(cell => ids.includes(cell.id)).map(cell => cell.index));
    const force = options.force ?? 'none';
    return makePlan({
      graph, store, targets: options.targets ? indices(options.targets) : null, force: typeof force === 'string' ? force : indices(force),
      platform: testPlatform, packageRoot, environment: options.environment ?? process.env,
    });
  }

  async run(options: RunOptions = {}): Promise<Outcome> {
    const store = this.store();
    const environment = options.environment ?? process.env;
    const worker = await buildProgram('src/runner/run/stage-worker.ts');
    const spawnHelper = await buildProgram('src/runner/run/spawn-helper.ts');
    const executor = createLocalExecutor({ packageRoot, environment, worker, spawnHelper, graceMs: options.graceMs, keepWorkers: true });
    const events: RunEvent[] = [];
    try {
      const plan = await this.plan(store, options);
      const never = new AbortController().signal;
      const summary = await runPlan({
        plan, store, environment, packageRoot, jobs: options.jobs ?? 2, keepGoing: options.keepGoing ?? false, backend: 'auto',
        budget: options.budget ?? { gpuHours: null, wallMs: null }, executors: () => executor, signal: options.signal ?? never, kill: options.kill ?? never,
        platform: testPlatform, command: ['pipe', 'run'], machine: options.machine, control: options.control,
        emit(event) {
          events.push(event);
          options.onEvent?.(event);
        },
      });
      return outcomeOf(summary, events);
    } finally {
      await executor.close();
      store.close();
    }
  }
}

export const makeProject = (pipeline: string, files: Readonly<Record<string, string>> = {}): TestProject =>
  new TestProject({ 'pipe.yaml': `pipeline: p\n${pipeline}`, ...files });

function outcomeOf(summary: RunSummary, events: readonly RunEvent[]): Outcome {
  const of: Outcome['of'] = kind => events.filter((event): event is Extract<RunEvent, { event: typeof kind }> => event.event === kind);
  const status = Object.fromEntries(of('cell.finished').map(({ cell, status: how }) => [cell, how]));
  return {
    summary, events, status, of,
    finished(cell) {
      const event = of('cell.finished').findLast(other => other.cell === cell);
      if (!event) throw new Error(`${cell} did not finish`);
      return event;
    },
  };
}
