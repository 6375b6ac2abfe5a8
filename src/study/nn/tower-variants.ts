/** The grid of the ablation "one encoder or two": what is shared, and dual controls of the same cost. */
import { elements } from './kernels.ts';
import type { ModelConfig, Sharing, SizeOptions } from './model-config.ts';
import { checked, modelConfig, ModelConfigError, sharings } from './model-config.ts';
import { parametersOf } from './parameters.ts';

/**
 * A sharing, or a dual control: `dual-narrow` has its width reduced until it has as many parameters as `all`, `dual-shallow`
 * half the layers, since sharing halves the parameters of the blocks but none of their FLOP.
 */
export const towerVariants = [...sharings, 'dual-narrow', 'dual-shallow'] as const;
export type TowerVariant = (typeof towerVariants)[number];

/** The configuration of a size in a variant. @throws ModelConfigError where the variant cannot be built of it. */
export function variantConfig(name: string, variant: TowerVariant, options: Omit<SizeOptions, 'sharing'> = {}): ModelConfig {
  if (variant === 'dual-narrow') return narrowed(modelConfig(name, options), countOf(modelConfig(name, { ...options, sharing: 'all' })));
  if (variant === 'dual-shallow') return shallow(modelConfig(name, options));
  return modelConfig(name, { ...options, sharing: variant satisfies Sharing });
}

const countOf = (config: ModelConfig): number => parametersOf(config).reduce((sum, { shape }) => sum + elements(shape), 0);

/** The widest dual towers with at most `target` parameters: the same layers and heads, every width a whole number a head. */
function narrowed(config: ModelConfig, target: number): ModelConfig {
  const { heads } = config.image;
  for (let width = config.image.width - heads; width >= heads; width -= heads) {
    const tower = { width, layers: config.image.layers, heads };
    const narrow = { ...config, image: { ...config.image, ...tower }, text: { ...config.text, ...tower }, embedding: width };
    if (countOf(narrow) <= target) return checked(narrow);
  }
  throw new ModelConfigError(`no dual ${config.name} is as small as its shared form`, 'choose a wider size');
}

function shallow(config: ModelConfig): ModelConfig {
  if (config.image.layers % 2 !== 0 || config.text.layers % 2 !== 0) {
    throw new ModelConfigError(`half of the ${config.text.layers} layers of ${config.name} is no whole number`, 'choose an even number of layers');
  }
  const half = <T extends { layers: number }>(tower: T): T => ({ ...tower, layers: tower.layers / 2 });
  return checked({ ...config, image: half(config.image), text: half(config.text) });
}
