/** `pipe run`: load, plan, run, report. */
import { InvalidArgumentError, Option } from 'commander';
import type { Command } from 'commander';
import { PipeError } from '../diagnostic.ts';
import { parseDuration, durationExample } from '../pipeline/units.ts';
import type { CliContext, CommandModule } from './context.ts';
import { addPipelineOptions, collect, positiveInteger, positiveNumber } from './options.ts';
import type { PipelineOptions } from './options.ts';
import { openSession, backendChoice } from './session.ts';
import type { Session } from './session.ts';
import type { SharedResults } from '../shared-cache/shared-results.ts';
import { printPlan } from './status.ts';

export interface RunOptions extends PipelineOptions {
  readonly jobs?: number;
  readonly dry?: boolean;
  readonly force: readonly string[];
  readonly keepGoing?: boolean;
  readonly on?: string;
  readonly confirm?: boolean;
  readonly watch?: boolean;
  readonly push?: boolean;
  readonly maxGpuHours?: number;
  readonly maxTime?: number;
  readonly backend?: string;
  readonly plain?: boolean;
}

export const runCommand: CommandModule = {
  name: 'run',
  register(program, context) {
    addRunOptions(addPipelineOptions(program.command('run').description('make everything (or the targets) fresh').argument('[file-or-target...]')), context)
      .action((words: string[], options: RunOptions) => run(words, options, context));
  },
};

function addRunOptions(command: Command, context: CliContext): Command {
  return command
    .option('-j, --jobs <n>', 'how many cells at once; as many as there are cores unless said', positiveInteger)
    .option('--dry', 'show the plan and run nothing')
    .addOption(new Option('--force [target]', 'run again though fresh: all, or --force=TARGET').argParser(collect).default([], 'none'))
    .option('--keep-going', 'after a failure go on with what does not depend on it')
    .option('--on <host>', 'run all cells there: `local`, or a host or cluster of pipe.hosts.yaml')
    .option('--watch', 'stay, and run what a change of a file makes stale')
    .option('--push', 'push what is made to the shared cache')
    .option('--confirm', 'show the plan and ask before anything runs')
    .option('--max-gpu-hours <hours>', 'start nothing more once so many GPU hours are used', positiveNumber)
    .option('--max-time <time>', 'start nothing more after so long, such as 6h or 30m', durationOption)
    .addOption(new Option('--backend <name>', `tensors: ${context.backends.names.join(', ')} (or PIPE_BACKEND)`))
    .option('--plain', 'plain lines, though this is a terminal');
}

function durationOption(text: string): number {
  const ms = parseDuration(text);
  if (ms === null || ms <= 0) throw new InvalidArgumentError(`It must be ${durationExample}.`);
  return ms;
}

async function run(words: readonly string[], options: RunOptions, context: CliContext): Promise<void> {
  const backend = backendChoice(options.backend, context);
  // `--force` alone is an empty text: see `bareForce` in program.ts.
  const force = options.force.length === 0 ? 'none' : options.force.includes('') ? 'all' : options.force;
  if (options.watch) {
    if (options.dry || options.confirm) {
      throw new PipeError(`--watch does not go with ${options.dry ? '--dry' : '--confirm'}`, { exitCode: 2, code: 'usage', hint: 'leave one of them out' });
    }
    const { watchAndRun } = await import('./watch.ts');
    context.exit(await watchAndRun(words, { ...options, backend }, force, context));
    return;
  }
  const session = await openSession(words, options, context, { mode: options.dry ? 'read' : 'write', force, backend, lookUp: true, push: options.push === true, ...(options.on === undefined ? {} : { on: options.on }) });
  try {
    if (options.push) requireSharedCache(session);
    if (options.dry) {
      await refuseImpossible(session.plan, context);
      session.shared?.listen(text => void context.stderr.write(`warning: ${text}\n`));
      printPlan(session.plan, { json: options.json === true, dry: true }, context);
      return;
    }
    if (options.confirm) await refuseImpossible(session.plan, context);
    if (options.confirm && !(await confirmed(session.plan, context))) {
      context.stderr.write('nothing was run\n');
      return;
    }
    const { runOnce } = await import('./run-once.ts');
    context.exit(await runOnce(session, { ...options, backend }, context));
  } finally {
    session.store.close();
  }
}

/** Before anybody reads a plan that cannot be run here. */
async function refuseImpossible(plan: Session['plan'], { env }: CliContext): Promise<void> {
  const { suitableMachine } = await import('../run/run-plan.ts');
  await suitableMachine(plan, env);
}

export function requireSharedCache({ shared }: Pick<Session, 'shared'>): SharedResults {
  if (shared !== null) return shared;
  throw new PipeError('there is no shared cache', { exitCode: 2, code: 'no-shared-cache', hint: 'describe one in pipe.cache.yaml, or name it in PIPE_REMOTE_CACHE' });
}

/** Nothing to run needs no question. Without a terminal there is nobody to ask, and that must not mean yes. */
async function confirmed(plan: Parameters<typeof printPlan>[0], context: CliContext): Promise<boolean> {
  if (plan.counts.run + plan.counts.pending === 0) return true;
  if (!process.stdin.isTTY || !context.stderr.isTTY) {
    throw new PipeError('--confirm asks a question, and there is no terminal to ask it in', {
      exitCode: 2, code: 'usage', hint: 'leave it out, or look at the plan with --dry',
    });
  }
  printPlan(plan, { json: false, dry: false }, { ...context, stdout: context.stderr });
  const { createInterface } = await import('node:readline/promises');
  const questions = createInterface({ input: process.stdin, output: context.stderr });
  try {
    return /^y(es)?$/i.test((await questions.question('run this? [y/N] ')).trim());
  } finally {
    questions.close();
  }
}
