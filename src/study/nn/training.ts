import { setImmediate } from 'node:timers/promises';
import { contrastiveLoss } from '../eval/contrastive-loss.ts';
import type { Augment } from './augment.ts';
import type { Backend } from './backend.ts';
import { batchesAhead, batchesInline } from './batch-feed.ts';
import { batchBuilder } from './batches.ts';
import type { ImageSource, TokenSource } from './batches.ts';
import type { Best, MetricRow } from './checkpoint.ts';
import { loadCheckpoint, runIdentity, saveCheckpoint } from './checkpoint.ts';
import { embedRows } from './embed.ts';
import type { ModelConfig } from './model-config.ts';
import { stretchPositions } from './masking.ts';
import type { OptimiserSettings } from './optimiser.ts';
import { digestOfWeights, initialWeights, parametersOf } from './parameters.ts';
import type { Weights } from './parameters.ts';
import { textShape, wholeReading } from './reading.ts';
import type { Reading } from './reading.ts';
import { rateAt } from './schedule.ts';
import type { Schedule } from './schedule.ts';
import { trainStep } from './train-step.ts';
import type { TrainStepOptions } from './train-step.ts';

export interface TrainingSettings {
  readonly steps: number;
  readonly batch: number;
  readonly seed: number;
  /** Peak of the schedule. */
  readonly learningRate: number;
  /** Share of the steps over which the rate rises. */
  readonly warmup: number;
  /** How the rate goes on after it; `cosine` by default. */
  readonly schedule?: Schedule;
  readonly optimiser: OptimiserSettings;
  /** How a step is computed: chunks, accumulation, checkpointed blocks, precision. */
  readonly compute?: TrainStepOptions;
  readonly augment: Augment | null;
  /** How much of each pair is read; left out: everything. */
  readonly reading?: Reading;
  /** Number of the first step that reads everything; left out: none does that did not before. */
  readonly wholeFrom?: number;
  /** At that step, stretch the text's positions that were read to all of them. */
  readonly stretch?: boolean;
  /** Validation loss every so many steps and at the end; 0 never. */
  readonly evaluateEvery: number;
  /** Which weights to keep: those of the last step, or of the least validation loss. */
  readonly keep: 'last' | 'best';
}

export interface TrainingData {
  readonly images: ImageSource;
  readonly tokens: TokenSource;
  readonly train: ArrayLike<number>;
  /** Rows of the fixed validation pool. */
  readonly validation: ArrayLike<number>;
  /** Weights to start from; random ones by seed where there are none. */
  readonly start?: Weights;
  /** Where images and tokens come from: with these a thread of its own makes the batches ahead. */
  readonly folders?: { readonly images: string; readonly tokens: string };
}

/** What the loop tells while it runs, and when it must stop. */
export interface TrainingWatch {
  metric(name: string, value: number, step: number): void;
  progress(step: number, rate: number): void;
  note(text: string): void;
  /** It goes on after this step of an earlier try. */
  resumed(step: number): void;
  readonly signal: AbortSignal;
  /** Where to save what is done; null if nowhere. */
  readonly checkpoint: string | null;
  /** Milliseconds between two saves. */
  readonly checkpointEvery: number;
}

export interface TrainingResult {
  readonly weights: Map<string, Float32Array>;
  readonly keptStep: number;
  /** Share of the steps' time in which they waited for their batches. */
  readonly waitShare: number;
  readonly rows: readonly MetricRow[];
}

/** The loss is no longer a number. */
export class TrainingDivergedError extends Error {
  override readonly name = 'TrainingDivergedError';
  readonly exitCode = 1;
  readonly hint: string;

  constructor(loss: number, step: number, learningRate: number, checkpoint: number | null) {
    super(`the loss is ${loss} at step ${step}, learning rate ${learningRate.toPrecision(3)}`);
    const saved = checkpoint === null ? 'nothing is saved' : `the last good checkpoint is of step ${checkpoint}`;
    this.hint = `${saved}; try a smaller learningRate, a longer warmup, or clipNorm: 1`;
  }
}

