/** A cell's inputs as its stage gets them: paths in the store and in the project. */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Cell, CellGraph, CellInput } from '../pipeline/model.ts';
import { findFiles } from '../plan/glob.ts';
import { absolutePath } from '../plan/path-inputs.ts';
import type { Artefact } from '../store/model.ts';
import type { Store } from '../store/store.ts';
import type { CellResult } from './cell-result.ts';
import type { JobInput } from './executor.ts';

type ResultOf = (cell: number) => CellResult | null;

/** An input of the project that is not there; the message names it. */
export class MissingInput extends Error {
  override readonly name = 'MissingInput';
}

export function jobInputs(graph: CellGraph, store: Store, cell: Cell, resultOf: ResultOf): Record<string, JobInput> {
  return Object.fromEntries(Object.entries(cell.inputs).map(([name, input]) => [name, jobInput(graph, store, name, input, resultOf)]));
}

function jobInput(graph: CellGraph, store: Store, name: string, input: CellInput, resultOf: ResultOf): JobInput {
  switch (input.kind) {
    case 'output': {
      const artefact = outputOf(graph, input.cell, input.output, resultOf);
      if (artefact === null) throw new Error(`${graph.cells[input.cell]!.id} has no output ${input.output} yet`);
      return { kind: 'artefact', artefact, path: store.artefacts.pathOf(artefact) };
    }
    case 'gather':
      return {
        kind: 'gather',
        items: input.items.map(({ cell, point }) => {
          const artefact = outputOf(graph, cell, input.output, resultOf);
          const status = artefact !== null ? 'done' : resultOf(cell)?.kind === 'stopped' ? 'stopped' : 'failed';
          return { point, cell: graph.cells[cell]!.id, artefact, path: artefact === null ? null : store.artefacts.pathOf(artefact), status };
        }),
      };
    case 'path': {
      if (input.glob) {
        const paths = findFiles(graph.root, input.path).map(path => resolve(graph.root, path));
        if (paths.length === 0) throw new MissingInput(`the input ${name}: no file matches ${input.path}`);
        return { kind: 'glob', paths };
      }
      const path = absolutePath(input, graph.root);
      if (!existsSync(path)) throw new MissingInput(`the input ${name}: ${input.path} is not there`);
      return { kind: 'path', path };
    }
  }
}

function outputOf(graph: CellGraph, cell: number, output: string, resultOf: ResultOf): Artefact | null {
  const result = resultOf(cell);
  if (result?.kind !== 'done') return null;
  const artefact = result.outputs[output];
  if (artefact === undefined) throw new Error(`${graph.cells[cell]!.id} has no output ${output}`);
  return artefact;
}

/** Every artefact that a stage with these inputs reads, each once. */
export function inputArtefacts(inputs: Readonly<Record<string, JobInput>>): Artefact[] {
  const found = new Map<string, Artefact>();
  for (const input of Object.values(inputs)) {
    if (input.kind === 'artefact') found.set(input.artefact.digest, input.artefact);
    else if (input.kind === 'gather') for (const { artefact } of input.items) if (artefact !== null) found.set(artefact.digest, artefact);
  }
  return [...found.values()];
}
