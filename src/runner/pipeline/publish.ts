/** `publish:` writes into the project. */
import { statSync } from 'node:fs';
import { isAbsolute, join, posix } from 'node:path';
import { compileValue, placeOf } from './compile.ts';
import type { Scope } from './compile.ts';
import type { Cell, StageDefinition } from './model.ts';
import type { FilePlace, Problems } from './problems.ts';
import { childPointer } from './source-file.ts';
import type { StageState } from './stage-state.ts';
import { pathsOverlap, scopeOf } from './stage-table.ts';
import { suggestion } from './suggest.ts';

/** Output → path of its copy, templates filled in, relative to the project root. */
export function publishedPaths(stage: StageState, scope: Scope): Readonly<Record<string, string>> {
  const paths: Record<string, string> = {};
  for (const [output, target] of Object.entries(stage.yaml?.publish ?? {})) {
    const filled = compileValue(target, childPointer(`${stage.pointer}/publish`, output), { ...scope, axes: null }).fill({});
    paths[output] = posix.normalize(String(filled));
  }
  return paths;
}

/** One writer a path, inside the project, and nobody reads it behind the graph's back. */
export function checkPublish(states: readonly StageState[], definitions: readonly StageDefinition[], cells: readonly Cell[], root: string, problems: Problems): void {
  const written: { readonly path: string; readonly stage: StageState; readonly place: FilePlace }[] = [];
  for (const state of states) {
    for (const [output, target] of Object.entries(state.inactive === null ? publishedPaths(state, scopeOf(state, problems, null)) : {})) {
      const scope = scopeOf(state, problems, null);
      const place = placeOf(scope, childPointer(`${state.pointer}/publish`, output));
      if (state.outputs && !Object.hasOwn(state.outputs, output)) {
        problems.add({ code: 'unknown-output', message: `stage \`${state.shortName}\` has no output \`${output}\``, at: { ...place, part: 'key' }, hint: suggestion(output, Object.keys(state.outputs), 'outputs are') ?? 'it has none' });
      }
      if ((state.expanded?.matrix.axes.length ?? 0) > 0) problems.add({ code: 'publish-matrix', message: `stage \`${state.shortName}\` has a matrix: its cells would overwrite each other at ${target}`, at: place, hint: 'gather them in a stage of its own, and publish what that makes' });
      const path = target.replace(/\/$/, '');
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

function checkReaders(written: readonly { readonly path: string; readonly stage: StageState; readonly place: FilePlace }[], states: readonly StageState[], definitions: readonly StageDefinition[], cells: readonly Cell[], problems: Problems): void {
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
