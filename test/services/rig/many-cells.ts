/** A project with many cells on a host, each with an input and an output of its own, that tell whether they ever run twice at once. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { expect } from 'vitest';
import { processesOf } from '../../faults/rig/processes.ts';
import type { TestProject } from '../../rig/pipe.ts';
import type { SshSite } from './ssh-project.ts';
import { until } from './until.ts';

export interface ManyCells {
  readonly project: TestProject;
  readonly count: number;
  /** How often each cell has begun to run. */
  starts(): number[];
  /** That every output is right, every metric there once, and no cell has run while it ran. */
  expectRight(): void;
}

const blockBytes = 300_000;

/** `word` is part of every key; `settings`: more of the stage, one a line; `entry`: more of the host's. */
export function manyCells(site: SshSite, word: string, { count = 16, seconds = 0.3, settings = '', entry = 'slots: 4', name = 'box' } = {}): ManyCells {
  const project = site.project('stages: {}\n', {}, entry);
  mkdirSync(project.path('watch'));
  for (let i = 1; i <= count; i++) project.write(`data/${i}.txt`, `${word} ${i}\n`.repeat(blockBytes / 30));
  project.write('pipe.yaml', `pipeline: p
stages:
  cell:
    on: ${name}
    matrix: { axes: { i: { from: 1, to: ${count} } } }
    in: { data: "./data/\${matrix.i}.txt" }
    env: { set: { WATCH: ${project.path('watch')}, I: "\${matrix.i}" } }
${settings === '' ? '' : `    ${settings.split('\n').join('\n    ')}\n`}    run: |
      exec 9>"$WATCH/lock-$I"
      flock -n 9 || echo "$I" >> "$WATCH/overlaps"
      echo start >> "$WATCH/starts-$I"
      sleep ${seconds}
      echo "{\\"metric\\":\\"n\\",\\"value\\":$I}" >> $PIPE_EVENTS
      echo "cell $I says ${word}"
      cat \${in.data} \${in.data} > \${out.o}
    out: { o: o.txt }
`);
  const digest = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
  return {
    project, count,
    starts: () => Array.from({ length: count }, (_, i) => (existsSync(project.path(`watch/starts-${i + 1}`)) ? readFileSync(project.path(`watch/starts-${i + 1}`), 'utf8').trim().split('\n').length : 0)),
    expectRight() {
      const logs = JSON.parse(project.pipe(['sql', '--format', 'json', "SELECT cell, log FROM attempt WHERE status = 'ran'"]).stdout) as { cell: string; log: string }[];
      for (let i = 1; i <= count; i++) {
        const input = readFileSync(project.path(`data/${i}.txt`));
        expect(digest(readFileSync(project.path(`cache/out/p/cell[i=${i}]/o`))), `output ${i}`).toBe(digest(Buffer.concat([input, input])));
        const log = logs.find(({ cell }) => cell === `cell[i=${i}]`)!.log;
        expect(readFileSync(log, 'utf8')).toBe(`cell ${i} says ${word}\n`);
      }
      const metrics = JSON.parse(project.pipe(['sql', '--format', 'json', "SELECT count(*) AS n, sum(metric.value) AS sum FROM metric JOIN attempt ON attempt.id = metric.attempt WHERE attempt.status = 'ran'"]).stdout) as { n: number; sum: number }[];
      expect(metrics).toEqual([{ n: count, sum: (count * (count + 1)) / 2 }]);
      expect(existsSync(project.path('watch/overlaps')), 'cells that ran twice at once').toBe(false);
    },
  };
}

/** That nothing of the host's folder runs any more. The agent of a connection that was cut ends by itself. */
export async function expectNothingLeft(site: SshSite): Promise<void> {
  await until(() => processesOf(site.folder).length === 0, 15_000).catch(() => expect(processesOf(site.folder)).toEqual([]));
}

/** Pids of all children of a process, and theirs. */
export function descendants(pid: number): number[] {
  const children = execFileSync('ps', ['-e', '-o', 'pid=,ppid='], { encoding: 'utf8' }).trim().split('\n').flatMap(line => {
    const [child, parent] = line.trim().split(/\s+/).map(Number);
    return parent === pid ? [child!] : [];
  });
  return children.flatMap(child => [child, ...descendants(child)]);
}

/** Pids of processes whose command line holds the text. */
export function pidsOf(text: string): number[] {
  return readdirSync('/proc').filter(name => /^\d+$/.test(name)).map(Number).filter(pid => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').includes(text);
    } catch {
      return false; // ended meanwhile
    }
  });
}

export function killPids(pids: readonly number[]): number {
  let killed = 0;
  for (const pid of pids) {
    try {
      process.kill(pid, 'SIGKILL');
      killed++;
    } catch {
      // ended meanwhile
    }
  }
  return killed;
}

/** Numbers from 0 to 1, the same for a seed. */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

export const after = async (ms: number): Promise<void> => void (await pause(ms));
