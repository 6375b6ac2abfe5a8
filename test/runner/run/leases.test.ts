import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, realpathSync } from 'node:fs';
import { expect, test } from 'vitest';
import { Leases } from '../../../src/runner/run/leases.ts';
import { ownerState, thisProcess } from '../../../src/runner/run/owner.ts';
import type { Key } from '../../../src/runner/store/model.ts';
import { Gate } from '../../rig/gate.ts';
import { startRun } from '../../rig/other-run.ts';
import { makeProject } from '../../rig/project.ts';
import type { TestProject } from '../../rig/project.ts';

const key = 'a'.repeat(64) as Key;

function gated(): { readonly project: TestProject; readonly gate: Gate } {
  const project = makeProject('');
  const gate = new Gate(project.root, 'g');
  project.write('pipe.yaml', `pipeline: p\nstages:\n  s:\n    run: ${gate.wait}; echo $$ >> ${project.path('ran.txt')}; echo x > \${out.o}\n    out: { o: o.txt }\n  t:\n    run: cp \${in.o} \${out.o}\n    in: { o: s.o }\n    out: { o: t.txt }\n`);
  return { project, gate };
}

test('two runs on one cache share a cell: the second waits, names who is at it, and takes the result', async () => {
  const { project, gate } = gated();
  const other = await startRun(project.root);
  const open = await gate.reached();
  let waiting: (() => void) | null = null;
  const waits = new Promise<void>(resolve => void (waiting = resolve));
  const running = project.run({ onEvent: ({ event }) => void (event === 'cell.waiting' && waiting?.()) });
  await waits;
  await open();
  const outcome = await running;
  expect(outcome.of('cell.waiting')[0]).toMatchObject({ cell: 's', holder: `run 1, process ${other.process.pid} on ${thisProcess().host}` });
  expect(outcome.status.s).toBe('fresh');
  expect(await other.ended).toEqual({ code: 0, signal: null });
  expect(project.read('ran.txt').trim().split('\n')).toHaveLength(1);
  expect(project.output('t', 'o')).toBe('x\n');
});

test('what is gone is made again by one of two runs, though both have planned to', async () => {
  const { project, gate } = gated();
  const first = project.run();
  await gate.pass();
  expect((await first).status).toEqual({ s: 'ran', t: 'ran' });
  execFileSync('rm', ['-rf', realpathSync(project.path('cache/out/p/s/o'))]);
  const other = await startRun(project.root);
  const open = await gate.reached();
  let waiting: (() => void) | null = null;
  const waits = new Promise<void>(resolve => void (waiting = resolve));
  const running = project.run({ onEvent: ({ event }) => void (event === 'cell.waiting' && waiting?.()) });
  await waits;
  await open();
  expect((await running).status).toEqual({ s: 'fresh', t: 'fresh' });
  expect(await other.ended).toEqual({ code: 0, signal: null });
  expect(project.read('ran.txt').trim().split('\n')).toHaveLength(2);
  expect(project.output('s', 'o')).toBe('x\n');
});

