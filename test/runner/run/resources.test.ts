import { expect, test } from 'vitest';
import fc from 'fast-check';
import type { Resources } from '../../../src/runner/pipeline/model.ts';
import { discoverGpus } from '../../../src/runner/run/gpu.ts';
import { checkResources, grow, ResourcePool } from '../../../src/runner/run/resources.ts';
import type { Held, Machine } from '../../../src/runner/run/resources.ts';
import { Gate } from '../../rig/gate.ts';
import { makeProject } from '../../rig/project.ts';
import { chmodSync } from 'node:fs';

const machine: Machine = { cpus: 4, memoryBytes: 8 * 2 ** 30, gpus: [{ id: '0', memoryBytes: 24 * 2 ** 30 }, { id: '1', memoryBytes: 80 * 2 ** 30 }], named: { licence: 2 } };
const request = (more: Partial<Resources> = {}): Resources => ({ cpu: 1, memory: null, gpu: 0, gpuMemory: null, named: {}, ...more });
const poolOf = (...requests: Resources[]): ResourcePool => new ResourcePool(machine, 16, requests);

test('cores, memory and slots are never given twice; a cell that wants more cores than there are runs alone', () => {
  const pool = poolOf();
  const two = request({ cpu: 2 });
  const [a, b] = [pool.take(two), pool.take(two)];
  expect([a?.cpu, b?.cpu, pool.take(two)]).toEqual([2, 2, null]);
  const large = request({ cpu: 64 });
  expect(pool.take(large)).toBeNull();
  pool.release(a!);
  expect(pool.take(large)).toBeNull();
  pool.release(b!);
  const alone = pool.take(large);
  expect(alone?.cpu).toBe(4);
  expect(pool.take(request())).toBeNull();
});

test('GPUs: whole ones apart, fractions packed onto one, memory respected, `prefer` does without where there is none', () => {
  const pool = poolOf();
  const half = request({ gpu: 0.5 });
  const [a, b] = [pool.take(half), pool.take(half)];
  expect(a?.gpus).toEqual(b?.gpus);
  const whole = pool.take(request({ gpu: 1 }));
  expect(whole?.gpus).not.toEqual(a?.gpus);
  expect(pool.take(request({ gpu: 'prefer' }))).toBeNull();
  pool.release(whole!);
  pool.release(a!);
  pool.release(b!);
  expect(pool.take(request({ gpu: 1, gpuMemory: 40 * 2 ** 30 }))?.gpus).toEqual(['1']);
  expect(pool.take(request({ gpu: 2 }))).toBeNull();
  // In the machine's order, whatever they are taken for: a stage's first device is the lower one.
  expect(new ResourcePool({ ...machine, gpus: machine.gpus.toReversed() }, 4, []).take(request({ gpu: 2 }))?.gpus).toEqual(['1', '0']);
  expect(poolOf().take(request({ gpu: 2 }))?.gpus).toEqual(['0', '1']);
  const none = new ResourcePool({ ...machine, gpus: [] }, 4, []);
  expect(none.take(request({ gpu: 'prefer' }))?.gpus).toEqual([]);
  expect(pool.take(request({ gpu: 'prefer', gpuMemory: 200 * 2 ** 30 }))?.gpus).toEqual([]);
});

test('whatever is asked for and given back, nothing is given beyond what there is', () => {
  const anyRequest = fc.record({
    cpu: fc.integer({ min: 1, max: 6 }), memory: fc.option(fc.integer({ min: 1, max: 8 }).map(n => n * 2 ** 30)), gpu: fc.constantFrom<Resources['gpu']>(0, 0.25, 0.5, 1, 2, 'prefer'),
    gpuMemory: fc.option(fc.integer({ min: 1, max: 60 }).map(n => n * 2 ** 30)), named: fc.constantFrom<Resources['named']>({}, { licence: 1 }, { licence: 2 }, { own: 3 }),
  });
  fc.assert(fc.property(fc.array(fc.oneof(anyRequest.map(wanted => ({ wanted })), fc.nat(20).map(back => ({ back }))), { maxLength: 60 }), steps => {
    const pool = new ResourcePool(machine, 5, [request({ named: { own: 3 } })]);
    const held: Held[] = [];
    for (const step of steps) {
      if ('wanted' in step) {
        const got = pool.take(step.wanted);
        if (got) held.push(got);
      } else if (held.length > 0) pool.release(held.splice(step.back % held.length, 1)[0]!);
      expect(held.length).toBeLessThanOrEqual(5);
      expect(held.reduce((sum, { cpu }) => sum + cpu, 0)).toBeLessThanOrEqual(4);
      expect(held.reduce((sum, { memory }) => sum + (memory ?? 0), 0)).toBeLessThanOrEqual(machine.memoryBytes);
      expect(held.reduce((sum, { named }) => sum + (named.licence ?? 0), 0)).toBeLessThanOrEqual(2);
      expect(held.reduce((sum, { named }) => sum + (named.own ?? 0), 0)).toBeLessThanOrEqual(3);
      for (const gpu of machine.gpus) {
        const users = held.filter(({ gpus }) => gpus.includes(gpu.id));
        expect(users.reduce((sum, { gpuShare }) => sum + gpuShare, 0)).toBeLessThanOrEqual(1 + 1e-9);
        expect(users.reduce((sum, { gpuMemory }) => sum + gpuMemory, 0)).toBeLessThanOrEqual(gpu.memoryBytes);
      }
    }
  }));
});

