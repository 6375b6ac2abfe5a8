import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { printable } from '../../../src/runner/run/log-file.ts';
import { Gate } from '../../rig/gate.ts';
import { makeProject } from '../../rig/project.ts';
import type { Outcome, TestProject } from '../../rig/project.ts';

/** A project with one shell stage. */
const shell = (run: string, more = ''): TestProject =>
  makeProject(`stages:\n  s:\n    run: |\n${run.trim().split('\n').map(line => `      ${line}`).join('\n')}\n${more}`);

const log = (outcome: Outcome): string => readFileSync(outcome.finished('s').log!, 'utf8');

/** Processes that live in a work folder of the project. */
function left(project: TestProject): string[] {
  return readdirSync('/proc').filter(name => /^\d+$/.test(name)).filter(pid => {
    try {
      return readFileSync(`/proc/${pid}/environ`, 'utf8').includes(project.cache) && !readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ');
    } catch {
      return false;
    }
  });
}

test('a stage gets the listed environment and no other, and knows its files', async () => {
  const project = shell('env | sort > ${out.o}', `    out: { o: o.txt }
    with: { rate: 0.5 }
    resources: { cpu: 2 }
    env: { pass: [LANG], set: { MODE: fast }, secret: [TOKEN] }
`);
  await project.run({ environment: { PATH: process.env.PATH, HOME: '/home/x', LANG: 'C', TOKEN: 'abcdef', OTHER: 'no' } });
  const environment = Object.fromEntries(project.output('s', 'o').trim().split('\n').map(line => line.split(/=(.*)/s, 2) as [string, string]));
  expect(environment).toMatchObject({ HOME: '/home/x', LANG: 'C', TOKEN: 'abcdef', MODE: 'fast', OMP_NUM_THREADS: '2', TF_NUM_INTRAOP_THREADS: '2', CUDA_VISIBLE_DEVICES: '', PIPE_CELL: 's' });
  expect(environment.OTHER).toBeUndefined();
  expect(environment.PIPE_CHECKPOINT).toBeUndefined();
  expect(environment.PIPE_LIFELINE).toBeUndefined();
});

test('run.sh runs a failed stage again by hand; no secret is in it, in the log, or in an event', async () => {
  const project = shell('echo "token $TOKEN"; echo "{\\"note\\":\\"with $TOKEN\\"}" >> "$PIPE_EVENTS"; cat "$PIPE_PARAMS"; exit 3', '    with: { rate: 0.5 }\n    env: { secret: [TOKEN] }\n');
  const outcome = await project.run({ environment: { PATH: process.env.PATH, TOKEN: 'hunter22' } });
  const { folder, tail } = outcome.finished('s');
  expect(tail).toContain('token [secret]');
  expect(JSON.stringify(outcome.events)).not.toContain('hunter22');
  expect(outcome.of('note').map(({ text }) => text)).toEqual(['with [secret]']);
  expect(log(outcome)).not.toContain('hunter22');
  const script = `${folder}/run.sh`;
  expect(readFileSync(script, 'utf8')).not.toContain('hunter22');
  expect(() => execFileSync(script, { env: { TOKEN: 'mine', PATH: process.env.PATH }, stdio: 'pipe' })).toThrow(expect.objectContaining({ status: 3, stdout: Buffer.from('token mine\n{\n  "rate": 0.5\n}\n') }));
  for (const name of readdirSync(project.cache).filter(file => file.startsWith('pipe.db'))) expect(readFileSync(project.path('cache', name)).includes('hunter22')).toBe(false);
});

test('events are read whatever is in the file: metrics with NaN, progress, notes, binary, huge and broken lines', async () => {
  const project = shell(`
exec >> "$PIPE_EVENTS"
echo '{"metric":"loss","value":2.5,"step":1}'
echo '{"metric":"loss","value":"NaN","step":2}'
echo '{"progress":0.4,"step":2,"total":5}'
head -c 300 /dev/urandom | tr '\\n' x; echo
head -c 200000 /dev/zero | tr '\\0' a; echo
echo '{"note":"half done"}'
printf '{"metric":"last","value":7}'
`, '    out: {}\n');
  const outcome = await project.run();
  expect(outcome.status.s).toBe('ran');
  expect(outcome.of('metric').map(({ name, value, step }) => [name, value, step])).toEqual([['loss', 2.5, 1], ['loss', 'NaN', 2], ['last', 7, undefined]]);
  expect(outcome.of('cell.progress')).toMatchObject([{ fraction: 0.4, step: 2, total: 5 }]);
  expect(outcome.finished('s').summary).toBe('half done');
  expect(outcome.of('notice').map(({ text }) => text).join('\n')).toMatch(/left out/);
  const store = project.store();
  const rows = store.database.prepare('SELECT name, step, value, kind FROM metric ORDER BY rowid').all();
  store.close();
  expect(rows).toEqual([{ name: 'loss', step: 1, value: 2.5, kind: 'finite' }, { name: 'loss', step: 2, value: null, kind: 'nan' }, { name: 'last', step: null, value: 7, kind: 'finite' }]);
});

test('a hundred thousand events are all kept', async () => {
  const project = shell(`awk 'BEGIN { for (i = 0; i < 100000; i++) printf "{\\"metric\\":\\"m\\",\\"value\\":%d,\\"step\\":%d}\\n", i, i }' >> "$PIPE_EVENTS"`);
  await project.run();
  const store = project.store();
  expect(store.database.prepare('SELECT count(*) AS n, max(step) AS last FROM metric').get()).toEqual({ n: 100_000, last: 99_999 });
  store.close();
});

