/** Agents of two drivers on one host: which of them starts a job, and what becomes of it when that one is gone. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { claimName, retire } from '../../../src/runner/remote/agent/job-claims.ts';
import { readJob } from '../../../src/runner/remote/agent/job-folder.ts';
import { Jobs } from '../../../src/runner/remote/agent/jobs.ts';
import type { HostJob, JobState } from '../../../src/runner/remote/protocol.ts';
import { thisProcess } from '../../../src/runner/run/owner.ts';
import { buildProgram } from '../../rig/build.ts';
import { Gate } from '../../rig/gate.ts';
import { makeProject } from '../../rig/project.ts';

let folder: string;
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'pipe-agents-'))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Jobs of a host that has one slot, each of which waits at its gate. */
async function jobs(gates: Readonly<Record<string, Gate>>): Promise<(name: string, token: string) => HostJob> {
  const project = makeProject(`stages:\n${Object.entries(gates).map(([name, gate]) => `  ${name}:\n    run: |\n      echo ran >> ${join(folder, name)}\n      ${gate.wait}\n`).join('')}`);
  const { cells } = await project.graph();
  return (name, token) => {
    const cell = cells.find(({ id }) => id === name)!;
    return {
      name, token, owner: token, ownerText: token, cell, inputs: {}, resources: cell.settings.resources, timeoutMs: null, backend: 'cpu', bundle: null, checkpoint: null, trees: [],
      plain: { PATH: process.env.PATH! }, secretNames: [], graceMs: 1000, slots: 1, named: {}, slurm: null,
    };
  };
}

async function agent(): Promise<Jobs> {
  const made = new Jobs(folder, await buildProgram('src/runner/remote/agent/main.ts'));
  made.prepare();
  return made;
}

async function stateOf(agent: Jobs, name: string, wanted: (state: JobState | null) => boolean): Promise<JobState | null> {
  for (;;) {
    const state = await agent.state(name);
    if (wanted(state)) return state;
    await new Promise(resolve => setImmediate(resolve));
  }
}

const isOver = (state: JobState | null): boolean => state?.state === 'ended' || state?.state === 'lost';

test('a job that waits for a slot under one agent is not taken from it by another', async () => {
  const gates = { first: new Gate(folder, 'first'), second: new Gate(folder, 'second') };
  const job = await jobs(gates);
  const [ours, theirs] = [await agent(), await agent()];
  await ours.start(job('first', 'a'), {}, false);
  const passFirst = await gates.first.reached();
  expect(await ours.start(job('second', 'a'), {}, false)).toEqual({ attached: false, token: 'a' });
  await stateOf(ours, 'second', state => state?.state === 'waiting' && /slots are taken/.test(state.why));

  expect(await theirs.start(job('second', 'b'), {}, false)).toEqual({ attached: true, token: 'a' });
  expect(await theirs.state('second')).toEqual({ state: 'waiting', why: 'another run is starting it' });
  await passFirst();
  await gates.second.pass();
  for (const who of [ours, theirs]) expect(await stateOf(who, 'second', isOver)).toMatchObject({ state: 'ended', exit: { token: 'a', outcome: { ok: true } } });
  expect(readFileSync(join(folder, 'second'), 'utf8')).toBe('ran\n');
});

test('one whose agent is gone before it was started is started by whoever wants it', async () => {
  const gates = { second: new Gate(folder, 'second') };
  const job = await jobs(gates);
  const ours = await agent();
  expect(claimName(folder, job('second', 'a'))).toBe(true);
  expect(await ours.state('second')).toEqual({ state: 'waiting', why: 'another run is starting it' });
  writeFileSync(ours.paths('second').starter, JSON.stringify({ ...thisProcess(), startTime: '1' }));
  expect(await ours.state('second')).toMatchObject({ state: 'waiting', abandoned: true });
  expect(await ours.start(job('second', 'b'), {}, false)).toEqual({ attached: false, token: 'b' });
  await gates.second.pass();
  expect(await stateOf(ours, 'second', isOver)).toMatchObject({ state: 'ended', exit: { token: 'b', outcome: { ok: true } } });
});

test('what has been replaced meanwhile is not moved away for what it was', async () => {
  const gates = { second: new Gate(folder, 'second') };
  const job = await jobs(gates);
  claimName(folder, job('second', 'a'));
  expect(await retire(folder, job('second', 'a'))).toBe(true);
  claimName(folder, job('second', 'b'));
  expect(await retire(folder, job('second', 'a'))).toBe(false);
  expect(readJob((await agent()).paths('second'))?.token).toBe('b');
});