/** About this many points of each curve are kept. */
const curvePoints = 500;

/**
 * Trains a two-tower CLIP: batches drawn by seed, one update each, validation at intervals. The same settings, backend and
 * thread count give the same bits, whether or not the run was stopped and resumed in between.
 */
export async function train(
  backend: Backend,
  config: ModelConfig,
  data: TrainingData,
  settings: TrainingSettings,
  watch: TrainingWatch,
): Promise<TrainingResult> {
  const { steps, batch, seed } = settings;
  const parameters = parametersOf(config);
  const identity = runIdentity(config, [
    settings,
    Array.from(data.train),
    Array.from(data.validation),
    backend.label,
    backend.threads,
    ...(data.start === undefined ? [] : [digestOfWeights(data.start)]),
  ]);
  let saved = watch.checkpoint === null ? null : await loadCheckpoint(watch.checkpoint, identity, parameters, watch.note);
  if (saved !== null) watch.resumed(saved.step);
  const rows: MetricRow[] = [...(saved?.rows ?? [])];
  let best: Best | null = saved?.best ?? null;
  let savedStep = saved?.step ?? null;

  const { reading = wholeReading, wholeFrom = Infinity } = settings;
  /** What changes when everything is read: the step, its batches, and how validation pairs are read. */
  const phaseOf = async (at: number, state: ReadonlyMap<string, Float32Array>) => {
    const read = at >= wholeFrom ? { ...reading, text: wholeReading.text, image: wholeReading.image } : reading;
    const { chunk, accumulate = 1 } = settings.compute ?? {};
    // What a decoder loses on held-out pairs is a stage of its own.
    const validates = settings.evaluateEvery > 0 && data.validation.length > 1 && config.decoder === undefined;
    const validation = {
      batch: Math.min(chunk ?? batch, batch / accumulate, data.validation.length),
      reading: { ...read, image: wholeReading.image },
    };
    const step = trainStep(backend, config, batch, settings.optimiser, state, {
      ...settings.compute,
      reading: read,
      ...(validates ? { validation } : {}),
    });
    const held = validates ? batchBuilder(config, data.images, data.tokens, validation.batch, validation.reading) : null;
    const validate = held === null ? null : () => embedRows((some) => step.validate(held(some)), data.validation, validation.batch, config.embedding);
    const plan = { config, rows: data.train, batch, partSize: step.partSize, seed, augment: settings.augment, reading: read };
    const span = { first: at, last: at < wholeFrom ? Math.min(steps, wholeFrom - 1) : steps };
    const feed =
      data.folders === undefined || span.first > span.last
        ? batchesInline(data.images, data.tokens, plan)
        : await batchesAhead({ plan, ...data.folders, ...span, parts: step.partOrder });
    const dispose = (): void => {
      feed.dispose();
      step.dispose();
    };
    return { step, validate, feed, dispose };
  };
  const stepsDone = saved?.step ?? 0;
  let phase = await phaseOf(stepsDone + 1, saved?.state ?? data.start ?? initialWeights(parameters, seed));
  // What it held lives in the backend now, and is large.
  saved = null;
  const every = Math.max(1, Math.ceil(steps / curvePoints));
  const record = (metric: string, value: number, at: number): void => {
    rows.push({ metric, value, step: at });
    watch.metric(metric, value, at);
  };
  const save = async (at: number): Promise<void> => {
    if (watch.checkpoint === null || at === savedStep) return;
    await saveCheckpoint(watch.checkpoint, identity, parameters, { step: at, state: phase.step.state(), best, rows });
    savedStep = at;
  };

  try {
    const rate = rateMeter(batch);
    const waits = waitMeter();
    let lastSave = performance.now();
    for (let at = stepsDone + 1; at <= steps; at++) {
      if (at === wholeFrom) {
        const state = phase.step.state();
        phase.dispose();
        // What was best so far was so under another reading.
        best = null;
        if (settings.stretch === true) stretchIn(state, config, textShape(config, reading.text).tokens);
        phase = await phaseOf(at, state);
        rate.skip();
      }
      const { step, validate, feed } = phase;
      const [began, waitedBefore] = [performance.now(), feed.waited()];
      const learningRate = rateAt(settings.schedule ?? 'cosine', at, steps, settings.learningRate, settings.warmup);
      const { loss, gradientNorm } = step.update((part) => feed.next(at, part), at, learningRate);
      waits.count(feed.waited() - waitedBefore, performance.now() - began);
      if (!Number.isFinite(loss) || !Number.isFinite(gradientNorm)) {
        throw new TrainingDivergedError(loss, at, learningRate, watch.checkpoint === null ? null : savedStep);
      }
      const pairsPerSecond = rate.count();
      if (at % every === 0 || at === 1 || at === steps) {
        record('loss', loss, at);
        record('learning_rate', learningRate, at);
        record('gradient_norm', gradientNorm, at);
        // Not among the rows: these are an artefact, and the same training must give the same bytes.
        watch.metric('pairs_per_second', pairsPerSecond, at);
        watch.metric('wait_share', waits.share(), at);
      }
      if (validate !== null && (at % settings.evaluateEvery === 0 || at === steps)) {
        const logitScale = (config.logitFactor ?? 1) * step.logitScale();
        const embeddings = await validate();
        const { loss: validationLoss } = contrastiveLoss(embeddings, logitScale, data.validation.length);
        record('validation_loss', validationLoss, at);
        record('logit_scale', logitScale, at);
        if (settings.keep === 'best' && (best === null || validationLoss < best.loss)) best = { step: at, loss: validationLoss, weights: step.weights() };
        rate.skip();
      }
      watch.progress(at, pairsPerSecond);
      // Steps block the event loop; this is where a stop gets through.
      await setImmediate();
      if (watch.signal.aborted) {
        await save(at);
        throw watch.signal.reason;
      }
      if (performance.now() - lastSave > watch.checkpointEvery) {
        await save(at);
        lastSave = performance.now();
      }
    }
    const kept = settings.keep === 'best' && best !== null ? best : { step: steps, weights: phase.step.weights() };
    return { weights: new Map(kept.weights), keptStep: kept.step, waitShare: waits.whole(), rows };
  } finally {
    phase.dispose();
  }
}