test('a million log lines, and binary ones, stay in the log; what is told is a part, and is printable', async () => {
  const outcome = await shell('seq 1000000; printf "\\033[31mred\\007\\000\\n"').run();
  expect(outcome.status.s).toBe('ran');
  expect(log(outcome).split('\n')).toHaveLength(1_000_002);
  const told = outcome.of('log').map(({ text }) => text);
  expect(told.length).toBeLessThan(100_000);
  expect(told.some(text => /lines are in the log file only/.test(text))).toBe(true);
  expect(printable('\u001b[31mred\u0007\u0000')).toBe('red··');
});

test('a stage that closes its output, or whose command is not there, is named as what it is', async () => {
  expect((await shell('exec >&- 2>&-; exit 0').run()).status.s).toBe('ran');
  expect((await shell('no-such-command-here').run()).finished('s')).toMatchObject({ cause: 'exit', message: 'exit code 127: a command was not found' });
  const argv = makeProject('stages:\n  s:\n    run: [/no/such/program]\n');
  expect((await argv.run()).finished('s').message).toMatch(/could not be started: \/no\/such\/program was not found/);
});

test('signals, want of memory and a full disk are named as such', async () => {
  expect((await shell('kill -9 $$').run()).finished('s')).toMatchObject({ cause: 'signal', message: expect.stringContaining('SIGKILL') as string });
  expect((await shell('kill -SEGV $$').run()).finished('s')).toMatchObject({ cause: 'signal', message: expect.stringContaining('SIGSEGV') as string });
  expect((await shell('kill -TERM $$').run()).finished('s')).toMatchObject({ cause: 'preempted' });
  expect((await shell('echo "RuntimeError: CUDA out of memory. Tried to allocate"; exit 1').run()).finished('s')).toMatchObject({ cause: 'oom' });
  expect((await shell('echo "cp: No space left on device"; exit 1').run()).finished('s')).toMatchObject({ cause: 'disk-full' });
});

test('a timeout ends the whole tree, also what ignores SIGTERM and what has left group and session', async () => {
  const project = shell(`
trap '' TERM
setsid sh -c 'trap "" TERM; while :; do sleep 60; done' &
sh -c 'trap "" TERM; sleep 60' &
while :; do sleep 60; done
`, '    timeout: 300ms\n');
  const outcome = await project.run({ graceMs: 100 });
  expect(outcome.finished('s')).toMatchObject({ cause: 'timeout', message: 'not done after its timeout of 0.3 s' });
  expect(left(project)).toEqual([]);
});

test('a daemon that a stage leaves behind is ended with it, even one that cleaned its environment', async () => {
  const project = makeProject('');
  const gate = new Gate(project.root, 'g');
  project.write('pipe.yaml', `pipeline: p\nstages:\n  s:\n    run: |\n      setsid sleep 600 &\n      (env -i setsid sleep 60177 &)\n      sleep 0.35\n      echo done > \${out.o}\n      ${gate.wait}\n    out: { o: o.txt }\n`);
  const running = project.run({ onEvent: () => undefined });
  await gate.pass();
  const outcome = await running;
  expect(outcome.status.s).toBe('ran');
  expect(log(outcome)).toMatch(/\[pipe\] ended 2 processes/);
  expect(left(project)).toEqual([]);
});

test('the first interrupt asks the stage to stop and starts no other; the second ends its tree', async () => {
  const build = (trap: string): [TestProject, Gate] => {
    const project = makeProject('');
    const gate = new Gate(project.root, 'g');
    project.write('pipe.yaml', `pipeline: p\nstages:\n  s:\n    run: |\n      trap '${trap}' TERM\n      ${gate.say}\n      while :; do sleep 0.05; done\n  next:\n    run: ": \${in.o}"\n    needs: [s]\n`.replace(': ${in.o}', ':'));
    return [project, gate];
  };
  const [gentle, gate] = build('echo saved; exit 1');
  const stop = new AbortController();
  const running = gentle.run({ signal: stop.signal });
  await gate.arrived();
  stop.abort('SIGINT');
  const outcome = await running;
  expect(outcome.status).toEqual({ s: 'interrupted', next: 'skipped' });
  expect(outcome.summary).toMatchObject({ interrupted: 1, exitCode: 130 });
  expect(log(outcome)).toContain('saved');

  const [stubborn, second] = build('');
  const stop2 = new AbortController();
  const kill = new AbortController();
  const running2 = stubborn.run({ signal: stop2.signal, kill: kill.signal });
  await second.arrived();
  stop2.abort('SIGTERM');
  kill.abort('SIGTERM');
  const killed = await running2;
  expect(killed.summary).toMatchObject({ interrupted: 1, exitCode: 143 });
  expect(left(stubborn)).toEqual([]);
  const store = stubborn.store();
  expect(store.database.prepare('SELECT status FROM attempt').all()).toEqual([{ status: 'interrupted' }]);
  expect(store.database.prepare('SELECT * FROM lease').all()).toEqual([]);
  store.close();
});

test('processor time and memory are measured', async () => {
  const project = shell(`awk 'BEGIN { for (i = 0; i < 300000; i++) a[i] = i "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"; for (i = 0; i < 9000000; i++) s += i }'`);
  await project.run();
  const store = project.store();
  const row = store.database.prepare('SELECT cpu_seconds AS cpu, peak_memory_bytes AS memory, (ended_at - started_at) / 1000.0 AS seconds FROM attempt').get() as { cpu: number; memory: number; seconds: number };
  store.close();
  expect(row.cpu).toBeGreaterThan(0.1);
  expect(row.cpu).toBeLessThan(1.5 * row.seconds + 0.1);
  expect(row.memory).toBeGreaterThan(20e6);
});
