/** Why a stage's process ended, in one word and one sentence. */
import { constants } from 'node:os';
import type { FailureCause } from '../store/model.ts';

export interface ProcessEnd {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  /** What pipe itself did to it. */
  readonly stopped: 'cancelled' | 'killed' | 'timeout' | null;
  readonly timeoutMs: number | null;
  /** Whether the kernel ended some process for want of memory meanwhile. */
  readonly outOfMemoryKill: boolean;
  /** The last lines of its log. */
  readonly tail: readonly string[];
}

export interface NamedEnd {
  readonly ok: boolean;
  readonly cause: FailureCause | null;
  readonly message: string | null;
  readonly signal: string | null;
}

/** Exit code of a typed stage that was asked to stop and did. */
export const stoppedExitCode = 75;

const memoryMessages = [
  /JavaScript heap out of memory/, /^MemoryError\b/, /std::bad_alloc/, /CUDA out of memory/i, /CUDA_ERROR_OUT_OF_MEMORY/,
  /ResourceExhausted.*OOM/, /\bOOM when allocating\b/, /Cannot allocate memory/, /\bENOMEM\b/,
];
const diskMessages = [/No space left on device/, /\bENOSPC\b/, /Disk quota exceeded/, /\bEDQUOT\b/];

export function nameEnd(end: ProcessEnd): NamedEnd {
  // A shell gives 128 + n where its command was ended by signal n.
  const signal = end.signal ?? (end.exitCode !== null && end.exitCode > 128 ? signalName(end.exitCode - 128) : null);
  const named = (cause: FailureCause, message: string): NamedEnd => ({ ok: false, cause, message, signal });
  if (end.stopped === 'timeout') return named('timeout', `not done after its timeout of ${seconds(end.timeoutMs ?? 0)}`);
  if (end.exitCode === 0) return { ok: true, cause: null, message: null, signal: null };
  if (end.stopped === 'cancelled') return named('cancelled', 'stopped on request');
  if (end.stopped === 'killed') return named('cancelled', 'killed on request');
  const code = end.exitCode === null ? '' : ` (exit code ${end.exitCode})`;
  if (signal === 'SIGKILL' && end.outOfMemoryKill) return named('oom', 'the kernel ended it: out of memory (SIGKILL)');
  const memory = lineOf(end.tail, memoryMessages);
  if (memory !== null) return named('oom', `out of memory${code}: ${memory}`);
  const disk = lineOf(end.tail, diskMessages);
  if (disk !== null) return named('disk-full', `the disk is full${code}: ${disk}`);
  if (signal === 'SIGTERM') return named('preempted', 'asked to end by SIGTERM from outside');
  if (signal === 'SIGKILL') return named('signal', 'ended by SIGKILL from outside; if that was for want of memory, the kernel did not say so here');
  if (signal !== null) return named('signal', `ended by ${signal}${explain(signal)}`);
  return named('exit', `exit code ${end.exitCode}${meaning(end.exitCode)}`);
}

function signalName(number: number): NodeJS.Signals | null {
  const entry = Object.entries(constants.signals).find(([, value]) => value === number);
  return entry ? (entry[0] as NodeJS.Signals) : null;
}

function explain(signal: NodeJS.Signals): string {
  switch (signal) {
    case 'SIGSEGV': return ' (it touched memory that is not its own)';
    case 'SIGABRT': return ' (it gave up by itself)';
    case 'SIGILL': return ' (the processor does not know an instruction: built for another one?)';
    case 'SIGBUS': return ' (a file it had mapped was cut short, or the disk is full)';
    case 'SIGPIPE': return ' (it wrote to a pipe nobody reads)';
    case 'SIGXCPU': return ' (its limit of processor time)';
    case 'SIGXFSZ': return ' (its limit of file size)';
    default: return '';
  }
}

function meaning(code: number | null): string {
  if (code === 127) return ': a command was not found';
  if (code === 126) return ': a command was found but may not be executed';
  return '';
}

/** The line that says it; the last one, since what a program dies of it says at the end. */
function lineOf(tail: readonly string[], patterns: readonly RegExp[]): string | null {
  return tail.findLast(line => patterns.some(pattern => pattern.test(line)))?.trim().slice(0, 200) ?? null;
}

function seconds(ms: number): string {
  return ms % 60_000 === 0 && ms > 0 ? `${ms / 60_000} min` : `${ms / 1000} s`;
}
