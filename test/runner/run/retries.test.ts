import { expect, test } from 'vitest';
import { makeProject } from '../../rig/project.ts';
import { mayRetry } from '../../../src/runner/run/run-cell.ts';

const counted = (project: ReturnType<typeof makeProject>, run: string, retries: string): void =>
  project.write('pipe.yaml', `pipeline: p\nstages:\n  s:\n    run: |\n      n=$(($(cat ${project.path('n')} 2>/dev/null || echo 0) + 1)); echo $n > ${project.path('n')}\n      ${run}\n    out: { o: o.txt }\n    resources: { memory: 100M }\n    retries: ${retries}\n`);

test('a stage is tried again as its policy says, and the run tells of each try', async () => {
  const project = makeProject('');
  counted(project, 'test $n -ge 3; echo $n > ${out.o}', '{ times: 2, on: [exit], backoff: 1ms }');
  const outcome = await project.run();
  expect(outcome.status).toEqual({ s: 'ran' });
  expect(project.output('s', 'o')).toBe('3\n');
  expect(outcome.of('cell.started').map(event => event.try)).toEqual([1, 2, 3]);
  expect(outcome.of('cell.retrying')).toMatchObject([{ cause: 'exit', inMs: 1, try: 2 }, { cause: 'exit', inMs: 2, try: 3 }]);
  const store = project.store();
  expect(store.database.prepare('SELECT status, exit_code AS code FROM attempt ORDER BY id').all()).toEqual([{ status: 'failed', code: 1 }, { status: 'failed', code: 1 }, { status: 'ran', code: 0 }]);
  store.close();
});

test('a cause that is not listed is not tried again, and the number of times is kept', async () => {
  const project = makeProject('');
  counted(project, 'exit 9', '{ times: 5, on: [oom, 8] }');
  expect((await project.run()).of('cell.started')).toHaveLength(1);
  counted(project, 'exit 8', '{ times: 2, on: [oom, 8], backoff: 1ms }');
  expect((await project.run()).of('cell.started')).toHaveLength(3);
});

test('resources grow with each try, up to what the machine has', async () => {
  const project = makeProject('');
  counted(project, 'test $OMP_NUM_THREADS -ge 4 || { echo MemoryError; exit 1; }; echo $OMP_NUM_THREADS > ${out.o}', '{ times: 3, on: [oom], backoff: 1ms, grow: { cpu: 2 } }');
  const outcome = await project.run({ machine: { cpus: 4, memoryBytes: 1e9, gpus: [], named: {} } });
  expect(outcome.of('cell.started').map(({ cpu }) => cpu)).toEqual([1, 2, 4]);
  expect(project.output('s', 'o')).toBe('4\n');
});

test('which causes a policy covers', () => {
  const on = (...causes: ('exit' | 'oom' | 'preempted' | 'timeout' | number)[]) => ({ times: 1, on: causes, backoffMs: 0, grow: {} });
  expect(mayRetry(on('exit'), 'signal', null)).toBe(true);
  expect(mayRetry(on('exit'), 'oom', 1)).toBe(false);
  expect(mayRetry(on(1), 'oom', 1)).toBe(true);
  expect(mayRetry(on('timeout', 'preempted'), 'timeout', null)).toBe(true);
  expect(mayRetry(on('exit', 'oom', 'preempted', 'timeout'), 'missing-output', 0)).toBe(false);
  expect(mayRetry(on('exit', 'oom', 'preempted', 'timeout'), 'damaged-input', 0)).toBe(false);
});
