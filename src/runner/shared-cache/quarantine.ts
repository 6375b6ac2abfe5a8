/** Bad entries of a shared cache, kept to look at. Each is told once: what lies here already was told before. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sha256 } from '../store/file-bytes.ts';

/** True when it is a new one. */
export function quarantineEntry(cache: string, name: string, bytes: Uint8Array, why: string): boolean {
  const folder = join(cache, 'quarantine');
  const file = join(folder, `shared-${name.slice(name.indexOf('/') + 1).slice(0, 16)}-${sha256(bytes).slice(0, 16)}`);
  if (existsSync(`${file}.why`)) return false;
  mkdirSync(folder, { recursive: true });
  writeFileSync(file, bytes);
  writeFileSync(`${file}.why`, `${name}: ${why}\n`);
  return true;
}
