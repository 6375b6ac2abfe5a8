import { expect, test } from 'vitest';
import { makeProject } from '../../rig/project.ts';
import { mountSmall, remount } from '../../rig/small-disk.ts';

test('a full disk fails what meets it and says so, starts nothing more, and loses nothing: with room the rest runs', async context => {
  const project = makeProject(`
stages:
  small:
    run: echo small > \${out.o}
    out: { o: a.txt }
  big:
    run: cat \${in.o}; head -c 10000000 /dev/zero > \${out.o}
    in: { o: small.o }
    out: { o: b.txt }
  more:
    matrix: { axes: { i: { from: 1, to: 20 } } }
    run: head -c 200000 /dev/zero > \${out.o}; echo \${matrix.i} \${in.o} >> \${out.o}
    in: { o: small.o }
    out: { o: c.txt }
`);
  if (!mountSmall(project.cache, '3m')) return context.skip('this user cannot mount a small file system');
  const full = await project.run({ jobs: 1, keepGoing: true });
  expect(full.summary.exitCode).toBe(1);
  expect(full.status.small).toBe('ran');
  expect(full.of('cell.finished').filter(({ status }) => status === 'failed').every(({ cause, message }) => cause === 'disk-full' || /full|space/.test(message ?? ''))).toBe(true);
  remount(project.cache, 'size=60m');
  const roomy = await project.run();
  expect(roomy.summary).toMatchObject({ failed: 0, skipped: 0, exitCode: 0 });
  expect(roomy.status.small).toBe('fresh');
});
