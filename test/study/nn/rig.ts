import type { ImageSource, TokenSource } from '../../../src/study/nn/batches.ts';
import type { TrainingData, TrainingSettings, TrainingWatch } from '../../../src/study/nn/training.ts';
import { modelConfig } from '../../../src/study/nn/model-config.ts';
import { defaultOptimiser } from '../../../src/study/nn/optimiser.ts';
import { randomOf } from '../../../src/study/data/random.ts';

/** The smallest model there is use for: 16 × 16 pixels in four patches, captions of eight tokens. */
export const tinyConfig = modelConfig('d16l1', { input: { resolution: 16, patch: 8, context: 8, vocabulary: 40 } });

/** Images of one of 32 colours with captions that spell the colour's number in bits: something to learn in seconds. */
export function tinyData(count = 160): TrainingData {
  const random = randomOf('tiny');
  const kinds = Uint8Array.from({ length: count }, () => random.below(32));
  const images: ImageSource = {
    count,
    resolution: 16,
    channels: 3,
    mean: [0.5, 0.5, 0.5],
    std: [0.25, 0.25, 0.25],
    read(indices, out) {
      const noise = randomOf('noise', indices.length);
      for (let image = 0; image < indices.length; image++) {
        const kind = kinds[indices[image]!]!;
        for (let pixel = 0; pixel < 256; pixel++) {
          for (let channel = 0; channel < 3; channel++) {
            const level = ((kind >> channel) & 1) * 120 + ((kind >> 3) & 3) * (pixel < 128 ? 30 : 5);
            out[(image * 256 + pixel) * 3 + channel] = level + noise.below(10);
          }
        }
      }
    },
  };
  const tokens: TokenSource = {
    count,
    context: 8,
    vocabulary: 40,
    ids: Int32Array.from({ length: count * 8 }, (_, index) => {
      const [row, place] = [index >> 3, index & 7];
      if (place === 0) return 38;
      if (place <= 5) return 2 + 2 * (place - 1) + ((kinds[row]! >> (place - 1)) & 1);
      return place === 6 ? 39 : 0;
    }),
    lengths: new Uint16Array(count).fill(7),
  };
  const rows = Uint32Array.from({ length: count }, (_, row) => row);
  return { images, tokens, train: rows.slice(0, count - 32), validation: rows.slice(count - 32) };
}

export const tinySettings: TrainingSettings = {
  steps: 30,
  batch: 16,
  seed: 1,
  learningRate: 3e-3,
  warmup: 0.1,
  optimiser: { ...defaultOptimiser, clipNorm: 1 },
  augment: null,
  evaluateEvery: 10,
  keep: 'last',
};

/** All weights as text: comparing that is far quicker than comparing arrays. */
export { digestOfWeights as digestOf } from '../../../src/study/nn/parameters.ts';

/** A watch that keeps what it is told. */
export function recordingWatch(options: Partial<Pick<TrainingWatch, 'signal' | 'checkpoint' | 'checkpointEvery'>> = {}): TrainingWatch & {
  readonly notes: string[];
  readonly resumedFrom: readonly number[];
  readonly metrics: { name: string; value: number; step: number }[];
  onStep: (step: number) => void;
} {
  const notes: string[] = [];
  const metrics: { name: string; value: number; step: number }[] = [];
  const resumedFrom: number[] = [];
  const watch = {
    notes,
    resumedFrom,
    metrics,
    onStep: (_: number): void => {},
    metric: (name: string, value: number, step: number): void => void metrics.push({ name, value, step }),
    progress: (step: number): void => watch.onStep(step),
    note: (text: string): void => void notes.push(text),
    resumed: (step: number): void => void resumedFrom.push(step),
    signal: options.signal ?? new AbortController().signal,
    checkpoint: options.checkpoint ?? null,
    checkpointEvery: options.checkpointEvery ?? 1e9,
  };
  return watch;
}
