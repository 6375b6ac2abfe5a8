/** Starting a stage's process: by this process itself, which can also hand its output on. */
import { spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { openLog } from './log-file.ts';
import { childSeconds } from './process-table.ts';
import { writeOver } from './write-over.ts';

export interface LaunchRequest {
  readonly argv: readonly string[];
  readonly cwd: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Emptied, and then the process's stdout and stderr. */
  readonly log: string;
  /** `run.sh`, written before the process starts. */
  readonly script: { readonly path: string; readonly text: string };
  /** A typed stage: its fourth descriptor is a pipe that closes when the driver ends, however it ends. */
  readonly lifeline: boolean;
}

export interface ProcessEnd {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Processor time of children that was added to the starting process's account since its last child ended; null when unknown. */
  readonly addedSeconds: number | null;
  /** Set when nobody can say how it ended. */
  readonly lost?: string;
}

export interface Launched {
  readonly pid: number;
  /** Resolves when the process has ended, whatever it left running. */
  readonly ended: Promise<ProcessEnd>;
  /** This end of the lifeline, where this process has it. */
  readonly line?: Socket | null;
  /** Whether this process waits for it, where it is its child. */
  readonly ref?: () => void;
  readonly unref?: () => void;
}

/** Rejects with the system's error when the process cannot be started (`syscall` begins with `spawn`) or its files cannot be written. */
export type Launch = (request: LaunchRequest) => Promise<Launched>;

/** The kernel adds a whole tree's time to its parent's when it is collected: exact, unless two children ended in the same instant. */
const account = { stages: 0, seconds: 0 };

function begun(): void {
  // What other children of this process used between two stages is not a stage's.
  if (account.stages++ === 0) account.seconds = childSeconds() ?? 0;
}

function added(): number | null {
  account.stages--;
  const now = childSeconds();
  if (now === null) return null;
  const seconds = now - account.seconds;
  account.seconds = now;
  return seconds;
}

/** Takes the process's output over: `stdout` and `stderr` are streams instead of the log. */
export type Piped = (stdout: Readable, stderr: Readable) => void;

export async function launchHere(request: LaunchRequest, piped?: Piped): Promise<Launched> {
  const { argv, cwd, environment, script, lifeline } = request;
  writeOver(script.path, script.text, 0o755);
  const log = openLog(request.log);
  try {
    const child = spawn(argv[0]!, argv.slice(1), {
      cwd, env: environment, detached: true,
      stdio: ['ignore', ...(piped ? ['pipe', 'pipe'] as const : [log, log]), lifeline ? 'pipe' : 'ignore'],
    });
    const line = child.stdio[3] instanceof Socket ? child.stdio[3] : null;
    line?.on('error', () => undefined);
    line?.unref();
    const { pid } = child;
    if (pid === undefined) throw await new Promise<unknown>(resolve => child.once('error', resolve));
    piped?.(child.stdout!, child.stderr!);
    begun();
    const ended = new Promise<ProcessEnd>(resolve => {
      // `exit`, not `close`: a daemon may hold the pipes open for ever.
      child.once('exit', (exitCode, signal) => {
        resolve({ exitCode, signal, addedSeconds: added() });
        line?.destroy();
      });
    });
    return { pid, ended, line, ref: () => child.ref(), unref: () => child.unref() };
  } finally {
    closeSync(log);
  }
}
