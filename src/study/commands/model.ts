import type { Command } from 'commander';
import { type Adapter, adapterNames, adapterOf } from '../nn/adapter-config.ts';
import { instead } from '../nn/config-error.ts';
import { type DecoderKind, decoderKinds, decoderOf } from '../nn/decoder-config.ts';
import { elements } from '../nn/kernels.ts';
import { checked, type ModelConfig, type ModelInput } from '../nn/model-config.ts';
import { maskingNames, maskingOf } from '../nn/masking.ts';
import { attentionPairs, flopsPerMacOf, imageMacs, macsPerPair, modelSize, textMacs, tokensPerPair } from '../nn/model-size.ts';
import { checkReading, type Reading, textShape } from '../nn/reading.ts';
import { parametersOf } from '../nn/parameters.ts';
import { type TowerVariant, towerVariants, variantConfig } from '../nn/tower-variants.ts';
import type { CommandContext, StudyCommand } from './command.ts';
import { columns, CommandError } from './command.ts';

interface ModelOptions extends Partial<ModelInput> {
  readonly sharing?: TowerVariant;
  readonly masking?: string;
  readonly tokens?: number;
  readonly adapter?: Adapter;
  readonly decoder?: DecoderKind;
}

interface Count {
  parameters: number;
  trainable: number;
}

/** Parameters of each part of a model, and of them those that training changes. */
function countParts(config: ModelConfig): ReadonlyMap<string, Count> {
  const parts = new Map<string, Count>();
  for (const { part, shape, frozen = false, kept = false } of parametersOf(config)) {
    if (kept) continue;
    const count = parts.get(part) ?? { parameters: 0, trainable: 0 };
    count.parameters += elements(shape);
    if (!frozen) count.trainable += elements(shape);
    parts.set(part, count);
  }
  return parts;
}

interface Row {
  readonly name: string;
  readonly width: number;
  readonly layers: number;
  readonly heads: number;
  readonly tokens: number;
  /** Pairs of tokens that attention works on in one layer. */
  readonly pairs: number;
  readonly macs: number;
}

/** What a pair goes through: the towers that the model has, and its decoder. */
function rowsOf(config: ModelConfig, reading: Reading): Row[] {
  const { image, text, embedding, decoder } = config;
  const tokens = tokensPerPair(config, reading);
  const { tokens: length, sequences } = textShape(config, reading.text);
  const towers = {
    // GIT's decoder takes the tower's tokens, not its embedding.
    image: { tokens: tokens.image, pairs: tokens.image ** 2, macs: imageMacs(config, reading) - (decoder?.kind === 'git' ? image.width * embedding : 0) },
    text: { tokens: tokens.text, pairs: sequences * attentionPairs(config, length), macs: textMacs(config, reading) },
  };
  const used = (['image', 'text'] as const).filter((tower) => decoder === undefined || decoder.kind === 'coca' || (decoder.kind === 'git' && tower === 'image'));
  const rows: Row[] = used.map((name) => ({ name, width: config[name].width, layers: config[name].layers, heads: config[name].heads, ...towers[name] }));
  if (decoder === undefined) return rows;
  const before = { coca: 0, git: tokens.image, 'prefix-lm': tokens.image - 1 }[decoder.kind];
  const seen = before + tokens.text;
  const macs = macsPerPair(config, reading) - rows.reduce((sum, row) => sum + row.macs, 0);
  const pairs = decoder.kind === 'coca' ? tokens.text * (tokens.text + tokens.image) : seen ** 2;
  return [...rows, { name: 'decoder', width: text.width, layers: text.layers, heads: text.heads, tokens: seen, pairs, macs }];
}