test('a process of a killed run that has cleaned its environment and left its folder is ended by the next run', async () => {
  const project = makeProject('');
  const gate = new Gate(project.root, 'g');
  const hide = `echo $$ > ${project.path('pid')}; cd /; exec env -i /bin/sh -c "${gate.say}; exec sleep 1000"`;
  project.write('pipe.yaml', `pipeline: p\nstages:\n  s:\n    run: |\n      [ -e ${project.path('pid')} ] || { ${hide}; }\n      echo x > \${out.o}\n    out: { o: o.txt }\n`);
  const other = await startRun(project.root);
  await gate.arrived();
  const pid = project.read('pid').trim();
  const store = project.store();
  // Written down with the next heartbeat.
  while (!store.database.prepare<[], { processes: string }>('SELECT processes FROM lease').get()!.processes.includes(`[${pid},`)) await new Promise(resolve => setTimeout(resolve, 100));
  store.close();
  other.process.kill('SIGKILL');
  await other.ended;
  expect(existsSync(`/proc/${pid}`)).toBe(true);
  expect((await project.run()).status).toEqual({ s: 'ran' });
  expect(existsSync(`/proc/${pid}`) && !readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ')).toBe(false);
});

test('a killed run leaves nothing that needs a hand: its stage is ended, its attempt lost, its folder removed, its cell run', async () => {
  const { project, gate } = gated();
  const other = await startRun(project.root);
  const started = await other.seen('cell.started');
  await gate.arrived();
  other.process.kill('SIGKILL');
  await other.ended;
  const orphans = stageProcesses(project);
  expect(orphans.length).toBeGreaterThan(0);

  const running = project.run();
  await gate.pass();
  const outcome = await running;
  expect(outcome.status).toEqual({ s: 'ran', t: 'ran' });
  expect(outcome.of('notice').map(({ text }) => text)).toEqual([`s was left unfinished by process ${other.process.pid} on ${thisProcess().host}, which is gone`]);
  expect(stageProcesses(project)).toEqual([]);
  expect(readdirSync(project.path('cache/work'))).toEqual([]);
  const store = project.store();
  expect(store.database.prepare('SELECT id, status FROM attempt ORDER BY id').all()).toEqual([{ id: started.attempt, status: 'lost' }, { id: started.attempt + 1, status: 'ran' }, { id: started.attempt + 2, status: 'ran' }]);
  expect(store.database.prepare('SELECT * FROM lease').all()).toEqual([]);
  store.close();
});

test('a typed stage ends by itself when its run is killed, and the next run resumes it from its checkpoint to the same end', async () => {
  const project = makeProject('stages:\n  count:\n    uses: count\n    checkpoint: true\n');
  const gate = new Gate(project.root, 'g');
  project.write('stages/count.ts', `import { z } from 'zod';
import { defineStage } from 'xfolds/stage';
import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
export const stage = defineStage({
  summary: 'Counts.', params: z.strictObject({}), inputs: {}, outputs: { o: 'file' },
  async run({ outputs, checkpoint }) {
    const file = checkpoint + '/sum.json';
    let { step, sum } = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : { step: 0, sum: 0 };
    const resumed = step > 0;
    if (resumed) appendFileSync(process.env.PIPE_EVENTS!, JSON.stringify({ resumed: step }) + '\\n');
    while (step < 10) {
      sum = (sum * 31 + ++step) % 1000003;
      writeFileSync(file, JSON.stringify({ step, sum }));
      if (step === 6 && !resumed) {
        writeFileSync(${JSON.stringify(gate.here)}, 'x');
        await new Promise(resolve => setTimeout(resolve, 100_000));
      }
    }
    writeFileSync(outputs.o, String(sum));
  },
});
`);
  const other = await startRun(project.root);
  await gate.arrived();
  other.process.kill('SIGKILL');
  await other.ended;
  const outcome = await project.run();
  expect(outcome.status).toEqual({ count: 'ran' });
  let unbroken = 0;
  for (let step = 1; step <= 10; step++) unbroken = (unbroken * 31 + step) % 1000003;
  expect(project.output('count', 'o')).toBe(String(unbroken));
  const store = project.store();
  expect(store.database.prepare('SELECT status, resumed_from_step AS step FROM attempt ORDER BY id').all()).toEqual([{ status: 'lost', step: null }, { status: 'ran', step: 6 }]);
  store.close();
  expect(existsSync(project.path('cache/checkpoints')) && readdirSync(project.path('cache/checkpoints'))).toEqual([]);
  expect(stageProcesses(project)).toEqual([]);
});

test('a run that is killed while another one waits for its cell is taken over at once', async () => {
  const { project, gate } = gated();
  const other = await startRun(project.root);
  await gate.arrived();
  let waiting: (() => void) | null = null;
  const waits = new Promise<void>(resolve => void (waiting = resolve));
  const running = project.run({ onEvent: ({ event }) => void (event === 'cell.waiting' && waiting?.()) });
  await waits;
  other.process.kill('SIGKILL');
  await gate.pass();
  const outcome = await running;
  expect(outcome.status).toEqual({ s: 'ran', t: 'ran' });
  expect(outcome.of('notice').map(({ text }) => text).join()).toMatch(/taken over from process \d+/);
});

test('a terminal that closes (SIGHUP) stops the stage and leaves its attempt as interrupted', async () => {
  const { project, gate } = gated();
  const other = await startRun(project.root);
  await gate.reached();
  other.process.kill('SIGHUP');
  expect(await other.ended).toEqual({ code: 129, signal: null });
  expect(stageProcesses(project)).toEqual([]);
  const store = project.store();
  expect(store.database.prepare('SELECT status FROM attempt').all()).toEqual([{ status: 'interrupted' }]);
  store.close();
});

test('a lease is held by one, named, kept while its process lives, and cleared when it is gone', async () => {
  const project = makeProject('stages: {}\n');
  const store = project.store();
  const [first, second] = [new Leases(store.database, 1), new Leases(store.database, 2)];
  expect(first.acquire(key, 'train')).toEqual({ held: true });
  const busy = second.acquire(key, 'train');
  expect(busy).toMatchObject({ held: false, holder: { run: 1, cell: 'train', pid: process.pid } });
  expect([first.holds(key), second.holds(key)]).toEqual([true, false]);
  if (busy.held) throw new Error('held twice');
  expect(second.judge(busy.holder)).toBe('working');
  second.release(key);
  expect(first.holds(key)).toBe(true);
  store.database.prepare(`UPDATE lease SET pid_started = '1'`).run();
  const gone = second.holder(key)!;
  expect(second.judge(gone)).toBe('gone');
  expect(await second.clear(gone)).toBe(true);
  expect(await second.clear(gone)).toBe(false);
  expect(second.acquire(key, 'train')).toEqual({ held: true });
  second.close();
  first.close();
  expect(store.database.prepare('SELECT count(*) AS n FROM lease').get()).toEqual({ n: 0 });
  store.close();
});

test('a process is known by more than its number', () => {
  const me = thisProcess();
  expect(ownerState(me)).toBe('alive');
  expect(ownerState({ ...me, startTime: '1' })).toBe('dead');
  expect(ownerState({ ...me, bootId: 'earlier' })).toBe('dead');
  expect(ownerState({ ...me, pid: 2 ** 22 + 1 })).toBe('dead');
  expect(ownerState({ ...me, host: 'elsewhere' })).toBe('unknown');
});

function stageProcesses(project: TestProject): string[] {
  return readdirSync('/proc').filter(name => /^\d+$/.test(name)).filter(pid => {
    try {
      return readFileSync(`/proc/${pid}/environ`, 'utf8').includes(`PIPE_FOLDER=${project.cache}`) && !readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ');
    } catch {
      return false;
    }
  });
}
