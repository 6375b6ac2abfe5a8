import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const shared = fileURLToPath(new URL('../../../shared/', import.meta.url));

/** Whether the data that some tests need lie beside the repository; tests that need them are skipped by name if not. */
export const hasShared = existsSync(shared);

/** An absolute path inside the folder of shared data. */
export const sharedPath = (...parts: readonly string[]): string => join(shared, ...parts);
