/** A run, from a plan to its results. Reads as the algorithm: begin, put in order what was left, schedule, finish. */
import { setMaxListeners } from 'node:events';
import { hostname } from 'node:os';
import { faultPoint } from '../fault-point.ts';
import type { Resources } from '../pipeline/model.ts';
import type { PlatformFacts } from '../plan/manifest.ts';
import type { Plan } from '../plan/model.ts';
import type { Artefact, Key } from '../store/model.ts';
import type { SharedResults } from '../shared-cache/shared-results.ts';
import { recordRunResults } from '../store/run-results.ts';
import type { Store } from '../store/store.ts';
import { whileLocked } from '../store/while-locked.ts';
import { Budget } from './budget.ts';
import type { BudgetLimits } from './budget.ts';
import type { CellResult } from './cell-result.ts';
import type { EmitEvent, RunEvent } from './event.ts';
import type { Executor } from './executor.ts';
import { Leases } from './leases.ts';
import type { FetchCheckpoint } from './move-checkpoint.ts';
import { placeOf } from './places.ts';
import { isLeftBehind, recover } from './recover.ts';
import { checkResources, discoverMachine } from './resources.ts';
import type { Machine } from './resources.ts';
import type { RunContext } from './run-context.ts';
import { RunControl } from './run-control.ts';
import type { RunCounts } from './run-report.ts';
import { Scheduler } from './scheduler.ts';
import { SpareFolders } from './spare-folders.ts';
import { stoppedCode } from './stopped-code.ts';
import { messageOf } from './trouble.ts';
import type { VerifyRequest } from './verify-outputs.ts';

export interface RunPlanOptions {
  readonly plan: Plan;
  readonly store: Store;
  readonly emit: EmitEvent;
  /** How many cells run at once at most. */
  readonly jobs: number;
  /** After a failure, go on with what does not depend on it. */
  readonly keepGoing: boolean;
  /** The tensor backend asked for, or `auto`. */
  readonly backend: string;
  readonly packageRoot: string;
  readonly budget: BudgetLimits;
  /** By the name of `on:`. Throws PipeError for one that there is not. */
  readonly executors: (name: string) => Executor;
  /** Brings an artefact here that a host has. Without it, none can be had. */
  readonly fetch?: (artefact: Artefact) => Promise<boolean>;
  /** The same for a checkpoint. */
  readonly fetchCheckpoint?: FetchCheckpoint;
  /** Aborted once (its reason may be a signal's name): no cell is started, running ones are asked to stop. */
  readonly signal: AbortSignal;
  /** Aborted: running ones are ended now. */
  readonly kill: AbortSignal;
  readonly platform: PlatformFacts;
  /** The command as it was called. */
  readonly command: readonly string[];
  /** Of this program. */
  readonly version?: string;
  /** Defaults to process.env. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** What this machine has, where it is known already. */
  readonly machine?: Machine;
  /** To pause the run, or to stop single cells, while it goes on. */
  readonly control?: RunControl;
  /** Cells (which the plan forces) that are run again to be compared with their results, and what with. Nothing of them is replaced. */
  readonly verify?: ReadonlyMap<number, VerifyRequest>;
  /** Action keys that are not started: with a result they are taken as they are, without they are skipped. For `--watch`. */
  readonly refused?: ReadonlySet<Key>;
  /** Where results are looked for that are not here, and pushed to if it is to be written. */
  readonly shared?: SharedResults | null;
}

export type RunSummary = Omit<Extract<RunEvent, { event: 'run.finished' }>, 'event'>;

/** Runs what the plan says has to run. Throws PipeError (exit 2) for requests that this machine can never meet. */
export async function runPlan(options: RunPlanOptions): Promise<RunSummary> {
  const { plan, store, emit } = options;
  const started = performance.now();
  const toRun = cellsToRun(plan);
  const machine = await suitableMachine(plan, options.environment ?? process.env, options.machine);
  // An unknown host is told before anything has started.
  for (const name of new Set(toRun.map(cell => placeOf(plan.graph.cells[cell]!)))) options.executors(name);

  const run = beginRun(options);
  faultPoint('run-begun');
  emitPlanned(options, run);
  options.shared?.listen(text => emit({ event: 'notice', level: 'warning', text }));
  options.signal.addEventListener('abort', () => options.shared?.close(), { once: true });
  const leases = new Leases(store.database, run);
  const budget = new Budget(options.budget);
  const results: (CellResult | null)[] = plan.graph.cells.map(() => null);
  const background = new Set<Promise<void>>();
  const context = contextOf(options, { run, leases, machine, budget, results, background });
  store.artefacts.whenLocked = context.whenLocked;
  const scheduler = new Scheduler(context, results, { jobs: options.jobs, keepGoing: options.keepGoing, budget });
  try {
    if (toRun.length > 0 || isLeftBehind(store, leases)) for (const text of await recover(store, leases)) emit({ event: 'notice', level: 'warning', text });
    faultPoint('recovered');
    context.inBackground(store.artefacts.settle());
    await scheduler.run();
    while (background.size > 0) await Promise.all(background);
    await context.spare.clear();
  } finally {
    leases.close();
  }
  return await finishRun(options, run, scheduler, { durationMs: performance.now() - started, whenLocked: context.whenLocked });
}

const cellsToRun = (plan: Plan): number[] => [...plan.selected].filter(cell => plan.cells[cell]!.state === 'run' || plan.cells[cell]!.state === 'pending');

/** What this machine has. Throws PipeError (exit 2) for requests of the plan that it can never meet. */
export async function suitableMachine(plan: Plan, environment: Readonly<Record<string, string | undefined>>, known?: Machine): Promise<Machine> {
  const toRun = cellsToRun(plan);
  const wants = toRun.some(cell => plan.graph.cells[cell]!.settings.resources.gpu !== 0 && placeOf(plan.graph.cells[cell]!) === 'local');
  const machine = known ?? (await discoverMachine(environment, wants));
  checkResources(plan.graph, machine, toRun);
  return machine;
}

