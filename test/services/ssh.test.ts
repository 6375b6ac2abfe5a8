import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeWith } from './rig/daemon.ts';
import { startSshSite } from './rig/ssh-project.ts';
import type { SshSite } from './rig/ssh-project.ts';

describeWith(['sshd'], 'a host over ssh', () => {
  let site: SshSite;
  beforeAll(async () => void (site = await startSshSite()));
  afterAll(async () => await site.stop());

  it('runs a command there with files of the project and outputs of other cells, and brings back what it makes', async () => {
    const project = site.project(`
stages:
  here:
    in: { text: ./a.txt }
    run: wc -c < \${in.text} > \${out.count}
    out: { count: count.txt }
  there:
    on: box
    in: { count: here.count, folder: ./data, some: ./data/*.csv }
    run: |
      echo "on the host in $PWD"
      cat \${in.count} \${in.folder}/deep/b.csv \${in.some} > \${out.all}
      mkdir \${out.folder}; ln -s x \${out.folder}/link; echo '#!/bin/sh' > \${out.folder}/x; chmod +x \${out.folder}/x
      echo '{"metric":"loss","value":0.5,"step":1}' >> $PIPE_EVENTS
    out: { all: all.txt, folder: folder }
  after:
    in: { all: there.all, folder: there.folder }
    run: cat \${in.all} > \${out.copy}; test -x \${in.folder}/link
    out: { copy: copy.txt }
`, { 'a.txt': 'hello', 'data/deep/b.csv': 'deep\n', 'data/a.csv': 'flat\n' });
    try {
      const first = project.pipe(['run', '--json']);
      expect(first.stderr + first.stdout).toContain('"ran":3');
      expect(first.code).toBe(0);
      expect(project.read('cache/out/p/after/copy')).toBe('5\ndeep\nflat\n');
      expect(project.pipe(['sql', "SELECT attempt.host FROM attempt JOIN metric ON metric.attempt = attempt.id WHERE metric.value = 0.5"]).stdout).toContain('box');
      expect(project.pipe(['logs', 'there']).stdout).toContain(`on the host in ${site.folder}`);
      const second = project.pipe(['run', '--json']);
      expect(second.stdout).toContain('"fresh":3');
    } finally {
      project.remove();
    }
  });
});
