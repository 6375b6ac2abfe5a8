/** Options that several commands share, and how words are told apart. */
import { InvalidArgumentError } from 'commander';
import type { Command } from 'commander';
import { PipeError } from '../diagnostic.ts';

export interface PipelineOptions {
  readonly file?: string;
  readonly profile?: string;
  readonly set: readonly string[];
  readonly cache?: string;
  readonly json?: boolean;
}

/** `-f`, `--profile`, `--set`, `--cache` and `--json`: for every command that reads a pipeline. */
export function addPipelineOptions(command: Command): Command {
  return addCacheOptions(
    command
      .option('-f, --file <file>', 'the pipeline file')
      .option('--profile <name>', 'use a profile of the pipeline')
      .option('--set <param=value>', 'change a param, such as input.context=24; may be repeated', collect, []),
  );
}

/** `--cache` and `--json`: for commands that only read the database. */
export function addCacheOptions(command: Command): Command {
  return command.option('--cache <folder>', 'the cache to use instead of cache/ (or PIPE_CACHE)').option('--json', 'print JSON');
}

export const collect = (value: string, before: readonly string[]): readonly string[] => [...before, value];

/** A whole number from 1. */
export function positiveInteger(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError('It must be a whole number from 1.');
  return value;
}

/** A parser of an option's value, which says what it must be. */
export const parsedOption = (parse: (text: string) => number | null, example: string) => (text: string): number => {
  const value = parse(text);
  if (value === null) throw new InvalidArgumentError(`It must be ${example}.`);
  return value;
};

export function positiveNumber(text: string): number {
  const value = Number(text);
  if (!Number.isFinite(value) || value <= 0) throw new InvalidArgumentError('It must be a number above 0.');
  return value;
}

export interface FileAndTargets {
  readonly file: string | null;
  readonly targets: readonly string[];
}

/** An argument that ends in `.yaml` or `.yml` is the FILE (as is `-f FILE`), anything else a TARGET. */
export function fileAndTargets(words: readonly string[], option: string | undefined): FileAndTargets {
  const files = [...(option === undefined ? [] : [option]), ...words.filter(isFile)];
  if (files.length > 1) {
    throw new PipeError(`one pipeline at a time: ${files.join(' and ')} were named`, {
      exitCode: 2, code: 'usage', hint: 'a pipeline that includes both is written with `include:`',
    });
  }
  return { file: files[0] ?? null, targets: words.filter(word => !isFile(word)) };
}

const isFile = (word: string): boolean => /\.ya?ml$/.test(word);

/** The one TARGET of commands that take just one. */
export function onlyTarget(targets: readonly string[], command: string): string {
  const [target, ...more] = targets;
  if (target === undefined || more.length > 0) {
    throw new PipeError(`pipe ${command} takes one target${more.length > 0 ? `, and ${targets.length} were named` : ''}`, {
      exitCode: 2, code: 'usage', hint: 'a target is a stage such as train, or a cell such as train[size=d32l2,seed=1]',
    });
  }
  return target;
}

/** What `--set` and friends looked like, to repeat them in a command line that is shown. */
export function repeatOptions(options: PipelineOptions): readonly string[] {
  return [
    ...(options.profile === undefined ? [] : ['--profile', options.profile]),
    ...options.set.flatMap(entry => ['--set', entry]),
    ...(options.cache === undefined ? [] : ['--cache', options.cache]),
  ];
}
