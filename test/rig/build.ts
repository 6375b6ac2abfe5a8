/** Programs of this project that tests start as processes of their own, bundled once for each test file. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('../../', import.meta.url));
const made = new Map<string, Promise<string>>();

/** Bundles a TypeScript file of the repository; returns the path of a module that Node runs. */
export function buildProgram(file: string): Promise<string> {
  let program = made.get(file);
  if (program === undefined) {
    program = bundle(file);
    made.set(file, program);
  }
  return program;
}

async function bundle(file: string): Promise<string> {
  // Inside node_modules, so that packages are found from there.
  const base = join(root, 'node_modules', '.cache', 'pipe-tests');
  mkdirSync(base, { recursive: true });
  const folder = mkdtempSync(join(base, 'program-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  const outfile = join(folder, `${file.replace(/^.*\//, '').replace(/\.ts$/, '')}.mjs`);
  await build({ entryPoints: [join(root, file)], outfile, bundle: true, format: 'esm', platform: 'node', target: 'node20', packages: 'external', sourcemap: 'inline', logLevel: 'error' });
  return outfile;
}
