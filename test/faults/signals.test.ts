import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { closeSync, constants, existsSync, openSync, readFileSync, symlinkSync } from 'node:fs';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { onTestFinished, expect, test } from 'vitest';
import { openStore } from '../../src/runner/store/store.ts';
import { Gate } from '../rig/gate.ts';
import { makeProject } from '../rig/pipe.ts';
import type { TestProject } from '../rig/pipe.ts';
import { processesOf } from './rig/processes.ts';
import { tell } from './rig/tally.ts';

const program = fileURLToPath(new URL('../../dist/pipe.js', import.meta.url));

/** A stage that says at the gate that it is there and then waits with children; `trap` is what it does on SIGTERM. It ends by itself once `go` is there. */
function waiting(trap: string | null, kind: 'shell' | 'typed' = 'shell'): { readonly project: TestProject; readonly gate: Gate } {
  const project = makeProject({ 'word.txt': 'word\n' });
  onTestFinished(() => project.remove());
  // Typed stages find packages as they would where the program was installed.
  symlinkSync(fileURLToPath(new URL('../../node_modules', import.meta.url)), project.path('node_modules'));
  const gate = new Gate(project.folder, 'g');
  const shell = `run: |
      [ -e ${project.path('go')} ] || {
        ${trap === null ? '' : `trap '${trap}' TERM`}
        sleep 1000 &
        echo $! > ${project.path('child')}
        setsid sleep 1000 &
        echo $$ > ${project.path('root')}
        ${gate.say}
        while :; do sleep 1000 & wait $! || :; done
      }
      cp \${in.word} \${out.o}`;
  project.write('pipe.yaml', `pipeline: p
stages:
  first:
    run: cp \${in.word} \${out.o}
    in: { word: ./word.txt }
    out: { o: first.txt }
  wait:
    ${kind === 'shell' ? `${shell}\n    out: { o: wait.txt }` : 'uses: wait'}
    in: { word: first.o }
  last:
    run: cp \${in.o} \${out.o}
    in: { o: wait.o }
    out: { o: last.txt }
`);
  project.write('stages/wait.ts', `import { copyFileSync, existsSync, writeFileSync } from 'node:fs';
import { z } from 'zod';
import { defineStage } from 'xfolds/stage';
export const stage = defineStage({
  summary: 'Waits.', params: z.strictObject({}), inputs: { word: 'file' }, outputs: { o: 'file' },
  async run({ inputs, outputs, signal }) {
    if (!existsSync(${JSON.stringify(project.path('go'))})) {
      ${trap === null ? '' : `process.removeAllListeners('SIGTERM'); process.on('SIGTERM', () => undefined);`}
      writeFileSync(${JSON.stringify(project.path('root'))}, String(process.pid));
      writeFileSync(${JSON.stringify(gate.here)}, 'x');
      await new Promise((resolve, reject) => {
        const timer = setTimeout(resolve, 1_000_000);
        signal.addEventListener('abort', () => { clearTimeout(timer); reject(signal.reason); });
      });
    }
    copyFileSync(inputs.word, outputs.o);
  },
});
`);
  return { project, gate };
}

const statuses = (project: TestProject): unknown[] => {
  const store = openStore({ cache: project.path('cache'), mode: 'read' });
  try {
    return store.database.prepare('SELECT cell, status, cause FROM attempt ORDER BY id').all().map(row => Object.values(row as object).join(' '));
  } finally {
    store.close();
  }
};

/** Nothing is left that runs; what was good stays; and the next run finishes. */
function expectWell(project: TestProject, how: string): void {
  expect(processesOf(project.folder), how).toEqual([]);
  expect(project.read('cache/out/p/first/o'), how).toBe('word\n');
  project.write('go', '');
  const next = project.pipe(['run']);
  expect(next.code, `${how}\n${next.stderr}`).toBe(0);
  expect(project.read('cache/out/p/last/o'), how).toBe('word\n');
  expect(processesOf(project.folder), how).toEqual([]);
}

