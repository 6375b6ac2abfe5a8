/** One attempt of one cell: private folder, process, checks, commit. */
import { closeSync, mkdirSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { faultPoint } from '../fault-point.ts';
import type { Cell } from '../pipeline/model.ts';
import { bundleStage, statelessPackages } from '../plan/bundle.ts';
import { baseOfStage } from '../plan/catalogue-paths.ts';
import { changedInputs } from '../plan/settle.ts';
import type { Settled } from '../plan/settle.ts';
import type { FailureCause, Key } from '../store/model.ts';
import { recordVerification } from '../store/verifications.ts';
import type { VerificationReport } from '../store/verifications.ts';
import { whileLocked } from '../store/while-locked.ts';
import { push, settleDown } from './after-commit.ts';
import { AttemptRecorder } from './attempt-recorder.ts';
import type { Outputs } from './cell-result.ts';
import { collectOutputs } from './collect-outputs.ts';
import { cohortScores, decide, writeDecision } from './decision.ts';
import type { Job, JobInput, JobOutcome } from './executor.ts';
import { inputArtefacts } from './job-inputs.ts';
import { appendToLog, logTail, openLog } from './log-file.ts';
import { LogFollower } from './log-follower.ts';
import { checkpointFolder, moveCheckpoint, noteBegun } from './move-checkpoint.ts';
import { placeOf } from './places.ts';
import { redactor, secretValues } from './redact.ts';
import type { ReadingAttempt, RunContext } from './run-context.ts';
import { givenEnvironment } from './stage-environment.ts';
import type { Held } from './resources.ts';
import { causeOf, messageOf } from './trouble.ts';
import { verifyOutputs } from './verify-outputs.ts';
import type { Verified, VerifyRequest } from './verify-outputs.ts';
import { createWorkFolder, outputPaths, removeWorkFolder } from './work-folder.ts';

export interface AttemptRequest {
  readonly cell: Cell;
  readonly settled: Settled;
  readonly inputs: Readonly<Record<string, JobInput>>;
  readonly held: Held;
  /** 1 for the first try of this run. */
  readonly try: number;
  /** To be compared instead of committed. */
  readonly verify: VerifyRequest | null;
  /** Whether what an earlier run has started elsewhere under this key, and did not live to fetch, will do. */
  readonly mayAttach: boolean;
}

export type AttemptEnd = {
  readonly attempt: number;
  readonly durationMs: number;
  readonly summary: string | null;
  /** The step of the checkpoint it went on from. */
  readonly resumedFromStep: number | null;
  readonly log: string;
  readonly folder: string;
} & (
  | { readonly status: 'ran'; readonly outputs: Outputs }
  /** `pipe verify`: it made the same. */
  | Extract<Verified, { status: 'verified' }>
  /** Inputs changed while it ran: `changed` names them. */
  | { readonly status: 'tainted'; readonly changed: readonly string[]; readonly message: string }
  | { readonly status: 'failed'; readonly cause: FailureCause; readonly exitCode: number | null; readonly message: string; readonly tail: readonly string[]; readonly report?: VerificationReport; readonly blameless: boolean }
  /** `changed`: stopped because its key changed. */
  | { readonly status: 'interrupted'; readonly message: string; readonly changed: boolean }
  /** Another run took the lease over, because this process gave no sign of life for too long. */
  | { readonly status: 'lost'; readonly message: string }
);

type Ending =
  | { readonly status: 'ran'; readonly outputs: Outputs }
  | { readonly status: 'tainted'; readonly changed: readonly string[]; readonly message: string }
  | Verified
  | { readonly status: 'interrupted'; readonly message: string; readonly changed: boolean };

/** Runs the attempt to its end. The lease on the action key is held by the caller; a commit releases it with its transaction. */
export async function runAttempt(context: RunContext, request: AttemptRequest): Promise<AttemptEnd> {
  const { store, graph, emit } = context;
  const { cell, settled, held } = request;
  const stage = graph.stages[cell.stage]!.name;
  const key = settled.actionKey;
  const started = performance.now();
  const environment = givenEnvironment(cell.settings.env, context.environment);
  const redact = redactor(secretValues(Object.keys(environment.secret), environment.secret));
  const startedAt = Date.now();
  const { attempt, folder, log } = await whileLocked(() => begin(context, request, stage, startedAt), context.whenLocked);
  faultPoint('attempt-begun');
  const recorder = new AttemptRecorder(store.results, attempt, cell.id, emit);
  const reading: ReadingAttempt = { artefacts: inputArtefacts(request.inputs), damaged: null };
  context.reading.set(attempt, reading);
  emit({ event: 'cell.started', cell: cell.id, stage, attempt, try: request.try, host: hostOf(cell), cpu: held.cpu, gpus: held.gpus, log, at: startedAt });

  const stop = context.control.began({ cell: cell.id, key, planKey: context.plan.cells[cell.index]!.planKey });

  let outcome: JobOutcome | null = null;
  let ending: Ending;
  let begun = false;
  try {
    const checkpoint = !cell.settings.checkpoint ? null : request.verify !== null ? join(folder, 'checkpoint') : checkpointFolder(context, key, cell);
    const sent = checkpoint === null || request.verify !== null ? null : await moveCheckpoint(context, cell, key, checkpoint);
    const job: Job = {
      projectRoot: graph.root, cell, attempt, inputs: request.inputs, folder, log,
      checkpoint,
      grant: { cpu: held.cpu, gpus: held.gpus, memory: held.memory },
      timeoutMs: cell.settings.timeoutMs,
      backend: context.backend,
      ...(cell.action.kind === 'module' ? await bundleOf(context, cell.action.file) : { bundle: null, stateless: null }),
      environment,
      plan: { key, mayAttach: request.mayAttach && !cell.settings.always, bring: request.verify !== null ? 'all' : new Set(Object.keys(graph.stages[cell.stage]!.publish)), sendCheckpoint: sent !== null },
    };
    createWorkFolder(cell, folder, to => context.spare.take(to));
    faultPoint('folder-made');
    // Nothing of the first time: not even its checkpoint.
    if (job.checkpoint !== null && request.verify !== null) mkdirSync(job.checkpoint);
    outcome = await execute(context, job, recorder, stop, went => {
      begun = checkpoint !== null && request.verify === null;
      if (begun) void noteBegun(context, cell, key, went ? sent : null);
    });
    ending = await judge(context, job, outcome, { settled, reading, recorder, verify: request.verify, stop });
  } catch (error) {
    ending = { status: 'failed', cause: causeOf(error), message: messageOf(error) };
  } finally {
    context.reading.delete(attempt);
    context.control.ended(cell.id);
  }
  // What it told last is how far its checkpoint may have come.
  if (begun && ending.status !== 'ran') await noteBegun(context, cell, key, recorder);
  try {
    await whileLocked(() => recorder.finish(), context.whenLocked);
  } catch (error) {
    // Metrics that are missing from the record would be missing for ever.
    if (ending.status === 'ran' || ending.status === 'verified') ending = { status: 'failed', cause: causeOf(error), message: `what it reported could not be recorded: ${messageOf(error)}` };
  }
  const durationMs = Math.round(performance.now() - started);
  const gpus = outcome?.gpusGiven ?? held.gpus.length;
  if (gpus > 0) context.countGpuTime(held.gpuShare < 1 ? held.gpuShare : gpus, durationMs);
  if (ending.status !== 'ran' && ending.status !== 'verified' && (ending.status !== 'failed' || ending.cause !== 'exit')) sayInLog(log, `[pipe] ${ending.status}: ${redact(ending.message)}`);
  // By a steady clock: the wall clock may have been set back meanwhile.
  const end = await whileLocked(() => finish(context, request, { attempt, endedAt: startedAt + durationMs, outcome }, ending, recorder), context.whenLocked);
  const common = { attempt, durationMs, summary: recorder.summary, resumedFromStep: recorder.resumed, log, folder };
  switch (end.status) {
    case 'ran':
      settleDown(context, cell, { key, attempt, folder }, end.outputs);
      push(context, request, attempt, end.outputs);
      return { ...common, ...end };
    case 'verified':
      context.inBackground(removeWorkFolder(folder));
      return { ...common, ...end };
    case 'failed':
      return { ...common, ...end, exitCode: outcome?.exitCode ?? null, tail: logTail(log, 20).map(redact), blameless: outcome?.blameless ?? false };
    default:
      return { ...common, ...end };
  }
}

function begin(context: RunContext, { cell, settled, verify }: AttemptRequest, stage: string, startedAt: number): { attempt: number; folder: string; log: string } {
  const { store, graph, plan, run, leases } = context;
  const key = settled.actionKey;
  return store.database.transaction(() => {
    const attempt = store.results.beginAttempt({
      run, pipeline: graph.pipeline, stage, cell: cell.id, point: cell.point, params: cell.with, planKey: plan.cells[cell.index]!.planKey,
      actionKey: key, manifest: settled.manifest, host: hostOf(cell), startedAt, log: '', platform: context.platformOf(cell.index),
      ...(verify === null ? {} : { verifies: verify.attempt }),
    });
    const folder = join(store.cache, 'work', `${key.slice(0, 12)}-${attempt}`);
    const log = join(store.cache, 'logs', `${attempt}-${key.slice(0, 8)}.log`);
    store.results.setLog(attempt, log);
    leases.attach(key, attempt, folder);
    return { attempt, folder, log };
  }).immediate();
}

const hostOf = (cell: Cell): string => (placeOf(cell) === 'local' ? hostname() : placeOf(cell));

async function bundleOf({ graph, packageRoot, store }: RunContext, file: string): Promise<Pick<Job, 'bundle' | 'stateless'>> {
  const bundle = await bundleStage(file, { cache: store.cache, base: baseOfStage(file, { root: graph.root, packageRoot }), packageRoot });
  return { bundle, stateless: statelessPackages(bundle) };
}

async function execute(context: RunContext, job: Job, recorder: AttemptRecorder, stop: AbortSignal, onBegun: (sent: boolean) => void): Promise<JobOutcome> {
  if (job.cell.action.kind === 'decision') return decideHere(job);
  const executor = context.executors(job.cell.settings.on);
  if (placeOf(job.cell) === 'local') onBegun(false);
  const follower = new LogFollower(job.log, job.cell.id, context.emit);
  try {
    return await executor.execute(job, {
      signal: AbortSignal.any([context.signal, stop]),
      kill: context.kill,
      onEvent: event => recorder.handle(event),
      onBegun,
      onStarted: seen => context.leases.watch(job.plan.key, { folder: job.folder, seen }),
      onNotice: text => context.emit({ event: 'notice', level: 'warning', text, cell: job.cell.id }),
    });
  } finally {
    await follower.close();
  }
}

function decideHere(job: Job): JobOutcome {
  const { action } = job.cell;
  if (action.kind !== 'decision') throw new Error(`${job.cell.id} is no decision`);
  closeSync(openLog(job.log));
  const decision = decide(action, cohortScores(action, job.inputs));
  const [output] = Object.values(outputPaths(job.cell, job.folder));
  writeDecision(output!, decision);
  for (const [member, score] of Object.entries(decision.scores)) {
    appendToLog(job.log, `${decision.survivors.includes(member) ? 'goes on' : 'stops  '}  ${member}  ${action.metric} ${score ?? 'missing'}`);
  }
  return { ok: true, exitCode: 0, signal: null, cause: null, message: null, cpuSeconds: null, peakMemoryBytes: null, gpu: null };
}

/** What the attempt came to: in order of what weighs most. */
async function judge(
  context: RunContext, job: Job, outcome: JobOutcome,
  { settled, reading, recorder, verify, stop }: { settled: Settled; reading: ReadingAttempt; recorder: AttemptRecorder; verify: VerifyRequest | null; stop: AbortSignal },
): Promise<Ending> {
  const damaged = findDamage(context, job, reading);
  if (damaged !== null) return { status: 'failed', cause: 'damaged-input', message: damaged };
  if (!outcome.ok) {
    const message = outcome.message ?? 'it failed without saying why';
    const changed = stop.aborted && !context.signal.aborted;
    if (changed) return { status: 'interrupted', message: 'stopped, because what it depends on changed', changed };
    return outcome.cause === 'cancelled' ? { status: 'interrupted', message, changed } : { status: 'failed', cause: outcome.cause ?? 'exit', message };
  }
  const changed = changedInputs(settled.snapshot);
  if (changed.length > 0) return { status: 'tainted', changed, message: `changed while it ran: ${changed.slice(0, 5).join(', ')}${changed.length > 5 ? ` and ${changed.length - 5} more` : ''}` };
  if (reading.damaged !== null) return { status: 'tainted', changed: [reading.damaged.name], message: `${reading.damaged.name} was damaged by another stage while this one read it` };
  if (verify !== null) return await verifyOutputs(context.store, job, verify, recorder);
  const collected = await collectOutputs(context.store, job.cell, job.folder, recorder, outcome.elsewhere);
  return collected.ok ? { status: 'ran', outputs: collected.outputs } : { status: 'failed', cause: collected.cause, message: collected.message };
}

/** An artefact that was read and is not what it was is put aside; everybody who is reading it is told. */
function findDamage(context: RunContext, { attempt, cell }: Job, reading: ReadingAttempt): string | null {
  const { artefacts } = context.store;
  let message: string | null = null;
  for (const artefact of reading.artefacts) {
    const presence = artefacts.present(artefact);
    // What a cell reads elsewhere need not be here.
    if (presence === 'gone' && placeOf(cell) === 'local') message = `the input ${artefact.name} was removed while the stage ran: inputs are read only. It will be made again.`;
    if (presence !== 'damaged') continue;
    const place = artefacts.quarantine(artefact, `changed while attempt ${attempt} read it`);
    context.verified.delete(artefact.digest);
    for (const other of context.reading.values()) if (other !== reading && other.artefacts.some(({ digest }) => digest === artefact.digest)) other.damaged = artefact;
    message = `the input ${artefact.name} was changed while the stage ran: inputs are read only. What it looks like now is in ${place}; it will be made again.`;
  }
  return message;
}

type Finished = Ending | { readonly status: 'lost'; readonly message: string };

/** The one transaction that makes it so; before it nothing of the attempt counts, after it all of it does. */
function finish(
  context: RunContext, request: AttemptRequest, { attempt, endedAt, outcome }: { attempt: number; endedAt: number; outcome: JobOutcome | null }, ending: Ending, recorder: AttemptRecorder,
): Finished {
  const { store, leases } = context;
  const key = request.settled.actionKey;
  faultPoint('committing');
  const end = store.database.transaction((): Finished => {
    if (!leases.holds(key)) return { status: 'lost', message: 'another run has taken this cell over, because this process gave no sign of life for too long' };
    const ran = ending.status === 'ran' ? ending : null;
    store.results.finishAttempt(
      attempt,
      {
        status: ending.status, endedAt, cpuSeconds: outcome?.cpuSeconds ?? null, peakMemoryBytes: outcome?.peakMemoryBytes ?? null,
        gpu: outcome?.gpu ?? null, exitCode: outcome?.exitCode ?? null, signal: outcome?.signal ?? null,
        cause: ending.status === 'failed' ? ending.cause : ending.status === 'interrupted' ? 'cancelled' : null,
        message: ending.status === 'ran' || ending.status === 'verified' ? null : ending.message, resumedFromStep: recorder.resumed,
      },
      ran === null ? null : request.settled.planKey === null ? { action: key } : { plan: request.settled.planKey, action: key },
      ran === null ? null : ran.outputs,
    );
    const report = 'report' in ending ? ending.report : undefined;
    if (report !== undefined) recordVerification(store.database, report, { again: attempt, at: endedAt });
    if (ran !== null) {
      if (request.cell.settings.checkpoint) store.database.prepare('DELETE FROM checkpoint WHERE key = ?').run(key);
      leases.drop(key);
    }
    faultPoint('commit-written');
    return ending;
  }).immediate();
  faultPoint('committed');
  if (end.status === 'ran') leases.forget(key);
  return end;
}

/** The log may be what the trouble is about. */
function sayInLog(log: string, text: string): void {
  try {
    appendToLog(log, text);
  } catch {
    // it is told by an event, too
  }
}
