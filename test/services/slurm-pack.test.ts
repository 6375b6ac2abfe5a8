/** Several cells in one task of Slurm: each is its own as if it were alone, whatever becomes of the others or the task. */
import { hostname } from 'node:os';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { processesOf } from '../faults/rig/processes.ts';
import type { TestProject } from '../rig/pipe.ts';
import { describeWith } from './rig/daemon.ts';
import { cellsOn } from './rig/slurm-cells.ts';
import type { Cells } from './rig/slurm-cells.ts';
import { startSlurmSite } from './rig/slurm-site.ts';
import type { SlurmSite } from './rig/slurm-site.ts';
import { until } from './rig/until.ts';

describeWith(['slurm'], 'several cells in one task of Slurm', () => {
  let site: SlurmSite;
  const node = hostname().split('.')[0]!;
  beforeAll(async () => void (site = await startSlurmSite()));
  afterAll(async () => {
    await until(() => processesOf(site.folder).length === 0).catch(() => expect(processesOf(site.folder)).toEqual([])).finally(() => site.stop());
  });
  afterEach(() => site.endJobs());

  const jobs = (states: string): string[] => site.jobs(states);
  const start = (cells: Cells): ReturnType<TestProject['start']> => cells.project.start(['run', '--json'], site.env);
  const over = async (run: ReturnType<TestProject['start']>, code: number): Promise<string> => {
    const finished = await run.finished;
    expect(finished.code, finished.stdout.slice(-3000) + finished.stderr).toBe(code);
    expect(jobs('PENDING,RUNNING')).toEqual([]);
    return finished.stdout;
  };
  const tasksOf = (cells: Cells, count: number): number => new Set(Array.from({ length: count }, (_, i) => cells.jobs(i + 1)).flat()).size;
  const failures = (cells: Cells): string => cells.project.pipe(['sql', '--format', 'json', "SELECT cell, cause, message FROM attempt WHERE status <> 'ran' ORDER BY id"]).stdout;

  it('cells run one after the other, as even as can be, and each has its own attempt and log', async () => {
    const cells = cellsOn(site, { count: 12, steps: 0, slurm: 'pack: 5', first: 'echo "I am $I"' });
    const run = start(cells);
    await over(run, 0);
    expect((await run.finished).stderr).not.toContain('Warning');
    cells.expectRight();
    expect(cells.starts()).toEqual(Array.from({ length: 12 }, () => 1));
    expect(tasksOf(cells, 12)).toBe(3);
    for (const cell of [1, 7]) expect(cells.project.pipe(['logs', `cell[i=${cell}]`]).stdout.trim()).toMatch(new RegExp(`I am ${cell}$`));
    cells.project.remove();
  });

  it('a cell that fails, one that takes too long and one whose supervisor is killed leave the others as they were', async () => {
    const cells = cellsOn(site, { count: 6, steps: 1, slurm: 'pack: 6', settings: 'timeout: 4s', first: '[ $I != 2 ] || exit 3\n      [ $I != 3 ] || sleep 60\n      [ $I != 4 ] || kill -9 $PPID' });
    const said = await over(start(cells), 1);
    expect(said).toContain('"ran":3');
    expect(tasksOf(cells, 6)).toBe(1);
    const told = JSON.parse(failures(cells)) as { cell: string; cause: string; message: string }[];
    expect(told.map(({ cell, cause }) => [cell, cause]).sort()).toEqual([['cell[i=2]', 'exit'], ['cell[i=3]', 'timeout'], ['cell[i=4]', 'preempted']]);
    for (const cell of [1, 5, 6]) expect(cells.project.read(`cache/out/p/cell[i=${cell}]/o`)).toBe(`cell ${cell}\n`);
    cells.project.remove();
  });

  it('a cell whose supervisor was killed is told while the others of its task go on, and its retry does not wait for them', async () => {
    for (const retry of [false, true]) {
      const cells = cellsOn(site, { count: 3, steps: 6, slurm: 'pack: 3', first: '[ $I != 1 ] || [ -e "$WATCH/killed" ] || { touch "$WATCH/killed"; kill -9 $PPID; }', settings: retry ? 'retries: { times: 1, on: [preempted] }' : '' });
      const run = start(cells);
      let seen = '';
      run.stdout!.on('data', (text: string) => void (seen += text));
      await until(() => /"cause":"preempted"/.test(seen));
      expect(cells.starts().slice(1)).not.toEqual([1, 1]);
      expect(jobs('RUNNING').length).toBeGreaterThan(0);
      expect((await over(run, retry ? 0 : 1))).toMatch(retry ? /"event":"cell.retrying"/ : /was killed; what it ran was ended/);
      expect(tasksOf(cells, 3)).toBe(retry ? 2 : 1);
      expect(cells.starts()).toEqual([retry ? 2 : 1, 1, 1]);
      if (retry) cells.expectRight();
      cells.project.remove();
    }
  });

  it('a task asks for the time of all its cells, but for no more than its partition allows', async () => {
    for (const [limit, time] of [['INFINITE', '42:00'], ['30', '30:00'], ['3', '12:00']] as const) {
      site.command('scontrol', 'update', 'PartitionName=main', `MaxTime=${limit}`);
      const cells = cellsOn(site, { count: 4, steps: 2, slurm: 'pack: 4', settings: 'timeout: 10m' });
      const run = start(cells);
      await until(() => jobs('PENDING,RUNNING').length > 0);
      expect(site.command('squeue', '-h', '-t', 'PENDING,RUNNING', '-o', '%l').trim()).toBe(time);
      // Ten minutes for one cell are more than three: then Slurm says so, as it does for a cell alone.
      site.command('scontrol', 'update', 'PartitionName=main', 'MaxTime=INFINITE');
      await over(run, 0);
      cells.expectRight();
      cells.project.remove();
    }
  });

  it('a task that is requeued runs no cell again that has ended, and goes on from the checkpoint of the one that ran', async () => {
    const cells = cellsOn(site, { count: 3, steps: 4, slurm: 'pack: 3' });
    const run = start(cells);
    await until(() => cells.starts()[1] === 1 && jobs('RUNNING').length === 1);
    await until(() => processesOf(site.folder).some(text => text.includes(' supervise ')));
    // Some of its steps are done.
    await new Promise(resolve => setTimeout(resolve, 1200));
    const [id] = jobs('RUNNING');
    site.command('scontrol', 'requeue', id!);
    await until(() => site.command('squeue', '-h', '-r', '-j', id!, '-o', '%T').trim() === 'PENDING');
    const second = Math.floor(Date.now() / 1000);
    await until(() => Math.floor(Date.now() / 1000) > second + 1);
    site.command('scontrol', 'update', `jobid=${id!}`, 'StartTime=now');
    await over(run, 0);
    cells.expectRight();
    expect(cells.starts()).toEqual([1, 2, 1]);
    expect(cells.from(2)[1]).toBeGreaterThan(0);
    expect(new Set(cells.jobs(3))).toEqual(new Set(cells.jobs(1)));
    cells.project.remove();
  });

  it('a task that ends for good before it has come to all its cells: these are sent again, by themselves', async () => {
    const cells = cellsOn(site, { count: 4, steps: 4, slurm: 'pack: 4', options: '--no-requeue' });
    const run = start(cells);
    await until(() => cells.starts()[1] === 1);
    site.command('scontrol', 'update', `nodename=${node}`, 'state=down', 'reason=test');
    await until(() => !processesOf(site.folder).some(text => text.includes(' supervise ')));
    site.command('scontrol', 'update', `nodename=${node}`, 'state=idle');
    const said = await over(run, 1);
    expect(said).toMatch(/it is sent again: the node of Slurm job \d+ failed/);
    expect(said).toContain('"ran":3');
    expect(JSON.parse(failures(cells))).toMatchObject([{ cell: 'cell[i=2]', cause: 'preempted' }]);
    expect(cells.starts()).toEqual([1, 1, 1, 1]);
    expect(tasksOf(cells, 4)).toBe(3);
    await over(start(cells), 0);
    cells.expectRight();
    cells.project.remove();
  });

  it('a task that somebody cancels takes its cells with it, and no others', async () => {
    const cells = cellsOn(site, { count: 6, steps: 6, slurm: 'pack: 3' });
    const run = start(cells);
    await until(() => jobs('RUNNING').length > 0 && cells.starts().some(n => n > 0));
    site.command('scancel', jobs('RUNNING')[0]!);
    const said = await over(run, 1);
    expect(said).toContain('"ran":3');
    expect(failures(cells).match(/cancelled by somebody else/g)).toHaveLength(3);
    await over(start(cells), 0);
    cells.expectRight();
    cells.project.remove();
  });

  it('stopping one cell, before or while it runs, leaves the others of its task; stopping the run ends all', async () => {
    const cells = cellsOn(site, { count: 4, steps: 6, slurm: 'pack: 4' });
    const run = start(cells);
    await until(() => cells.starts()[0] === 1);
    // The cells go on without it; a run that is there would be asked to stop as a whole.
    run.kill('SIGKILL');
    await run.finished;
    for (const cell of [1, 3]) {
      const { code, stderr } = cells.project.pipe(['stop', `cell[i=${cell}]`], site.env);
      expect(code, stderr).toBe(0);
    }
    await until(() => jobs('PENDING,RUNNING,COMPLETING').length === 0);
    expect(cells.starts()).toEqual([1, 1, 0, 1]);
    const again = start(cells);
    await until(() => cells.starts()[0] === 2);
    again.kill('SIGINT');
    expect((await again.finished).code).toBe(130);
    await until(() => jobs('PENDING,RUNNING,COMPLETING').length === 0);
    expect(cells.starts()).toEqual([2, 1, 0, 1]);
    await over(start(cells), 0);
    cells.expectRight();
    expect(cells.starts()).toEqual([3, 1, 1, 1]);
    cells.project.remove();
  });

  it('by themselves, as long as nobody knows how long they take; then as many as make some seconds', async () => {
    const cells = cellsOn(site, { count: 6, steps: 0, slurm: 'pack: auto' });
    await over(start(cells), 0);
    expect(tasksOf(cells, 6)).toBe(6);
    const again = cells.project.start(['run', '--json', '--force', 'cell'], site.env);
    await over(again, 0);
    cells.expectRight();
    expect(tasksOf(cells, 6)).toBe(7);
    cells.project.remove();
  });
});
