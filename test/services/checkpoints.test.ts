/** Cells that are interrupted on a host go on there from their checkpoints, and what they say arrives while they run. */
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { TestProject } from '../rig/pipe.ts';
import { describeWith } from './rig/daemon.ts';
import { expectNothingLeft, killPids, pidsOf } from './rig/many-cells.ts';
import { startSshSite } from './rig/ssh-project.ts';
import type { SshSite } from './rig/ssh-project.ts';
import { until } from './rig/until.ts';

describeWith(['sshd'], 'checkpoints and metrics of a host', () => {
  let site: SshSite;
  beforeAll(async () => void (site = await startSshSite()));
  afterAll(async () => await site.stop());

  /** Counts to 20; from step 5 on it waits before each step until the file `go` is there. */
  function counting(more = ''): TestProject {
    const project = site.project('stages: {}\n');
    project.write('pipe.yaml', `pipeline: p
stages:
  count:
    on: box
    checkpoint: true
    env: { set: { WATCH: ${project.folder} } }
${more}    run: |
      step=0
      if [ -e "$PIPE_CHECKPOINT/step" ]; then
        step=$(cat "$PIPE_CHECKPOINT/step")
        echo "{\\"resumed\\": $step}" >> "$PIPE_EVENTS"
      fi
      echo "from $step" >> "$WATCH/begun"
      while [ $step -lt 20 ]; do
        step=$((step + 1))
        echo "{\\"metric\\": \\"loss\\", \\"value\\": 0.$step, \\"step\\": $step}" >> "$PIPE_EVENTS"
        echo "{\\"progress\\": 0.$step, \\"step\\": $step, \\"total\\": 20}" >> "$PIPE_EVENTS"
        echo $step > "$PIPE_CHECKPOINT/.step" && mv "$PIPE_CHECKPOINT/.step" "$PIPE_CHECKPOINT/step"
        while [ $step -ge 5 ] && [ ! -e "$WATCH/go" ]; do sleep 0.05; done
      done
      echo $step > \${out.o}
    out: { o: o.txt }
`);
    return project;
  }

  const begun = (project: TestProject): string[] => (existsSync(project.path('begun')) ? readFileSync(project.path('begun'), 'utf8').trim().split('\n') : []);
  const checkpoints = (): string[] => readdirSync(join(site.folder, 'checkpoints'));

  it('tells metrics and progress while the cell runs', async () => {
    const project = counting();
    const run = project.start(['run', '--json']);
    let seen = '';
    run.stdout!.on('data', (text: string) => void (seen += text));
    await until(() => seen.includes('"name":"loss","value":0.5,"step":5') && /"event":"cell.progress"[^\n]*"step":5/.test(seen));
    expect(seen).not.toContain('"step":6');
    expect(seen).not.toContain('cell.finished');
    writeFileSync(project.path('go'), '');
    expect((await run.finished).code).toBe(0);
    expect(checkpoints()).toEqual([]);
    project.remove();
  });

  it('goes on there in the retry after its supervisor was killed', async () => {
    const project = counting('    retries: { times: 3, on: [preempted], backoff: 0s }\n');
    const run = project.start(['run', '--json']);
    let seen = '';
    run.stdout!.on('data', (text: string) => void (seen += text));
    await until(() => seen.includes('"step":5'));
    writeFileSync(project.path('go'), '');
    killPids(pidsOf(`host-agent.js supervise ${site.folder}`));
    const { code, stdout } = await run.finished;
    expect(code, stdout.slice(-2000)).toBe(0);
    expect(stdout).toContain('"event":"cell.retrying"');
    expect(stdout).toMatch(/"event":"cell.resumed"[^\n]*"step":\d+/);
    expect(begun(project)[0]).toBe('from 0');
    expect(Number(begun(project).at(-1)!.slice(5))).toBeGreaterThanOrEqual(5);
    expect(project.read('cache/out/p/count/o')).toBe('20\n');
    expect(checkpoints()).toEqual([]);
    await expectNothingLeft(site);
    project.remove();
  });

  it('goes on there in the next run after Ctrl-C, or after its run was killed and it was stopped', async () => {
    for (const how of ['SIGINT', 'SIGKILL'] as const) {
      const project = counting();
      const run = project.start(['run', '--json']);
      let seen = '';
      run.stdout!.on('data', (text: string) => void (seen += text));
      await until(() => seen.includes('"step":5'));
      run.kill(how);
      await run.finished;
      if (how === 'SIGKILL') expect(project.pipe(['stop', 'count']).stdout).toContain('stopped');
      await expectNothingLeft(site);
      expect(checkpoints()).toHaveLength(1);
      writeFileSync(project.path('go'), '');
      const next = project.pipe(['run']);
      expect(next.code, next.stderr).toBe(0);
      expect(next.stderr).toMatch(/count .*resumed from step 5|count .*from step 5/);
      expect(begun(project)).toEqual(['from 0', 'from 5']);
      expect(checkpoints()).toEqual([]);
      project.remove();
    }
  });
});
