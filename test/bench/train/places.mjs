/** Where things are that the comparisons need, as the environment says. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = (/** @type {string} */ name) => fileURLToPath(new URL(name, import.meta.url));
const shared = here('../../../../shared');

export const threads = Number(process.env.PIPE_BENCH_THREADS ?? availableParallelism());

/** Python with PyTorch and what else is compared with; null where there is none. */
export const python = process.env.PIPE_BENCH_PYTHON ?? null;
export const script = (/** @type {string} */ name) => here(name);

/** @type {Map<string, boolean>} */
const modules = new Map();

/** What a comparison cannot be made without: the reason, or null where all is there. @param {...string} names Python modules */
export function lacking(...names) {
  if (python === null) return 'PIPE_BENCH_PYTHON is not set: Python is left out';
  if (!existsSync(python)) return `PIPE_BENCH_PYTHON is ${python}, which is not there: Python is left out`;
  const missing = names.filter(name => {
    if (!modules.has(name)) {
      const found = execFileSync(python, ['-c', `import importlib.util as u; print(u.find_spec(${JSON.stringify(name)}) is not None)`], { encoding: 'utf8' });
      modules.set(name, found.trim() === 'True');
    }
    return modules.get(name) !== true;
  });
  return missing.length === 0 ? null : `Python has no module ${missing.join(', ')}: it is left out`;
}

/** JPEG files: those of PIPE_BENCH_JPEGS, a folder, or of the study's shared data; none where neither is there. */
export function jpegs() {
  const folder = process.env.PIPE_BENCH_JPEGS ?? join(shared, 'decoder-originals');
  if (!existsSync(folder)) return [];
  return readdirSync(folder).filter(name => /\.jpe?g$/i.test(name)).sort().map(name => join(folder, name));
}

/** Captions, a line each: of the file PIPE_BENCH_CAPTIONS, or ROCO's of the study's shared data; none where neither is there. */
export function captions() {
  const given = process.env.PIPE_BENCH_CAPTIONS;
  const files = given === undefined ? ['validation', 'test'].map(split => join(shared, 'roco-mirror', 'roco-dataset', 'data', split, 'radiology', 'captions.txt')) : [given];
  if (!files.every(file => existsSync(file))) return [];
  return files
    .flatMap(file => readFileSync(file, 'utf8').split('\n'))
    .filter(line => line !== '')
    .map(line => line.slice(line.indexOf('\t') + 1));
}
