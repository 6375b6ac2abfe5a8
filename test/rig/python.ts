import { existsSync } from 'node:fs';
import { execa } from 'execa';
import { fileURLToPath } from 'node:url';

/** Python with PyTorch and transformers, as test/slow/python/setup.sh makes it; null where there is none. */
const python = process.env['PIPE_TEST_PYTHON'] ?? null;

/** Comparisons are skipped by name without it, but not in CI: there its absence is a failure. */
export const skipWithoutPython = python === null && process.env['CI'] === undefined;

/** Runs a script of test/slow/python. @throws with what it wrote to stderr when it fails. */
export async function runPython(script: string, ...args: readonly string[]): Promise<string> {
  if (python === null || !existsSync(python)) throw new Error(`PIPE_TEST_PYTHON is ${python ?? 'not set'}: test/slow/python/setup.sh FOLDER makes one`);
  const path = fileURLToPath(new URL(`../slow/python/${script}`, import.meta.url));
  return (await execa(python, [path, ...args])).stdout;
}
