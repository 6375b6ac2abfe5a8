/** Typed reasons: what differs between two manifests of a cell. */
import { canonicalJson } from '../store/canonical-json.ts';
import { NodeReader } from '../store/merkle.ts';
import { shownPath } from '../store/file-bytes.ts';
import type { Json, JsonObject } from '../json.ts';
import type { Cell, Origin, StageDefinition } from '../pipeline/model.ts';
import type { Key, Manifest, ManifestPart } from '../store/model.ts';
import type { Store } from '../store/store.ts';
import type { TreeNodes } from '../store/tree-nodes.ts';
import { importChain } from './closure.ts';
import type { Closure } from './closure.ts';
import type { ManifestReader } from './manifest.ts';
import type { Reason } from './model.ts';

export interface ReasonContext {
  readonly graph: { readonly pipeline: string; readonly stages: readonly StageDefinition[] };
  readonly store: Store;
  readonly reader: ManifestReader;
}

/** Why a cell that has no record of its present key runs, compared with its last success. */
export function ownReasons(context: ReasonContext, cell: Cell, now: Manifest, planKey: Key): Reason[] {
  const { results } = context.store;
  const { pipeline } = context.graph;
  const reasons: Reason[] = [];
  const [last] = results.lastAttempts(pipeline, cell.id, { limit: 1 });
  if (last !== undefined && last.planKey === planKey) {
    if (last.status === 'failed') reasons.push({ kind: 'failed-before', attempt: last.id, message: last.message ?? last.cause ?? 'it failed' });
    if (last.status === 'tainted') reasons.push({ kind: 'tainted-before', attempt: last.id });
  }
  const success = last?.status === 'ran' ? last : results.lastAttempts(pipeline, cell.id, { status: 'ran', limit: 1 })[0];
  if (success === undefined) {
    if (reasons.length === 0) reasons.push({ kind: 'never-run' });
    return reasons;
  }
  reasons.push(...compareManifests(context, cell, results.manifestOf(success.id), now).filter(reason => reason.kind !== 'ignored'));
  // The same key and no record: it was removed, with its outputs.
  if (reasons.length === 0) reasons.push(...Object.keys(cell.outputs).map((output): Reason => ({ kind: 'output-gone', output, neededBy: null })));
  return reasons.length > 0 ? reasons : [{ kind: 'never-run' }];
}

/** Every difference, ignored parts included (as `ignored`). */
export function compareManifests(context: ReasonContext, cell: Cell, before: Manifest, after: Manifest): Reason[] {
  const stage = context.graph.stages[cell.stage]!;
  const old = new Map(before.map(part => [part.part, part]));
  const reasons: Reason[] = [];
  for (const part of after) {
    const previous = old.get(part.part);
    old.delete(part.part);
    if (previous === undefined) {
      if (part.ignored !== true) reasons.push({ kind: 'part-added', part: part.part, after: part.value, origins: originsOf(stage, part.part) });
    } else if (!sameValue(previous.value, part.value)) {
      reasons.push(...partReasons(context, cell, stage, previous, part));
    }
  }
  for (const [name, part] of old) if (part.ignored !== true) reasons.push({ kind: 'part-removed', part: name, before: part.value });
  return reasons;
}

export function sameValue(a: Json, b: Json): boolean {
  return a === b || canonicalJson(a) === canonicalJson(b);
}

function partReasons(context: ReasonContext, cell: Cell, stage: StageDefinition, before: ManifestPart, after: ManifestPart): Reason[] {
  if (after.ignored === true) return [{ kind: 'ignored', part: after.part, before: before.value, after: after.value }];
  const { part } = after;
  if (part === 'code') return codeReasons(before.value as JsonObject, after.value as JsonObject, context.reader.closureOf(cell));
  if (part === 'packages') return packageReasons(before.value as JsonObject, after.value as JsonObject);
  if (part.startsWith('in.')) {
    const input = cell.inputs[part.slice(3)];
    if (input?.kind === 'path') {
      const files = inputFileReasons(context, part.slice(3), before.value, after.value, input.path);
      if (files !== null) return files;
    }
    if (input?.kind === 'output') return [{ kind: 'upstream', input: part.slice(3), cell: input.cell }];
    if (input?.kind === 'gather') return gatherReasons(part.slice(3), input.items, before.value, after.value);
  }
  return [{ kind: 'part-changed', part, before: before.value, after: after.value, origins: originsOf(stage, part) }];
}

function codeReasons(before: JsonObject, after: JsonObject, closure: Closure | null): Reason[] {
  return differences(before, after).map(({ name, change }) => ({
    kind: 'code-changed', file: name, change, chain: change === 'removed' || closure === null ? [] : importChain(closure, name),
  }));
}

