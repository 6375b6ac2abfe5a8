/** One cell's turn: settle it by its action key, share it with other runs, run it, and run it again where that is allowed. */
import { existsSync } from 'node:fs';
import { faultPoint } from '../fault-point.ts';
import type { Cell, Resources, Retries } from '../pipeline/model.ts';
import { settle } from '../plan/settle.ts';
import type { Settled } from '../plan/settle.ts';
import type { Artefact, FailureCause, Key } from '../store/model.ts';
import { whileLocked } from '../store/while-locked.ts';
import type { CellResult } from './cell-result.ts';
import { jobInputs } from './job-inputs.ts';
import type { LeaseHolder } from './leases.ts';
import { placeOf } from './places.ts';
import { grow, unbounded } from './resources.ts';
import type { Held } from './resources.ts';
import { checkpointFolder, keepCheckpoint } from './move-checkpoint.ts';
import { runAttempt } from './run-attempt.ts';
import type { AttemptEnd } from './run-attempt.ts';
import type { RunContext } from './run-context.ts';
import type { VerifyRequest } from './verify-outputs.ts';

export type CellTurn =
  /** A record stands for it (early cut-off), or it ran earlier in this run under the same key. */
  | { readonly kind: 'fresh'; readonly result: Extract<CellResult, { kind: 'done' }> }
  | { readonly kind: 'ended'; readonly end: AttemptEnd; readonly key: Key }
  /** Another run is at it. */
  | { readonly kind: 'busy'; readonly holder: LeaseHolder }
  /** A cell of this run is at it. */
  | { readonly kind: 'same'; readonly key: Key }
  /** Artefacts that it reads are not there any more: those who made them have to make them again. */
  | { readonly kind: 'inputs-gone'; readonly producers: readonly number[] }
  /** Its key is one that is not started. */
  | { readonly kind: 'refused' }
  /** Not by its own fault: this process could not do its part. */
  | { readonly kind: 'failed'; readonly message: string; readonly cause: FailureCause };

export interface TurnOptions {
  /** It runs whatever records there are. */
  readonly forced: boolean;
  /** A record stands for a forced cell all the same where this holds for each of its outputs, `temp` ones too. */
  readonly unless: ((output: Artefact) => boolean) | null;
  readonly verify: VerifyRequest | null;
  /** Keys that a cell of this run is at. */
  readonly inFlight: ReadonlySet<Key>;
  /** What this run has already done under a key. */
  readonly doneNow: ReadonlyMap<Key, Extract<CellResult, { kind: 'done' }>>;
  /** Called when the cell really runs under this key. */
  readonly claim: (key: Key) => void;
  readonly held: Held;
  /** Gives resources back while a retry waits, and takes others; null when the run is to end meanwhile. */
  readonly exchange: (wanted: Resources, afterMs: number) => Promise<Held | null>;
}

export async function takeTurn(context: RunContext, cell: Cell, options: TurnOptions): Promise<CellTurn> {
  const settled = settleNow(context, cell);
  const key = settled.actionKey;
  const now = options.doneNow.get(key);
  if (now) return { kind: 'fresh', result: now };
  if (options.inFlight.has(key)) return { kind: 'same', key };
  if (options.verify !== null && options.verify.key !== key) {
    return { kind: 'failed', cause: 'internal', message: 'what it depends on is not what its result was made from: there is nothing to compare with' };
  }
  if (context.refused.has(key)) return refusedTurn(context, settled);
  const known = recorded(context, settled, options) ?? (options.forced ? null : await recordedElsewhere(context, cell, settled));
  if (known) return { kind: 'fresh', result: known };
  const producers = await producersOfGone(context, cell);
  if (producers.length > 0) {
    // Another run may have finished this cell just now, and dropped what only this cell still needed.
    const justNow = recorded(context, settleNow(context, cell), options);
    return justNow ? { kind: 'fresh', result: justNow } : { kind: 'inputs-gone', producers };
  }

  const lease = await whileLocked(() => context.leases.acquire(key, cell.id), context.whenLocked);
  if (!lease.held) return { kind: 'busy', holder: lease.holder };
  faultPoint('lease-taken');
  try {
    // Between the look-up and the lease another run may have finished it.
    const since = options.forced && options.unless === null ? null : recorded(context, settleNow(context, cell), options);
    if (since) return { kind: 'fresh', result: since };
    options.claim(key);
    return { kind: 'ended', ...(await attempts(context, cell, settled, options)) };
  } finally {
    context.leases.release(key);
  }
}

