/** What goes wrong on a cluster: every run ends right, or fails and names the cause; no cell runs twice at once; nothing is left. */
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { delimiter, join } from 'node:path';
import { execFileSync } from 'node:child_process';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { tell } from '../faults/rig/tally.ts';
import { processesOf } from '../faults/rig/processes.ts';
import type { TestProject } from '../rig/pipe.ts';
import { describeWith } from './rig/daemon.ts';
import { cellsOn } from './rig/slurm-cells.ts';
import type { Cells } from './rig/slurm-cells.ts';
import { startSlurmSite } from './rig/slurm-site.ts';
import type { SlurmSite } from './rig/slurm-site.ts';
import { until } from './rig/until.ts';

/** Programs that stand before Slurm's own in PATH; `$REAL` is the one that is meant. */
function standIns(project: TestProject, scripts: Readonly<Record<string, string>>): string {
  const folder = project.path('stand-ins');
  mkdirSync(folder);
  for (const [name, body] of Object.entries(scripts)) {
    const real = execFileSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).trim();
    writeFileSync(join(folder, name), `#!/bin/bash\nREAL=${real} HERE=${folder}\n${body}\n`);
    chmodSync(join(folder, name), 0o755);
  }
  return `${folder}${delimiter}${process.env['PATH'] ?? ''}`;
}

const lines = (file: string): string[] => (existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : []);

