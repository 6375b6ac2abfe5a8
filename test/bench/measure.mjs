/**
 * One run of a program, from outside. Wall time is this process's clock from spawn to exit; processor time and peak
 * memory are what the kernel tells a parent that waits for its child (wait4), asked through GNU time, since Node does not
 * hand them out. Without GNU time they are null.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, closeSync, constants, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';

const gnuTime = ['/usr/bin/time', '/usr/local/bin/gtime', '/opt/homebrew/bin/gtime'].find(path => {
  try {
    accessSync(path, constants.X_OK);
    return process.platform === 'linux' || path.endsWith('gtime');
  } catch {
    return false;
  }
});

export const hasResourceUsage = gnuTime !== undefined;

/** @type {import('node:child_process').ChildProcess | null} */
let running = null;

/** Ends the program that is being measured, for a benchmark that is interrupted; resolves when its whole group is gone. */
export async function endRunning() {
  if (running?.pid === undefined) return;
  const group = -running.pid;
  try {
    process.kill(group, 'SIGTERM');
    // GNU time goes at once, the program when it has put things in order.
    for (let patience = 100; ; patience--) {
      await wait(50);
      process.kill(group, patience > 0 ? 0 : 'SIGKILL');
    }
  } catch {
    // no such group any more
  }
}

/**
 * Runs a command to its end and measures it. Output goes to a file, so that nobody has to read along.
 * Throws, with the end of the output, when it fails.
 * @param {{ command: readonly string[], cwd: string, env?: Readonly<Record<string, string>> }} what
 * @returns {Promise<import('./model.mjs').Sample>}
 */
export async function measure({ command, cwd, env }) {
  const folder = mkdtempSync(join(tmpdir(), 'pipe-measure-'));
  const usagePath = join(folder, 'usage');
  const outputPath = join(folder, 'output');
  const argv = gnuTime === undefined ? [...command] : [gnuTime, '-f', '%U %S %M', '-o', usagePath, ...command];
  const output = openSync(outputPath, 'w');
  try {
    const [program = '', ...args] = argv;
    const started = process.hrtime.bigint();
    // A group of its own, so that all of it can be ended.
    const child = spawn(program, args, { cwd, env: { ...process.env, ...env }, stdio: ['ignore', output, output], detached: true });
    running = child;
    const [code, signal] = await once(child, 'exit');
    const wallMs = Number(process.hrtime.bigint() - started) / 1e6;
    running = null;
    const text = readFileSync(outputPath, 'utf8');
    if (code !== 0) throw new Error(`${command.join(' ')} ended with ${signal ?? code}:\n${text.slice(-2000)}`);
    const usage = gnuTime === undefined ? [] : (readFileSync(usagePath, 'utf8').trim().split('\n').at(-1) ?? '').split(' ').map(Number);
    const [user, system, kilobytes] = usage;
    return {
      wallMs,
      userMs: user === undefined ? null : user * 1000,
      systemMs: system === undefined ? null : system * 1000,
      peakBytes: kilobytes === undefined ? null : kilobytes * 1024,
      output: text,
    };
  } finally {
    closeSync(output);
    rmSync(folder, { recursive: true, force: true });
  }
}