/** The key may be known only now: what nobody has made here, somebody may have made elsewhere. */
async function recordedElsewhere(context: RunContext, cell: Cell, { actionKey }: Settled): Promise<Extract<CellResult, { kind: 'done' }> | null> {
  const { shared, graph, plan } = context;
  if (shared === null || !cell.settings.shared || cell.settings.always) return null;
  const found = await shared.lookUp(graph, [{ cell, actionKey, planKey: plan.cells[cell.index]!.planKey }]);
  return found === 0 ? null : recorded(context, settleNow(context, cell), { forced: false, unless: null });
}

/** From a shared cache, else from a host. False when neither has it. */
async function bring({ store, fetch }: RunContext, artefact: Artefact): Promise<boolean> {
  const { supply } = store.artefacts;
  if (supply?.has(artefact.digest) === true && (await supply.restore(artefact))) return true;
  return store.artefacts.elsewhere(artefact.digest).length > 0 && (await fetch(artefact));
}

function* readOutputs(cell: Cell): Generator<readonly [producer: number, output: string]> {
  for (const input of Object.values(cell.inputs)) {
    if (input.kind === 'output') yield [input.cell, input.output];
    else if (input.kind === 'gather') for (const item of input.items) yield [item.cell, input.output];
  }
}

/** An `always` cell that had its turn keeps what it made then. */
function refusedTurn({ store }: RunContext, { actionKey }: Settled): CellTurn {
  const record = store.results.lookup(actionKey);
  const whole = record !== null && Object.values(record.outputs).every(artefact => store.artefacts.obtainable(artefact) === 'here');
  return whole ? { kind: 'fresh', result: { kind: 'done', outputs: record.outputs, attempt: record.attempt, actionKey } } : { kind: 'refused' };
}

function settleNow({ plan, resultOf }: RunContext, cell: Cell): Settled {
  return settle(plan, cell.index, other => {
    const result = resultOf(other);
    return result?.kind === 'done' ? result.outputs : result?.kind === 'stopped' ? 'stopped' : 'failed';
  });
}

/** The record of the action key, with a record of the plan key written beside it where that may stand. */
function recorded({ store }: RunContext, { actionKey, record, planKey }: Settled, { forced, unless }: Pick<TurnOptions, 'forced' | 'unless'>): Extract<CellResult, { kind: 'done' }> | null {
  if (record === null || (forced && (unless === null || !Object.values(record.outputs).every(unless)))) return null;
  if (planKey !== null && store.results.lookup(planKey)?.attempt !== record.attempt) store.results.putRecord({ ...record, key: planKey, kind: 'plan' });
  return { kind: 'done', outputs: record.outputs, attempt: record.attempt, actionKey };
}

