import { existsSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import type { Command } from 'commander';
import { Option } from 'commander';
import { elements } from '../nn/kernels.ts';
import { layoutNames } from '../nn/layouts/layout.ts';
import type { LayoutName } from '../nn/layouts/layout.ts';
import type { CommandContext, StudyCommand } from './command.ts';
import { columns, CommandError } from './command.ts';

/** Refuses to write over what is there. */
function free(path: string): void {
  if (existsSync(path)) throw new CommandError(`${path} is there already`, 2, 'name another path, or remove it first');
}

/** `pipe weights import FROM TO`: weights of another library as a model folder of ours. */
export async function importWeights(context: CommandContext, from: string, to: string): Promise<void> {
  free(to);
  const { importForeign } = await import('../nn/layouts/foreign-weights.ts');
  const { saveModel, untrained } = await import('../nn/model-folder.ts');
  const { layout, config, weights } = await importForeign(from);
  await saveModel(to, { config, weights, training: untrained(resolve(from)) });
  const parameters = [...weights.values()].reduce((sum, { length }) => sum + length, 0);
  if (context.json) context.write(`${JSON.stringify({ layout, config, parameters, folder: to })}\n`);
  else context.write(`${to}: ${parameters.toLocaleString('en')} parameters out of the layout ${layout}, ${config.image.resolution} pixels, context ${config.text.context}\n`);
}

/** `pipe weights export MODEL TO`: a model folder of ours as another library reads it. */
export async function exportWeights(context: CommandContext, model: string, to: string, layout: LayoutName): Promise<void> {
  free(to);
  if (!existsSync(join(model, 'model.json'))) throw new CommandError(`${model} is no model folder: it has no model.json`, 2, 'pipe get STAGE.model FOLDER writes one out of the cache');
  const { exportForeign } = await import('../nn/layouts/foreign-weights.ts');
  const { loadModel } = await import('../nn/model-folder.ts');
  const { config, weights } = await loadModel(model);
  await exportForeign(to, layout, config, weights);
  if (context.json) context.write(`${JSON.stringify({ layout, path: to })}\n`);
  else context.write(`${to}: ${basename(resolve(model))} in the layout ${layout}\n`);
}

/** `pipe weights info FROM`: what a file holds. */
export async function describeWeights(context: CommandContext, from: string): Promise<void> {
  const { readForeign } = await import('../nn/layouts/foreign-weights.ts');
  const { layoutOf } = await import('../nn/layouts/infer-config.ts');
  const { tensors } = await readForeign(existsSync(join(from, 'weights.safetensors')) ? join(from, 'weights.safetensors') : from);
  const layout = tensors.has('text.embedding') ? 'pipe' : layoutOf(tensors);
  const rows = [...tensors].map(([name, { shape }]) => ({ name, shape }));
  const total = rows.reduce((sum, { shape }) => sum + elements(shape), 0);
  if (context.json) {
    context.write(`${JSON.stringify({ layout, values: total, tensors: rows })}\n`);
    return;
  }
  context.write(columns([['tensor', 'shape'], ...rows.map(({ name, shape }) => [name, `[${shape.join(', ')}]`])]));
  context.write(`\n${rows.length} tensors, ${total.toLocaleString('en')} values, layout: ${layout ?? 'unknown'}\n`);
}

export const weightsCommand: StudyCommand = {
  name: 'weights',
  register(program: Command, context: CommandContext) {
    const command = program.command('weights').description("read and write models as OpenAI's CLIP and Hugging Face's CLIPModel keep them");
    command
      .command('import')
      .description('make a model folder of safetensors in the layout of OpenAI or Hugging Face, which is told by the names')
      .argument('<from>', 'a safetensors file, or a folder with model.safetensors and config.json')
      .argument('<to>', 'the folder to make')
      .action((from: string, to: string) => importWeights(context, from, to));
    command
      .command('export')
      .description('write a trained model for other libraries')
      .argument('<model>', 'a model folder, as the stage train makes and `pipe get` fetches')
      .argument('<to>', 'a file (openai) or a folder (huggingface) to make')
      .addOption(new Option('--layout <layout>', 'names and shapes of').choices(layoutNames).default('huggingface'))
      .action((model: string, to: string, options: { layout: LayoutName }) => exportWeights(context, model, to, options.layout));
    command
      .command('info')
      .description('show the tensors of a file or folder')
      .argument('<from>', 'a safetensors file, or a folder that holds one')
      .action((from: string) => describeWeights(context, from));
  },
};