test('what can never be met is refused with the cell, the request and what there is', async () => {
  const project = makeProject('stages:\n  a:\n    run: ":"\n    resources: { gpu: 3 }\n  b:\n    run: ":"\n    resources: { gpu: 1, gpu_memory: 100G }\n  c:\n    run: ":"\n    resources: { memory: 900G }\n  d:\n    run: ":"\n    resources: { licence: 3 }\n  e:\n    run: ":"\n    resources: { gpu: prefer, cpu: 99, own: 5 }\n');
  const graph = await project.graph();
  expect(() => checkResources(graph, machine)).toThrow(expect.objectContaining({
    exitCode: 2,
    message: 'a asks for 3 GPUs, and this machine has 2 GPUs\nb asks for 100G of GPU memory, and the largest GPU here has 80G\nc asks for 900G of memory, and this machine has 8G\nd asks for 3 of licence, and PIPE_RESOURCES gives 2',
  }));
  await expect(project.run({ machine: { ...machine, gpus: [] } })).rejects.toThrow(/a asks for 3 GPUs, and this machine has none that `nvidia-smi` shows/);
});

test('growth stops at the machine', () => {
  expect(grow(request({ cpu: 3, memory: 6 * 2 ** 30, gpu: 1 }), { cpu: 2, memory: 2, gpu: 4 }, machine)).toMatchObject({ cpu: 4, memory: 8 * 2 ** 30, gpu: 2 });
});

test('GPUs are found by nvidia-smi on PATH, narrowed by CUDA_VISIBLE_DEVICES, and given out one each', async () => {
  const project = makeProject('');
  project.write('bin/nvidia-smi', '#!/bin/sh\ncase "$1" in\n*utilization*) echo "0, 50, 1000"; echo "1, 70, 2000";;\n*uuid*) echo "0, 24576, GPU-aa11"; echo "1, 81920, GPU-bb22";;\n*) echo "0, 24576"; echo "1, 81920";;\nesac\n');
  chmodSync(project.path('bin/nvidia-smi'), 0o755);
  const environment = { PATH: `${project.path('bin')}:${process.env.PATH}` };
  const ids = async (visible?: string): Promise<string[]> => (await discoverGpus({ ...environment, ...(visible === undefined ? {} : { CUDA_VISIBLE_DEVICES: visible }) })).map(({ id }) => id);
  expect(await ids()).toEqual(['0', '1']);
  expect(await ids('1')).toEqual(['1']);
  expect(await ids('')).toEqual([]);
  expect(await ids('GPU-bb22,7,0')).toEqual(['GPU-bb22']);
  expect(await discoverGpus({ PATH: project.root })).toEqual([]);

  const gates = ['1', '2'].map(n => new Gate(project.root, `g${n}`));
  project.write('pipe.yaml', `pipeline: p\nstages:\n${gates.map((gate, n) => `  s${n}:\n    run: ${gate.wait}; echo "$CUDA_VISIBLE_DEVICES" > \${out.o}\n    out: { o: o.txt }\n    resources: { gpu: 1 }\n`).join('')}`);
  const running = project.run({ environment, jobs: 2 });
  const open = await Promise.all(gates.map(gate => gate.reached()));
  for (const go of open) await go();
  const { of } = await running;
  expect(of('cell.started').flatMap(({ gpus }) => gpus).sort()).toEqual(['0', '1']);
  expect([project.output('s0', 'o').trim(), project.output('s1', 'o').trim()].sort()).toEqual(['0', '1']);
  const store = project.store();
  expect(store.database.prepare('SELECT gpu FROM attempt ORDER BY gpu').all()).toEqual([{ gpu: expect.stringMatching(/^0(: 50 % busy, 1\.0 GiB)?$/) as string }, { gpu: expect.stringMatching(/^1(: 70 % busy, 2\.0 GiB)?$/) as string }]);
  store.close();
});
