/** What the live view knows: a fold over the events of a run. */
import type { RunEvent } from '../../run/event.ts';

export interface RunningCell {
  readonly cell: string;
  readonly stage: string;
  readonly startedAt: number;
  readonly host: string;
  readonly cpu: number;
  readonly gpus: readonly string[];
  readonly log: string;
  readonly try: number;
  /** 0 to 1, null before the stage says anything. */
  fraction: number | null;
  step: number | null;
  total: number | null;
  rate: number | null;
  unit: string | null;
  note: string | null;
  /** The metric that is shown (a loss if there is one, else the first reported), and its last value. */
  shownMetric: string | null;
  value: number | null;
  /** Values of the shown metric over time, thinned to a few hundred. */
  curve: number[];
  /** How many values each entry of `curve` stands for. */
  stride: number;
  seen: number;
}

export interface LiveState {
  readonly running: Map<string, RunningCell>;
  /** Stage → cells that have neither started nor ended, in the order of the pipeline. */
  readonly waiting: Map<string, number>;
  done: number;
  fresh: number;
  failed: number;
  /** Milliseconds left by history when the run began; null without. */
  estimateMs: number | null;
}

export function createLiveState(waiting: ReadonlyMap<string, number>): LiveState {
  return { running: new Map(), waiting: new Map(waiting), done: 0, fresh: 0, failed: 0, estimateMs: null };
}

/** Takes an event in; the state is changed in place, since a training run reports thousands of times a minute. */
export function applyEvent(state: LiveState, event: RunEvent): void {
  switch (event.event) {
    case 'run.planned':
      state.estimateMs = event.estimateMs;
      break;
    case 'cell.started':
      if (event.try === 1) takeWaiting(state, event.stage);
      state.running.set(event.cell, {
        cell: event.cell, stage: event.stage, startedAt: event.at, host: event.host, cpu: event.cpu, gpus: event.gpus,
        log: event.log, try: event.try, fraction: null, step: null, total: null, rate: null, unit: null, note: null,
        shownMetric: null, value: null, curve: [], stride: 1, seen: 0,
      });
      break;
    case 'cell.progress': {
      const cell = state.running.get(event.cell);
      if (!cell) break;
      cell.fraction = event.fraction;
      cell.step = event.step ?? null;
      cell.total = event.total ?? null;
      cell.rate = event.rate ?? null;
      cell.unit = event.unit ?? null;
      break;
    }
    case 'metric': {
      const cell = state.running.get(event.cell);
      if (cell) addMetric(cell, event.name, Number(event.value));
      break;
    }
    case 'note': {
      const cell = state.running.get(event.cell);
      if (cell) cell.note = event.text;
      break;
    }
    case 'cell.finished':
      if (!state.running.delete(event.cell)) takeWaiting(state, event.stage);
      if (event.status === 'fresh') state.fresh++;
      else if (event.status === 'ran') state.done++;
      else if (event.status === 'failed') state.failed++;
      break;
    case 'platform':
    case 'log':
    case 'cell.waiting':
    case 'cell.resumed':
    case 'cell.retrying':
    case 'notice':
    case 'run.finished':
      break;
  }
}

function takeWaiting(state: LiveState, stage: string): void {
  const left = (state.waiting.get(stage) ?? 0) - 1;
  if (left > 0) state.waiting.set(stage, left);
  else state.waiting.delete(stage);
}

const longest = 256;

function addMetric(cell: RunningCell, name: string, value: number): void {
  const better = cell.shownMetric === null || (isLoss(name) && !isLoss(cell.shownMetric));
  if (better && cell.shownMetric !== name) {
    cell.shownMetric = name;
    cell.curve = [];
    cell.stride = 1;
    cell.seen = 0;
  }
  if (name !== cell.shownMetric) return;
  cell.value = value;
  if (cell.seen++ % cell.stride === 0) cell.curve.push(value);
  if (cell.curve.length > longest) {
    cell.curve = cell.curve.filter((_, i) => i % 2 === 0);
    cell.stride *= 2;
  }
}

const isLoss = (name: string): boolean => /(^|[_./])loss$/.test(name);
