import { expect, test } from 'vitest';
import { makeProject } from '../../rig/pipe.ts';

/** Resolves when the text so far satisfies the condition. */
function until(stream: NodeJS.ReadableStream | null, condition: (text: string) => boolean): Promise<void> {
  let text = '';
  return new Promise(resolve => {
    stream?.on('data', (part: string) => {
      text += part;
      if (condition(text)) resolve();
    });
  });
}
const count = (text: string, what: string): number => text.split(what).length - 1;

test('--watch runs what a change makes stale, shows mistakes and goes on, and ends with the signal', async () => {
  const good = 'pipeline: p\nstages:\n  copy: { run: "cat ${in.x} > ${out.y}", in: { x: ./x.txt }, out: { y: y.txt } }\n  other: { run: "echo > ${out.z}", out: { z: z.txt } }\n';
  const project = makeProject({ 'pipe.yaml': good, 'x.txt': 'one\n' });
  try {
    const running = project.start(['run', '--watch', '--json']);
    const seen = (what: string, times: number): Promise<void> => until(running.stdout, text => count(text, what) >= times);
    const [first, error, second] = [seen('"run.finished"', 1), seen('"error"', 1), seen('"run.finished"', 2)];
    await first;
    project.write('pipe.yaml', 'pipeline: p\nstages: [');
    await error;
    project.write('pipe.yaml', good);
    project.write('x.txt', 'two\n');
    await second;
    running.kill('SIGINT');
    const { code, stdout } = await running.finished;
    expect(code).toBe(130);
    const finished = stdout.split('\n').filter(line => line.includes('"run.finished"')).map(line => JSON.parse(line) as { ran: number });
    expect(finished.map(event => event.ran)).toEqual([2, 1]);
    expect(project.pipe(['get', 'copy.y', 'got.txt']).code).toBe(0);
    expect(project.read('got.txt')).toBe('two\n');
  } finally {
    project.remove();
  }
});
