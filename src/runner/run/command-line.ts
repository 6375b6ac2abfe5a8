/** A shell stage's command with the paths of inputs and outputs filled in. */
import type { CellAction, CommandPart } from '../pipeline/model.ts';
import { shellQuote } from '../pipeline/shell-text.ts';
import type { JobInput } from './executor.ts';

type ShellAction = Extract<CellAction, { kind: 'shell' }>;

/** The program and its arguments; shell text is run by `sh -e -c`. */
export function commandLine(action: ShellAction, inputs: Readonly<Record<string, JobInput>>, outputs: Readonly<Record<string, string>>): string[] {
  const paths = (part: Exclude<CommandPart, string>): readonly string[] =>
    'in' in part ? inputPaths(inputs[part.in], part.in) : [known(outputs[part.out], part.out)];
  if (action.argv) return (action.command as readonly (readonly CommandPart[])[]).flatMap(parts => argument(parts, paths));
  const text = (action.command as readonly CommandPart[]).map(part => (typeof part === 'string' ? part : paths(part).map(shellQuote).join(' '))).join('');
  return ['/bin/sh', '-e', '-c', text];
}

/** An argument that is one list of paths and nothing else becomes as many arguments; inside text they are joined by blanks. */
function argument(parts: readonly CommandPart[], paths: (part: Exclude<CommandPart, string>) => readonly string[]): readonly string[] {
  const only = parts.length === 1 ? parts[0]! : null;
  if (only !== null && typeof only !== 'string') return paths(only);
  return [parts.map(part => (typeof part === 'string' ? part : paths(part).join(' '))).join('')];
}

export function inputPaths(input: JobInput | undefined, name: string): readonly string[] {
  if (input === undefined) throw new Error(`the command names the input ${name}, which the job does not have`);
  switch (input.kind) {
    case 'artefact':
    case 'path':
      return [input.path];
    case 'glob':
      return input.paths;
    case 'gather':
      return input.items.flatMap(item => (item.path === null ? [] : [item.path]));
  }
}

function known(path: string | undefined, name: string): string {
  if (path === undefined) throw new Error(`the command names the output ${name}, which the stage does not have`);
  return path;
}
