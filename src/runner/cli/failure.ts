/** Errors as people, or programs, read them. */
import { InvalidPipeline, PipeError } from '../diagnostic.ts';
import { makeStyle } from '../ui/style.ts';
import { terminalFacts } from '../ui/terminal.ts';
import type { CliContext } from './context.ts';
import { systemTrouble } from './system-trouble.ts';

/** Prints the error and gives the exit code. With `json` it is one object `{"event":"error", …}` on stdout. */
export async function reportFailure(thrown: unknown, context: CliContext, json: boolean): Promise<number> {
  const error = systemTrouble(thrown) ?? thrown;
  if (json) {
    context.stdout.write(`${JSON.stringify(await failureEvent(error))}\n`);
    return error instanceof PipeError ? error.exitCode : 1;
  }
  const { color } = terminalFacts(context.stderr, context.env);
  const style = makeStyle(color);
  if (error instanceof InvalidPipeline) {
    const { renderDiagnostic } = await import('../pipeline/render-diagnostic.ts');
    for (const diagnostic of error.diagnostics) context.stderr.write(`${renderDiagnostic(diagnostic, { color, cwd: context.cwd })}\n\n`);
    const count = error.diagnostics.length;
    context.stderr.write(`${style.bad(`${count} mistake${count === 1 ? '' : 's'}`)}: nothing was run\n`);
    return error.exitCode;
  }
  if (error instanceof PipeError) {
    context.stderr.write(`${style.bad('error')}: ${error.message}\n`);
    if (error.hint !== null) context.stderr.write(`${style.accent('hint')}: ${error.hint}\n`);
    return error.exitCode;
  }
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  context.stderr.write(`${stack}\n${style.bad('this is a bug in pipe')}: please report it with the lines above\n`);
  return 1;
}

async function failureEvent(error: unknown): Promise<Readonly<Record<string, unknown>>> {
  if (error instanceof InvalidPipeline) {
    return { event: 'error', code: error.code, message: error.message, hint: error.hint, exitCode: error.exitCode, diagnostics: error.diagnostics };
  }
  if (error instanceof PipeError) {
    return { event: 'error', code: error.code, message: error.message, hint: error.hint, exitCode: error.exitCode };
  }
  const shown = error instanceof Error ? error : new Error(String(error));
  return { event: 'error', code: 'bug', message: shown.message, stack: shown.stack, exitCode: 1 };
}
