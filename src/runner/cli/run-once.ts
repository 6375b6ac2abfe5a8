/** One run of a plan with its view, the page at its end, and what people want to know when it is over. */
import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { PipeError } from '../diagnostic.ts';
import type { Plan } from '../plan/model.ts';
import { makePlan } from '../plan/planner.ts';
import { pagePath } from '../report/page-path.ts';
import type { RunEvent } from '../run/event.ts';
import { RunControl } from '../run/run-control.ts';
import type { VerifyRequest } from '../run/verify-outputs.ts';
import type { Key } from '../store/model.ts';
import { runPlan } from '../run/run-plan.ts';
import { chooseRenderer } from '../ui/choose-renderer.ts';
import { shownPath } from '../ui/lines.ts';
import { reasonText } from '../ui/reason-text.ts';
import type { CliContext } from './context.ts';
import { openPlaces } from './places.ts';
import type { RunOptions } from './run.ts';
import type { Session } from './session.ts';
import { listenForStop } from './stop-signals.ts';
import type { StopSignals } from './stop-signals.ts';

type Facts = Pick<CliContext, 'cwd' | 'env' | 'packageRoot' | 'version' | 'stdout' | 'stderr' | 'backends'>;
type Choices = Pick<RunOptions, 'jobs' | 'keepGoing' | 'maxGpuHours' | 'maxTime' | 'plain' | 'json'> & { readonly backend: string };

/** What some commands want beyond a plain run. */
export interface RunExtras {
  /** Cells that are compared with their results: the page and the results in short are left out then. */
  readonly verify?: ReadonlyMap<number, VerifyRequest>;
  readonly refused?: ReadonlySet<Key>;
  readonly control?: RunControl;
  /** What runs on other hosts goes on when this process is asked to stop. */
  readonly detach?: boolean;
  /** Sees each event before it is shown. */
  readonly onEvent?: (event: RunEvent) => void;
}

/** Runs the session's plan. Gives the exit code. */
export async function runOnce(session: Session, options: Choices, context: Facts, extras: RunExtras = {}): Promise<number> {
  const signals = listenForStop();
  try {
    return await runUntilStopped(session, options, context, signals, extras);
  } finally {
    signals.dispose();
  }
}

/** The same, for a caller that listens to the signals itself. */
export async function runUntilStopped(session: Session, options: Choices, context: Facts, signals: StopSignals, extras: RunExtras = {}): Promise<number> {
  const { plan, store, graph } = session;
  const willRun = plan.counts.run + plan.counts.pending > 0;
  const control = extras.control ?? new RunControl();
  const renderer = await chooseRenderer({
    json: options.json === true,
    plain: options.plain === true,
    stdout: context.stdout,
    stderr: context.stderr,
    env: context.env,
    cwd: context.cwd,
    idColumns: idColumns(plan),
    waiting: waitingByStage(plan),
    why: cell => whyLines(plan, cell),
    onStop: signals.interrupt,
    onPause: paused => control.pause(paused),
  });
  // The last event waits until the page is written, since it names it.
  const emit = (event: RunEvent): void => {
    extras.onEvent?.(event);
    if (event.event !== 'run.finished') renderer.handle(event);
    if (event.event === 'run.planned' && willRun && graph.cells.some(cell => cell.action.kind === 'module')) {
      emit({ event: 'notice', level: 'info', text: `tensor backend: ${session.platform.backend}` });
    }
  };
  const places = await openPlaces(session, { packageRoot: context.packageRoot, backends: context.backends, env: context.env, signal: signals.kill, notice: text => emit({ event: 'notice', level: 'warning', text }), detach: extras.detach === true });
  try {
    for (const text of store.notices) emit({ event: 'notice', level: 'warning', text });
    const summary = await runPlan({
      plan, store, emit,
      jobs: options.jobs ?? availableParallelism(),
      keepGoing: options.keepGoing === true,
      backend: options.backend,
      packageRoot: context.packageRoot,
      budget: { gpuHours: options.maxGpuHours ?? null, wallMs: options.maxTime ?? null },
      executors: places.executors,
      fetch: places.fetch,
      fetchCheckpoint: places.fetchCheckpoint,
      signal: signals.stop,
      kill: signals.kill,
      platform: session.platform,
      command: ['pipe', ...process.argv.slice(2)],
      version: context.version,
      environment: context.env,
      control,
      shared: session.shared,
      ...(extras.verify === undefined ? {} : { verify: extras.verify }),
      ...(extras.refused === undefined ? {} : { refused: extras.refused }),
    });
    const now = planNow(session, context);
    const page = extras.verify !== undefined ? null : await pageOf(session, now, summary.ran + summary.failed + summary.tainted > 0, emit, context);
    renderer.handle({ event: 'run.finished', ...summary, report: page });
    await renderer.close();
    if (!options.json && extras.verify === undefined) await printEnd(session, now, { ran: summary.ran > 0, page, ok: summary.exitCode === 0 }, context);
    return summary.exitCode;
  } finally {
    await places.close();
    await renderer.close();
  }
}

