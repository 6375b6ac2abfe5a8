import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { onTestFinished } from 'vitest';

/** A file system of its own of so many bytes (`3m`) at the folder, until the test ends; false where this user may not mount one. */
export function mountSmall(folder: string, size: string): boolean {
  mkdirSync(folder, { recursive: true });
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', folder], { stdio: 'ignore' });
  } catch {
    return false;
  }
  onTestFinished(() => void execFileSync('umount', ['-l', folder]));
  return true;
}

/** Changes its size (`size=60m`), or whether it may be written (`ro`, `rw`). */
export const remount = (folder: string, options: string): void => void execFileSync('mount', ['-o', `remount,${options}`, folder]);
