/** Cells of a typed stage that follow each other in one process, and those after which it ends. */
import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { makeProject } from '../../rig/project.ts';
import type { Outcome, TestProject } from '../../rig/project.ts';

interface Seen {
  readonly pid: number;
  readonly cwd: string;
  readonly cell: string;
  readonly folder: string;
  readonly loaded: number;
  readonly left: string;
  readonly patched: boolean;
}

/** Says where it is, then does what its param says. `extra`: of the module or the stage. */
const probe = ({ imports = '', member = '' } = {}): string => `import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { z } from 'zod';
import { defineStage } from 'xfolds/stage';
${imports}
let loaded = 0;
export const stage = defineStage({
  summary: 'Probes.', params: z.strictObject({ does: z.string(), n: z.int() }), inputs: {}, outputs: { o: 'file' }, ${member}
  async run({ params, outputs, report, signal }) {
    loaded++;
    console.log('log of', process.env.PIPE_CELL);
    writeFileSync(outputs.o, JSON.stringify({
      pid: process.pid, cwd: process.cwd(), cell: process.env.PIPE_CELL, folder: process.env.PIPE_FOLDER, loaded,
      left: process.env.LEFT ?? '', patched: 'patched' in Array.prototype,
    }));
    report.metric('loaded', loaded);
    switch (params.does) {
      case 'env': process.env.LEFT = 'left'; process.chdir('/'); process.exitCode = 3; break;
      case 'global': Object.assign(Array.prototype, { patched: true }); break;
      case 'timer': setInterval(() => console.log('still here'), 1); break;
      case 'listener': process.on('uncaughtException', () => undefined); break;
      case 'exit': process.exit(7);
      case 'kill': process.kill(process.pid, 'SIGKILL'); await wait(60_000); break;
      case 'reject': void Promise.reject(new Error('nobody looks')); await wait(60_000); break;
      case 'throw': throw new Error('as asked');
      case 'hang': await wait(60_000); break;
      case 'stop': await wait(60_000, null, { signal }); break;
      case 'child': spawn('sleep', ['1000'], { stdio: 'ignore' }).unref(); break;
      case 'busy': for (const end = performance.now() + 120; performance.now() < end; ); break;
    }
  },
});
`;

function project(does: readonly string[], settings = '', module = probe()): TestProject {
  return makeProject(`stages:
  s:
    uses: probe
    matrix: { zip: { n: [${does.map((_, n) => n)}], does: [${does.join(', ')}] } }
    with: { does: "\${matrix.does}", n: "\${matrix.n}" }
    always: true
${settings}`, { 'stages/probe.ts': module });
}

const cellOf = (does: readonly string[], n: number): string => `s[n=${n},does=${does[n]!}]`;

/** What each cell saw, in order; null for one without a result. */
const seenBy = (place: TestProject, does: readonly string[], outcome: Outcome): (Seen | null)[] =>
  does.map((_, n) => (outcome.status[cellOf(does, n)] === 'ran' ? (JSON.parse(place.output(cellOf(does, n), 'o')) as Seen) : null));

const alive = (pid: number): boolean => existsSync(`/proc/${pid}`);

test('cells of a stage follow each other in one process, each with its own folder, environment, log, modules and account', async () => {
  const does = ['busy', 'env', 'nothing', 'nothing'];
  const place = project(does);
  const outcome = await place.run({ jobs: 1 });
  const seen = seenBy(place, does, outcome);
  expect(new Set(seen.map(cell => cell?.pid)).size).toBe(1);
  expect(seen.map(cell => cell?.cell)).toEqual(does.map((_, n) => cellOf(does, n)));
  for (const cell of seen) expect(cell).toMatchObject({ cwd: `${cell!.folder}/files`, loaded: 1, left: '', patched: false });
  expect(new Set(seen.map(cell => cell?.folder)).size).toBe(4);
  for (const [n] of does.entries()) expect(readFileSync(outcome.finished(cellOf(does, n)).log!, 'utf8')).toBe(`log of ${cellOf(does, n)}\n`);
  const store = place.store();
  const used = store.database.prepare<[], { cpu: number; memory: number }>('SELECT cpu_seconds AS cpu, peak_memory_bytes AS memory FROM attempt ORDER BY id').all();
  store.close();
  expect(used[0]!.cpu).toBeGreaterThan(0.11);
  for (const { cpu } of used.slice(1)) expect(cpu).toBeLessThan(0.1);
  for (const { memory } of used) expect(memory).toBeGreaterThan(20e6);
  // The run is over.
  expect(alive(seen[0]!.pid)).toBe(false);
});

