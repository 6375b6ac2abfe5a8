/** How often a cluster is asked, by a stand-in for squeue that counts. */
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { Slurm } from '../../../src/runner/remote/agent/slurm.ts';

test('ten thousand jobs are one query', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'pipe-squeue-'));
  const path = process.env['PATH'] ?? '';
  onTestFinished(() => {
    process.env['PATH'] = path;
    rmSync(folder, { recursive: true, force: true });
  });
  const count = 10_000;
  writeFileSync(join(folder, 'squeue'), `#!/bin/sh\necho asked >> ${join(folder, 'asked')}\nseq 0 ${count - 1} | sed 's/.*/7_&|PENDING|Resources||pipe-x/'\n`);
  chmodSync(join(folder, 'squeue'), 0o755);
  process.env['PATH'] = `${folder}${delimiter}${path}`;
  const slurm = new Slurm(folder, ['node', 'agent']);
  const states = await Promise.all(Array.from({ length: count }, async (_, i) => {
    await slurm.refresh();
    return slurm.judge(`7_${i}`, null);
  }));
  expect(states.every((state, i) => state?.state === 'waiting' && state.why === `Slurm job 7_${i}: pending (Resources)`)).toBe(true);
  expect(readFileSync(join(folder, 'asked'), 'utf8')).toBe('asked\n');
});
