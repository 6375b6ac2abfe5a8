import { readFileSync, readdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import { makeProject } from '../../rig/project.ts';

const cells = 9;

/** Cells that do `body` when it was not this process that started them. */
const elsewhere = (body: string): string => `stages:
  s:
    matrix: { axes: { i: { from: 1, to: ${cells} } } }
    env: { pass: [DRIVER] }
    out: { o: o.txt }
    run: |
      echo \${matrix.i} $PPID > \${out.o}
      if [ $PPID -ne $DRIVER ]; then ${body}; fi
`;
const environment = { PATH: process.env.PATH, DRIVER: String(process.pid) };

test('after the first cells a helper starts the processes: exit codes, signals and logs come through, and it ends with the run', async () => {
  const project = makeProject(elsewhere('case ${matrix.i} in 8) echo lost; exit 7;; 9) kill -SEGV $$;; esac'));
  const outcome = await project.run({ environment, jobs: 1, keepGoing: true });
  expect(outcome.summary).toMatchObject({ ran: 7, failed: 2 });
  expect(outcome.finished('s[i=8]')).toMatchObject({ cause: 'exit', message: expect.stringContaining('exit code 7'), tail: ['lost'] });
  expect(outcome.finished('s[i=9]').cause).toBe('signal');
  const parents = Array.from({ length: 7 }, (_, index) => project.output(`s[i=${index + 1}]`, 'o').trim().split(' ')[1]!);
  const helper = parents.at(-1)!;
  expect(parents[0]).toBe(environment.DRIVER);
  expect(helper).not.toBe(environment.DRIVER);
  expect(readdirSync('/proc')).not.toContain(helper);
});

test('when the helper is killed, its cell is said to be lost and runs once more, with nothing left running, and the others run without it', async () => {
  const project = makeProject(elsewhere('kill -9 $PPID; sleep 100'));
  const outcome = await project.run({ environment, jobs: 1, keepGoing: true });
  expect(outcome.summary).toMatchObject({ ran: cells, failed: 0 });
  expect(outcome.of('notice').map(({ text }) => text)).toEqual([expect.stringContaining('the process that starts stages was ended by SIGKILL from outside; it runs once more')]);
  const twice = outcome.of('cell.started').filter((event, _, all) => all.some(other => other.cell === event.cell && other !== event));
  expect(twice.length).toBe(2);
  const left = readdirSync('/proc').filter(name => /^\d+$/.test(name)).filter(pid => {
    try {
      return readFileSync(`/proc/${pid}/environ`, 'utf8').includes(project.cache);
    } catch {
      return false;
    }
  });
  expect(left).toEqual([]);
});
