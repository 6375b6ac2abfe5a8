/**
 * What `npm run bench:train` measures of this engine: a process that does what it is told, a JSON line each, and answers with a
 * JSON line. torch_steps.py answers the same commands.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { decodeSquare, setDecodeThreads } from '../../../src/study/data/decode-image.ts';
import { randomOf } from '../../../src/study/data/random.ts';
import type { Backend } from '../../../src/study/nn/backend.ts';
import { batchBuilder, batchOrder } from '../../../src/study/nn/batches.ts';
import type { ImageSource, TokenSource } from '../../../src/study/nn/batches.ts';
import { openBackend } from '../../../src/study/nn/choose-backend.ts';
import { maskingOf } from '../../../src/study/nn/masking.ts';
import { attentionPairs } from '../../../src/study/nn/model-size.ts';
import { modelConfig, patchCount } from '../../../src/study/nn/model-config.ts';
import type { ModelConfig } from '../../../src/study/nn/model-config.ts';
import { saveModel, untrained } from '../../../src/study/nn/model-folder.ts';
import { findNative } from '../../../src/study/nn/native-install.ts';
import { defaultOptimiser } from '../../../src/study/nn/optimiser.ts';
import { initialWeights, parametersOf } from '../../../src/study/nn/parameters.ts';
import { writeSafeTensors } from '../../../src/study/nn/safetensors.ts';
import { recordedProgram } from '../../../src/study/nn/recorded-step.ts';
import { loadBinding } from '../../../src/study/nn/tensorflow-binding.ts';
import type { TensorFlowBinding } from '../../../src/study/nn/tensorflow-binding.ts';
import { trainStep } from '../../../src/study/nn/train-step.ts';
import type { TrainStep, TrainStepOptions } from '../../../src/study/nn/train-step.ts';
import { tokenize } from '../../../src/study/text/tokenizer.ts';
import { textStep } from './text-step.ts';

/** The model and batch of one case; every process of the case makes or is handed the same. */
interface CaseModel {
  readonly size: string;
  readonly batch: number;
  /** Train the text tower alone, at this context, against fixed image embeddings. */
  readonly context?: number;
  /** What its attention allows, as `masking` names it; left out: causal. */
  readonly attention?: string;
}

type Command =
  | { readonly do: 'load'; readonly threads: number }
  | { readonly do: 'write'; readonly model: CaseModel; readonly folder: string }
  | { readonly do: 'build'; readonly model: CaseModel; readonly options?: TrainStepOptions }
  | { readonly do: 'steps'; readonly count: number }
  | { readonly do: 'share'; readonly model: CaseModel; readonly count: number }
  | { readonly do: 'learn'; readonly steps: number; readonly options: TrainStepOptions }
  | { readonly do: 'decode'; readonly files: readonly string[]; readonly resolution: number; readonly threads: number }
  | { readonly do: 'tokenize'; readonly file: string };

const optimiser = { ...defaultOptimiser, clipNorm: 1 };
const rate = 1e-4;

let backend: Backend | null = null;
let update: ((step: number) => number) | null = null;
let done = 0;

const opened = (): Backend => {
  if (backend === null) throw new Error('load first');
  return backend;
};

/** `VmHWM` and `VmRSS` of this process in bytes. */
function memory(field: 'VmHWM' | 'VmRSS'): number {
  const found = new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(readFileSync('/proc/self/status', 'utf8'));
  return found === null ? NaN : Number(found[1]) * 1024;
}

/** From here on VmHWM counts anew. */
const forgetPeak = (): void => writeFileSync('/proc/self/clear_refs', '5');

function configOf({ size, context, attention }: CaseModel): ModelConfig {
  const config = modelConfig(size);
  const pattern = attention === undefined ? undefined : maskingOf(attention, null).attention;
  return context === undefined ? config : { ...config, text: { ...config.text, context, ...(pattern === undefined ? {} : { attention: pattern }) } };
}

/** One batch, drawn by seed: what both programs train on. */
function batchOf(config: ModelConfig, count: number) {
  const random = randomOf('bench');
  const { context, vocabulary } = config.text;
  return {
    patches: Float32Array.from({ length: count * patchCount(config) * 3 * config.image.patch ** 2 }, () => random.normal()),
    ids: Int32Array.from({ length: count * context }, () => random.below(vocabulary)),
    ends: Int32Array.from({ length: count }, (_, index) => index * context + Math.floor(context / 3) + random.below(Math.floor(context / 2))),
  };
}

