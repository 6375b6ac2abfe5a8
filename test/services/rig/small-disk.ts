/** A file system of its own that is soon full. Needs the right to mount, which root of a container has not always. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export async function withSmallDisk(kibibytes: number, use: (folder: string) => unknown): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'pipe-disk-'));
  const { status, stderr } = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${kibibytes}k`, 'tmpfs', folder], { encoding: 'utf8' });
  if (status !== 0) {
    rmdirSync(folder);
    if (process.env['CI'] === 'true') throw new Error(`a small disk cannot be mounted: ${stderr}`);
    process.stderr.write(`skipped, for want of the right to mount a small disk: ${stderr}`);
    return;
  }
  try {
    await use(folder);
  } finally {
    spawnSync('umount', ['-l', folder]);
    rmdirSync(folder);
  }
}
