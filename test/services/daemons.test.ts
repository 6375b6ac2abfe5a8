import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { describeWith, startDaemon } from './rig/daemon.ts';

const run = promisify(execFile);

describeWith(['sshd'], 'sshd on loopback', () => {
  it('lets its key log in', async () => {
    const sshd = await startDaemon('sshd', 1);
    try {
      const { stdout } = await run('ssh', [
        '-F', 'none', '-p', String(sshd.ports[0]), '-i', join(sshd.folder, 'id'), '-o', `UserKnownHostsFile=${join(sshd.folder, 'known_hosts')}`, '127.0.0.1', 'echo $((6 * 7))',
      ]);
      expect(stdout).toBe('42\n');
    } finally {
      await sshd.stop();
    }
  });
});

describeWith(['slurm'], 'Slurm on loopback', () => {
  it('runs a job with a GPU', async () => {
    const slurm = await startDaemon('slurm', 2);
    try {
      const { stdout } = await run('srun', ['--gres=gpu:1', 'sh', '-c', 'echo $CUDA_VISIBLE_DEVICES'], { env: { ...process.env, SLURM_CONF: join(slurm.folder, 'slurm.conf') } });
      expect(stdout).toBe('0\n');
    } finally {
      await slurm.stop();
    }
  });
});
