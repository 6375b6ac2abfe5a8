/** The model that params of a training stage ask for, and what is wrong with them before anything has run. */
import type { auxiliaryKinds } from './auxiliary.ts';
import { type Masking, maskingOf } from './masking.ts';
import { checked, type ModelConfig, modelConfig, ModelConfigError, type ModelInput, type SizeOptions } from './model-config.ts';
import { checkReading, type Reading, type TextReading } from './reading.ts';
import { imageNetNormalisation, logitFactor, recipeOf } from './recipe.ts';
import { type TowerVariant, variantConfig } from './tower-variants.ts';

/** What is wrong with a configuration, known before anything has run; null if nothing is. */
function problemOf(build: () => unknown): string | null {
  try {
    build();
    return null;
  } catch (error) {
    if (error instanceof ModelConfigError) return `${error.message}: ${error.hint}`;
    throw error;
  }
}

/** A number of parameters is too small for some vocabularies; which one it is, is not known yet. */
const roomy = (size: string): { input?: { vocabulary: number } } => (size.startsWith('p') ? { input: { vocabulary: 8 } } : {});

export interface ModelParams {
  readonly size: string;
  readonly sharing: TowerVariant;
  readonly masking: string;
  readonly tokens: number | null;
  readonly seed: number;
  readonly patch: number | null;
  readonly headWidth: number | null;
  readonly recipe: string | null;
  readonly auxiliary: (typeof auxiliaryKinds)[number];
  readonly auxiliaryWeight: number;
  readonly input: { readonly resolution: number; readonly context: number; readonly vocabulary: number | 'clip' } | null;
}

/** What the params say of the input, under what the data have where these are known. */
function optionsOf({ input, patch, headWidth }: ModelParams, data: Partial<ModelInput> = {}): Omit<SizeOptions, 'sharing'> {
  const said = Object.fromEntries(Object.entries(input ?? {}).map(([name, value]) => [name, value === 'clip' ? 49408 : value]));
  return { input: { ...said, ...data, ...(patch === null ? {} : { patch }) }, ...(headWidth === null ? {} : { headWidth }) };
}

/** The model of the params, and how it reads. @throws ModelConfigError where it cannot be built. */
export function maskedConfig(params: ModelParams, data: Partial<ModelInput> = {}): { config: ModelConfig; masking: Masking } {
  const said = maskingOf(params.masking, params.tokens, params.seed);
  const recipe = params.recipe === null ? null : recipeOf(params.recipe);
  const { attention, rotary } = said;
  const options = optionsOf(params, data);
  const { resolution } = options.input ?? {};
  const patch = params.patch ?? modelConfig(params.size).image.patch;
  // With the recipe patches need not fill the image.
  const filled = recipe === null || resolution === undefined ? {} : { resolution: Math.floor(resolution / patch) * patch };
  const built = variantConfig(params.size, params.sharing, { ...options, input: { ...options.input, ...filled }, attention, rotary });
  if (params.auxiliary !== 'none' && said.auxiliary !== null) {
    throw new ModelConfigError(`masking: ${params.masking} and auxiliary: ${params.auxiliary} both ask for something beside contrast`, 'keep one of them');
  }
  const kind = params.auxiliary === 'none' ? said.auxiliary : params.auxiliary;
  const asked = kind === null ? {} : { auxiliary: { kind, weight: params.auxiliaryWeight } };
  const config = checked({ ...built, ...(recipe?.factor === true ? { logitFactor } : {}), ...asked });
  const text: TextReading = recipe?.characters === true ? { kind: 'characters', tokens: config.text.context } : said.reading.text;
  const reading: Reading = {
    ...said.reading,
    text,
    ...(recipe?.imagenet === true ? { normalisation: imageNetNormalisation } : {}),
    ...(recipe?.centre === true ? { centre: 7 / 8 } : {}),
    ...(recipe === null ? {} : { fit: recipe.edge ? ('edge' as const) : ('scale' as const) }),
  };
  checkReading(config, reading);
  return { config, masking: { ...said, reading } };
}

/** What is wrong with the name of a size; null if nothing is. */
export const sizeProblem = (name: string): string | null => problemOf(() => modelConfig(name, roomy(name)));

/** The first thing that is wrong with the params, beside their size, and which of them it is; null if nothing is. */
export function modelProblem(params: ModelParams): { readonly param: keyof ModelParams; readonly message: string } | null {
  const { size, sharing, masking, tokens, seed, input, headWidth, recipe } = params;
  if (sizeProblem(size) !== null) return null;
  const wrong = (param: keyof ModelParams, build: () => unknown) => {
    const message = problemOf(build);
    return message === null ? null : { param, message };
  };
  const needsTokens = tokens === null && problemOf(() => maskingOf(masking, 16, seed)) === null;
  const early =
    wrong('sharing', () => variantConfig(size, sharing, roomy(size))) ??
    (headWidth === null ? null : wrong('headWidth', () => variantConfig(size, sharing, { ...roomy(size), headWidth }))) ??
    (recipe === null ? null : wrong('recipe', () => recipeOf(recipe))) ??
    (input === null || recipe !== null ? null : wrong('input', () => variantConfig(size, sharing, optionsOf(params)))) ??
    wrong(needsTokens ? 'tokens' : 'masking', () => maskingOf(masking, tokens, seed));
  if (early !== null || input === null) return early;
  const { resolution, context, vocabulary } = input;
  if (tokens !== null && tokens > context && masking !== 'full') {
    return { param: 'tokens', message: `a budget of ${tokens} tokens is more than the context of ${context}: make tokens smaller` };
  }
  return wrong('masking', () => maskedConfig(params, { resolution, context, vocabulary: vocabulary === 'clip' ? 49408 : vocabulary }));
}