/** Unit vectors `[batch, embedding]` that the captions are trained towards where there is no image tower. */
function imagesOf(config: ModelConfig, count: number): Float32Array {
  const random = randomOf('bench images');
  const rows = Array.from({ length: count }, () => Array.from({ length: config.embedding }, () => random.normal()));
  return Float32Array.from(rows.flatMap((row) => row.map((value) => value / Math.hypot(...row))));
}

const weightsOf = (config: ModelConfig, { context }: CaseModel) =>
  initialWeights(parametersOf(config).filter(({ name }) => context === undefined || name.startsWith('text.') || name === 'logit_scale'), 1);

const answers: { readonly [K in Command['do']]: (command: Command & { do: K }) => object | Promise<object> } = {
  async load({ threads }) {
    const started = performance.now();
    backend = await openBackend('tensorflow', { threads, note: (text) => process.stderr.write(`${text}\n`) });
    const ms = performance.now() - started;
    forgetPeak();
    return { ms, rss: memory('VmRSS'), label: `pipe (${backend.label})`, threads: backend.threads };
  },

  async write({ model, folder }) {
    const config = configOf(model);
    const data = batchOf(config, model.batch);
    // The text tower alone saves a whole model, too: the file's other weights are not read.
    await saveModel(folder, { config, weights: initialWeights(parametersOf(config), 1), training: untrained('a benchmark') });
    const tensors = new Map([
      ['patches', { shape: [model.batch, patchCount(config), 3 * config.image.patch ** 2], values: data.patches }],
      ['ids', { shape: [model.batch, config.text.context], values: Float32Array.from(data.ids) }],
      ['ends', { shape: [model.batch], values: Float32Array.from(data.ends) }],
      ['image', { shape: [model.batch, config.embedding], values: imagesOf(config, model.batch) }],
    ]);
    await writeSafeTensors(`${folder}/batch.safetensors`, { tensors, metadata: {} });
    return {};
  },

  build({ model, options = {} }) {
    const config = configOf(model);
    const data = batchOf(config, model.batch);
    const state = weightsOf(config, model);
    const images = model.context === undefined ? null : imagesOf(config, model.batch);
    const started = performance.now();
    done = 0;
    if (images === null) {
      const step = trainStep(opened(), config, model.batch, optimiser, state, options);
      update = (at) => step.update(data, at, rate).loss;
    } else {
      const step = textStep(opened(), config, model.batch, optimiser, state, options);
      update = (at) => step({ ids: data.ids, ends: data.ends, image: images }, at, rate);
    }
    const loss = update(++done);
    return { ms: performance.now() - started, loss, pairs: attentionPairs(config) };
  },

  steps({ count }) {
    if (update === null) throw new Error('build first');
    const [wallMs, userMs, systemMs]: [number[], number[], number[]] = [[], [], []];
    let loss = NaN;
    for (let index = 0; index < count; index++) {
      const cpu = process.cpuUsage();
      const started = performance.now();
      loss = update(++done);
      wallMs.push(performance.now() - started);
      const { user, system } = process.cpuUsage(cpu);
      userMs.push(user / 1000);
      systemMs.push(system / 1000);
    }
    return { wallMs, userMs, systemMs, loss, peak: memory('VmHWM') };
  },

  /** Of a step with its batch drawn, cut into patches and handed over: what is not spent inside TensorFlow. */
  share({ model, count }) {
    const config = configOf(model);
    const install = findNative();
    if (install === null) throw new Error('native TensorFlow is not installed');
    const { binding } = loadBinding(install, opened().threads, []);
    let inside = 0;
    const runSavedModel: TensorFlowBinding['runSavedModel'] = (...args) => {
      const started = performance.now();
      const result = binding.runSavedModel(...args);
      inside += performance.now() - started;
      return result;
    };
    const timed = Object.create(binding, { runSavedModel: { value: runSavedModel } }) as TensorFlowBinding;
    const watched: Backend = { ...opened(), compileProgram: (functions, options) => recordedProgram(timed, functions, options) };
    const { images, tokens, rows } = learnable(config, 4 * model.batch);
    const build = batchBuilder(config, images, tokens, model.batch);
    const order = batchOrder(rows, model.batch, 1);
    const step = trainStep(watched, config, model.batch, optimiser, initialWeights(parametersOf(config), 1));
    for (let at = 1; at <= 3; at++) step.update(build(order(at)), at, rate);
    inside = 0;
    const started = performance.now();
    for (let at = 4; at < 4 + count; at++) step.update(build(order(at)), at, rate);
    const whole = performance.now() - started;
    step.dispose();
    return { share: 1 - inside / whole, ms: whole / count };
  },

  /** The loss that a small model comes to, on pairs that can be learned. */
  learn({ steps, options }) {
    const config = modelConfig('d64l2', { input: { resolution: 32, patch: 8, context: 16, vocabulary: 64 } });
    const batch = 64;
    const { images, tokens, rows } = learnable(config, 1024);
    const build = batchBuilder(config, images, tokens, batch);
    const order = batchOrder(rows, batch, 1);
    const step = trainStep(opened(), config, batch, optimiser, initialWeights(parametersOf(config), 1), options);
    const losses: number[] = [];
    const started = performance.now();
    for (let at = 1; at <= steps; at++) losses.push(step.update(build(order(at)), at, 1e-3).loss);
    const ms = (performance.now() - started) / steps;
    step.dispose();
    const last = losses.slice(-10);
    return { loss: last.reduce((sum, value) => sum + value, 0) / last.length, first: losses[0], ms };
  },

  /** Every file once: read, decoded, and cut to a square. */
  async decode({ files, resolution, threads }) {
    setDecodeThreads(threads, threads);
    let next = 0;
    let sum = 0;
    const worker = async (): Promise<void> => {
      while (next < files.length) {
        const pixels = await decodeSquare({ bytes: await readFile(files[next++]!) }, resolution, 'crop');
        sum += pixels[pixels.length >> 1]!;
      }
    };
    return { ...(await timedWork(() => Promise.all(Array.from({ length: threads }, worker)))), sum };
  },

  /** Every line, after one that loads the vocabulary. */
  async tokenize({ file }) {
    const lines = readFileSync(file, 'utf8').split('\n');
    tokenize('warm up');
    let count = 0;
    const time = await timedWork(() => {
      for (const line of lines) count += tokenize(line).length;
    });
    return { ...time, count };
  },
};

