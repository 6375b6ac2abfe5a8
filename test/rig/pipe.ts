/** The whole program in a temporary project: `dist/pipe.js` as a process of its own, as a user starts it. */
import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const program = fileURLToPath(new URL('../../dist/pipe.js', import.meta.url));

export interface Finished {
  readonly stdout: string;
  readonly stderr: string;
  readonly code: number | null;
}

export interface TestProject {
  readonly folder: string;
  path(...parts: readonly string[]): string;
  write(file: string, content: string): void;
  read(file: string): string;
  /** Runs `pipe` with these arguments to its end; `env` is added to a plain environment without colours. */
  pipe(args: readonly string[], env?: Readonly<Record<string, string>>): Finished;
  /** Starts it and does not wait. */
  start(args: readonly string[], env?: Readonly<Record<string, string>>): ChildProcess & { readonly finished: Promise<Finished> };
  remove(): void;
}

/** A project of these files in a temporary folder. */
export function makeProject(files: Readonly<Record<string, string>>): TestProject {
  if (!existsSync(program)) throw new Error(`${program} is not there: run \`npm run build\` first`);
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'pipe-test-')));
  const path = (...parts: readonly string[]): string => join(folder, ...parts);
  const write = (file: string, content: string): void => {
    mkdirSync(dirname(path(file)), { recursive: true });
    writeFileSync(path(file), content);
  };
  for (const [file, content] of Object.entries(files)) write(file, content);
  const how = (env: Readonly<Record<string, string>>): { cwd: string; env: NodeJS.ProcessEnv } => ({
    cwd: folder,
    env: { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '', TMPDIR: tmpdir(), ...env },
  });
  return {
    folder, path, write,
    read: file => readFileSync(path(file), 'utf8'),
    pipe(args, env = {}) {
      const { stdout, stderr, status } = spawnSync(process.execPath, [program, ...args], { ...how(env), encoding: 'utf8', maxBuffer: 1 << 28 });
      return { stdout, stderr, code: status };
    },
    start(args, env = {}) {
      const child = spawn(process.execPath, [program, ...args], { ...how(env), stdio: ['ignore', 'pipe', 'pipe'] });
      const texts = { stdout: '', stderr: '' };
      child.stdout.setEncoding('utf8').on('data', (text: string) => { texts.stdout += text; });
      child.stderr.setEncoding('utf8').on('data', (text: string) => { texts.stderr += text; });
      const finished = new Promise<Finished>((resolve, reject) => {
        child.on('error', reject);
        child.on('close', code => resolve({ ...texts, code }));
      });
      return Object.assign(child, { finished });
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
