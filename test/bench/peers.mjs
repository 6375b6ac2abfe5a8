/** Other programs to compare with: looked for in the folders of PIPE_BENCH_PEERS, then on PATH. */
import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';

export const peerNames = ['dvc', 'ninja', 'turbo', 'git', 'snakemake'];

/**
 * @param {NodeJS.ProcessEnv} env
 * @returns {(name: string) => string | null}  Absolute path of the program, or null.
 */
export function findPeers(env) {
  const folders = `${env.PIPE_BENCH_PEERS ?? ''}${delimiter}${env.PATH ?? ''}`.split(delimiter).filter(folder => folder !== '');
  /** @type {Map<string, string | null>} */
  const known = new Map();
  return name => {
    if (!known.has(name)) known.set(name, folders.map(folder => join(folder, name)).find(isProgram) ?? null);
    return known.get(name) ?? null;
  };
}

/** @param {string} path */
function isProgram(path) {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/**
 * Notes for peers that are not installed, so that a table without them says so.
 * @param {import('./model.mjs').Bench} bench @param {readonly string[]} names
 */
export const leftOut = (bench, names) => names.filter(name => bench.peer(name) === null).map(name => `${name} is not installed: left out`);