/** `pipe model NAME`: parameters by part and which of them are trained, tokens, and what a pair costs. */
export function describeModel(context: CommandContext, name: string, options: ModelOptions): void {
  const { sharing = 'dual', masking = 'full', tokens: budget = null, adapter, decoder, resolution, patch, context: length, vocabulary } = options;
  const { reading, attention, rotary, auxiliary } = maskingOf(masking, budget);
  const said = Object.entries({ resolution, patch, context: length, vocabulary }).filter(([, value]) => value !== undefined);
  const config = checked({
    ...variantConfig(name, sharing, { input: Object.fromEntries(said), attention, rotary }),
    ...(adapter === undefined ? {} : { adapter }),
    ...(auxiliary === null ? {} : { auxiliary: { kind: auxiliary, weight: 0.5 } }),
    ...(decoder === undefined ? {} : { decoder: decoderOf(decoder) }),
  });
  checkReading(config, reading);
  const size = { ...modelSize(config), macsPerPair: macsPerPair(config, reading) };
  const flopsPerPair = flopsPerMacOf(config) * size.macsPerPair;
  const parts = [...countParts(config)];
  const rows = rowsOf(config, reading);
  if (context.json) {
    const of = (what: keyof Count): Record<string, number> => Object.fromEntries(parts.map(([part, count]) => [part, count[what]]));
    const byRow = (what: 'tokens' | 'pairs' | 'macs'): Record<string, number> => Object.fromEntries(rows.map((row) => [row.name, row[what]]));
    const counts = { parts: of('parameters'), trainableParts: of('trainable'), tokens: byRow('tokens'), attentionPairs: byRow('pairs'), macs: byRow('macs') };
    const json = { config, ...size, flopsPerPair, ...counts };
    context.write(`${JSON.stringify(json)}\n`);
    return;
  }
  const number = (value: number): string => value.toLocaleString('en');
  const towers = rows.map(({ name: tower, width, layers, heads, tokens, pairs, macs }) => [tower, ...[width, layers, heads, tokens, pairs, macs].map(number)]);
  context.write(columns([['tower', 'width', 'layers', 'heads', 'tokens', 'attention pairs', 'MACs a pair'], ...towers]));
  context.write('\n');
  const embedded = size.parameters - size.nonEmbedding;
  context.write(
    columns([
      ['part', 'parameters', 'trainable'],
      ...parts.map(([part, count]) => [part, number(count.parameters), number(count.trainable)]),
      ['all', number(size.parameters), number(size.trainable)],
      ['without token embedding', number(size.nonEmbedding), number(size.trainable - (adapter === undefined ? embedded : 0))],
    ]),
  );
  const share = `${(100 * (size.trainable / size.parameters)).toPrecision(3)} % of the parameters are trained`;
  context.write(
    `\n${config.image.resolution} pixels in patches of ${config.image.patch}, context ${config.text.context}, vocabulary ${number(config.text.vocabulary)}; ` +
      `${number(size.macsPerPair)} MACs a pair, ${number(flopsPerPair)} FLOP to train on one${adapter === undefined ? '' : `; ${share}`}\n`,
  );
}

function whole(option: string): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!Number.isSafeInteger(value) || value < 1) throw new CommandError(`${option} ${text} is not a whole number from 1`, 2, `${option} 64`);
    return value;
  };
}

/** One of the names that there are. */
function known<Name extends string>(option: string, names: readonly Name[]): (text: string) => Name {
  return (text) => {
    const name = names.find((one) => one === text);
    if (name === undefined) throw new CommandError(`${option} ${text} is not known`, 2, instead(text, names));
    return name;
  };
}

export const modelCommand: StudyCommand = {
  name: 'model',
  register(program: Command, context: CommandContext) {
    program
      .command('model')
      .description('show a model: parameters by part, trainable ones, tokens, compute of a pair')
      .argument('<name>', 'a size such as d32l2, or a preset: n0 to n8, Ti/16, S/16, M/16, B/32, RN50')
      .option('--resolution <pixels>', 'of images', whole('--resolution'))
      .option('--patch <pixels>', 'of a patch', whole('--patch'))
      .option('--context <tokens>', 'of captions', whole('--context'))
      .option('--vocabulary <ids>', 'of captions', whole('--vocabulary'))
      .option('--sharing <variant>', `what the towers share: ${towerVariants.join(', ')}`, known('--sharing', towerVariants))
      .option('--masking <ways>', `what is read and what attention allows: ${maskingNames.join(', ')}; joined by +`)
      .option('--tokens <tokens>', 'budget of ways of reading captions that have one', whole('--tokens'))
      .option('--adapter <name>', `what is trained on a frozen base: ${adapterNames.join(', ')}`, (text) => adapterOf(text))
      .option('--decoder <kind>', `what writes captions, at the towers' sizes: ${decoderKinds.join(', ')}`, known('--decoder', decoderKinds))
      .action((name: string, options: ModelOptions) => describeModel(context, name, options));
  },
};
