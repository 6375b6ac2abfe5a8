/** `report:` and `publish:` checked against the stages there are. */
import { statSync } from 'node:fs';
import { isAbsolute, join, posix } from 'node:path';
import { placeOf } from './compile.ts';
import { requireStage } from './lookup.ts';
import type { StageTable } from './lookup.ts';
import type { Cell, ReportItem, StageDefinition } from './model.ts';
import type { LoadedFile, Namespace } from './namespace.ts';
import type { FilePlace, Place, Problems } from './problems.ts';
import { parseReference } from './reference.ts';
import { childPointer } from './source-file.ts';
import type { StageState } from './stage-state.ts';
import { pathsOverlap, scopeOf } from './stage-table.ts';
import { suggestion } from './suggest.ts';

/** The report of the pipeline that was asked for and its parts; if it has none, those of the pipelines it includes. */
export function readReport(namespaces: readonly Namespace[], stages: StageTable, problems: Problems): ReportItem[] {
  const reports = namespaces.map(namespace => namespace.files.flatMap(loaded => fileReport(loaded, namespace, stages, problems)));
  return reports[0] && reports[0].length > 0 ? reports[0] : reports.flat();
}

function fileReport(loaded: LoadedFile, namespace: Namespace, stages: StageTable, problems: Problems): ReportItem[] {
  // Names in a report are looked up as a stage of the same pipeline would.
  const from = [...stages.values()].find(stage => stage.namespace === namespace);
  return (loaded.header.report ?? []).flatMap((item, index): ReportItem[] => {
    const pointer = childPointer('/report', index);
    const place = (key: string): Place => ({ kind: 'file', file: loaded.file, pointer: `${pointer}/${key}` });
    if ('text' in item) return [{ kind: 'text', text: item.text }];
    if (!from) return [];
    if ('table' in item) {
      const stage = requireStage(item.table, from, stages, place('table'), problems);
      if (!stage || stage.inactive !== null) return [];
      const axes = stage.expanded?.matrix.axes;
      if (item.rows !== undefined && axes && !axes.includes(item.rows)) {
        problems.add({ code: 'unknown-axis', message: `stage \`${item.table}\` has no axis \`${item.rows}\``, at: place('rows'), hint: suggestion(item.rows, axes, 'axes are') ?? 'it has no matrix' });
      }
      return [{ kind: 'table', stage: stage.name, rows: item.rows ?? null, columns: item.columns ?? null, title: item.title ?? null }];
    }
    const reference = parseReference(item.figure);
    if (typeof reference === 'string' || reference.selection) {
      problems.add({ code: 'bad-reference', message: typeof reference === 'string' ? reference : 'a figure names an output of a stage without a matrix', at: place('figure'), hint: 'write stage.output' });
      return [];
    }
    const stage = requireStage(reference.stage, from, stages, place('figure'), problems);
    if (!stage || stage.inactive !== null) return [];
    if (stage.outputs && !Object.hasOwn(stage.outputs, reference.output)) {
      problems.add({ code: 'unknown-output', message: `stage \`${reference.stage}\` has no output \`${reference.output}\``, at: place('figure'), hint: suggestion(reference.output, Object.keys(stage.outputs), 'outputs are') });
      return [];
    }
    return [{ kind: 'figure', stage: stage.name, output: reference.output, title: item.title ?? null }];
  });
}

/** `publish:` writes into the project: one writer a path, inside the project, and nobody reads it behind the graph's back. */
export function checkPublish(states: readonly StageState[], definitions: readonly StageDefinition[], cells: readonly Cell[], root: string, problems: Problems): void {
  const written: { readonly path: string; readonly stage: StageState; readonly place: FilePlace }[] = [];
  for (const state of states) {
    for (const [output, target] of Object.entries(state.inactive === null ? state.yaml?.publish ?? {} : {})) {
      const scope = scopeOf(state, problems, null);
      const place = placeOf(scope, childPointer(`${state.pointer}/publish`, output));
      if (state.outputs && !Object.hasOwn(state.outputs, output)) {
        problems.add({ code: 'unknown-output', message: `stage \`${state.shortName}\` has no output \`${output}\``, at: { ...place, part: 'key' }, hint: suggestion(output, Object.keys(state.outputs), 'outputs are') ?? 'it has none' });
      }
      if ((state.expanded?.matrix.axes.length ?? 0) > 0) problems.add({ code: 'publish-matrix', message: `stage \`${state.shortName}\` has a matrix: its cells would overwrite each other at ${target}`, at: place, hint: 'gather them in a stage of its own, and publish what that makes' });
      const path = posix.normalize(target).replace(/\/$/, '');
      if (isAbsolute(path) || path === '.' || path === '..' || path.startsWith('../')) {
        problems.add({ code: 'bad-path', message: `\`publish\` must stay inside the project, not write ${target}`, at: place, hint: 'write a path relative to the project root' });
        continue;
      }
      if (target.endsWith('/') || (state.outputs?.[output]?.kind === 'file' && statSync(join(root, path), { throwIfNoEntry: false })?.isDirectory())) {
        problems.add({ code: 'bad-path', message: `\`publish\` needs the name of the copy, not a folder: ${target}`, at: place, hint: `for example ${path}/${output}` });
      }
      const twin = written.find(other => pathsOverlap(other.path, path));
      if (twin) problems.add({ code: 'path-conflict', message: `\`${state.shortName}\` and \`${twin.stage.shortName}\` both write ${path}`, at: place, related: [{ message: 'the other writer', at: twin.place }], hint: 'give each its own path' });
      written.push({ path, stage: state, place });
    }
  }
  if (written.length > 0) checkReaders(written, states, definitions, cells, problems);
}

function checkReaders(written: readonly { readonly path: string; readonly stage: StageState; readonly place: Place }[], states: readonly StageState[], definitions: readonly StageDefinition[], cells: readonly Cell[], problems: Problems): void {
  const byName = new Map(states.map(state => [state.name, state]));
  for (const definition of definitions) {
    const state = byName.get(definition.name);
    const cell = cells[definition.first];
    if (!state || !cell) continue;
    for (const [name, input] of Object.entries(cell.inputs)) {
      if (input.kind !== 'path' || input.glob) continue;
      const writer = written.find(one => pathsOverlap(one.path, input.path));
      if (!writer) continue;
      problems.add({
        code: 'hidden-edge', message: `input \`${name}\` reads ${input.path}, which stage \`${writer.stage.name}\` publishes`, at: { kind: 'file', file: state.file, pointer: childPointer(`${state.pointer}/in`, name) },
        related: [{ message: 'published here', at: writer.place }], hint: `read the stage's output instead, so that it is made first`,
      });
    }
  }
}
