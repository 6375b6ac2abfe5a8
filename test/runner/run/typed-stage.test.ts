import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { Gate } from '../../rig/gate.ts';
import { makeProject } from '../../rig/project.ts';

const header = `import { z } from 'zod';\nimport { defineStage } from 'xfolds/stage';\nimport { existsSync, readFileSync, writeFileSync } from 'node:fs';\nimport { join } from 'node:path';\n`;

test('a typed stage gets params with defaults and transforms, inputs, outputs, resources, and reports', async () => {
  const project = makeProject(
    `
stages:
  make:
    uses: make
    with: { count: 3 }
    resources: { cpu: 2 }
  part:
    matrix: { axes: { n: [1, 2] } }
    run: echo \${matrix.n} > \${out.o}
    out: { o: o.txt }
  join:
    uses: join
    in: { all: "part[*].o", one: make.text }
`,
    {
      'stages/make.ts': `${header}
export const stage = defineStage({
  summary: 'Makes.',
  params: z.strictObject({ count: z.int(), name: z.string().default('a').transform(name => name.toUpperCase()) }),
  inputs: {}, outputs: { text: 'file', folder: 'folder', numbers: 'metrics' },
  async run({ params, outputs, report, resources, backend, checkpoint }) {
    writeFileSync(outputs.text, params.name.repeat(params.count));
    writeFileSync(join(outputs.folder, 'f'), String(resources.cpu) + backend + checkpoint);
    writeFileSync(outputs.numbers, '{"metric":"loss","value":1}\\n{"metric":"acc","value":0.5}\\n');
    report.metric('loss', Number.NaN, 1);
    report.progress(0.5, { step: 1, total: 2 });
    report.platform({ device: 'none' });
    report.note('made 3');
  },
});
`,
      'stages/join.ts': `${header}
export const stage = defineStage({
  summary: 'Joins.', params: z.strictObject({}), inputs: { all: 'file[]', one: 'file', maybe: 'file?' }, outputs: { o: 'file' },
  async run({ inputs, outputs }) {
    writeFileSync(outputs.o, JSON.stringify([inputs.all.map(({ point, cell, status, path }) => [point, cell, status, readFileSync(path!, 'utf8')]), readFileSync(inputs.one, 'utf8'), inputs.maybe === undefined]));
  },
});
`,
    },
  );
  const outcome = await project.run();
  expect(outcome.summary).toMatchObject({ ran: 4, failed: 0 });
  expect(project.output('make', 'text')).toBe('AAA');
  expect(project.output('make', 'folder/f')).toBe('2autonull');
  expect(JSON.parse(project.output('join', 'o'))).toEqual([[[{ n: 1 }, 'part[n=1]', 'done', '1\n'], [{ n: 2 }, 'part[n=2]', 'done', '2\n']], 'AAA', true]);
  expect(outcome.finished('make').summary).toBe('made 3');
  const store = project.store();
  expect(store.database.prepare('SELECT name, step, value, kind FROM metric ORDER BY rowid').all()).toEqual([
    { name: 'loss', step: 1, value: null, kind: 'nan' }, { name: 'loss', step: null, value: 1, kind: 'finite' }, { name: 'acc', step: null, value: 0.5, kind: 'finite' },
  ]);
  const attempt = store.database.prepare(`SELECT platform, cpu_seconds AS cpu, peak_memory_bytes AS memory FROM attempt WHERE stage = 'make'`).get() as { platform: string; cpu: number; memory: number };
  store.close();
  expect(JSON.parse(attempt.platform)).toMatchObject({ device: 'none', backend: 'test', threads: '2' });
  expect(attempt.cpu).toBeGreaterThan(0.02);
  expect(attempt.memory).toBeGreaterThan(20e6);
});

test('an error shows the line of the TypeScript file, and its message on the stage', async () => {
  const project = makeProject('stages:\n  bad:\n    uses: bad\n', {
    'stages/bad.ts': `${header}\ninterface Padding { readonly a: number }\nexport const stage = defineStage({\n  summary: 'Fails.', params: z.strictObject({}), inputs: {}, outputs: { o: 'file' },\n  async run() {\n    throw new Error('no such thing', { cause: new Error('deeper') });\n  },\n});\n`,
  });
  const { finished } = await project.run();
  expect(finished('bad')).toMatchObject({ status: 'failed', cause: 'exit', message: 'no such thing' });
  const log = readFileSync(finished('bad').log!, 'utf8');
  expect(log).toMatch(/stages\/bad\.ts:10:\d+/);
  expect(log).toContain('deeper');
});

/** Counts to four and keeps what it has come to; waits at the gate after the second step of its first try. */
const counting = (gate: Gate): string => `${header}
export const stage = defineStage({
  summary: 'Counts.', params: z.strictObject({}), inputs: {}, outputs: { o: 'file' },
  async run({ outputs, checkpoint, signal, report }) {
    const kept = join(checkpoint!, 'steps.txt');
    const steps = existsSync(kept) ? readFileSync(kept, 'utf8').split(',') : [];
    const resumed = steps.length > 0;
    if (resumed) report.resumed(steps.length);
    while (steps.length < 4) {
      steps.push(String(steps.length));
      writeFileSync(kept, steps.join(','));
      if (steps.length === 2 && !resumed) {
        writeFileSync(${JSON.stringify(gate.here)}, 'x');
        await new Promise<void>((resolve, reject) => {
          const timer = setInterval(() => undefined, 1000);
          signal.addEventListener('abort', () => { clearInterval(timer); reject(signal.reason); });
        });
      }
    }
    writeFileSync(outputs.o, steps.join(','));
  },
});
`;

test('a stage that is interrupted resumes from its checkpoint, says from which step, and drops it when it is done', async () => {
  const project = makeProject('stages:\n  count:\n    uses: count\n    checkpoint: true\n');
  const gate = new Gate(project.root, 'g');
  project.write('stages/count.ts', counting(gate));
  const stop = new AbortController();
  const running = project.run({ signal: stop.signal });
  await gate.arrived();
  stop.abort('SIGINT');
  const first = await running;
  expect(first.finished('count')).toMatchObject({ status: 'interrupted', message: 'stopped on request' });
  const second = await project.run();
  expect(second.status).toEqual({ count: 'ran' });
  expect(second.events).toContainEqual({ event: 'cell.resumed', cell: 'count', step: 2 });
  expect(second.finished('count')).toMatchObject({ resumedFromStep: 2 });
  expect(project.output('count', 'o')).toBe('0,1,2,3');
  const store = project.store();
  expect(store.database.prepare('SELECT status, resumed_from_step AS step FROM attempt ORDER BY id').all()).toEqual([{ status: 'interrupted', step: null }, { status: 'ran', step: 2 }]);
  expect(store.database.prepare('SELECT * FROM checkpoint').all()).toEqual([]);
  store.close();
});

test('params that do not fit any more are named', async () => {
  const project = makeProject('stages:\n  s:\n    uses: s\n    with: { n: 1 }\n', {
    'stages/s.ts': `${header}\nexport const stage = defineStage({ summary: 'S.', params: z.strictObject({ n: z.int().refine(() => process.env.PIPE_CELL === undefined, 'only outside') }), inputs: {}, outputs: { o: 'file' }, async run() {} });\n`,
  });
  expect((await project.run()).finished('s').message).toMatch(/params of s do not fit the stage:\s+with\.n: only outside/);
});
