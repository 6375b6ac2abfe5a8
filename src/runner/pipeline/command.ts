/** `run:` → a command whose templates are filled in but for the paths of inputs and outputs. */
import type { Json } from '../json.ts';
import { compileExpression, noteMistake, placeOf } from './compile.ts';
import type { Scope } from './compile.ts';
import type { CommandPart, Origin, Point } from './model.ts';
import { ShellQuoting, shellQuote } from './shell-text.ts';
import { childPointer } from './source-file.ts';
import { suggestion } from './suggest.ts';
import { formatInText, parseTemplate } from './template.ts';
import type { TemplateExpression } from './template.ts';
import { isList } from './values.ts';

export type Command = readonly CommandPart[] | readonly (readonly CommandPart[])[];

export interface CompiledCommand {
  readonly argv: boolean;
  readonly constant: boolean;
  readonly fill: (point: Point) => Command;
  readonly origins: readonly Origin[];
  /** Axes that it uses. */
  readonly axes: ReadonlySet<string>;
}

/** Null where a mistake keeps them from being known. */
interface Names {
  readonly inputs: readonly string[] | null;
  readonly outputs: readonly string[] | null;
}

type Piece = CommandPart | { readonly value: (point: Point) => Json; readonly expression: TemplateExpression; readonly quote: '"' | "'" | '' };

export function compileCommand(run: string | readonly (string | number | boolean | null)[], pointer: string, names: Names, scope: Scope): CompiledCommand {
  const origins: Origin[] = [{ kind: 'file', file: scope.file, pointer }];
  const axes = new Set<string>();
  if (typeof run === 'string') {
    const pieces = compileText(run, pointer, names, scope, origins, axes, true);
    return finish(false, point => fillShell(pieces, point, pointer, scope), origins, axes);
  }
  if (run.length === 0) noteMistake(scope, pointer, { code: 'wrong-type', message: 'an argv list needs a program', text: '[]', hint: 'for example [python3, "${in.script}"]' });
  const items = run.map((item, index) => compileText(formatInText(item) ?? '', childPointer(pointer, index), names, scope, origins, axes, false));
  return finish(true, point => items.map((pieces, index) => fillArgument(pieces, point, childPointer(pointer, index), scope)), origins, axes);
}

function finish(argv: boolean, fill: (point: Point) => Command, origins: readonly Origin[], axes: ReadonlySet<string>): CompiledCommand {
  if (axes.size > 0) return { argv, constant: false, fill, origins, axes };
  const command = fill({});
  return { argv, constant: true, fill: () => command, origins, axes };
}

function compileText(text: string, pointer: string, names: Names, scope: Scope, origins: Origin[], axes: Set<string>, shell: boolean): Piece[] {
  const { parts, mistakes } = parseTemplate(text);
  for (const mistake of mistakes) noteMistake(scope, pointer, mistake);
  const quoting = new ShellQuoting();
  const pieces: Piece[] = [];
  for (const part of parts) {
    if (typeof part === 'string') {
      quoting.read(part);
      pieces.push(part);
      continue;
    }
    const quote = shell ? quoting.openQuote : '';
    if (part.root !== 'in' && part.root !== 'out') {
      pieces.push({ value: compileExpression(part, pointer, scope, origins, axes), expression: part, quote });
      continue;
    }
    const known = part.root === 'in' ? names.inputs : names.outputs;
    const name = part.path.join('.');
    if (known !== null && !known.includes(name)) {
      noteMistake(scope, pointer, {
        code: part.root === 'in' ? 'unknown-input' : 'unknown-output', message: `the stage has no ${part.root === 'in' ? 'input' : 'output'} \`${name}\``, text: part.text,
        hint: suggestion(name, known, 'there are') ?? `declare it under \`${part.root}:\``,
      });
    }
    // The path is quoted when it is filled in, so quotes around it end before and begin again after it.
    if (quote !== '') pieces.push(quote);
    pieces.push(part.root === 'in' ? { in: name } : { out: name });
    if (quote !== '') pieces.push(quote);
  }
  return pieces;
}

function fillShell(pieces: readonly Piece[], point: Point, pointer: string, scope: Scope): CommandPart[] {
  const parts: CommandPart[] = [];
  for (const piece of pieces) {
    if (typeof piece === 'string' || !('value' in piece)) {
      push(parts, piece);
      continue;
    }
    const value = piece.value(point);
    const words = (isList(value) ? value : [value]).map(item => inCommand(item, piece.expression, pointer, scope));
    push(parts, `${piece.quote}${words.map(shellQuote).join(' ')}${piece.quote}`);
  }
  return parts;
}

function fillArgument(pieces: readonly Piece[], point: Point, pointer: string, scope: Scope): CommandPart[] {
  const parts: CommandPart[] = [];
  for (const piece of pieces) {
    if (typeof piece === 'string' || !('value' in piece)) push(parts, piece);
    else push(parts, inCommand(piece.value(point), piece.expression, pointer, scope));
  }
  return parts;
}

function push(parts: CommandPart[], part: CommandPart): void {
  const last = parts.at(-1);
  if (typeof part === 'string' && typeof last === 'string') parts[parts.length - 1] = last + part;
  else if (part !== '') parts.push(part);
}

function inCommand(value: Json, expression: TemplateExpression, pointer: string, scope: Scope): string {
  const text = formatInText(value);
  if (text === null) {
    if (value !== null) {
      scope.problems.add({
        code: 'template-in-text', message: `${expression.text} is a ${isList(value) ? 'list' : 'map'}, which has no form in a command`, at: placeOf(scope, pointer, expression.text),
        hint: 'give it under `with:` and read the file that $PIPE_PARAMS names',
      });
    }
    return value === null ? 'null' : '';
  }
  return text;
}