function packageReasons(before: JsonObject, after: JsonObject): Reason[] {
  return differences(before, after).map(({ name }) => ({
    kind: 'package-changed', name, before: textOrNull(before[name]), after: textOrNull(after[name]),
  }));
}

function gatherReasons(input: string, items: readonly { readonly cell: number }[], before: Json, after: Json): Reason[] {
  const old = Array.isArray(before) ? new Set((before as readonly Json[]).map(canonicalJson)) : new Set<string>();
  const now = Array.isArray(after) ? (after as readonly Json[]) : [];
  const reasons: Reason[] = [];
  now.forEach((item, index) => {
    if (!old.has(canonicalJson(item))) reasons.push({ kind: 'upstream', input, cell: items[index]!.cell });
  });
  if (reasons.length === 0) {
    // Only fewer than before, or in another order.
    return [{ kind: 'part-changed', part: `in.${input}`, before: old.size, after: now.length, origins: [] }];
  }
  return reasons;
}

/** The files that differ, by walking the two trees where their digests do; null when the old tree is not known. */
function inputFileReasons({ store, reader }: ReasonContext, input: string, before: Json, after: Json, path: string): Reason[] | null {
  const old = before as JsonObject;
  const now = after as JsonObject;
  if (old['type'] !== now['type']) return null;
  if (now['type'] === 'file') return [{ kind: 'input-changed', input, file: path, change: 'edited' }];
  if (typeof old['tree'] !== 'string' || typeof now['tree'] !== 'string') return null;
  const prefix = now['type'] === 'glob' ? '' : `${path.replace(/\/+$/, '')}/`;
  const reasons: Reason[] = [];
  const nodeOf = nodeReader(store, reader.nodes);
  const known = compareTrees(nodeOf, old['tree'], now['tree'], prefix, (file, change) => reasons.push({ kind: 'input-changed', input, file, change }));
  return known && reasons.length > 0 ? reasons : null;
}

export type NodeOf = (digest: string) => Uint8Array | null;

export function nodeReader(store: Store, extra?: Pick<TreeNodes, 'get'>): NodeOf {
  return digest => extra?.get(digest) ?? store.results.treeNode(digest);
}

type Change = 'edited' | 'added' | 'removed';

/**
 * Walks two trees where their digests differ, both in order of name. False when a node of either is not known.
 * Equal entries are passed by comparing their bytes: a folder may have a hundred thousand.
 */
export function compareTrees(nodeOf: NodeOf, before: string, after: string, prefix: string, found: (file: string, change: Change) => void): boolean {
  if (before === after) return true;
  const oldNode = nodeOf(before);
  const newNode = nodeOf(after);
  if (oldNode === null || newNode === null) return false;
  let known = true;
  const old = new NodeReader(oldNode);
  const now = new NodeReader(newNode);
  while (!old.done || !now.done) {
    if (old.equals(now)) {
      old.next();
      now.next();
      continue;
    }
    const previous = old.done ? null : old.entry();
    const entry = now.done ? null : now.entry();
    if (entry === null || (previous !== null && previous.name < entry.name)) {
      found(prefix + shownPath(previous!.name), 'removed');
      old.next();
    } else if (previous === null || entry.name < previous.name) {
      found(prefix + shownPath(entry.name), 'added');
      now.next();
    } else {
      const name = prefix + shownPath(entry.name);
      if (previous.type === 'd' && entry.type === 'd') known = compareTrees(nodeOf, previous.digest, entry.digest, `${name}/`, found) && known;
      else found(name, 'edited');
      old.next();
      now.next();
    }
  }
  return known;
}

function differences(before: JsonObject, after: JsonObject): { readonly name: string; readonly change: Change }[] {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort();
  const changed: { readonly name: string; readonly change: Change }[] = [];
  for (const name of names) {
    if (!Object.hasOwn(before, name)) changed.push({ name, change: 'added' });
    else if (!Object.hasOwn(after, name)) changed.push({ name, change: 'removed' });
    else if (before[name] !== after[name]) changed.push({ name, change: 'edited' });
  }
  return changed;
}

function textOrNull(value: Json | undefined): string | null {
  return typeof value === 'string' ? value : null;
}

/** Where a part was written: its own place, else that of the nearest part around it, else the stage's. */
export function originsOf(stage: StageDefinition, part: string): readonly Origin[] {
  for (let name = part; name !== ''; name = name.slice(0, Math.max(0, name.lastIndexOf('.')))) {
    const found = stage.origins[name];
    if (found !== undefined) return found;
  }
  return [stage.origin];
}
