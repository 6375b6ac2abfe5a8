import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeWith, startDaemon } from './rig/daemon.ts';
import { startSlurmSite } from './rig/slurm-site.ts';
import type { SlurmSite } from './rig/slurm-site.ts';

describeWith(['slurm'], 'a Slurm cluster', () => {
  let site: SlurmSite;
  beforeAll(async () => void (site = await startSlurmSite()));
  afterAll(async () => await site.stop());

  it('runs a matrix as one array, with the resources that the cells ask for', () => {
    const project = site.project(`
stages:
  train:
    on: lab
    matrix: { axes: { seed: { from: 1, to: 4 } } }
    resources: { cpu: 1, memory: 200M, gpu: 1 }
    run: |
      echo "seed \${matrix.seed} gpu $CUDA_VISIBLE_DEVICES cpus $SLURM_CPUS_PER_TASK memory $SLURM_MEM_PER_NODE array $SLURM_ARRAY_JOB_ID" > \${out.facts}
    out: { facts: facts.txt }
`);
    try {
      const { stdout, stderr, code } = project.pipe(['run', '--json'], site.env);
      expect(stdout + stderr).toContain('"ran":4');
      expect(code).toBe(0);
      const facts = [1, 2, 3, 4].map(seed => project.read(`cache/out/p/train[seed=${seed}]/facts`));
      expect(facts[2]).toMatch(/^seed 3 gpu [01] cpus 1 memory 200 array \d+\n$/);
      expect(new Set(facts.map(text => text.split('array ')[1])).size).toBe(1);
    } finally {
      project.remove();
    }
  });

  it('gives a GPU to a cell that prefers one where the partition has some, and runs it without where it has none', async () => {
    const project = site.project('stages:\n  cell: { on: lab, resources: { gpu: prefer }, run: "echo \\"gpus <$SLURM_JOB_GPUS>\\" > ${out.o}", out: { o: o.txt } }\n');
    const none = project.path('none');
    project.write('none/sinfo', '#!/bin/sh\necho "main*|infinite|(null)"\n');
    chmodSync(join(none, 'sinfo'), 0o755);
    for (const [path, gpus] of [[process.env['PATH']!, /^gpus <\d>\n$/], [`${none}:${process.env['PATH']!}`, /^gpus <>\n$/]] as const) {
      const { code, stdout, stderr } = project.pipe(['run', '--json', '--force', 'cell'], { ...site.env, PATH: path });
      expect(code, stdout + stderr).toBe(0);
      expect(project.read('cache/out/p/cell/o')).toMatch(gpus);
    }
    project.remove();
  });

  it('is reached through its login node over ssh', async () => {
    const sshd = await startDaemon('sshd', 1);
    // Where a login node has it in its profile.
    writeFileSync(join(sshd.folder, 'authorized_keys'), `command="SLURM_CONF=${site.env['SLURM_CONF']} sh -c \\"$SSH_ORIGINAL_COMMAND\\"" ${readFileSync(join(sshd.folder, 'id.pub'), 'utf8')}`);
    const project = site.project('stages:\n  train: { on: far, matrix: { axes: { seed: [1, 2] } }, run: "echo job $SLURM_JOB_ID > ${out.o}", out: { o: o.txt } }\n', {
      'pipe.hosts.yaml': `hosts:
  far:
    slurm: { login: root@127.0.0.1, partition: main }
    port: ${sshd.ports[0]}
    key: ${join(sshd.folder, 'id')}
    options: { UserKnownHostsFile: ${join(sshd.folder, 'known_hosts')}, IdentitiesOnly: yes }
    folder: ${site.folder}
`,
    });
    try {
      // Slurm's commands here know no cluster: those there are meant.
      const nowhere = { SLURM_CONF: '/nowhere' };
      const checked = project.pipe(['hosts'], nowhere);
      expect(checked.code, checked.stdout + checked.stderr).toBe(0);
      const { code, stdout, stderr } = project.pipe(['run', '--json'], nowhere);
      expect(code, stdout + stderr).toBe(0);
      for (const seed of [1, 2]) expect(project.read(`cache/out/p/train[seed=${seed}]/o`)).toMatch(/^job \d+\n$/);
    } finally {
      project.remove();
      await sshd.stop();
    }
  });

  it('tells what a task has said that could not begin, such as that a module is not there', () => {
    const project = site.project('stages:\n  train: { on: lab, run: "true" }\n', { 'pipe.hosts.yaml': `hosts:\n  lab: { slurm: { partition: main, modules: [cuda/99] }, folder: ${site.folder} }\n` });
    try {
      const { code, stdout } = project.pipe(['run', '--json'], site.env);
      expect(code).toBe(1);
      expect(stdout).toMatch(/has left no exit file; the last that it said: .*module.*not found/);
    } finally {
      project.remove();
    }
  });
});
