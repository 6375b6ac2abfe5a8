/** Small parts that are trained on top of a frozen base: which, how large, and one for all or one for each modality. */
import { instead, ModelConfigError } from './config-error.ts';

export type AdapterKind =
  /** Projections alone are trained: a linear probe of both towers. */
  | { readonly kind: 'projections' }
  /** h + W_up σ(W_down h) after the MLP (Pfeiffer et al., 2021), or after attention too, with the norms (Houlsby et al., 2019). */
  | { readonly kind: 'pfeiffer' | 'houlsby'; readonly size: number }
  /** W + (α / r) B A on queries and values, B from zero (Hu et al., 2022); α = 2 r. */
  | { readonly kind: 'lora'; readonly rank: number }
  /** ratio · A(f) + (1 − ratio) · f on the image's embedding, A two matrices with ReLU (Gao et al., 2021). */
  | { readonly kind: 'clip-adapter'; readonly reduction: number; readonly ratio: number };

/** With several adapters: which counts. `hard`: the modality's own; `soft`: a gate's mixture by token; `fusion`: attention over their outputs (AdapterFusion). */
export type Routing = 'hard' | 'soft' | 'fusion';

export type Adapter = AdapterKind & {
  /** One adapter a modality, and what is none of them goes to the last; left out: one for all. */
  readonly experts?: readonly string[];
  readonly routing?: Routing;
};

/** What may be written, for help and errors. */
export const adapterNames: readonly string[] = ['projections', 'pfeiffer-16', 'houlsby-16', 'lora-8', 'clip-adapter', 'pfeiffer-16+hard', 'houlsby-16+soft', 'pfeiffer-16+fusion'];

/** The modalities that have an adapter of their own, as the data name them. */
export const modalityExperts: readonly string[] = ['ct', 'mri', 'x-ray', 'ultrasound', 'other'];

/** The place of a modality's adapter; what has none of its own takes the last. */
export const expertOf = (experts: readonly string[], modality: string): number => {
  const found = experts.indexOf(modality);
  return found < 0 ? experts.length - 1 : found;
};

/** An adapter by name: `pfeiffer-16`, `lora-8`, `houlsby-16+hard`. @throws ModelConfigError for a name that is not known */
export function adapterOf(text: string, experts: readonly string[] = modalityExperts): Adapter {
  const [name = '', routing, ...rest] = text.split('+');
  const match = /^(pfeiffer|houlsby|lora)-(\d+)$/.exec(name);
  const unknown = (): ModelConfigError => new ModelConfigError(`adapter: "${text}" is not known`, instead(text, adapterNames));
  const size = Number(match?.[2]);
  if (match !== null && size < 1) throw new ModelConfigError(`adapter: ${text} has no room`, 'write a size from 1');
  if (rest.length > 0 || (match === null && name !== 'projections' && name !== 'clip-adapter')) throw unknown();
  const kind: AdapterKind =
    name === 'projections' ? { kind: name }
    : name === 'clip-adapter' ? { kind: name, reduction: 4, ratio: 0.2 }
    : match![1] === 'lora' ? { kind: 'lora', rank: size }
    : { kind: match![1] as 'pfeiffer' | 'houlsby', size };
  if (routing === undefined) return kind;
  if (routing !== 'hard' && routing !== 'soft' && routing !== 'fusion') throw unknown();
  if (kind.kind !== 'pfeiffer' && kind.kind !== 'houlsby') {
    throw new ModelConfigError(`adapter: ${kind.kind} cannot be one of several`, `write for example pfeiffer-16+${routing}`);
  }
  return { ...kind, experts, routing };
}
