/** Jobs on a host that outlive the run that started them: taken up again, followed, stopped. */
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { TestProject } from '../rig/pipe.ts';
import { describeWith } from './rig/daemon.ts';
import { startSshSite } from './rig/ssh-project.ts';
import type { SshSite } from './rig/ssh-project.ts';
import { until } from './rig/until.ts';

/** Writes a line when it starts, goes on when there is a file `go`, and has children that left its group and session. */
const patient = (on: string): string => `
stages:
  slow:
    ${on}
    env: { set: { WATCH: "\${params.watch}" } }
    run: |
      echo "started" | tee -a "$WATCH/starts"
      setsid sleep 1000 &
      (setsid sh -c 'sleep 999 & exec sleep 998' &)
      while [ ! -e "$WATCH/go" ]; do sleep 0.05; done
      echo "went on"
      echo result > \${out.o}
    out: { o: o.txt }
`;

describeWith(['sshd'], 'jobs that outlive their run', () => {
  let site: SshSite;
  beforeAll(async () => void (site = await startSshSite()));
  afterAll(async () => await site.stop());

  async function withSlow(on: string, use: (project: TestProject) => Promise<void>): Promise<void> {
    const project = site.project('stages: {}\n');
    project.write('pipe.yaml', `pipeline: p\nparams: { watch: ${project.folder} }\n${patient(on)}`);
    try {
      await use(project);
    } finally {
      project.pipe(['stop', '--all', '--kill']);
      project.remove();
    }
  }

  const starts = (project: TestProject): number => (existsSync(project.path('starts')) ? readFileSync(project.path('starts'), 'utf8').split('\n').length - 1 : 0);
  const go = (project: TestProject): void => writeFileSync(project.path('go'), '');
  /** Starts `pipe run`, waits until the stage runs, and kills `pipe`. */
  async function abandon(project: TestProject): Promise<void> {
    const run = project.start(['run']);
    void run.finished.then(({ stdout, stderr, code }) => (code === null ? null : process.stderr.write(`pipe run ended: ${stdout}${stderr}`)));
    await until(() => starts(project) > 0);
    run.kill('SIGKILL');
    await run.finished;
  }
  /** Processes of jobs in the work folder. */
  const left = (): number[] => processesOf(join(site.folder, 'jobs'));

  it('goes on when the run is killed, and the next run takes it up: it runs once', async () => {
    await withSlow('on: box', async project => {
      await abandon(project);
      const next = project.start(['run', '--json']);
            go(project);
      const { stdout, code } = await next.finished;
      expect([code, starts(project)]).toEqual([0, 1]);
      expect(stdout).toContain('has it from an earlier start');
      expect(project.read('cache/out/p/slow/o')).toBe('result\n');
      expect(left()).toEqual([]);
    });
  });

  it('is followed by `pipe attach`, with its log, and left again by Ctrl-C', async () => {
    await withSlow('on: box', async project => {
      await abandon(project);
      const first = project.start(['attach']);
      let seen = '';
      first.stdout!.on('data', (text: string) => void (seen += text));
      await until(() => seen.includes('started\n'));
      first.kill('SIGINT');
      const left1 = await first.finished;
      expect([left1.code, left1.stderr]).toEqual([130, expect.stringContaining('slow: box, running on') as string]);
      expect(left1.stdout + left1.stderr).toContain('it goes on on box');
      expect(left().length).toBeGreaterThan(0);
      const second = project.start(['attach', 'slow', '--json']);
      go(project);
      const { stdout, code } = await second.finished;
      expect(code).toBe(0);
      expect(stdout).toContain('"text":"went on"');
      expect(stdout).toContain('"ran":1');
      expect([starts(project), left()]).toEqual([1, []]);
      expect(project.pipe(['attach']).stdout).toBe('nothing goes on elsewhere\n');
      expect(project.pipe(['run', '--json']).stdout).toContain('"fresh":1');
    });
  });

  it('takes a result that was ready before anybody asked', async () => {
    await withSlow('on: box', async project => {
      await abandon(project);
      go(project);
      await until(() => left().length === 0);
      const { stderr, code } = project.pipe(['attach']);
      expect([code, stderr]).toEqual([0, expect.stringContaining('slow: box, ended: its result has not been fetched') as string]);
      expect(project.read('cache/out/p/slow/o')).toBe('result\n');
      expect(starts(project)).toBe(1);
    });
  });

  it('is stopped by `pipe stop`, with every process that it has started', async () => {
    await withSlow('on: box', async project => {
      await abandon(project);
      expect(left().length).toBeGreaterThan(2);
      const { stdout, code } = project.pipe(['stop']);
      expect([code, stdout]).toEqual([0, expect.stringMatching(/^slow \(box, running on .*\): stopped\n$/) as string]);
      expect(left()).toEqual([]);
      expect(project.pipe(['stop', '--json']).stdout).toBe('{"stopped":[]}\n');
      // Stopping is no result: the next run starts it anew.
      go(project);
      expect(project.pipe(['run', '--json']).stdout).toContain('"ran":1');
      expect(starts(project)).toBe(2);
    });
  });

  it('is said to be of another version when the pipeline has changed since, and can still be stopped', async () => {
    await withSlow('on: box', async project => {
      await abandon(project);
      project.write('pipe.yaml', project.read('pipe.yaml').replace('went on', 'goes on'));
      const attach = project.pipe(['attach']);
      expect(attach).toMatchObject({ code: 0, stdout: 'nothing goes on elsewhere\n', stderr: expect.stringContaining('something of it has changed since; `pipe stop \'slow\'` stops it') as string });
      expect(project.pipe(['stop', 'slow']).stdout).toContain('stopped');
      expect(left()).toEqual([]);
    });
  });

  it('follows and stops what runs in another terminal', async () => {
    await withSlow('on: local', async project => {
      const run = project.start(['run']);
      await until(() => starts(project) === 1);
      const attach = project.start(['attach']);
      let seen = '';
      attach.stdout!.on('data', (text: string) => void (seen += text));
      await until(() => seen.includes('started\n'));
      const { stdout, code } = project.pipe(['stop', 'slow']);
      expect([code, stdout]).toEqual([0, expect.stringMatching(/^slow \(run 1, process \d+ on .*\): stopped\n$/) as string]);
      expect((await run.finished).code).toBe(130);
      // Whoever waited for it runs it now.
      await until(() => starts(project) === 2);
      go(project);
      const attached = await attach.finished;
      expect(attached.code).toBe(0);
      expect(project.read('cache/out/p/slow/o')).toBe('result\n');
    });
  });
});

/** Pids whose environment or working directory names the folder. */
function processesOf(folder: string): number[] {
  return readdirSync('/proc').filter(name => /^\d+$/.test(name)).map(Number).filter(pid => {
    try {
      return readFileSync(`/proc/${pid}/environ`, 'latin1').includes(`PIPE_FOLDER=${folder}`) && !/^Z/.test(readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1] ?? '');
    } catch {
      return false; // ended meanwhile
    }
  });
}
