/** A random project on disk, planned and run through the same functions as the program's commands. */
import { chmodSync, lstatSync, mkdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadGraph } from '../../../../src/runner/plan/graph-cache.ts';
import { makePlan } from '../../../../src/runner/plan/planner.ts';
import type { PlatformFacts } from '../../../../src/runner/plan/planner.ts';
import type { Plan } from '../../../../src/runner/plan/model.ts';
import type { RunEvent } from '../../../../src/runner/run/event.ts';
import { createLocalExecutor } from '../../../../src/runner/run/local.ts';
import { runPlan } from '../../../../src/runner/run/run-plan.ts';
import { visibleFolder } from '../../../../src/runner/store/links.ts';
import { openStore } from '../../../../src/runner/store/store.ts';
import type { Store } from '../../../../src/runner/store/store.ts';
import { bytesOf } from './model.ts';
import type { Project } from './model.ts';
import { pipelineText } from './pipeline-text.ts';

const packageRoot = fileURLToPath(new URL('../../../../', import.meta.url));
const platform: PlatformFacts = { backend: 'cpu', threads: '2', os: 'test', interpreters: () => 'none' };
/** What this machine has, so that no test asks for GPUs. */
const machine = { cpus: 4, memoryBytes: 8 * 2 ** 30, gpus: [], named: {} };

export class Sandbox {
  readonly root: string;
  #set: number | null = null;

  constructor(root: string) {
    this.root = root;
  }

  /** Makes the disk hold the project; only files that differ are written. */
  write(project: Project): void {
    this.#set = project.set;
    this.#put('package.json', '{}');
    this.#put('pipe.yaml', pipelineText(project));
    for (const name of ['a.txt', 'b.txt', 'folder/f1.txt', 'folder/f2.txt', 'folder/f3.txt', 'folder/other.md']) {
      const path = `data/${name}`;
      const version = project.files[path];
      if (version === undefined) rmSync(join(this.root, path), { force: true });
      else this.#put(path, bytesOf(path, version));
    }
  }

  #put(path: string, text: string): void {
    const whole = join(this.root, path);
    try {
      if (readFileSync(whole, 'utf8') === text) return;
    } catch {
      mkdirSync(dirname(whole), { recursive: true });
    }
    writeFileSync(whole, text);
  }

  touch(path: string): void {
    utimesSync(join(this.root, path), new Date(), new Date());
  }

  overwriteKeepingTime(path: string, text: string): void {
    overwriteKeepingTime(join(this.root, path), text);
  }

  /** The plan as `pipe status` and `pipe run --dry` show it: nothing is written. */
  async look(cache: string): Promise<PlanView> {
    return await this.#withStore(cache, 'read', (plan) => viewOf(plan));
  }

  /** One `pipe run`. */
  async run(cache: string): Promise<{ readonly plan: PlanView; readonly events: readonly RunEvent[] }> {
    return await this.#withStore(cache, 'write', async (plan, store) => {
      const view = viewOf(plan);
      const events: RunEvent[] = [];
      const local = createLocalExecutor({ packageRoot, environment: process.env });
      const never = new AbortController().signal;
      await runPlan({
        plan, store, emit: event => void events.push(event), jobs: 2, keepGoing: false, backend: 'cpu', packageRoot,
        budget: { gpuHours: null, wallMs: null }, executors: () => local, signal: never, kill: never, platform, command: ['test'], machine,
      });
      return { plan: view, events };
    });
  }

  /** What each cell's output holds, read through the visible links, and where its artefact lies. */
  async outputs(cache: string): Promise<Map<string, { readonly text: string; readonly artefact: string }>> {
    return await this.#withStore(cache, 'read', (plan, store) => {
      const outputs = new Map<string, { text: string; artefact: string }>();
      for (const { cell, record } of plan.cells) {
        const { id, outputs: declared } = plan.graph.cells[cell]!;
        const artefact = record?.outputs['o'];
        if (artefact === undefined) continue;
        const inner = declared['o']!.path === 'folder' ? 'part.txt' : '';
        const shown = join(visibleFolder(cache, plan.graph.pipeline, id), 'o', inner);
        const stored = join(store.artefacts.pathOf(artefact), inner);
        const text = readFileSync(stored, 'utf8');
        if (readFileSync(shown, 'utf8') !== text) throw new Error(`the link of ${id} does not show its output`);
        outputs.set(id, { text, artefact: stored });
      }
      return outputs;
    });
  }

  /** Removes the link that shows a cell's output. */
  loseLink(cache: string, id: string): void {
    rmSync(join(visibleFolder(cache, 'random', id), 'o'), { force: true });
  }

  loseArtefact(path: string): void {
    writable(path);
    rmSync(path.endsWith('part.txt') ? dirname(path) : path, { recursive: true });
  }

  damageArtefact(path: string, how: 'append' | 'truncate' | 'overwrite'): void {
    writable(path);
    const text = readFileSync(path, 'utf8');
    if (how === 'append') writeFileSync(path, `${text}!`);
    if (how === 'truncate') writeFileSync(path, '');
    if (how === 'overwrite') overwriteKeepingTime(path, '!'.repeat(text.length));
  }

  async #withStore<T>(cache: string, mode: 'read' | 'write', use: (plan: Plan, store: Store) => T | Promise<T>): Promise<T> {
    const set = this.#set === null ? [] : [`x=${this.#set}`];
    const graph = await loadGraph({ file: join(this.root, 'pipe.yaml'), profile: null, set, cache, packageRoot });
    const store = openStore({ cache, mode });
    try {
      return await use(makePlan({ graph, store, targets: null, force: 'none', platform }), store);
    } finally {
      store.close();
    }
  }
}

/** What a plan says, as plain data that two plans can be compared by. */
export interface PlanView {
  readonly counts: Plan['counts'];
  readonly cells: readonly {
    readonly id: string;
    readonly state: Plan['cells'][number]['state'];
    readonly planKey: string;
    readonly actionKey: string | null;
    readonly reasons: Plan['cells'][number]['reasons'];
    readonly sameAs: number | null;
  }[];
}

const viewOf = (plan: Plan): PlanView => ({
  counts: plan.counts,
  cells: plan.cells.map(({ cell, state, planKey, actionKey, reasons, sameAs }) => ({
    id: plan.graph.cells[cell]!.id, state, planKey, actionKey, reasons, sameAs,
  })),
});

/** Other bytes, and the modification time set back to what it was. */
function overwriteKeepingTime(path: string, text: string): void {
  const { atime, mtime } = lstatSync(path);
  writeFileSync(path, text);
  utimesSync(path, atime, mtime);
}

/** Artefacts are read-only; somebody who edits one by hand has to change that first. */
function writable(path: string): void {
  chmodSync(dirname(path), 0o755);
  chmodSync(path, 0o644);
  if (path.endsWith('part.txt')) chmodSync(dirname(dirname(path)), 0o755);
}
