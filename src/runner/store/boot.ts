/** Which boot of this machine this is: what was written since is read as it was written, on disk or not. */
import { readFileSync } from 'node:fs';

let known: string | undefined;

/** Differs after each boot; empty where the system does not say. */
export function bootId(): string {
  known ??= readBootId();
  return known;
}

function readBootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
  } catch {
    return '';
  }
}