async function timedWork(work: () => unknown): Promise<{ wallMs: number; userMs: number; systemMs: number }> {
  const cpu = process.cpuUsage();
  const started = performance.now();
  await work();
  const wallMs = performance.now() - started;
  const { user, system } = process.cpuUsage(cpu);
  return { wallMs, userMs: user / 1000, systemMs: system / 1000 };
}

/** Images of coloured halves under noise, and captions that spell the colours. */
function learnable(config: ModelConfig, count: number): { images: ImageSource; tokens: TokenSource; rows: Uint32Array } {
  const random = randomOf('learnable');
  const { resolution } = config.image;
  const { context, vocabulary } = config.text;
  const levels = Uint8Array.from({ length: count * 6 }, () => random.below(4));
  const bytes = resolution * resolution * 3;
  const pixels = new Uint8Array(count * bytes);
  for (let index = 0; index < pixels.length; index++) {
    const [image, rest] = [Math.floor(index / bytes), index % bytes];
    const half = rest < bytes / 2 ? 0 : 3;
    pixels[index] = 40 * levels[image * 6 + half + (rest % 3)]! + random.below(100);
  }
  const ids = new Int32Array(count * context);
  for (let row = 0; row < count; row++) {
    for (let place = 0; place < 6; place++) ids[row * context + place] = 2 + 4 * place + levels[row * 6 + place]!;
    ids[row * context + 6] = vocabulary - 1;
  }
  const images: ImageSource = {
    count,
    resolution,
    channels: 3,
    mean: [0.5, 0.5, 0.5],
    std: [0.25, 0.25, 0.25],
    read: (indices, out) => {
      for (let at = 0; at < indices.length; at++) out.set(pixels.subarray(indices[at]! * bytes, (indices[at]! + 1) * bytes), at * bytes);
    },
  };
  const tokens: TokenSource = { count, context, vocabulary, ids, lengths: new Uint16Array(count).fill(7) };
  return { images, tokens, rows: Uint32Array.from({ length: count }, (_, row) => row) };
}

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line) as Command;
  const answer = await (answers[command.do] as (command: Command) => object | Promise<object>)(command);
  process.stdout.write(`${JSON.stringify({ answer })}\n`);
}