function beginRun({ plan, store, command, version }: RunPlanOptions): number {
  const { graph } = plan;
  return store.results.beginRun({
    pipeline: graph.pipeline, file: graph.file, root: graph.root, profile: graph.profile, overrides: graph.overrides, params: graph.params,
    command, host: hostname(), pid: process.pid, version: version ?? '', startedAt: Date.now(),
  });
}

function emitPlanned({ plan, emit }: RunPlanOptions, run: number): void {
  const { graph, counts } = plan;
  emit({
    event: 'run.planned', run, pipeline: graph.pipeline, profile: graph.profile, cells: plan.selected.size, fresh: counts.fresh, toRun: counts.run,
    pending: counts.pending, stopped: counts.stopped, estimateMs: plan.estimateMs, dry: false,
  });
}

function contextOf(
  options: RunPlanOptions,
  parts: { run: number; leases: Leases; machine: Machine; budget: Budget; results: readonly (CellResult | null)[]; background: Set<Promise<void>> },
): RunContext {
  const { plan, store, platform, environment = process.env } = options;
  const { graph } = plan;
  const resources = (cell: number): Resources => graph.cells[cell]!.settings.resources;
  // Each cell that runs listens: of a thousand on a cluster Node would say that they leak.
  setMaxListeners(0, options.signal, options.kill);
  return {
    run: parts.run, plan, graph, store, emit: options.emit, leases: parts.leases, machine: parts.machine, backend: options.backend,
    packageRoot: options.packageRoot, environment, executors: options.executors, fetch: options.fetch ?? (async () => false),
    fetchCheckpoint: options.fetchCheckpoint ?? (async () => ({ came: false, why: null })), signal: options.signal, kill: options.kill,
    platformOf(cell): Readonly<Record<string, string>> {
      const place = placeOf(graph.cells[cell]!);
      const there = place === 'local' ? undefined : platform.elsewhere?.(place);
      const threads = String(resources(cell).cpu);
      if (there === undefined) return { backend: platform.backend, threads, os: platform.os, node: process.version };
      return { threads, ...(there.backend === null ? {} : { backend: there.backend }), ...(there.os === null ? {} : { os: there.os }) };
    },
    // A cell that the targets do not need is not part of this run, and yet its outputs may be read.
    resultOf: cell => parts.results[cell] ?? (plan.selected.has(cell) ? null : plannedResult(plan, cell)),
    control: options.control ?? new RunControl(),
    verify: options.verify ?? new Map(),
    refused: options.refused ?? new Set(),
    shared: options.shared ?? null,
    verified: new Set(),
    reading: new Map(),
    // Cells of a stage share one list, which may be as long as there are cells.
    comeAfter: new Set([...new Set(graph.cells.map(cell => cell.needs))].flat()),
    spare: new SpareFolders(),
    inBackground(work) {
      const known = work
        .catch((error: unknown) => options.emit({ event: 'notice', level: 'warning', text: messageOf(error) }))
        .finally(() => parts.background.delete(known));
      parts.background.add(known);
    },
    whenLocked(tries) {
      if (tries === 1) options.emit({ event: 'notice', level: 'warning', text: `another program keeps the results database ${store.database.name} locked: waiting for it` });
      return !options.kill.aborted;
    },
    countGpuTime: (gpus, ms) => parts.budget.countGpuTime(gpus, ms),
  };
}

function plannedResult(plan: Plan, cell: number): CellResult | null {
  const { state, record, actionKey } = plan.cells[cell]!;
  if (state === 'stopped') return { kind: 'stopped' };
  return state === 'fresh' && record !== null ? { kind: 'done', outputs: record.outputs, attempt: record.attempt, actionKey } : null;
}

async function finishRun(
  { plan, store, emit, signal }: RunPlanOptions, run: number, { report }: Scheduler,
  { durationMs, whenLocked }: { readonly durationMs: number; readonly whenLocked: RunContext['whenLocked'] },
): Promise<RunSummary> {
  const { counts, current } = report;
  const exitCode = exitCodeOf(counts, signal);
  const whole = plan.selected.size === plan.graph.cells.length && exitCode === 0;
  faultPoint('run-ending');
  try {
    const write = store.database.transaction(() => {
      store.results.setCurrent(plan.graph.pipeline, current, whole);
      store.results.finishRun(run, { endedAt: Date.now(), exitCode, summary: { ...counts } });
      recordRunResults(store.database, run, current);
    });
    await whileLocked(() => write.immediate(), whenLocked);
  } catch (error) {
    // A full disk, most likely. What was committed is committed, and the counts are told all the same.
    emit({ event: 'notice', level: 'warning', text: `the end of the run could not be recorded: ${messageOf(error)}` });
  }
  if (!store.isInPlace()) {
    emit({ event: 'notice', level: 'warning', text: `the results database was deleted or replaced while the run went on: what it recorded is lost with it. Outputs are there; the next run makes them again.` });
  }
  faultPoint('run-ended');
  const summary: RunSummary = { run, ...counts, durationMs: Math.round(durationMs), exitCode, report: null };
  emit({ event: 'run.finished', ...summary });
  return summary;
}

/** 128 and the signal's number when it was interrupted; 1 when not all cells have their result; else 0. */
function exitCodeOf(counts: RunCounts, signal: AbortSignal): number {
  if (signal.aborted) return stoppedCode(signal.reason);
  return counts.failed + counts.skipped + counts.tainted + counts.interrupted > 0 ? 1 : 0;
}