/** Written when anything ran, or when it is not there. What was computed stands even if the page cannot be written. */
async function pageOf(session: Session, now: () => Plan, changed: boolean, emit: (event: RunEvent) => void, context: Facts): Promise<string | null> {
  const page = pagePath(session.cache, session.graph.pipeline);
  if (!changed && existsSync(page)) return page;
  try {
    const { writePage } = await import('../report/write-page.ts');
    writePage(page, now(), session.store, { madeAt: Date.now(), program: `pipe ${context.version}` });
    return page;
  } catch (error) {
    if (!(error instanceof PipeError)) throw error;
    emit({ event: 'notice', level: 'warning', text: error.message });
    return null;
  }
}

/** How things stand at the end, for all cells: looked at once, and only if somebody asks. */
function planNow({ graph, store, platform }: Session, context: Facts): () => Plan {
  let plan: Plan | null = null;
  return () => (plan ??= makePlan({ graph, store, targets: null, force: 'none', platform, packageRoot: context.packageRoot, environment: context.env }));
}

async function printEnd(session: Session, now: () => Plan, end: { readonly ran: boolean; readonly page: string | null; readonly ok: boolean }, context: Facts): Promise<void> {
  if (end.ran && end.ok) {
    const { resultsText } = await import('./results-text.ts');
    const text = resultsText(now(), session.store, context);
    if (text !== '') context.stdout.write(`\n${text}\n`);
  }
  if (end.page !== null) context.stdout.write(`report: ${shownPath(end.page, context.cwd)}\n`);
}

/** Cells that will or may run, by stage, in the order of the pipeline. */
function waitingByStage(plan: Plan): Map<string, number> {
  const waiting = new Map<string, number>();
  for (const planned of plan.cells) {
    if (!plan.selected.has(planned.cell) || (planned.state !== 'run' && planned.state !== 'pending')) continue;
    const stage = plan.graph.stages[plan.graph.cells[planned.cell]?.stage ?? -1]?.name ?? '';
    waiting.set(stage, (waiting.get(stage) ?? 0) + 1);
  }
  return waiting;
}

/** Wide enough for what will be shown one by one, and not for the longest of ten thousand. */
function idColumns(plan: Plan): number {
  let most = 12;
  for (const planned of plan.cells) {
    if (planned.state !== 'fresh') most = Math.max(most, plan.graph.cells[planned.cell]?.id.length ?? 0);
  }
  return Math.min(most, 44);
}

function whyLines(plan: Plan, id: string): string[] {
  const cell = plan.graph.cells.find(other => other.id === id);
  const reasons = cell === undefined ? [] : (plan.cells[cell.index]?.reasons ?? []);
  return reasons.map(reason => reasonText(reason, { graph: plan.graph, cwd: plan.graph.root, locate: null }));
}
