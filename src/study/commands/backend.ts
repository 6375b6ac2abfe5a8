import { availableParallelism } from 'node:os';
import type { Command } from 'commander';
import { backendIdentity, describeBackends, openBackend } from '../nn/choose-backend.ts';
import { modelConfig } from '../nn/model-config.ts';
import { backendsFolder, findNative, installCommandOf } from '../nn/native-install.ts';
import { findNvidia } from '../nn/nvidia.ts';
import type { Nvidia, NvidiaProblem } from '../nn/nvidia.ts';
import type { CommandContext, StudyCommand } from './command.ts';
import { columns, CommandError } from './command.ts';

/** `pipe backend install`: see installNative. */
export async function backendInstall(context: CommandContext, options: { readonly force: boolean; readonly gpu: boolean }): Promise<void> {
  const { installNative } = await import('./install-native.ts');
  const say = (line: string): void => (context.json ? context.writeError(`${line}\n`) : context.write(`${line}\n`));
  const folder = await installNative({ env: process.env, say, force: options.force, device: options.gpu ? 'gpu' : 'cpu' });
  if (context.json) context.write(`${JSON.stringify({ folder, identity: backendIdentity('tensorflow') })}\n`);
}

/** `pipe backend info`: which backends there are, which one `auto` takes, and where installed ones lie. Loads none of them. */
export function backendInfo(context: CommandContext): void {
  const backends = describeBackends();
  const automatic = backendIdentity('auto');
  const folder = backendsFolder();
  const nvidia = findNvidia(process.env);
  if (context.json) {
    context.write(`${JSON.stringify({ automatic, folder, backends, nvidia })}\n`);
    return;
  }
  const rows = backends.map(({ name, available, identity, detail }) => [
    `${identity === automatic ? '*' : ' '} ${name}  ${available ? identity : '—'}  ${detail}`,
  ]);
  context.write(`${columns(rows)}* is what \`auto\` takes; backends are installed under ${folder}\n${graphicsLine(nvidia)}\n`);
}

/** Which graphics processors native TensorFlow would compute on, or why on none. */
function graphicsLine(nvidia: Nvidia | NvidiaProblem): string {
  if ('problem' in nvidia) return `no graphics processor: ${nvidia.problem}`;
  const built = findNative()?.device === 'gpu';
  const use = built ? 'stages that ask for one compute there' : `not used, for TensorFlow with CUDA is not installed: ${installCommandOf('gpu')}`;
  return `graphics processors: ${nvidia.names.join('; ')}, driver ${nvidia.driver}; ${use}`;
}

export interface BenchOptions {
  readonly backend?: string | undefined;
  readonly size: string;
  readonly batch: number;
  readonly steps: number;
  readonly threads: number;
  readonly gpu?: string | undefined;
}

/** `pipe backend bench`: times training steps of one size on each backend that is there. */
export async function backendBench(context: CommandContext, options: BenchOptions): Promise<void> {
  const { benchBackend } = await import('./bench-backend.ts');
  const config = options.size.startsWith('d')
    ? modelConfig(options.size, { input: { resolution: 32, patch: 8, context: 16, vocabulary: 512 } })
    : modelConfig(options.size);
  const names = options.backend === undefined ? describeBackends().filter(({ available }) => available).map(({ name }) => name) : [options.backend];
  const rows = [['backend', 'size', 'batch', 'threads', 'first ms', 'step ms', 'pairs/s', 'GFLOP/s']];
  for (const name of names) {
    const gpus = options.gpu === undefined ? [] : [options.gpu];
    const backend = await openBackend(name, { threads: options.threads, gpus, note: (text) => context.writeError(`${text}\n`) });
    const result = benchBackend(backend, config, options.batch, name === 'cpu' ? Math.min(3, options.steps) : options.steps);
    if (context.json) context.write(`${JSON.stringify(result)}\n`);
    const { backend: label, size, batch, threads, first_ms, step_ms, pairs_per_second, gflop_per_second } = result;
    rows.push([
      label,
      size,
      String(batch),
      String(threads),
      first_ms.toFixed(0),
      step_ms.toFixed(1),
      pairs_per_second.toFixed(0),
      gflop_per_second.toFixed(2),
    ]);
  }
  if (!context.json) context.write(columns(rows));
}

/** `pipe backend remove`: deletes what install made. */
export async function backendRemove(context: CommandContext): Promise<void> {
  const { removeNative } = await import('./install-native.ts');
  const folders = await removeNative(process.env);
  if (context.json) context.write(`${JSON.stringify({ removed: folders })}\n`);
  else context.write(folders.length === 0 ? 'there is nothing to remove\n' : folders.map((folder) => `removed ${folder}\n`).join(''));
}

/** A whole number of at least 1 given as an option. @throws CommandError otherwise. */
function count(option: string): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!Number.isSafeInteger(value) || value < 1) throw new CommandError(`${option} ${text} is not a whole number from 1`, 2, `${option} 16`);
    return value;
  };
}

export const backendCommand: StudyCommand = {
  name: 'backend',
  register(program: Command, context: CommandContext) {
    const command = program.command('backend').description('tensor backends: install, look at, time or remove them');
    command
      .command('install')
      .description('install native TensorFlow from the npm and Python registries')
      .option('--gpu', "with CUDA's libraries, for NVIDIA's graphics processors (not yet tried on one)", false)
      .option('--force', 'make it anew even if it is there', false)
      .action((options: { force: boolean; gpu: boolean }) => backendInstall(context, options));
    command
      .command('info')
      .description('show the backends and which one is taken')
      .action(() => backendInfo(context));
    command
      .command('bench')
      .description('time training steps on each backend')
      .option('--backend <name>', 'only this one')
      .option('--size <size>', 'model size', 'd32l2')
      .option('--batch <pairs>', 'pairs a step', count('--batch'), 64)
      .option('--steps <count>', 'steps to time', count('--steps'), 20)
      .option('--threads <count>', 'threads, where a backend can use several', count('--threads'), availableParallelism())
      .option('--gpu <id>', 'let native TensorFlow compute on this graphics processor')
      .action((options: BenchOptions) => backendBench(context, options));
    command
      .command('remove')
      .description('remove the native TensorFlow that install made')
      .action(() => backendRemove(context));
  },
};
