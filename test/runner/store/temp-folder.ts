import { chmodSync, lstatSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

/** A folder that is gone after the test, read-only artefacts in it included. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'xfolds-test-'));
  onTestFinished(() => {
    unlock(folder);
    rmSync(folder, { recursive: true, force: true });
  });
  return folder;
}

function unlock(folder: string): void {
  chmodSync(folder, 0o755);
  for (const name of readdirSync(folder, 'buffer')) {
    const path = Buffer.concat([Buffer.from(`${folder}/`), name]);
    if (lstatSync(path).isDirectory()) unlock(path.toString());
  }
}