/** Stretches the positions that were read over all of them. */
function stretchIn(state: Map<string, Float32Array>, config: ModelConfig, tokens: number): void {
  const { width, context } = config.text;
  state.set('text.positions', stretchPositions(state.get('text.positions')!.subarray(0, tokens * width), width, context));
}

/** The share of steps' time that went by waiting for their batches: over the last steps, and over all. */
function waitMeter(): { count(waited: number, time: number): void; share(): number; whole(): number } {
  const marks: (readonly [waited: number, time: number])[] = [];
  const all = [0, 0];
  const quotient = (pairs: readonly (readonly number[])[]): number => {
    const sum = (place: number): number => pairs.reduce((total, pair) => total + pair[place]!, 0);
    return sum(1) === 0 ? 0 : sum(0) / sum(1);
  };
  return {
    count(waited, time) {
      marks.push([waited, time]);
      if (marks.length > 20) marks.shift();
      all[0]! += waited;
      all[1]! += time;
    },
    share: () => quotient(marks),
    whole: () => quotient([all]),
  };
}

/** Pairs a second over the last steps, without what `skip` passes over. */
function rateMeter(batch: number): { count(): number; skip(): void } {
  const marks: number[] = [];
  let last = performance.now();
  return {
    count() {
      const now = performance.now();
      marks.push(now - last);
      last = now;
      if (marks.length > 20) marks.shift();
      return (1000 * batch * marks.length) / marks.reduce((sum, time) => sum + time, 0);
    },
    skip() {
      last = performance.now();
    },
  };
}