describeWith(['slurm'], 'faults of a Slurm cluster', () => {
  let site: SlurmSite;
  const node = hostname().split('.')[0]!;
  beforeAll(async () => {
    site = await startSlurmSite();
    // The programs are there.
    const warm = cellsOn(site, { count: 1, steps: 0 });
    const { code, stderr } = warm.project.pipe(['run'], site.env);
    expect(code, stderr).toBe(0);
    warm.project.remove();
  });
  afterAll(async () => {
    await until(() => processesOf(site.folder).length === 0).catch(() => expect(processesOf(site.folder)).toEqual([])).finally(() => site.stop());
  });

  afterEach(() => site.endJobs());

  const jobs = (states: string): string[] => site.jobs(states);
  const start = (cells: Cells, more: Readonly<Record<string, string>> = {}): ReturnType<TestProject['start']> => cells.project.start(['run', '--json'], { ...site.env, ...more });
  /** Two minutes are what Slurm lets a requeued job wait. */
  const startNow = async (id: string): Promise<void> => {
    await until(() => site.command('squeue', '-h', '-r', '-j', id, '-o', '%T').trim() === 'PENDING');
    // Slurm counts in whole seconds, and a node starts nothing it was told to end in the same one or a later.
    const second = Math.floor(Date.now() / 1000);
    await until(() => Math.floor(Date.now() / 1000) > second + 1);
    site.command('scontrol', 'update', `jobid=${id}`, 'StartTime=now');
  };
  const over = async (run: ReturnType<TestProject['start']>, code: number): Promise<string> => {
    const finished = await run.finished;
    expect(finished.code, finished.stdout.slice(-3000) + finished.stderr).toBe(code);
    expect(jobs('PENDING,RUNNING')).toEqual([]);
    return finished.stdout;
  };

  it('the controller restarted while jobs run and wait', async () => {
    const times = 5;
    const cells = cellsOn(site, { count: 8, steps: 4 });
    const run = start(cells);
    await until(() => cells.starts().some(n => n > 0));
    for (let time = 0; time < times; time++) await site.daemon.tell('restart-controller');
    await over(run, 0);
    cells.expectRight();
    expect(cells.starts()).toEqual(Array.from({ length: 8 }, () => 1));
    tell('Slurm: the controller restarted during a run of 8 cells', 'every cell ran once, all results right', times);
    cells.project.remove();
  });

  it('the controller gone when jobs are sent: they are sent when it is back', async () => {
    const cells = cellsOn(site, { count: 2 });
    await site.daemon.tell('stop-controller');
    const run = start(cells);
    await new Promise(resolve => setTimeout(resolve, 3000));
    await site.daemon.tell('restart-controller');
    await over(run, 0);
    cells.expectRight();
    expect(cells.starts()).toEqual([1, 1]);
    tell('Slurm: no controller when jobs are sent', 'sent once it was back, every cell ran once', 1);
    cells.project.remove();
  });

  it('the node drained: what waits goes on waiting, and says why', async () => {
    const cells = cellsOn(site, { count: 6, steps: 3 });
    const run = start(cells);
    await until(() => cells.starts().some(n => n > 0));
    site.command('scontrol', 'update', `nodename=${node}`, 'state=drain', 'reason=test');
    try {
      // What runs may end; nothing more begins.
      await until(() => jobs('RUNNING').length === 0 && jobs('PENDING').length > 0);
    } finally {
      site.command('scontrol', 'update', `nodename=${node}`, 'state=resume');
    }
    const said = await over(run, 0);
    expect(said).toMatch(/waiting on lab: Slurm job \d+_\d: pending \(/);
    cells.expectRight();
    expect(cells.starts()).toEqual(Array.from({ length: 6 }, () => 1));
    tell('Slurm: the node drained during a run of 6 cells, and resumed', 'every cell ran once, all results right', 1);
    cells.project.remove();
  });

  it('jobs requeued while they run go on from their checkpoints', async () => {
    const times = 3;
    for (let time = 0; time < times; time++) {
      const cells = cellsOn(site, { count: 2, steps: 8 });
      const run = start(cells);
      await until(() => jobs('RUNNING').length === 2 && [1, 2].every(cell => Number(lines(join(checkpointOf(cells, cell), 'n'))[0] ?? 0) >= 1));
      const [id] = jobs('RUNNING');
      site.command('scontrol', 'requeue', id!);
      await startNow(id!);
      await over(run, 0);
      cells.expectRight();
      expect(cells.starts().toSorted()).toEqual([1, 2]);
      expect([1, 2].flatMap(cell => cells.from(cell)).filter(n => n > 0)).toHaveLength(1);
      cells.project.remove();
    }
    tell('Slurm: a running job requeued', 'went on from its checkpoint, all results right', times);
  });

  it('a job cancelled by somebody else fails, and says so; the others are as they were', async () => {
    for (const state of ['RUNNING', 'PENDING']) {
      const cells = cellsOn(site, { count: 4, steps: 4 });
      const run = start(cells);
      await until(() => jobs('RUNNING').length > 0 && jobs('PENDING').length > 0);
      site.command('scancel', jobs(state)[0]!);
      const said = await over(run, 1);
      expect(said).toMatch(/Slurm job \d+_\d .*was cancelled by somebody else/);
      expect(said).toContain('"ran":3');
      tell(`Slurm: a ${state.toLowerCase()} job cancelled by somebody else`, 'that cell failed, and said so', 1);
      const again = await over(start(cells), 0);
      expect(again).toContain('"ran":1');
      cells.expectRight();
      cells.project.remove();
    }
  });

  it('the node fails: Slurm runs the jobs again, or the run does where Slurm may not', async () => {
    for (const options of ['', '--no-requeue']) {
      const cells = cellsOn(site, { count: 2, steps: 6, options, settings: 'retries: { times: 2, on: [preempted] }' });
      const run = start(cells);
      await until(() => jobs('RUNNING').length > 0 && [1, 2].some(cell => Number(lines(join(checkpointOf(cells, cell), 'n'))[0] ?? 0) >= 1));
      const before = cells.starts().reduce((sum, n) => sum + n, 0);
      site.command('scontrol', 'update', `nodename=${node}`, 'state=down', 'reason=test');
      // What ran there has to end first, or Slurm finds a job twice and drains the node.
      await until(() => !processesOf(site.folder).some(text => text.includes(' supervise ')));
      site.command('scontrol', 'update', `nodename=${node}`, 'state=idle');
      if (options === '') for (const id of jobs('PENDING')) await startNow(id);
      const said = await over(run, 0);
      if (options !== '') {
        expect(said).toContain('"event":"cell.retrying"');
        expect(cells.project.pipe(['sql', '--format', 'json', 'SELECT message FROM attempt WHERE cause = \'preempted\'']).stdout).toMatch(/the node of Slurm job \d+(_\d)? failed/);
      }
      cells.expectRight();
      expect(cells.starts().reduce((sum, n) => sum + n, 0)).toBeGreaterThan(before);
      expect([1, 2].flatMap(cell => cells.from(cell)).some(n => n > 0)).toBe(true);
      tell(`Slurm: the node down during a run, jobs ${options === '' ? 'requeued' : 'with --no-requeue'}`, 'went on from checkpoints, all results right', 1);
      cells.project.remove();
    }
  });

  it('more urgent jobs take the place: what was preempted goes on from its checkpoint, requeued by Slurm or retried by policy', async () => {
    for (const mode of ['REQUEUE', 'CANCEL']) {
      site.command('scontrol', 'update', 'PartitionName=main', `PreemptMode=${mode}`);
      const cells = cellsOn(site, { count: 1, steps: 8, settings: 'resources: { gpu: 2 }\n    retries: { times: 1, on: [preempted] }' });
      const run = start(cells);
      await until(() => jobs('RUNNING').length === 1 && Number(lines(join(checkpointOf(cells, 1), 'n'))[0] ?? 0) >= 1);
      const [id] = jobs('RUNNING');
      const urgent = site.command('sbatch', '--parsable', '--partition=urgent', '--gres=gpu:2', '--output=/dev/null', '--wrap', 'sleep 2').trim();
      await until(() => jobs('RUNNING').includes(urgent));
      if (mode === 'REQUEUE') await startNow(id!);
      const said = await over(run, 0);
      cells.expectRight();
      expect(cells.from(1)).toHaveLength(2);
      expect(cells.from(1)[1]).toBeGreaterThan(0);
      if (mode === 'CANCEL') {
        expect(said).toContain('"event":"cell.retrying"');
        expect(cells.project.pipe(['sql', '--format', 'json', "SELECT message FROM attempt WHERE cause = 'preempted'"]).stdout).toMatch(/Slurm job \d+ was preempted/);
      }
      tell(`Slurm: a job preempted by a more urgent one, PreemptMode=${mode}`, 'went on from its checkpoint', 1);
      cells.project.remove();
    }
  });

  it('a cell that was cancelled while nobody looked goes on elsewhere from its checkpoint', async () => {
    const cells = cellsOn(site, { count: 1, steps: 6 });
    const run = start(cells);
    await until(() => cells.starts()[0] === 1 && existsSync(join(checkpointOf(cells, 1), 'n')));
    run.kill('SIGKILL');
    await run.finished;
    for (const id of jobs('RUNNING')) site.command('scancel', id);
    const { code, stdout, stderr } = cells.project.pipe(['run', '--json', '--on', 'local'], site.env);
    expect(code, stdout.slice(-2000) + stderr).toBe(0);
    expect(stdout).toContain('its checkpoint, made on lab, goes along to this machine');
    cells.expectRight();
    expect(cells.from(1)[1]).toBeGreaterThan(0);
    tell('Slurm: a job cancelled while no run was there, then run elsewhere', 'went on from its checkpoint', 1);
    cells.project.remove();
  });

  it('a supervisor that is killed: its cell was preempted, and goes on from its checkpoint by policy', async () => {
    const cells = cellsOn(site, { count: 2, steps: 4, settings: 'retries: { times: 1, on: [preempted] }', first: '[ $I != 1 ] || [ $n -gt 0 ] || (sleep 1.2; kill -9 $PPID) &' });
    await over(start(cells), 0);
    cells.expectRight();
    expect(cells.starts()).toEqual([2, 1]);
    expect(cells.from(1)[1]).toBeGreaterThan(0);
    expect(cells.project.pipe(['sql', '--format', 'json', "SELECT message FROM attempt WHERE cause = 'preempted'"]).stdout).toMatch(/the process of Slurm job \d+_0 that watched over it on .* was killed/);
    tell('Slurm: kill -9 of a supervisor', 'named; the retry went on from its checkpoint', 1);
    cells.project.remove();
  });

  it('Slurm\'s time limit is named, and retried by policy from the checkpoint', async () => {
    const cells = cellsOn(site, { count: 1, steps: 240, settings: 'retries: { times: 1, on: [timeout] }' });
    const run = start(cells);
    await until(() => jobs('RUNNING').length > 0);
    // A minute is the least that Slurm knows, and it looks every half minute.
    site.command('scontrol', 'update', `jobid=${jobs('RUNNING')[0]!}`, 'TimeLimit=1');
    await over(run, 0);
    cells.expectRight();
    expect(cells.project.pipe(['sql', '--format', 'json', 'SELECT cause, message FROM attempt WHERE status <> \'ran\'']).stdout).toMatch(/timeout.*came to its time limit/s);
    expect(cells.from(1)).toHaveLength(2);
    expect(cells.from(1)[1]).toBeGreaterThan(20);
    tell('Slurm: a job over its time limit', 'named; the next attempt went on from the checkpoint', 1);
    cells.project.remove();
  });

  it('an agent that is killed as soon as Slurm has its jobs: they are found by their name, not sent again', async () => {
    const times = 3;
    for (let time = 0; time < times; time++) {
      const cells = cellsOn(site, { count: 3 });
      // Once: Slurm has the jobs, and who sent them dies before it hears so.
      const path = standIns(cells.project, { sbatch: 'echo sent >> $HERE/sent\nout=$("$REAL" "$@") || exit\n[ -e $HERE/once ] || { touch $HERE/once; kill -9 $PPID; exit 1; }\necho "$out"' });
      await over(start(cells, { PATH: path }), 0);
      cells.expectRight();
      expect(cells.starts()).toEqual([1, 1, 1]);
      expect(lines(cells.project.path('stand-ins/sent'))).toHaveLength(1);
      cells.project.remove();
    }
    tell('Slurm: the agent killed between sbatch and its answer', 'jobs found by name, every cell ran once', times);
  });

  it('many cells are few calls', async () => {
    const cells = cellsOn(site, { count: 60, steps: 0 });
    const path = standIns(cells.project, { squeue: 'echo asked >> $HERE/asked\nexec "$REAL" "$@"', sbatch: 'echo sent >> $HERE/sent\nexec "$REAL" "$@"' });
    const before = performance.now();
    await over(start(cells, { PATH: path }), 0);
    const seconds = (performance.now() - before) / 1000;
    cells.expectRight();
    expect(lines(cells.project.path('stand-ins/sent')).length).toBeLessThanOrEqual(2);
    expect(lines(cells.project.path('stand-ins/asked')).length).toBeLessThanOrEqual(seconds + 2);
    tell(`Slurm: calls of squeue for 60 cells: ${lines(cells.project.path('stand-ins/asked')).length} in ${seconds.toFixed(0)} s`, 'at most one a second', 1);
    cells.project.remove();
  });

  function checkpointOf(cells: Cells, cell: number): string {
    // By the key that only the agent's folder knows: whichever job's command has this cell's number and this project's folder.
    const found = execFileSync('sh', ['-c', `grep -l '"WATCH":"${cells.project.path('watch')}"' ${site.folder}/jobs/*/job.json 2>/dev/null | xargs -r grep -l '"I":"${cell}"' || true`], { encoding: 'utf8' }).trim().split('\n')[0]!;
    return join(site.folder, 'checkpoints', found.split('/').at(-2) ?? '-');
  }
});

// Version 1 is what Slurm can use without systemd.
const limited = existsSync('/sys/fs/cgroup/memory/tasks');
describe.skipIf(!limited)(`a Slurm cluster that keeps jobs within their memory${limited ? '' : ' (no control groups of version 1 here)'}`, () => {
  describeWith(['slurm'], 'memory', () => {
    let site: SlurmSite;
    beforeAll(async () => void (site = await startSlurmSite('cgroup')));
    afterAll(async () => await site.stop());

    it('a job that wants more than it has is named, and gets more by policy', () => {
      const project = site.project(`
stages:
  hog:
    on: lab
    resources: { memory: 250M }
    retries: { times: 1, on: [oom], grow: { memory: 4 } }
    run: |
      set -e
      head -c 400M /dev/zero | tail -n 1 > big
      wc -c < big > \${out.bytes}
    out: { bytes: bytes.txt }
`);
      try {
        const { stdout, stderr, code } = project.pipe(['run', '--json'], site.env);
        expect(code, stdout + stderr).toBe(0);
        expect(project.read('cache/out/p/hog/bytes').trim()).toBe(String(400 << 20));
        expect(project.pipe(['sql', '--format', 'json', "SELECT cause, message FROM attempt WHERE status <> 'ran'"]).stdout).toMatch(/oom/);
        tell('Slurm: a job over its memory', 'named; the next attempt had four times as much', 1);
      } finally {
        project.remove();
      }
    });
  });
});
