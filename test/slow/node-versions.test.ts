/** Native TensorFlow under the Node versions that the program is to work with, from npm's packages. */
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { tmpdir } from 'node:os';
import { build } from 'esbuild';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
// @ts-expect-error a program of plain JavaScript, typed by comments
import { Worker } from '../bench/train/worker.mjs';
import { hasNative } from '../study/nn/backends.ts';

// Inside the repository, so that packages are found.
const built = mkdtempSync(join('node_modules', '.node-versions-'));
const installed = mkdtempSync(join(tmpdir(), 'node-versions-'));
afterAll(() => [built, installed].forEach((folder) => rmSync(folder, { recursive: true, force: true })));
const program = join(built, 'engine.mjs');
beforeAll(async () => {
  await build({ entryPoints: ['test/bench/train/engine.ts'], outfile: program, bundle: true, format: 'esm', platform: 'node', packages: 'external' });
});

/** The loss after five steps, and the version that took them. */
async function train(node: string): Promise<{ loss: number; version: string }> {
  const worker = new (Worker as new (command: string[]) => { ask(command: object): Promise<unknown>; end(): Promise<void> })([node, program]);
  try {
    await worker.ask({ do: 'load', threads: 1 });
    await worker.ask({ do: 'build', model: { size: 'd32l2', batch: 8 } });
    const { loss } = (await worker.ask({ do: 'steps', count: 4 })) as { loss: number };
    return { loss, version: (await execa(node, ['--version'])).stdout };
  } finally {
    await worker.end();
  }
}

describe.skipIf(!hasNative && process.env['CI'] === undefined)('native TensorFlow (needs it installed)', () => {
  it.for([22, 24])('trains to the same bits under Node %i as here', async (major) => {
    const folder = join(installed, String(major));
    // The platform's own package, which `node` would install by a script.
    const name = `node-linux-${process.arch}`;
    await execa('npm', ['install', '--no-audit', '--no-fund', '--ignore-scripts', '--prefix', folder, `${name}@${major}`]);
    const other = await train(join(folder, 'node_modules', name, 'bin', 'node'));
    expect(other.version).toMatch(new RegExp(`^v${major}\\.`));
    expect(other.loss).toBe((await train(process.execPath)).loss);
  });
});
