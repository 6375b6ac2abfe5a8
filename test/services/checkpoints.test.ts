/** Cells that are interrupted on a host go on there from their checkpoints, and what they say arrives while they run. */
import { existsSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { tell } from '../faults/rig/tally.ts';
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

  /** Counts to 20; from step 5 on, or that in the file `limit`, it waits before each step until the file `go` is there. */
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
        while [ $step -ge $(cat "$WATCH/limit" 2>/dev/null || echo 5) ] && [ ! -e "$WATCH/go" ]; do sleep 0.05; done
      done
      echo $step > \${out.o}
    out: { o: o.txt }
`);
    return project;
  }

  /** What a run printed whose cell was at step 5 when its supervisor was killed, and which ended well. */
  async function retried(project: TestProject): Promise<string> {
    const run = project.start(['run', '--json']);
    let seen = '';
    run.stdout!.on('data', (text: string) => void (seen += text));
    await until(() => seen.includes('"step":5'));
    writeFileSync(project.path('go'), '');
    killPids(pidsOf(`host-agent.js supervise ${site.folder}`));
    const { code, stdout } = await run.finished;
    expect(code, stdout.slice(-2000)).toBe(0);
    return stdout;
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
    const stdout = await retried(project);
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

  describe('of a cell that moves', () => {
    let other: string;
    beforeAll(() => void (other = mkdtempSync(join(tmpdir(), 'pipe-other-host-'))));
    afterAll(() => rmSync(other, { recursive: true, force: true }));

    /** A second folder is a second host. */
    function onTwo(stage = '', host = ''): TestProject {
      const project = counting(stage);
      const entry = site.entry(host);
      project.write('pipe.hosts.yaml', `hosts:\n  box: ${entry}\n  other: ${entry.replace(site.folder, other)}\n`);
      return project;
    }

    /** Runs it there until it has come to a step, and then does something to its run; what was said until its end. */
    async function upTo(project: TestProject, on: string, step: number, then: (run: ReturnType<TestProject['start']>) => void): Promise<string> {
      writeFileSync(project.path('limit'), String(step));
      const run = project.start(['run', '--json', '--on', on]);
      let seen = '';
      run.stdout!.on('data', (text: string) => void (seen += text));
      await until(() => seen.includes(`"step":${step}`));
      then(run);
      await run.finished;
      return seen;
    }
    const interrupt = (run: ReturnType<TestProject['start']>): void => void run.kill('SIGINT');
    const finish = (project: TestProject, on: string): string => {
      writeFileSync(project.path('go'), '');
      const { code, stdout, stderr } = project.pipe(['run', '--json', '--on', on]);
      expect(code, stdout.slice(-2000) + stderr).toBe(0);
      expect(project.read('cache/out/p/count/o')).toBe('20\n');
      expect(existsSync(project.path('cache/checkpoints')) ? readdirSync(project.path('cache/checkpoints')) : []).toEqual([]);
      return stdout;
    };
    const lastFrom = (project: TestProject): string => begun(project).at(-1)!;

    it('it goes along from host to host, to this machine and back, whoever has come furthest', async () => {
      const project = onTwo();
      await upTo(project, 'box', 5, interrupt);
      expect(await upTo(project, 'other', 8, interrupt)).toMatch(/its checkpoint of step 5, made on box, goes along to other/);
      expect(lastFrom(project)).toBe('from 5');
      expect(await upTo(project, 'local', 11, interrupt)).toMatch(/step 8, made on other, goes along to this machine/);
      expect(lastFrom(project)).toBe('from 8');
      // Box has step 5 still.
      expect(await upTo(project, 'box', 13, interrupt)).toMatch(/step 11, made on this machine, goes along to box/);
      expect(lastFrom(project)).toBe('from 11');
      // It stays, and so nothing is sent.
      expect(await upTo(project, 'box', 15, interrupt)).not.toContain('goes along');
      expect(lastFrom(project)).toBe('from 13');
      expect(finish(project, 'other')).toMatch(/"event":"cell.resumed"[^\n]*"step":15/);
      tell('a cell that moves from host to host, here and back', 'went on from the furthest checkpoint, by its steps', 4);
      await expectNothingLeft(site);
      project.remove();
    });

    it('it is here when the host that failed is gone', async () => {
      const project = onTwo();
      const said = await upTo(project, 'box', 5, () => void killPids(pidsOf(`host-agent.js supervise ${site.folder}`)));
      expect(said).toContain('"cause":"preempted"');
      const key = readdirSync(project.path('cache/checkpoints'));
      expect(key).toHaveLength(1);
      expect(project.read(`cache/checkpoints/${key[0]!}/step`)).toBe('5\n');
      renameSync(join(site.folder, 'checkpoints', key[0]!), join(site.folder, 'gone'));
      project.write('pipe.hosts.yaml', project.read('pipe.hosts.yaml').replace(/^ {2}box:.*\n/m, '').replace('on: box', 'on: other'));
      project.write('pipe.yaml', project.read('pipe.yaml').replace('on: box', 'on: other'));
      expect(finish(project, 'other')).toMatch(/"event":"cell.resumed"[^\n]*"step":5/);
      tell('a host that is gone after the cell failed there', 'went on elsewhere from its checkpoint', 1);
      project.remove();
    });

    it('there is none to go along of an attempt that failed before it made one', async () => {
      const project = onTwo();
      project.write('pipe.yaml', project.read('pipe.yaml').replace('step=0\n', 'step=0\n      [ -e "$WATCH/go" ] || exit 1\n'));
      expect(project.pipe(['run', '--json', '--on', 'local']).code).toBe(1);
      expect(project.pipe(['run', '--json', '--on', 'box']).code).toBe(1);
      expect(finish(project, 'other')).not.toMatch(/goes along|stays on/);
      expect(lastFrom(project)).toBe('from 0');
      project.remove();
    });

    it('one that is larger than the hosts file allows stays, which is said, and the cell begins anew', async () => {
      const project = onTwo('', 'checkpoint: 1');
      await upTo(project, 'box', 5, interrupt);
      expect(finish(project, 'other')).toMatch(/its checkpoint of step 5 stays on box: it has 2 B, and `checkpoint:` of the hosts file allows 1 B/);
      expect(lastFrom(project)).toBe('from 0');
      project.remove();
    });

    it('a retry on the same host sends nothing', async () => {
      const project = onTwo('    retries: { times: 1, on: [preempted], backoff: 0s }\n');
      const stdout = await retried(project);
      expect(stdout).not.toContain('goes along');
      expect(Number(lastFrom(project).slice(5))).toBeGreaterThanOrEqual(5);
      project.remove();
    });
  });
});
