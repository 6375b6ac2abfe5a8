/** Programs of this project that tests start as processes of their own, bundled once for each test file. */
import { existsSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
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
  const result = await build({
    entryPoints: [join(root, file)], bundle: true, write: false, format: 'esm', platform: 'node', target: 'node20', packages: 'external', sourcemap: 'inline', outdir: 'out', logLevel: 'error',
  });
  const { contents, hash } = result.outputFiles[0]!;
  // Inside node_modules, so that packages are found from there; named by content, so that test files share it.
  const folder = join(root, 'node_modules', '.cache', 'pipe-tests');
  mkdirSync(folder, { recursive: true });
  const program = join(folder, `${basename(file, '.ts')}-${hash.replaceAll(/[^A-Za-z0-9]/g, '')}.mjs`);
  if (!existsSync(program)) {
    writeFileSync(`${program}.${process.pid}`, contents);
    renameSync(`${program}.${process.pid}`, program);
  }
  return program;
}
