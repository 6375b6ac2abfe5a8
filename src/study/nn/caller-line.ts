import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Functions and files between a model's line and the graph that is being recorded: not where a mistake is. */
const machinery = new Set([
  'caller-line', 'graph-builder', 'kernels-graph', 'attention-graph', 'attention-mask', 'compiled-step', 'recorded-step',
  'record-program', 'eager-step', 'verify-recording', 'compiled-forward', 'tape', 'backend', 'backend-eager', 'backend-native',
]);
const inMachinery = (file: string): boolean => machinery.has(basename(file).replace(/\.[cm]?[jt]s$/, ''));

/**
 * Where the call being made comes from, `at file:line`, past the engine's own files. In the built program, whose files are
 * bundled, this is the line of the innermost function that is no method of the engine.
 */
export function callerLine(): string {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 40;
  const stack = new Error().stack ?? '';
  Error.stackTraceLimit = limit;
  for (const frame of stack.split('\n').slice(1)) {
    const match = /\(?((?:file:\/\/)?\/?[^()\s]+):(\d+):\d+\)?$/.exec(frame);
    if (match === null || match[1]!.startsWith('node:')) continue;
    const file = match[1]!.startsWith('file:') ? fileURLToPath(match[1]!) : match[1]!;
    if (!inMachinery(file)) return `at ${file}:${match[2]}`;
  }
  return 'at an unknown line';
}
