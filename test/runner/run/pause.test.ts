import { expect, test } from 'vitest';
import { RunControl } from '../../../src/runner/run/run-control.ts';
import { Gate } from '../../rig/gate.ts';
import { makeProject } from '../../rig/project.ts';

const pipeline = (first: string): string => `
stages:
  first: { run: "${first}; echo > \${out.y}", out: { y: y.txt } }
  second: { run: "cp \${in.y} \${out.z}", in: { y: first.y }, out: { z: z.txt } }
`;

test('while paused running cells go on and no other starts; afterwards the run goes on', async () => {
  const project = makeProject('');
  const gate = new Gate(project.root, 'gate');
  project.write('pipe.yaml', `pipeline: p\n${pipeline(gate.wait)}`);
  const control = new RunControl();
  let started: string[] | null = null;
  const running = project.run({
    control,
    onEvent(event) {
      if (event.event !== 'cell.finished' || event.cell !== 'first') return;
      // The scheduler has looked for what to start next when this comes, and nothing else is running.
      setImmediate(() => setImmediate(() => {
        started = control.running.map(({ cell }) => cell);
        control.pause(false);
      }));
    },
  });
  const open = await gate.reached();
  control.pause(true);
  expect(control.running.map(({ cell }) => cell)).toEqual(['first']);
  await open();
  const { status } = await running;
  expect(started).toEqual([]);
  expect(status).toEqual({ first: 'ran', second: 'ran' });
});

test('a paused run can be stopped', async () => {
  const project = makeProject(pipeline('true'));
  const control = new RunControl();
  const stop = new AbortController();
  control.pause(true);
  const running = project.run({ control, signal: stop.signal, onEvent: event => event.event === 'run.planned' && setImmediate(() => stop.abort('SIGINT')) });
  const { status, summary } = await running;
  expect(status).toEqual({ first: 'skipped', second: 'skipped' });
  expect(summary.exitCode).toBe(130);
});
