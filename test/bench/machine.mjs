/** What the numbers were measured on. */
import { execFileSync } from 'node:child_process';
import { readFileSync, statfsSync } from 'node:fs';
import { cpus, loadavg, release, tmpdir, totalmem, type } from 'node:os';
import { peerNames } from './peers.mjs';

/** @typedef {Readonly<Record<string, unknown>>} Machine */

export function machineFacts() {
  const processors = cpus();
  return {
    processor: processors[0]?.model.trim() ?? 'unknown',
    cores: processors.length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${type()} ${release()}`,
    fileSystem: fileSystemOf(tmpdir()),
    node: process.version,
    load: loadavg()[0] ?? 0,
  };
}

/** @param {(name: string) => string | null} peer */
export const versionsOf = peer => Object.fromEntries(peerNames.map(name => [name, versionOf(peer(name))]));

/** What a reader has to know of a machine that does other work meanwhile; null for a quiet one. */
export function loadWarning() {
  const [load = 0] = loadavg();
  if (load < 0.5 * cpus().length) return null;
  return `the load average is ${load.toFixed(1)} on ${cpus().length} cores: other programs are at work, and wall times will be too long`;
}

/** @param {string} folder */
function fileSystemOf(folder) {
  try {
    const mounts = readFileSync('/proc/mounts', 'utf8').trim().split('\n').map(line => line.split(' '));
    const inside = mounts.filter(([, at = '']) => folder === at || folder.startsWith(at === '/' ? '/' : `${at}/`));
    return inside.sort((a, b) => b[1].length - a[1].length)[0]?.[2] ?? 'unknown';
  } catch {
    return `type ${statfsSync(folder).type}`;
  }
}

/** @param {string | null} program */
function versionOf(program) {
  if (program === null) return null;
  const text = execFileSync(program, ['--version'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  return /\d+(\.\d+)+/.exec(text)?.[0] ?? text.trim();
}