test('a cell that leaves something behind is the last one of its process', async () => {
  const does = ['global', 'timer', 'listener', 'child', 'nothing'];
  const place = project(does);
  const outcome = await place.run({ jobs: 1 });
  const seen = seenBy(place, does, outcome);
  expect(new Set(seen.map(cell => cell?.pid)).size).toBe(5);
  expect(seen.map(cell => cell?.patched)).toEqual([false, false, false, false, false]);
  expect(readFileSync(outcome.finished(cellOf(does, 3)).log!, 'utf8')).toContain('[pipe] ended a process that the stage left running');
  for (const cell of seen) expect(alive(cell!.pid)).toBe(false);
});

test('a cell that ends its process, fails or hangs takes nothing but itself', async () => {
  const does = ['nothing', 'exit', 'kill', 'reject', 'throw', 'nothing', 'hang', 'stop', 'nothing'];
  const place = project(does, '    timeout: 2s\n');
  const outcome = await place.run({ jobs: 1, keepGoing: true, graceMs: 200 });
  expect(does.map((_, n) => outcome.status[cellOf(does, n)])).toEqual(['ran', 'failed', 'failed', 'failed', 'failed', 'ran', 'failed', 'failed', 'ran']);
  expect(does.map((_, n) => outcome.finished(cellOf(does, n))).map(({ cause, message }) => [cause, message])).toEqual([
    [undefined, undefined],
    ['exit', 'exit code 7'],
    ['signal', expect.stringContaining('SIGKILL')],
    ['exit', 'exit code 1'],
    ['exit', 'as asked'],
    [undefined, undefined],
    ['timeout', expect.any(String)],
    ['timeout', expect.any(String)],
    [undefined, undefined],
  ]);
  expect(readFileSync(outcome.finished(cellOf(does, 3)).log!, 'utf8')).toMatch(/nobody looks[\s\S]*stages\/probe\.ts:\d+/);
  expect(readFileSync(outcome.finished(cellOf(does, 4)).log!, 'utf8')).toMatch(/stages\/probe\.ts:\d+/);
});

test('two cells at once have a process each, and no third is started', async () => {
  const does = Array.from({ length: 8 }, () => 'nothing');
  const place = project(does);
  const outcome = await place.run({ jobs: 2 });
  expect(new Set(seenBy(place, does, outcome).map(cell => cell?.pid)).size).toBe(2);
});

test.each([
  ['packages, which keep what they hold', probe({ imports: "import 'yaml';" }), 2],
  ['packages, and says that it does not mind', probe({ imports: "import 'yaml';", member: 'warm: true,' }), 1],
  ['nothing but its own modules, and wants a process for each cell', probe({ member: 'warm: false,' }), 2],
])('a stage that has %s', async (_, module, processes) => {
  const does = ['nothing', 'nothing'];
  const place = project(does, '', module);
  const outcome = await place.run({ jobs: 1 });
  expect(new Set(seenBy(place, does, outcome).map(cell => cell?.pid)).size).toBe(processes);
});

test('cells that are given other environments, GPUs or secrets do not share a process', async () => {
  const does = ['nothing', 'nothing'];
  const pids = async (settings: string, environment = process.env): Promise<number> => {
    const place = project(does, settings);
    const machine = { cpus: 2, memoryBytes: 8e9, gpus: [{ id: '0', memoryBytes: 8e9 }], named: {} };
    return new Set(seenBy(place, does, await place.run({ jobs: 1, environment, machine })).map(cell => cell?.pid)).size;
  };
  expect(await pids('    env: { set: { N: "${matrix.n}" } }\n')).toBe(2);
  expect(await pids('    resources: { gpu: 1 }\n')).toBe(2);
  expect(await pids('    env: { secret: [TOKEN] }\n', { ...process.env, TOKEN: 'abcdefgh' })).toBe(2);
});
