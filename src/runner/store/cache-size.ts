/** How much the cache takes. */
import { lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Store } from './store.ts';

/** Bytes by what they are for; files that several folders hold are counted in each. */
export function cacheSizes(store: Store): Record<string, number> {
  const sizes: Record<string, number> = {};
  for (const entry of readdirSync(store.cache, { withFileTypes: true })) {
    const name = entry.name.startsWith('pipe.db') ? 'database' : entry.name;
    sizes[name] = (sizes[name] ?? 0) + sizeOf(join(store.cache, entry.name));
  }
  return sizes;
}

/** The names in a folder that may not be there. */
export function listNames(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return []; // none has been needed yet
  }
}

/** Bytes of a file, or of all files below a folder. */
export function sizeOf(path: string): number {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return 0;
  if (!stat.isDirectory()) return stat.size;
  return listNames(path).reduce((sum, name) => sum + sizeOf(join(path, name)), 0);
}