/** Cells whose outputs this one reads and that cannot be had where it runs, damaged ones put aside. What others have is fetched. */
async function producersOfGone(context: RunContext, cell: Cell): Promise<number[]> {
  const { store, resultOf, verified } = context;
  const gone = new Set<number>();
  const away = new Map<Artefact, number>();
  const look = (producer: number, output: string): void => {
    const result = resultOf(producer);
    const artefact: Artefact | undefined = result?.kind === 'done' ? result.outputs[output] : undefined;
    // Every file of it is looked at once a run; that it is there at all, each time.
    if (artefact === undefined || (verified.has(artefact.digest) && existsSync(store.artefacts.pathOf(artefact)))) return;
    const presence = store.artefacts.present(artefact);
    if (presence === 'here') return void verified.add(artefact.digest);
    if (presence === 'damaged') store.artefacts.quarantine(artefact, 'its content did not match its digest');
    if (presence === 'gone') {
      const hosts = store.artefacts.elsewhere(artefact.digest);
      if (hosts.includes(placeOf(cell))) return;
      if (hosts.length > 0 || store.artefacts.supply?.has(artefact.digest) === true) return void away.set(artefact, producer);
    }
    gone.add(producer);
  };
  for (const [producer, output] of readOutputs(cell)) look(producer, output);
  for (const [artefact, producer] of away) if (!(await bring(context, artefact))) gone.add(producer);
  return [...gone];
}

/** The attempts at one cell: again after a change of its inputs (once), and as its `retries` allow. */
async function attempts(context: RunContext, cell: Cell, first: Settled, options: TurnOptions): Promise<{ readonly end: AttemptEnd; readonly key: Key }> {
  let key = first.actionKey;
  const end = await attemptsUnder(context, cell, first, options, now => void (key = now));
  if (key !== first.actionKey) context.leases.release(key);
  return { end, key };
}

async function attemptsUnder(context: RunContext, cell: Cell, first: Settled, options: TurnOptions, moveTo: (key: Key) => void): Promise<AttemptEnd> {
  const { retries } = cell.settings;
  let settled = first;
  let { held } = options;
  let wanted = cell.settings.resources;
  let failures = 0;
  let tainted = false;
  let blameless = false;
  for (let number = 1; ; number++) {
    const end = await runAttempt(context, {
      cell, settled, inputs: jobInputs(context.graph, context.store, cell, context.resultOf), held, try: number,
      verify: options.verify, mayAttach: !options.forced && options.verify === null && number === 1,
    });
    if (context.signal.aborted) return end;
    const changed = end.status === 'interrupted' && end.changed;
    if (end.status === 'tainted' || changed) {
      if ((tainted && !changed) || options.verify !== null || (changed && context.control.closed)) return end;
      tainted = !changed;
      context.emit({ event: 'notice', level: 'warning', text: `${cell.id}: ${end.message}; it runs ${changed ? 'anew' : 'once more'}` });
      const again = settleNow(context, cell);
      // Under another key now: its lease is another one too.
      if (again.actionKey !== settled.actionKey) {
        context.leases.release(settled.actionKey);
        if (!(await whileLocked(() => context.leases.acquire(again.actionKey, cell.id), context.whenLocked)).held) return end;
        moveTo(again.actionKey);
      }
      settled = again;
      continue;
    }
    if (end.status === 'failed' && end.blameless && !blameless) {
      blameless = true;
      context.emit({ event: 'notice', level: 'warning', cell: cell.id, text: `${cell.id}: ${end.message}; it runs once more` });
      continue;
    }
    if (end.status !== 'failed' || failures >= retries.times || !mayRetry(retries, end.cause, end.exitCode)) {
      if (end.status === 'failed' && cell.settings.checkpoint && options.verify === null) await keepCheckpoint(context, cell, settled.actionKey);
      return end;
    }
    const delay = retries.backoffMs * 2 ** failures;
    failures++;
    wanted = grow(wanted, retries.grow, placeOf(cell) === 'local' ? context.machine : unbounded);
    context.emit({ event: 'cell.retrying', cell: cell.id, cause: end.cause, inMs: delay, try: number + 1 });
    const next = await options.exchange(wanted, delay);
    if (next === null) return end;
    held = next;
  }
}

export function mayRetry({ on }: Retries, cause: FailureCause, exitCode: number | null): boolean {
  if (exitCode !== null && on.includes(exitCode)) return true;
  switch (cause) {
    case 'oom':
    case 'preempted':
    case 'timeout':
      return on.includes(cause);
    case 'exit':
    case 'signal':
      return on.includes('exit');
    default:
      return false;
  }
}
