/** Projects that share results: what they run, what they say, and what is left of them. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeProject } from './pipe.ts';
import type { Finished, TestProject } from './pipe.ts';
import type { RunEvent } from '../../src/runner/run/event.ts';

/** Two cells; each adds a line to a file outside whenever it really runs. */
const pipeline = `pipeline: p
params: { tag: one, extra: 0 }
stages:
  words:
    run: |
      echo words >> "$COUNT"
      mkdir -p "\${out.texts}/deep/er" "\${out.texts}/empty"
      for i in 1 2 3; do echo "\${params.tag} $i" > "\${out.texts}/$i.txt"; done
      printf '#!/bin/sh\\n' > "\${out.texts}/deep/er/run.sh"
      chmod +x "\${out.texts}/deep/er/run.sh"
      ln -s ../1.txt "\${out.texts}/deep/one"
      : > "\${out.texts}/nothing"
      head -c 3000000 /dev/zero > "\${out.texts}/zeros"
      head -c 1700000 /dev/urandom > "\${out.texts}/random"
      echo "said by words"
    env: { set: { COUNT: COUNT_FILE } }
    out: { texts: texts/ }
  count:
    in: { texts: words.texts }
    run: |
      echo count >> "$COUNT"
      echo \${params.extra} > "\${out.lines}"
      cat "\${in.texts}"/*.txt "\${in.texts}/deep/one" >> "\${out.lines}"
      echo '{"metric":"lines","value":3,"step":1}' > "\${out.metrics}"
    env: { set: { COUNT: COUNT_FILE } }
    out: { lines: lines.txt, metrics: { path: metrics.jsonl, kind: metrics } }
`;

export interface Ending {
  readonly ran: number;
  readonly fresh: number;
  readonly failed: number;
  readonly exitCode: number;
  readonly warnings: readonly string[];
  /** Of each failed cell: its cause, message and end of log. */
  readonly failures: readonly string[];
}

export class Sharing {
  readonly home = mkdtempSync(join(tmpdir(), 'pipe-home-'));
  readonly #projects: TestProject[] = [];
  readonly #env: Readonly<Record<string, string>>;

  constructor(env: Readonly<Record<string, string>> = {}) {
    this.#env = env;
  }

  /** How often a stage has run, in any of the projects. */
  get runs(): number {
    const file = join(this.home, 'count');
    return existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n').length : 0;
  }

  project(settings: string, change: (text: string) => string = text => text): TestProject {
    const text = change(pipeline).replaceAll('COUNT_FILE', join(this.home, 'count'));
    const made = makeProject({ 'pipe.yaml': text, 'package.json': '{}', 'pipe.cache.yaml': settings });
    this.#projects.push(made);
    return made;
  }

  /** Not awaited by a blocking call: the server may live in this process. */
  call(project: TestProject, args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Finished> {
    return project.start(args, { HOME: this.home, ...this.#env, ...env }).finished;
  }

  async run(project: TestProject, args: readonly string[] = [], env: Readonly<Record<string, string>> = {}): Promise<Ending> {
    const { stdout, stderr } = await this.call(project, ['run', '--json', ...args], env);
    const events = stdout.trim().split('\n').map(line => JSON.parse(line) as RunEvent);
    const last = events.at(-1);
    if (last?.event !== 'run.finished') throw new Error(`the run did not finish: ${stdout}${stderr}`);
    return {
      ...last,
      warnings: events.flatMap(event => (event.event === 'notice' && event.level === 'warning' ? [event.text] : [])),
      failures: events.flatMap(event => (event.event === 'cell.finished' && event.status === 'failed' ? [[event.cell, event.cause, event.message, ...(event.tail ?? [])].join(': ')] : [])),
    };
  }

  /** A key of its own for a home folder; gives the public half. */
  async key(project: TestProject, env: Readonly<Record<string, string>> = {}): Promise<string> {
    const { stdout, code, stderr } = await this.call(project, ['cache', 'keys', 'generate', '--overwrite', '--json'], env);
    if (code !== 0) throw new Error(stderr);
    return (JSON.parse(stdout) as { publicKey: string }).publicKey;
  }

  /** A home folder beside: somebody else. */
  otherHome(): Readonly<Record<string, string>> {
    return { HOME: mkdtempSync(join(this.home, 'other-')) };
  }

  close(): void {
    for (const project of this.#projects) project.remove();
    rmSync(this.home, { recursive: true, force: true });
  }
}

/** Variables for a program whose clock is so many hours ahead of everybody else's. */
export function clockOff(hours: number): Readonly<Record<string, string>> {
  const off = hours * 3_600_000;
  const script = `const True = Date; globalThis.Date = class Date extends True { constructor(...all) { super(...(all.length === 0 ? [True.now() + ${off}] : all)); } static now() { return True.now() + ${off}; } };`;
  return { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(script)}` };
}

/** Whether any file below holds a text, SQLite's included. */
export function holdsText(folder: string, text: string): boolean {
  try {
    return execFileSync('grep', ['-rlaF', '--', text, folder], { encoding: 'utf8' }).trim() !== '';
  } catch {
    return false; // grep exits with 1 when nothing matches
  }
}
