import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';

/** A store's folders are read-only, which only root's rm does not mind. @param {string} path */
export function removeTree(path) {
  if (!existsSync(path)) return;
  execFileSync('chmod', ['-R', 'u+w', path]);
  execFileSync('rm', ['-rf', path]);
}
