#!/usr/bin/env node
/** The program `pipe`: the one place that names both halves, the runner's commands and the study's. */
import { readFileSync } from 'node:fs';
import * as nodeModule from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { tolerateClosedOutput } from './runner/cli/closed-output.ts';
import type { CliContext, CommandEntry, CommandModule } from './runner/cli/context.ts';
import { runnerCommands } from './runner/cli/entries.ts';
import { runProgram } from './runner/cli/program.ts';
import { PipeError } from './runner/diagnostic.ts';
import { findProjectRoot } from './runner/pipeline/project.ts';
import type { CommandContext, StudyCommand } from './study/commands/command.ts';

// Compiled code is kept between starts where Node can do that (from 22.1).
const { enableCompileCache } = nodeModule as { enableCompileCache?: () => unknown };
enableCompileCache?.();

tolerateClosedOutput();

const packageRoot = dirname(dirname(fileURLToPath(import.meta.url)));
const argv = process.argv.slice(2);

const studyContext: CommandContext = {
  get projectRoot() {
    return findProjectRoot(join(process.cwd(), 'pipe.yaml'));
  },
  write: text => process.stdout.write(text),
  writeError: text => process.stderr.write(text),
  isTerminal: process.stdout.isTTY === true,
  json: argv.includes('--json'),
};

const forStudy = (command: StudyCommand): CommandModule => ({
  name: command.name,
  register: program => command.register(program, studyContext),
});

const group = 'Study:';
const studyCommands: readonly CommandEntry[] = [
  {
    name: 'backend', summary: 'tensor backends: which there are, install the native one, time them', group,
    load: async () => forStudy((await import('./study/commands/backend.ts')).backendCommand),
  },
  {
    name: 'model', summary: 'parameters and costs of a model size', group,
    load: async () => forStudy((await import('./study/commands/model.ts')).modelCommand),
  },
  {
    name: 'weights', summary: "read and write weights as OpenAI's and Hugging Face's CLIP keep them", group,
    load: async () => forStudy((await import('./study/commands/weights.ts')).weightsCommand),
  },
];

const commands = [...runnerCommands, ...studyCommands];
const context: CliContext = {
  cwd: process.cwd(),
  env: process.env,
  packageRoot,
  version: (JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as { version: string }).version,
  stdout: process.stdout,
  stderr: process.stderr,
  commands,
  backends: {
    names: ['auto', 'tensorflow', 'wasm', 'cpu'],
    identity: async choice => (await import('./study/nn/choose-backend.ts')).backendIdentity(choice),
    portable: async (choice, gpus) => (await import('./study/nn/choose-backend.ts')).portableBackend(choice, gpus),
  },
  // The study's expected errors have an exit code and a hint, like the runner's.
  translate(error) {
    if (!(error instanceof Error) || error instanceof PipeError || !('exitCode' in error) || !('hint' in error)) return error;
    const { exitCode, hint } = error;
    if ((exitCode !== 1 && exitCode !== 2 && exitCode !== 3) || typeof hint !== 'string') return error;
    return new PipeError(error.message, { exitCode, code: error.name, hint, cause: error });
  },
  exit: code => {
    process.exitCode = code;
  },
};
await runProgram(argv, commands, context);