/** By SIGKILL; whoever has ended meanwhile is as it should be. */
function end(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Resolves when the stage is at its gate; a run that ends before that says why. */
async function atGate(gate: Gate, finished: Promise<unknown>): Promise<void> {
  const early = finished.then(end => {
    // Whoever still waits at the other side of the pipe is let go.
    closeSync(openSync(gate.here, constants.O_RDWR));
    throw new Error(`it ended before it came to the gate: ${JSON.stringify(end)}`);
  });
  early.catch(() => undefined);
  await Promise.race([gate.arrived(), early]);
}

const codes = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;
const signals = Object.keys(codes) as (keyof typeof codes)[];

test.each(signals.flatMap(signal => (['shell', 'typed'] as const).map(kind => [signal, kind] as const)))('%s once asks a %s stage to stop and waits for it', async (signal, kind) => {
  const { project, gate } = waiting(kind === 'shell' ? 'echo saved; exit 1' : null, kind);
  const run = project.start(['run']);
  await atGate(gate, run.finished);
  run.kill(signal);
  const { code, stderr } = await run.finished;
  expect(code, stderr).toBe(codes[signal]);
  expect(statuses(project)).toEqual(['first ran ', 'wait interrupted cancelled']);
  expectWell(project, signal);
  tell(`${signal} once, ${kind} stage`, `exit code ${code}, nothing left running, the next run finished`);
});

test.each(signals.flatMap(signal => (['shell', 'typed'] as const).map(kind => [signal, kind] as const)))('%s twice ends a %s stage that does not listen, with all that it started', async (signal, kind) => {
  const { project, gate } = waiting(':', kind);
  const run = project.start(['run', '--json']);
  await atGate(gate, run.finished);
  run.kill(signal);
  // The second only after the first has been taken: two at once are one to the kernel.
  await stopping(run, project);
  run.kill(signal);
  const { code, stderr } = await run.finished;
  expect(code, stderr).toBe(codes[signal]);
  expect(statuses(project)).toEqual(['first ran ', 'wait interrupted cancelled']);
  expectWell(project, signal);
  tell(`${signal} twice, ${kind} stage that ignores SIGTERM`, `exit code ${code}, nothing left running, the next run finished`);
});

/** Resolves when the run has taken the first signal: the kernel has it pending no more. */
async function stopping(run: ChildProcess, project: TestProject): Promise<void> {
  const pending = (): boolean => /^(?:ShdPnd|SigPnd):\s+0*[1-9a-f]/m.test(readFileSync(`/proc/${run.pid}/status`, 'latin1'));
  do await new Promise(resolve => setTimeout(resolve, 50));
  while (pending() && existsSync(project.folder));
}

test.each([
  ['its shell', 'root'],
  ['its child', 'child'],
  ['each of its processes', 'all'],
  ['the whole tree, pipe too', 'everything'],
] as const)('kill -9 of a stage, %s: named as what it is, or recovered by the next run', async (what, whom) => {
  const { project, gate } = waiting(null);
  if (whom === 'child') project.write('pipe.yaml', project.read('pipe.yaml').replace('while :; do sleep 1000 & wait $! || :; done', 'wait $(cat ' + project.path('child') + ')'));
  const run = project.start(['run']);
  await atGate(gate, run.finished);
  const pids = (text: string): number[] => text.split('\n').map(Number);
  const tree = processesOf(project.path('cache/work')).map(line => Number.parseInt(line, 10));
  expect(tree.length).toBeGreaterThanOrEqual(3);
  const targets = whom === 'root' || whom === 'child' ? pids(project.read(whom).trim()) : whom === 'all' ? tree : [run.pid!, ...tree];
  for (const pid of targets) end(pid);
  // What its shell started between the look and the kill; where `pipe` lives, it ends that itself.
  if (whom === 'everything') for (const line of processesOf(project.path('cache/work'))) end(Number.parseInt(line, 10));
  const { code, stderr } = await run.finished;
  expect(code, stderr).toBe(whom === 'everything' ? null : 1);
  expect(statuses(project)[1]).toBe(whom === 'everything' ? 'wait running ' : 'wait failed signal');
  expectWell(project, whom);
  tell(`kill -9 of a stage: ${what}`, `${whom === 'everything' ? '' : 'failed as `signal`, '}nothing left running, the next run finished`);
});

test.each([
  ['stdout of --json', ['--json'], 'stdout'],
  ['stderr', [], 'stderr'],
] as const)('a reader of %s that goes away stops the run as Ctrl-C would', async (_, options, stream) => {
  const { project, gate } = waiting(null);
  // Another stage that ends once the reader is gone: that is more to say.
  const more = new Gate(project.folder, 'm');
  project.write('pipe.yaml', `${project.read('pipe.yaml')}  talk:\n    run: ${more.wait}\n`);
  const run = spawn(process.execPath, [program, 'run', '-j', '2', ...options], { cwd: project.folder, stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = new Promise<number | null>(resolve => run.once('close', resolve));
  run[stream === 'stdout' ? 'stderr' : 'stdout'].resume();
  const open = await more.reached();
  await atGate(gate, ended);
  run[stream].destroy();
  await open();
  const code = await ended;
  expect(code).toBe(141);
  expect(statuses(project).toSorted()).toEqual(['first ran ', 'talk ran ', 'wait interrupted cancelled']);
  expectWell(project, stream);
  tell(`the reader of ${stream} goes away`, `exit code ${code}, nothing left running, the next run finished`);
});

test.each([['plain lines', ['--plain']], ['the live view', []]] as const)('a terminal that is closed while it shows %s stops the run', async (what, options) => {
  const { project, gate } = waiting('echo saved; exit 1');
  const code = project.path('code');
  // A pseudo-terminal is gone with the process that made it. The kernel tells the first process of the session, and when
  // that one ends, as shells do, all others: one of them lives to write down how the run ended.
  const terminal = spawn('script', ['-qfec', `(trap '' HUP; stty cols 100 rows 40; ${process.execPath} ${program} run ${options.join(' ')}; echo $? > ${code}); :`, '/dev/null'], {
    cwd: project.folder, stdio: ['pipe', 'pipe', 'ignore'], env: { PATH: process.env['PATH'], HOME: process.env['HOME'], TERM: 'xterm' },
  });
  let shown = '';
  terminal.stdout.setEncoding('utf8').on('data', (text: string) => void (shown += text));
  await atGate(gate, once(terminal, 'exit'));
  // The live view hides the cursor.
  while (!shown.includes(options.length === 0 ? '\x1b[?25l' : 'wait started')) await new Promise(resolve => setTimeout(resolve, 20));
  terminal.kill('SIGKILL');
  while (!existsSync(code) || processesOf(project.folder).length > 0) await new Promise(resolve => setTimeout(resolve, 50));
  expect(project.read('code').trim(), shown).toBe('129');
  expect(statuses(project)).toEqual(['first ran ', 'wait interrupted cancelled']);
  expectWell(project, 'terminal');
  tell(`the terminal is closed, ${what}`, 'exit code 129, nothing left running, the next run finished');
});

test('a stage that ignores SIGTERM has its half minute before SIGKILL, with the setting that people have', () => {
  const project = makeProject({});
  onTestFinished(() => project.remove());
  project.write('pipe.yaml', `pipeline: p
stages:
  stay:
    timeout: 1s
    run: |
      trap 'date +%s%3N > ${project.path('asked')}' TERM
      setsid sh -c 'trap "" TERM; while :; do sleep 1; done' &
      while :; do sleep 1 || :; done
    out: { o: o.txt }
`);
  const { code, stderr } = project.pipe(['run']);
  expect(code).toBe(1);
  expect(stderr).toMatch(/not done after its timeout of 1 s/);
  expect(processesOf(project.folder)).toEqual([]);
  const store = openStore({ cache: project.path('cache'), mode: 'read' });
  const [attempt] = store.results.lastAttempts('p', 'stay');
  store.close();
  expect(attempt?.cause).toBe('timeout');
  expect(attempt!.endedAt! - Number(project.read('asked'))).toBeGreaterThan(29_000);
  tell('SIGTERM ignored by a stage and what it started', 'killed after the whole grace of 30 s, nothing left');
});
