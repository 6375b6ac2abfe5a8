/**
 * One project through many edits, with what must hold after each. A failed expectation throws with what was expected and
 * what was found; the caller tells which edits led there.
 */
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { RunEvent } from '../../../../src/runner/run/event.ts';
import { edited } from './edit.ts';
import type { Edit } from './edit.ts';
import { bytesOf } from './model.ts';
import type { Project } from './model.ts';
import { expectedCells } from './oracle.ts';
import type { ExpectedCell } from './oracle.ts';
import { Sandbox } from './sandbox.ts';
import type { PlanView } from './sandbox.ts';

/** What the cache must know by now. */
interface Memory {
  /** Identities of work that was done. */
  readonly done: Set<string>;
  /** Artefacts, by name and content, that were deleted or damaged and not made again since. */
  readonly lost: Set<string>;
  outputs: ReadonlyMap<string, { readonly text: string; readonly artefact: string }>;
}

/** Runs the project, applies each edit and runs it again; at the end builds it from nothing and compares. */
export async function live(first: Project, edits: readonly Edit[]): Promise<void> {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'pipe-random-')));
  try {
    const sandbox = new Sandbox(join(folder, 'project'));
    const cache = join(folder, 'cache');
    const memory: Memory = { done: new Set(), lost: new Set(), outputs: new Map() };
    let project = first;
    await turn(sandbox, cache, project, memory);
    for (const edit of edits) {
      const after = edited(project, edit);
      spoil(sandbox, cache, edit, project, after, memory);
      project = after;
      await turn(sandbox, cache, project, memory);
    }
    const clean = join(folder, 'clean');
    await sandbox.run(clean);
    expect(texts(await sandbox.outputs(clean)), 'a clean build makes the same bytes').toEqual(texts(memory.outputs));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Writes the project, looks, runs, looks again. */
async function turn(sandbox: Sandbox, cache: string, project: Project, memory: Memory): Promise<void> {
  sandbox.write(project);
  const expected = expectedCells(project);

  const dry = await sandbox.look(cache);
  const { plan, events } = await sandbox.run(cache);
  expect(plan, '--dry shows the very plan that is executed').toEqual(dry);
  expect(plan.cells.map(({ id }) => id).sort(), 'the cells of the plan').toEqual([...expected.keys()].sort());
  expect(events.filter(({ event }) => event === 'notice'), 'nothing to warn of').toEqual([]);
  expect(events.at(-1), 'the run succeeds').toMatchObject({ event: 'run.finished', exitCode: 0, failed: 0, skipped: 0 });

  const executed = events.filter(event => event.event === 'cell.started').map(({ cell }) => cell);
  expectWithinPlan(plan, executed, events);
  expectNoMoreThanNeeded(expected, executed, memory);

  const after = await sandbox.look(cache);
  expect(after.counts, 'afterwards everything is fresh').toEqual({ fresh: expected.size, run: 0, pending: 0, stopped: 0 });
  memory.outputs = await sandbox.outputs(cache);
  expect(texts(memory.outputs), 'the outputs').toEqual(Object.fromEntries([...expected].map(([id, { output }]) => [id, output])));
}

/** By key: the plan's `run` cells ⊆ what was executed ⊆ its `run` and `pending` cells; and no cell twice. */
function expectWithinPlan(plan: PlanView, executed: readonly string[], events: readonly RunEvent[]): void {
  expect(new Set(executed).size, 'no cell runs twice').toBe(executed.length);
  const byId = new Map(plan.cells.map(cell => [cell.id, cell]));
  const keys = new Set(executed.flatMap(id => [byId.get(id)!.planKey, byId.get(id)!.actionKey]));
  for (const event of events) if (event.event === 'cell.finished' && event.status === 'ran') keys.add(event.key);
  const idle = plan.cells.filter(({ state, actionKey, planKey }) => state === 'run' && !keys.has(actionKey) && !keys.has(planKey));
  expect(idle.map(({ id }) => id), 'what the plan runs is executed').toEqual([]);
  const surplus = executed.filter(id => !['run', 'pending'].includes(byId.get(id)!.state));
  expect(surplus, 'what is executed is planned').toEqual([]);
}

/**
 * Work that was done is not done again, whatever has changed around it, unless its output was lost; new work is done
 * once, however many cells are the same.
 */
function expectNoMoreThanNeeded(expected: ReadonlyMap<string, ExpectedCell>, executed: readonly string[], memory: Memory): void {
  const needed = new Set([...expected.values()].map(({ identity }) => identity).filter(identity => !memory.done.has(identity)));
  const ran = executed.map(id => expected.get(id)!);
  for (const identity of needed) {
    expect(ran.filter(cell => cell.identity === identity).length, `new work is done once: ${identity}`).toBe(1);
  }
  const again = ran.filter(({ identity, artefact }) => !needed.has(identity) && !memory.lost.has(artefact));
  expect(again.map(({ id }) => id), 'work is not done again').toEqual([]);
  for (const { identity, artefact } of ran) {
    memory.done.add(identity);
    memory.lost.delete(artefact);
  }
}

/** The edits that are more than another project: touched files, and what happens to the cache. */
function spoil(sandbox: Sandbox, cache: string, edit: Edit, before: Project, after: Project, memory: Memory): void {
  switch (edit.kind) {
    case 'touch':
      return sandbox.touch(edit.file);
    case 'bytes':
      if (edit.keepTime) sandbox.overwriteKeepingTime(edit.file, bytesOf(edit.file, after.files[edit.file]!));
      return;
    case 'lose-link':
    case 'lose-artefact':
    case 'damage': {
      const ids = [...memory.outputs.keys()];
      const id = ids[edit.cell % ids.length]!;
      const { artefact } = memory.outputs.get(id)!;
      if (edit.kind === 'lose-link') return sandbox.loseLink(cache, id);
      memory.lost.add(expectedCells(before).get(id)!.artefact);
      if (edit.kind === 'lose-artefact') return sandbox.loseArtefact(artefact);
      return sandbox.damageArtefact(artefact, edit.how);
    }
    default:
  }
}

const texts = (outputs: ReadonlyMap<string, { readonly text: string }>): Record<string, string> =>
  Object.fromEntries([...outputs].map(([id, { text }]) => [id, text]));
