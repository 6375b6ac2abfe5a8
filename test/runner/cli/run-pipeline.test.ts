import { expect, test } from 'vitest';
import type { RunEvent } from '../../../src/runner/run/event.ts';
import { makeProject } from '../../rig/pipe.ts';

// The library as it is shipped.
const { runPipeline, InvalidPipeline } = (await import(new URL('../../../dist/index.js', import.meta.url).href)) as typeof import('../../../src/index.ts');

const pipeline = `pipeline: p
params: { word: one }
stages:
  say: { run: "echo \${params.word} > \${out.x}", out: { x: x.txt } }
  fail: { run: "cat \${in.x}; false", in: { x: say.x } }
`;

test('runs from code with targets, params and events', async () => {
  const project = makeProject({ 'pipe.yaml': pipeline });
  try {
    const events: RunEvent[] = [];
    expect(await runPipeline({ cwd: project.folder, targets: ['say'], onEvent: event => events.push(event) })).toMatchObject({ ran: 1, failed: 0, exitCode: 0 });
    expect(events.map(event => event.event)).toEqual(expect.arrayContaining(['run.planned', 'cell.started', 'cell.finished', 'run.finished']));
    expect(await runPipeline({ cwd: project.folder, targets: ['say'] })).toMatchObject({ ran: 0, fresh: 1 });
    expect(await runPipeline({ cwd: project.folder, targets: ['say'], set: { word: 'two' } })).toMatchObject({ ran: 1 });
    expect(await runPipeline({ cwd: project.folder, targets: ['say'], force: true })).toMatchObject({ ran: 1 });
    expect(await runPipeline({ cwd: project.folder })).toMatchObject({ failed: 1, exitCode: 1 });
    await expect(runPipeline({ cwd: project.folder, targets: ['sya'] })).rejects.toThrow(/no stage is called/);
    await expect(runPipeline({ cwd: project.folder, backend: 'abacus' })).rejects.toThrow(/no tensor backend abacus/);
    project.write('pipe.yaml', 'pipeline: p\nstages: { a: { rnu: x } }\n');
    await expect(runPipeline({ cwd: project.folder })).rejects.toBeInstanceOf(InvalidPipeline);
  } finally {
    project.remove();
  }
});
