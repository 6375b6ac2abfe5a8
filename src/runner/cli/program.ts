/**
 * The program as commander sees it. Only the command that is called loads its module; of the others no more than name
 * and summary is there, for the help and for "did you mean".
 */
import { Command, CommanderError } from 'commander';
import type { CliContext, CommandEntry } from './context.ts';
import { reportFailure } from './failure.ts';

/** Runs one command line; the exit code goes to `context.exit`. Never throws. */
export async function runProgram(argv: readonly string[], entries: readonly CommandEntry[], context: CliContext): Promise<void> {
  const json = argv.includes('--json') || argv.some((word, i) => word === '--format=json' || (word === '--format' && argv[i + 1] === 'json'));
  try {
    const program = await createProgram(argv, entries, context, json);
    await program.parseAsync(calledCommand(argv) === 'run' ? argv.map(bareForce) : [...argv], { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError) {
      // Help and version end this way, too.
      context.exit(error.exitCode === 0 ? 0 : 2);
      if (error.exitCode !== 0 && json) {
        const message = error.message.replace(/^error: /, '');
        context.stdout.write(`${JSON.stringify({ event: 'error', code: error.code.replace(/^commander\./, 'usage-'), message, exitCode: 2 })}\n`);
      }
      return;
    }
    context.exit(await reportFailure(context.translate(error), context, json));
  }
}

async function createProgram(argv: readonly string[], entries: readonly CommandEntry[], context: CliContext, json: boolean): Promise<Command> {
  const program = new Command('pipe')
    .description('Experiments written down in YAML: only what changed runs, results go to SQLite.')
    .usage('COMMAND [FILE] [TARGET…] [options]')
    .version(context.version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'show help')
    .helpCommand('help [command]', 'show help for a command')
    .commandsGroup('Project:')
    .showSuggestionAfterError()
    .exitOverride()
    .configureOutput({
      writeOut: text => context.stdout.write(text),
      writeErr: text => {
        if (!json) context.stderr.write(text);
      },
      outputError: (text, write) => write(text),
      getOutHelpWidth: () => context.stdout.columns ?? 100,
      getErrHelpWidth: () => context.stderr.columns ?? 100,
    })
    .addHelpText('after', exitCodes);
  const called = calledCommand(argv);
  for (const entry of entries) {
    if (entry.name === called) {
      (await entry.load()).register(program, context);
      const command = program.commands.find(other => other.name() === entry.name);
      if (command === undefined) throw new Error(`the command ${entry.name} did not register itself`);
      command.helpGroup(entry.group);
      inherit(command, program);
    } else {
      program.command(entry.name).description(entry.summary).helpGroup(entry.group).allowUnknownOption().allowExcessArguments();
    }
  }
  if (called === null && argv.length === 0) program.action(() => program.help());
  return program;
}

/** The value of `--force` may only follow `=`: what comes after the bare option is a FILE or TARGET. */
const bareForce = (word: string): string => (word === '--force' ? '--force=' : word);

/** Settings that commander hands down only to commands that it makes itself; and `--json`, which every command takes. */
function inherit(command: Command, program: Command): void {
  command.copyInheritedSettings(program).helpCommand(false);
  if (command.commands.length === 0 && !command.options.some(option => option.long === '--json')) command.option('--json', 'print JSON');
  for (const child of command.commands) inherit(child, program);
}

const exitCodes = `
FILE ends in .yaml or .yml and is looked up here and in pipelines/; anything else is a TARGET:
  train   train[size=d32l2,seed=1]   train[*]   +train (and what it needs)   train+ (and what needs it)
Exit codes: 0 done, 1 a stage failed, 2 usage or an invalid pipeline, 3 the machine lacks something, 130/143 stopped,
141 nobody reads its output any more.`;

/** The first word that is not an option; after `help`, the next one. */
function calledCommand(argv: readonly string[]): string | null {
  const words = argv.filter(word => !word.startsWith('-'));
  return (words[0] === 'help' ? words[1] : words[0]) ?? null;
}
