/** The private folder of an attempt: what the driver puts there, and where the stage works. */
import { mkdirSync, readdirSync, rmSync, rmdirSync, unlinkSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { shellQuote } from '../pipeline/shell-text.ts';
import type { Cell } from '../pipeline/model.ts';
import { removeTree } from '../store/read-only-tree.ts';
import type { Job } from './executor.ts';
import { markerVariable } from './process-tree.ts';
import type { StageEnvironment } from './stage-environment.ts';
import { writeOver } from './write-over.ts';

export interface JobFiles {
  /** The stage's working directory: empty when it starts, and where its outputs are expected. */
  readonly files: string;
  readonly params: string;
  readonly events: string;
  /** Only for typed stages: what the worker is to do. */
  readonly job: string;
  readonly script: string;
}

export function jobFiles(folder: string): JobFiles {
  return {
    files: join(folder, 'files'),
    params: join(folder, 'params.json'),
    events: join(folder, 'events.jsonl'),
    job: join(folder, 'job.json'),
    script: join(folder, 'run.sh'),
  };
}

/** Where each declared output is expected. */
export function outputPaths(cell: Cell, folder: string): Record<string, string> {
  const { files } = jobFiles(folder);
  return Object.fromEntries(Object.entries(cell.outputs).map(([name, output]) => [name, join(files, output.path)]));
}

/** Makes the folder as a stage finds it. What an earlier attempt of this name left is removed. `spare`: makes it of one that is there. */
export function createWorkFolder(cell: Cell, folder: string, spare: (to: string) => boolean = () => false): void {
  const paths = jobFiles(folder);
  if (!spare(folder)) {
    makeEmptyFolder(folder);
    mkdirSync(paths.files);
  }
  writeOver(paths.params, `${JSON.stringify(cell.with, null, 2)}\n`);
  const typed = cell.action.kind === 'module';
  for (const [name, output] of Object.entries(cell.outputs)) {
    const path = join(paths.files, output.path);
    if (dirname(path) !== paths.files) mkdirSync(dirname(path), { recursive: true });
    if (typed && cell.outputs[name]!.kind === 'folder') mkdirSync(path);
  }
}

function makeEmptyFolder(folder: string): void {
  try {
    mkdirSync(folder);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'EEXIST' && code !== 'ENOENT') throw error;
    if (code === 'EEXIST') rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
  }
}

/** Removes a work folder, also one of which a stage has made parts read-only. */
export async function removeWorkFolder(folder: string): Promise<void> {
  if (removeSmall(folder)) return;
  try {
    await rm(folder, { recursive: true, force: true });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'EACCES' && code !== 'EPERM') throw error;
    removeTree(folder);
  }
}

/**
 * A folder whose outputs were all taken away goes in a few calls; walking it would take a dozen turns of the event loop. False when
 * there is more in it, or any trouble.
 */
function removeSmall(folder: string): boolean {
  try {
    rmdirSync(jobFiles(folder).files);
    for (const name of readdirSync(folder)) unlinkSync(join(folder, name));
    rmdirSync(folder);
    return true;
  } catch {
    return false;
  }
}

/** The text of a script that runs the attempt again by hand, with the environment it had. Secrets come from the caller's environment. */
export function runScript(job: Job, argv: readonly string[], environment: StageEnvironment): string {
  const assignments = [
    // Without the marker by which a stage's processes are found and ended: this one is its caller's.
    ...Object.entries(environment.plain).filter(([name]) => name !== markerVariable).map(([name, value]) => `${name}=${shellQuote(value)}`),
    ...Object.keys(environment.secret).map(name => `${name}="\${${name}-}"`),
  ];
  const secrets = Object.keys(environment.secret);
  return [
    '#!/bin/sh',
    `# Runs ${job.cell.id.replaceAll('\n', ' ')} again by hand, in this folder, with the environment it had. Nothing of it is recorded.`,
    ...(secrets.length > 0 ? [`# Not kept here, taken from your environment: ${secrets.join(', ')}`] : []),
    'cd "$(dirname "$0")/files" || exit 1',
    'exec env -i \\',
    ...assignments.map(assignment => `  ${assignment} \\`),
    `  ${argv.map(shellQuote).join(' ')}`,
    '',
  ].join('\n');
}
