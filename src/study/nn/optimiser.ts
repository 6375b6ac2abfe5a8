import type { AdamConstants, Kernels, StepState, Tensor } from './kernels.ts';
import type { Parameter } from './parameters.ts';

/** Settings of the update; defaults are those of CLIP's pre-training. */
export interface OptimiserSettings {
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly weightDecay: number;
  /** The gradient's global norm is brought down to this; null leaves it. */
  readonly clipNorm: number | null;
  /**
   * `decoupled` (AdamW, the default): a weight loses learningRate · weightDecay of itself. `l2`: weightDecay times the weight
   * is added to the gradient, as PyTorch's Adam does and PubMedCLIP was trained.
   */
  readonly decay?: 'decoupled' | 'l2';
  /** What decays: `matrices` (the default; not biases, norms, embeddings and the logit scale) or `all`. */
  readonly decayed?: 'matrices' | 'all';
  /** The logit scale stays at or below the log of this; null for no bound. CLIP's 100 by default. */
  readonly largestLogitScale?: number | null;
}

export const defaultOptimiser: OptimiserSettings = { beta1: 0.9, beta2: 0.98, epsilon: 1e-6, weightDecay: 0.2, clipNorm: null };

export const firstMoment = (name: string): string => `first/${name}`;
export const secondMoment = (name: string): string => `second/${name}`;

function constantsOf({ name, decay }: Parameter, settings: OptimiserSettings): AdamConstants {
  const { beta1, beta2, epsilon, weightDecay, largestLogitScale = 100 } = settings;
  const amount = decay || settings.decayed === 'all' ? weightDecay : 0;
  const l2 = settings.decay === 'l2';
  return {
    beta1,
    beta2,
    epsilon,
    weightDecay: l2 ? 0 : amount,
    l2: l2 ? amount : 0,
    ...(name === 'logit_scale' && largestLogitScale !== null ? { maximum: Math.log(largestLogitScale) } : {}),
  };
}

/**
 * Clips the gradients, which carry a factor `scaled`, and updates every parameter; gives their global norm without that
 * factor. Feeds are the learning rate and β₁ᵗ, β₂ᵗ.
 */
export function applyGradients(
  kernels: Kernels,
  access: StepState,
  parameters: readonly Parameter[],
  gradients: ReadonlyMap<string, Tensor>,
  feeds: Readonly<Record<string, Tensor>>,
  settings: OptimiserSettings,
  scaled = 1,
): Tensor {
  const norm = kernels.scale(globalNorm(kernels, [...gradients.values()]), 1 / scaled);
  const clip = settings.clipNorm === null ? null : clipFactor(kernels, norm, settings.clipNorm);
  const factor = scaled === 1 ? clip : clip === null ? kernels.constant(Float32Array.of(1 / scaled), []) : kernels.scale(clip, 1 / scaled);
  const scalars = { learningRate: feeds['learning_rate']!, beta1Power: feeds['beta1_power']!, beta2Power: feeds['beta2_power']! };
  for (const parameter of parameters) {
    const { name } = parameter;
    const gradient = gradients.get(name)!;
    access.adamW(
      { parameter: name, first: firstMoment(name), second: secondMoment(name) },
      factor === null ? gradient : kernels.multiply(gradient, factor),
      scalars,
      constantsOf(parameter, settings),
    );
  }
  return norm;
}

function globalNorm(kernels: Kernels, gradients: readonly Tensor[]): Tensor {
  const squares = gradients.map((gradient) => kernels.totalSquares(gradient));
  return kernels.sqrt(squares.reduce((sum, square) => kernels.add(sum, square)));
}

const clipFactor = (kernels: Kernels, norm: Tensor, bound: number): Tensor =>
  kernels.minimum(kernels.divide(kernels.constant(Float32Array.of(bound), []), kernels.shift(norm, 1e-6)), 1);
