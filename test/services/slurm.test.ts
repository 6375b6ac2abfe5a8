import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeWith } from './rig/daemon.ts';
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
});
