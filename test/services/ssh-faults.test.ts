/**
 * Faults of hosts over a real sshd. Every case: the run ends right, or fails with a message that names the cause; no cell
 * runs twice at once; nothing is left running. `PIPE_RANDOM_SEED=N` repeats the moments of a run.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { tell } from '../faults/rig/tally.ts';
import { describeWith } from './rig/daemon.ts';
import { after, descendants, expectNothingLeft, killPids, manyCells, pidsOf, randomFrom } from './rig/many-cells.ts';
import type { ManyCells } from './rig/many-cells.ts';
import { withSmallDisk } from './rig/small-disk.ts';
import { startSshSite } from './rig/ssh-project.ts';
import type { SshSite } from './rig/ssh-project.ts';
import { until } from './rig/until.ts';

/** A run that does not end is ended, and then its cuts have made it hang. */
const longestMs = 240_000;
const seed = Number(process.env['PIPE_RANDOM_SEED'] ?? Date.now() % 1_000_000);

describeWith(['sshd'], `faults of a host over ssh (seed ${seed})`, () => {
  let site: SshSite;
  const random = randomFrom(seed);
  let words = 0;
  beforeAll(async () => {
    site = await startSshSite();
    // Node and the programs are there.
    const warm = site.project('stages: { a: { on: box, run: "true" } }\n');
    expect(warm.pipe(['run']).code).toBe(0);
    warm.remove();
  });
  afterAll(async () => await site.stop());
  const many = (options: Parameters<typeof manyCells>[2] = {}): ManyCells => manyCells(site, `${seed}-${words++}`, options);
  const serving = (): number[] => pidsOf(`host-agent.js serve ${site.folder}`);
  const supervising = (): number[] => pidsOf(`host-agent.js supervise ${site.folder}`);

  it('a connection that is cut at random moments', async () => {
    const sshd = Number(readFileSync(join(site.sshd.folder, 'pid'), 'utf8'));
    const cuts = { session: 0, client: 0, agent: 0 };
    const all = (): number => cuts.session + cuts.client + cuts.agent;
    while (all() < 50) {
      const cells = many();
      const run = cells.project.start(['run', '--json']);
      let ended = false;
      void run.finished.then(() => (ended = true));
      const limit = setTimeout(() => run.kill('SIGKILL'), longestMs);
      while (!ended && all() < 50) {
        await after(200 + random() * 1800);
        const which = (['session', 'client', 'agent'] as const)[Math.floor(random() * 3)]!;
        const victims = which === 'session' ? descendants(sshd).filter(pid => pidsOf('sshd: ').includes(pid)) : which === 'client' ? descendants(run.pid!).filter(pid => pidsOf('host-agent.js').includes(pid)) : serving();
        if (!ended && killPids(victims) > 0) cuts[which]++;
      }
      const { code, stdout, stderr } = await run.finished;
      clearTimeout(limit);
      expect(code, stdout.slice(-2000) + stderr).toBe(0);
      cells.expectRight();
      expect(cells.starts()).toEqual(Array.from({ length: cells.count }, () => 1));
      cells.project.remove();
    }
    await expectNothingLeft(site);
    tell('the connection of a run with 16 cells cut: sshd\'s process of it killed', 'every cell ran once, all results right', cuts.session);
    tell('the same: the ssh client killed', 'every cell ran once, all results right', cuts.client);
    tell('the same: the agent at the other end killed', 'every cell ran once, all results right', cuts.agent);
  });

  it('a driver that is killed and started again', async () => {
    let kills = 0;
    let again = 0;
    while (kills < 12) {
      const cells = many();
      for (let ended = false; !ended; ) {
        const run = cells.project.start(['run']);
        void run.finished.then(({ code }) => (ended = code !== null));
        await after(400 + random() * 2500);
        if (kills < 12 && !ended && run.kill('SIGKILL')) kills++;
        const { code, stderr } = await run.finished;
        if (code !== null) expect(code, stderr).toBe(0);
      }
      cells.expectRight();
      // A result that was fetched and not yet written down is made once more, never at the same time.
      again += cells.starts().filter(times => times > 1).length;
      for (const times of cells.starts()) expect(times).toBeLessThanOrEqual(3);
      cells.project.remove();
    }
    await expectNothingLeft(site);
    tell('kill -9 of pipe while 16 cells run on the host, and pipe run again', `all results right, no cell twice at once (${again} made once more in all)`, kills);
  });

  it('the process that watches over a job killed', async () => {
    const cells = many({ settings: 'retries: { times: 100, on: [preempted], backoff: 0s }', seconds: 0.5 });
    const run = cells.project.start(['run', '--json']);
    let ended = false;
    void run.finished.then(() => (ended = true));
    let kills = 0;
    while (!ended && kills < 12) {
      await after(50 + random() * 400);
      const there = supervising();
      if (there.length > 0) kills += killPids([there[Math.floor(random() * there.length)]!]);
    }
    const { code, stdout } = await run.finished;
    expect(code, stdout.slice(-3000)).toBe(0);
    cells.expectRight();
    cells.project.remove();
    // Without a retry it fails, and the message says of what.
    const single = many({ count: 1, seconds: 30 });
    const failing = single.project.start(['run', '--json']);
    await until(() => single.starts()[0] === 1);
    killPids(supervising());
    const failed = await failing.finished;
    expect(failed.code).toBe(1);
    expect(failed.stdout).toMatch(/"status":"failed"[^\n]*"cause":"preempted"[^\n]*the process that watched over it on \S+ was killed; what it ran was ended/);
    single.project.remove();
    await expectNothingLeft(site);
    tell('kill -9 of a supervisor on the host, with `retries: { on: [preempted] }`', 'the cell ran again and all results are right', kills);
    tell('kill -9 of a supervisor on the host, without retries', 'the cell failed as preempted, and what it ran was ended');
  });

  it('a disk there that is full', async () => {
    await withSmallDisk(40_000, async disk => {
      const small = { ...site, folder: disk, entry: (more = '') => site.entry(more).replace(/folder: [^,]+,/, `folder: ${disk},`), project: (pipeline: string, files = {}, more = '') => {
        const project = site.project(pipeline, files);
        project.write('pipe.hosts.yaml', `hosts:\n  box: ${small.entry(more)}\n`);
        return project;
      } } as SshSite;
      // No room for this machine's Node.
      const node = small.project('stages: { a: { on: box, run: "true" } }\n');
      expect(node.pipe(['run', '--json']).stdout).toMatch(/"cause":"disk-full"[^\n]*the disk of box is full/);
      node.remove();
      // No room for an input.
      const input = small.project('stages: { a: { on: box, in: { data: ./data }, run: "wc -c < ${in.data} > ${out.o}", out: { o: o } } }\n', { data: 'x'.repeat(50_000_000) }, `node: ${process.execPath}`);
      const refused = input.pipe(['run', '--json']);
      expect([refused.code, refused.stdout]).toEqual([1, expect.stringMatching(/"cause":"disk-full"[^\n]*the disk of box is full/) as string]);
      input.write('data', 'x'.repeat(1000));
      expect(input.pipe(['run', '--json']).stdout).toContain('"ran":1');
      expect(input.read('cache/out/p/a/o').trim()).toBe('1000');
      input.remove();
      // No room for an output, and then there is.
      const output = small.project('stages: { a: { on: box, run: "head -c ${params.n} /dev/zero > ${out.o}", out: { o: o } } }\nparams: { n: 60000000 }\n', {}, `node: ${process.execPath}`);
      const full = output.pipe(['run', '--json']);
      expect([full.code, full.stdout]).toEqual([1, expect.stringMatching(/"cause":"disk-full"[^\n]*(No space left on device|is full)/) as string]);
      expect(output.pipe(['hosts', 'gc', 'box', '--unused-for', '0s', '--yes']).code).toBe(0);
      expect(output.pipe(['run', '--json', '--set', 'n=1000']).stdout).toContain('"ran":1');
      output.remove();
      await expectNothingLeft(small);
      tell('the host\'s disk full: while Node, an input, or an output is written', 'the cell failed as disk-full, and ran when there was room', 3);
    });
  });

  it('a clock there that is an hour ahead or behind', async () => {
    for (const [hours, text] of [[1, 'ahead'], [-1, 'behind']] as const) {
      const cells = many({ count: 6, seconds: 0.5 });
      const shim = cells.project.path('clock.cjs');
      writeFileSync(shim, `const now = Date.now; Date.now = () => now() + ${hours * 3_600_000}; const D = Date; globalThis.Date = class extends D { constructor(...a) { a.length === 0 ? super(D.now()) : super(...a); } static now() { return D.now(); } };\n`);
      cells.project.write('pipe.hosts.yaml', `hosts:\n  box: ${site.entry(`slots: 2, setup: 'export NODE_OPTIONS=--require=${shim}'`)}\n`);
      const first = cells.project.start(['run']);
      await until(() => cells.starts().some(times => times > 0));
      first.kill('SIGKILL');
      await first.finished;
      const second = cells.project.pipe(['run', '--json']);
      expect(second.code, second.stdout.slice(-2000)).toBe(0);
      cells.expectRight();
      expect(cells.starts()).toEqual([1, 1, 1, 1, 1, 1]);
      expect(cells.project.pipe(['run', '--json']).stdout).toContain('"fresh":6');
      const times = JSON.parse(cells.project.pipe(['sql', '--format', 'json', 'SELECT min(ended_at - started_at) AS least, max(ended_at - started_at) AS most FROM attempt WHERE status = \'ran\'']).stdout) as { least: number; most: number }[];
      expect(times[0]!.least).toBeGreaterThanOrEqual(0);
      expect(times[0]!.most).toBeLessThan(600_000);
      cells.project.remove();
      await expectNothingLeft(site);
      tell(`the host's clock an hour ${text}, the driver killed meanwhile`, 'every cell ran once, times are this machine\'s');
    }
  });

  it('two drivers at the same cells, of one cache and of two', async () => {
    for (let round = 0; round < 2; round++) {
      const cells = many({ count: 4, seconds: 0.4 });
      const runs = await Promise.all([1, 2].map(() => cells.project.start(['run', '--json']).finished));
      expect(runs.map(({ code }) => code), runs.map(({ stdout }) => stdout.slice(-1500)).join('\n')).toEqual([0, 0]);
      cells.expectRight();
      expect(cells.starts()).toEqual([1, 1, 1, 1]);
      cells.project.remove();
      tell('two runs of one cache at once', 'each cell ran once, both have the results');
    }
    for (let round = 0; round < 2; round++) {
      const cells = many({ count: 4, seconds: 0.4 });
      const other = cells.project.path('other-cache');
      const runs = await Promise.all([[], ['--cache', other]].map(words => cells.project.start(['run', '--json', ...words]).finished));
      expect(runs.map(({ code }) => code), runs.map(({ stdout }) => stdout.slice(-1500)).join('\n')).toEqual([0, 0]);
      cells.expectRight();
      for (let i = 1; i <= 4; i++) expect(readFileSync(join(other, `out/p/cell[i=${i}]/o`))).toEqual(readFileSync(cells.project.path(`cache/out/p/cell[i=${i}]/o`)));
      cells.project.remove();
      tell('two runs of two caches at once', 'no cell twice at once, both have the results');
    }
    await expectNothingLeft(site);
  });

  it('a run that takes part in what another one started goes on when that one is stopped or killed', async () => {
    const takesPart = async (cells: ManyCells): Promise<{ readonly run: ReturnType<ManyCells['project']['start']>; readonly other: string }> => {
      const other = cells.project.path('other-cache');
      const run = cells.project.start(['run', '--json', '--cache', other]);
      let seen = '';
      run.stdout!.on('data', (text: string) => void (seen += text));
      await until(() => seen.split('has it from an earlier start').length > cells.count);
      return { run, other };
    };
    const expectOutputs = (cells: ManyCells, other: string): void => {
      for (let i = 1; i <= cells.count; i++) expect(readFileSync(join(other, `out/p/cell[i=${i}]/o`), 'utf8')).toBe(readFileSync(cells.project.path(`data/${i}.txt`), 'utf8').repeat(2));
    };

    // Stopped: what it stops is started again by the other.
    const stopped = many({ count: 1, seconds: 4 });
    const first = stopped.project.start(['run', '--json']);
    await until(() => stopped.starts()[0] === 1);
    const second = await takesPart(stopped);
    first.kill('SIGINT');
    expect((await first.finished).code).toBe(130);
    const again = await second.run.finished;
    expect(again.code, again.stdout.slice(-1500)).toBe(0);
    expect(stopped.starts()).toEqual([2]);
    expectOutputs(stopped, second.other);
    stopped.project.remove();
    tell('one of two runs of two caches stopped', 'what it stopped was started again by the other', 1);

    // Killed: what runs goes on, and what still waited for a slot is started by the other.
    const killed = many({ count: 2, seconds: 4, entry: 'slots: 1', settings: 'resources: { cpu: 1 }' });
    const third = killed.project.start(['run', '--json', '-j', '2']);
    await until(() => killed.starts().some(times => times > 0));
    const fourth = await takesPart(killed);
    third.kill('SIGKILL');
    await third.finished;
    const taken = await fourth.run.finished;
    expect(taken.code, taken.stdout.slice(-1500)).toBe(0);
    expect(killed.starts()).toEqual([1, 1]);
    expectOutputs(killed, fourth.other);
    killed.project.remove();
    tell('one of two runs of two caches killed', 'each cell ran once, the other started what had not begun', 1);
    await expectNothingLeft(site);
  });

  it('Ctrl-C at random moments, and an sshd that is away for a while', async () => {
    for (let round = 0; round < 5; round++) {
      const cells = many({ count: 4, seconds: 20 });
      const run = cells.project.start(['run']);
      await after(600 + random() * 2500);
      run.kill('SIGINT');
      // Null: it came before pipe listened for it.
      expect([130, null]).toContain((await run.finished).code);
      await expectNothingLeft(site);
      expect(cells.project.pipe(['attach']).stdout).toBe('nothing goes on elsewhere\n');
      cells.project.remove();
      tell('Ctrl-C at a random moment', 'nothing goes on');
    }
    const cells = many({ seconds: 0.5 });
    const run = cells.project.start(['run', '--json']);
    await until(() => cells.starts().some(times => times > 0));
    await site.sshd.tell('stop');
    killPids(serving());
    await after(2500);
    await site.sshd.tell('start', String(site.sshd.ports[0]));
    const { code, stdout } = await run.finished;
    expect(code, stdout.slice(-2000)).toBe(0);
    expect(stdout).toContain('is lost');
    expect(stdout).toContain('box answers again');
    cells.expectRight();
    expect(cells.starts()).toEqual(Array.from({ length: cells.count }, () => 1));
    cells.project.remove();
    await expectNothingLeft(site);
    tell('sshd away for 2.5 s in the middle of a run', 'every cell ran once, all results right');
  });
});
