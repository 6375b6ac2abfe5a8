/** Cells on a cluster that tell where they went on from, and whether one ever ran while it ran. */
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { expect } from 'vitest';
import type { TestProject } from '../../rig/pipe.ts';
import type { SlurmSite } from './slurm-site.ts';

export interface Cells {
  readonly project: TestProject;
  /** How often each has begun. */
  starts(): number[];
  /** Where each start of a cell went on from. */
  from(cell: number): number[];
  /** The Slurm jobs in which a cell has begun. */
  jobs(cell: number): string[];
  expectRight(): void;
}

export interface CellOptions {
  readonly count?: number;
  /** Half seconds that a cell takes, each of them kept in its checkpoint. */
  readonly steps?: number;
  readonly settings?: string;
  readonly options?: string;
  /** More of `slurm:` in the hosts file. */
  readonly slurm?: string;
  /** Shell text that each cell begins with. */
  readonly first?: string;
}

let made = 0;

/** Cells that tell where they went on from, and whether one ever ran while it ran. */
export function cellsOn(site: SlurmSite, { count = 4, steps = 2, settings = '', options = '', slurm = '', first = '' }: CellOptions = {}): Cells {
  const project = site.project('stages: {}\n', { 'pipe.hosts.yaml': `hosts:\n  lab: { slurm: { partition: main, options: [${options}]${slurm === '' ? '' : `, ${slurm}`} }, folder: ${site.folder} }\n` });
  mkdirSync(project.path('watch'));
  project.write('pipe.yaml', `pipeline: p
stages:
  cell:
    on: lab
    matrix: { axes: { i: { from: 1, to: ${count} } } }
    checkpoint: true
    env: { set: { WATCH: ${project.path('watch')}, I: "\${matrix.i}", WORD: w${made++} } }
${settings === '' ? '' : `    ${settings}\n`}    run: |
      exec 9>"$WATCH/lock-$I"
      flock -n 9 || echo "$I" >> "$WATCH/overlaps"
      n=$(cat "$PIPE_CHECKPOINT/n" 2>/dev/null || echo 0)
      echo $n >> "$WATCH/from-$I"
      echo "$SLURM_JOB_ID" >> "$WATCH/jobs-$I"
      ${first}
      while [ $n -lt ${steps} ]; do
        sleep 0.5
        n=$((n + 1))
        echo $n > "$PIPE_CHECKPOINT/n.new" && mv "$PIPE_CHECKPOINT/n.new" "$PIPE_CHECKPOINT/n"
      done
      echo "cell $I" > \${out.o}
    out: { o: o.txt }
`);
  const lines = (name: string): string[] => {
    const file = project.path(`watch/${name}`);
    return existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : [];
  };
  const from = (cell: number): number[] => lines(`from-${cell}`).map(Number);
  return {
    project, from, jobs: cell => lines(`jobs-${cell}`),
    starts: () => Array.from({ length: count }, (_, i) => from(i + 1).length),
    expectRight() {
      for (let i = 1; i <= count; i++) expect(project.read(`cache/out/p/cell[i=${i}]/o`)).toBe(`cell ${i}\n`);
      expect(existsSync(project.path('watch/overlaps')), 'cells that ran twice at once').toBe(false);
    },
  };
}
