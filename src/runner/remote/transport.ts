/** How a command gets to a host: through the system's ssh, or, for a cluster whose commands are here, as a child process. */
import { spawn } from 'node:child_process';
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import type { HostSettings, SshPlace } from '../hosts/model.ts';
import { shellQuote } from '../pipeline/shell-text.ts';

/** Starts `sh -c SCRIPT pipe WORDS…` there. */
export function startThere(host: HostSettings, script: string, words: readonly string[]): ChildProcessWithoutNullStreams {
  const [program, ...args] = commandThere(host, script, words);
  // A group of its own: Ctrl-C is for this process to act on, and jobs are stopped through the connection.
  return spawn(program!, args, { stdio: ['pipe', 'pipe', 'pipe'], detached: true });
}

function commandThere({ place }: HostSettings, script: string, words: readonly string[]): string[] {
  const command = ['/bin/sh', '-c', script, 'pipe', ...words];
  if (place.kind === 'here') return command;
  return [
    'ssh', '-T', ...sshArguments(place, { BatchMode: 'yes', ConnectTimeout: '10', ServerAliveInterval: '5', ServerAliveCountMax: '3', ...place.options }),
    `exec ${command.map(shellQuote).join(' ')}`,
  ];
}

function sshArguments(place: SshPlace, options: Readonly<Record<string, string>>): string[] {
  return [
    ...(place.port === null ? [] : ['-p', String(place.port)]), ...(place.key === null ? [] : ['-i', place.key]), ...jumpArguments(place),
    ...Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`]), place.destination,
  ];
}

/** Key and options count for the host in between, too: of `-J` they would not. Of several in a row ssh's own configuration has to know. */
function jumpArguments({ jump, key, options }: SshPlace): string[] {
  if (jump === null) return [];
  const [, destination, port] = /^([^,:]+)(?::(\d+))?$/.exec(jump) ?? [];
  if (destination === undefined || (key === null && Object.keys(options).length === 0)) return ['-J', jump];
  const through = [
    'ssh', '-T', '-o', 'BatchMode=yes', ...(port === undefined ? [] : ['-p', port]), ...(key === null ? [] : ['-i', key]), ...Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`]),
    '-W', '[%h]:%p', destination,
  ];
  // What is not ssh's to fill in has to be doubled.
  return ['-o', `ProxyCommand=${through.map(word => shellQuote(word === '[%h]:%p' ? word : word.replaceAll('%', '%%'))).join(' ')}`];
}

/** A command line for people that does the same by hand there. */
export function sshCommand({ place }: HostSettings, command: string, options: Readonly<Record<string, string>> = {}, ...flags: readonly string[]): string {
  if (place.kind === 'here') return command;
  return ['ssh', ...flags, ...sshArguments(place, { ...place.options, ...options }).map(shellQuote), shellQuote(command)].join(' ');
}

/** With what it has started: a command run here has children of its own. */
function endGroup(child: ChildProcessWithoutNullStreams): void {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  } catch {
    // it has just ended
  }
}

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly timedOut: boolean;
}

export interface RunOptions {
  /** A file that becomes its input. */
  readonly input?: string;
  readonly timeoutMs?: number;
  readonly onStdout?: (text: string) => void;
}

/** Runs it to its end. */
export async function runThere(host: HostSettings, script: string, words: readonly string[], { input, timeoutMs, onStdout }: RunOptions = {}): Promise<Finished> {
  const child = startThere(host, script, words);
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    onStdout?.(text);
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const ended = new Promise<number | null>((resolve, reject) => child.once('error', reject).once('close', resolve));
  let timedOut = false;
  const timer = timeoutMs === undefined ? null : setTimeout(() => {
    timedOut = true;
    endGroup(child);
    child.stdout.destroy();
    child.stderr.destroy();
  }, timeoutMs);
  child.stdin.on('error', () => undefined);
  if (input === undefined) child.stdin.end();
  else await pipeline(createReadStream(input, { highWaterMark: 1 << 20 }), child.stdin).catch(() => undefined);
  try {
    return { code: await ended, stdout, stderr, timedOut };
  } finally {
    if (timer !== null) clearTimeout(timer);
  }
}
