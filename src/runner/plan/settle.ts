/**
 * Just before a cell would start: its inputs are known now, so its action key is, and a record of that key makes it
 * fresh after all (early cut-off). Project files are hashed here, before the stage reads them, and once more after it.
 */
import { PipeError } from '../diagnostic.ts';
import type { Json, JsonObject } from '../json.ts';
import type { Artefact, Key, Manifest, ResultRecord } from '../store/model.ts';
import { artefactValue, ManifestReader } from './manifest.ts';
import { keyOf } from './key.ts';
import type { Plan } from './model.ts';
import { contextOf } from './plan-context.ts';
import { compareTrees, nodeReader, sameValue } from './reasons.ts';
import type { TreeNodes } from '../store/tree-nodes.ts';

/** The project's files that a cell reads, as they were before it started. */
export interface InputSnapshot {
  readonly plan: Plan;
  readonly cell: number;
  readonly inputs: readonly { readonly name: string; readonly value: JsonObject }[];
  readonly code: Readonly<Record<string, string>> | null;
  readonly nodes: TreeNodes;
}

export interface Settled {
  readonly actionKey: Key;
  readonly manifest: Manifest;
  /** A result of that key, forced cells and `always` excepted. Outputs that are not `temp` are there and whole, or can be supplied. */
  readonly record: ResultRecord | null;
  /**
   * The plan key, if it may stand for the result of this cell: when every input is the one that the plan key of the
   * cell that made it stands for, none is missing, and nothing is `always`. Null otherwise.
   */
  readonly planKey: Key | null;
  readonly snapshot: InputSnapshot;
}

export type OutputsOf = (cell: number) => Readonly<Record<string, Artefact>> | 'failed' | 'stopped';

/**
 * `outputsOf` tells how the cells stand that this one reads. Throws PipeError (exit 1) when a file of the project is
 * missing or unreadable now.
 */
export function settle(plan: Plan, index: number, outputsOf: OutputsOf): Settled {
  const context = contextOf(plan);
  const { store, graph } = context;
  const cell = graph.cells[index]!;
  const planned = plan.cells[index]!;
  const reader = new ManifestReader(context);
  const { nodes } = reader;
  let sound = !cell.settings.always;
  const inputValue = (producer: number, output: string): Json => {
    const outputs = outputsOf(producer);
    if (outputs === 'failed' || outputs === 'stopped') {
      sound = sound && outputs === 'stopped';
      return outputs;
    }
    const artefact = outputs[output];
    if (artefact === undefined) {
      sound = false;
      return 'missing';
    }
    if (sound) sound = store.results.lookup(context.planKeys.of(producer))?.outputs[output]?.digest === artefact.digest;
    return artefactValue(artefact);
  };
  const manifest = reader.manifest(cell, inputValue);
  const inputs = Object.entries(cell.inputs).flatMap(([name, input]) => {
    if (input.kind !== 'path') return [];
    const content = reader.pathInput(input);
    if (content.missing) throw new PipeError(`${cell.id}: its input ${name} (${input.path}) is not there`, { exitCode: 1, code: 'missing-input' });
    return [{ name, value: content.value }];
  });
  store.results.putTreeNodes(nodes);
  const actionKey = keyOf('action', manifest);
  const forced = planned.reasons.some(({ kind }) => kind === 'forced' || kind === 'always');
  const found = forced ? null : store.results.lookup(actionKey);
  const record = found !== null && Object.entries(cell.outputs).every(([name, { temp }]) => isThere(found.outputs[name], temp)) ? found : null;
  return {
    actionKey, manifest, record, planKey: sound ? planned.planKey : null,
    snapshot: { plan, cell: index, inputs, code: reader.closureOf(cell)?.code ?? null, nodes },
  };

  function isThere(artefact: Artefact | undefined, temp: boolean): boolean {
    return artefact !== undefined && (temp || store.artefacts.obtainable(artefact) === 'here');
  }
}

/**
 * What moved since the snapshot, for people: `./data/a.csv`, `stages/train.ts`. By stat, then by content. A file that
 * vanished or cannot be read any more counts as changed. Empty: the stage saw what its key says.
 */
export function changedInputs(snapshot: InputSnapshot): string[] {
  const context = contextOf(snapshot.plan);
  const cell = context.graph.cells[snapshot.cell]!;
  const reader = new ManifestReader(context);
  const { nodes } = reader;
  const changed: string[] = [];
  for (const { name, value } of snapshot.inputs) {
    const input = cell.inputs[name];
    if (input?.kind !== 'path') continue;
    try {
      const now = reader.pathInput(input).value;
      if (!sameValue(now, value)) changed.push(...changedFiles(value, now, input.path));
    } catch (error) {
      if (!(error instanceof PipeError)) throw error;
      changed.push(`${input.path} (${error.message})`);
    }
  }
  if (snapshot.code !== null) {
    try {
      const now = reader.closureOf(cell)?.code ?? {};
      for (const file of new Set([...Object.keys(snapshot.code), ...Object.keys(now)])) if (snapshot.code[file] !== now[file]) changed.push(file);
    } catch (error) {
      if (!(error instanceof PipeError)) throw error;
      changed.push(error.message);
    }
  }
  return changed;

  function changedFiles(before: JsonObject, now: JsonObject, path: string): string[] {
    const files: string[] = [];
    if (before['type'] === now['type'] && typeof before['tree'] === 'string' && typeof now['tree'] === 'string') {
      const prefix = now['type'] === 'glob' ? '' : `${path.replace(/\/+$/, '')}/`;
      if (compareTrees(nodeReader(context.store, nodes.with(snapshot.nodes)), before['tree'], now['tree'], prefix, file => files.push(file)) && files.length > 0) return files;
    }
    return [path];
  }
}
