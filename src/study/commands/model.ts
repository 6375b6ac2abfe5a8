import type { Command } from 'commander';
import { elements } from '../nn/kernels.ts';
import type { ModelInput } from '../nn/model-config.ts';
import { maskingNames, maskingOf } from '../nn/masking.ts';
import { flopsPerMac, imageMacs, macsPerPair, modelSize, textMacs, tokensPerPair } from '../nn/model-size.ts';
import { checkReading } from '../nn/reading.ts';
import { parametersOf } from '../nn/parameters.ts';
import { type TowerVariant, towerVariants, variantConfig } from '../nn/tower-variants.ts';
import type { CommandContext, StudyCommand } from './command.ts';
import { columns, CommandError } from './command.ts';

type ModelOptions = Partial<ModelInput> & { readonly sharing?: TowerVariant; readonly masking?: string; readonly tokens?: number };

/** `pipe model NAME`: parameters by part, tokens, and multiply-accumulates of a pair. */
export function describeModel(context: CommandContext, name: string, { sharing = 'dual', masking = 'full', tokens: budget, ...input }: ModelOptions): void {
  const { reading, attention, rotary } = maskingOf(masking, budget ?? null);
  const config = variantConfig(name, sharing, { input, attention, rotary });
  checkReading(config, reading);
  const size = { ...modelSize(config), macsPerPair: macsPerPair(config, reading) };
  const parts = new Map<string, number>();
  for (const { part, shape } of parametersOf(config)) parts.set(part, (parts.get(part) ?? 0) + elements(shape));
  const tokens = tokensPerPair(config, reading);
  const macs = { image: imageMacs(config, reading), text: textMacs(config, reading) };
  if (context.json) {
    context.write(`${JSON.stringify({ config, ...size, parts: Object.fromEntries(parts), tokens, macs })}\n`);
    return;
  }
  const number = (value: number): string => value.toLocaleString('en');
  const towers = (['image', 'text'] as const).map((tower) => {
    const { width, layers, heads } = config[tower];
    return [tower, number(width), number(layers), number(heads), number(tokens[tower]), number(macs[tower])];
  });
  context.write(columns([['tower', 'width', 'layers', 'heads', 'tokens', 'MACs a pair'], ...towers]));
  context.write('\n');
  context.write(
    columns([
      ['part', 'parameters'],
      ...[...parts].map(([part, value]) => [part, number(value)]),
      ['all', number(size.parameters)],
      ['without token embedding', number(size.nonEmbedding)],
    ]),
  );
  const { resolution, patch } = config.image;
  const { context: length, vocabulary } = config.text;
  context.write(
    `\n${resolution} pixels in patches of ${patch}, context ${length}, vocabulary ${number(vocabulary)}; ` +
      `${number(size.macsPerPair)} MACs a pair, ${number(flopsPerMac * size.macsPerPair)} FLOP to train on one\n`,
  );
}

function whole(option: string): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!Number.isSafeInteger(value) || value < 1) throw new CommandError(`${option} ${text} is not a whole number from 1`, 2, `${option} 64`);
    return value;
  };
}

function variant(text: string): TowerVariant {
  const known = towerVariants.find((name) => name === text);
  if (known === undefined) throw new CommandError(`--sharing ${text} is not known`, 2, `one of ${towerVariants.join(', ')}`);
  return known;
}

export const modelCommand: StudyCommand = {
  name: 'model',
  register(program: Command, context: CommandContext) {
    program
      .command('model')
      .description('show the parameters and compute of a model size')
      .argument('<name>', 'a size such as d32l2, or a preset: n0 to n8, Ti/16, S/16, M/16, B/32')
      .option('--resolution <pixels>', 'of images', whole('--resolution'))
      .option('--patch <pixels>', 'of a patch', whole('--patch'))
      .option('--context <tokens>', 'of captions', whole('--context'))
      .option('--vocabulary <ids>', 'of captions', whole('--vocabulary'))
      .option('--sharing <variant>', `what the towers share: ${towerVariants.join(', ')}`, variant)
      .option('--masking <ways>', `what is read and what attention allows: ${maskingNames.join(', ')}; joined by +`)
      .option('--tokens <tokens>', 'budget of ways of reading captions that have one', whole('--tokens'))
      .action((name: string, options: ModelOptions) => describeModel(context, name, options));
  },
};
