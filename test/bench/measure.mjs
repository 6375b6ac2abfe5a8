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

const gnuTime = ['/usr/bin/time', '/usr/local/bin/gtime', '/opt/homebrew/bin/gtime'].find(path => {
  try {
    accessSync(path, constants.X_OK);
    return process.platform === 'linux' || path.endsWith('gtime');
  } catch {
    return false;
  }
});

export const hasResourceUsage = gnuTime !== undefined;

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
    const child = spawn(program, args, { cwd, env: { ...process.env, ...env }, stdio: ['ignore', output, output] });
    const [code, signal] = await once(child, 'exit');
    const wallMs = Number(process.hrtime.bigint() - started) / 1e6;
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
