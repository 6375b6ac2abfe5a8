/** `temp: true` outputs: dropped once their last reader in this run is done. */
import type { CellGraph } from '../pipeline/model.ts';
import type { Artefact } from '../store/model.ts';
import type { Store } from '../store/store.ts';
import type { CellResult } from './cell-result.ts';

export class TempOutputs {
  readonly #graph: CellGraph;
  readonly #store: Store;
  /** `cell\0output` → readers that are not done. */
  readonly #readers = new Map<string, Set<number>>();
  readonly #readBy = new Map<number, string[]>();

  constructor(graph: CellGraph, store: Store, selected: ReadonlySet<number>) {
    this.#graph = graph;
    this.#store = store;
    if (!graph.cells.some(cell => Object.values(cell.outputs).some(({ temp }) => temp))) return;
    for (const index of selected) {
      for (const input of Object.values(graph.cells[index]!.inputs)) {
        if (input.kind === 'output') this.#add(input.cell, input.output, index);
        else if (input.kind === 'gather') for (const { cell } of input.items) this.#add(cell, input.output, index);
      }
    }
  }

  /** To be called when a cell is done for good; a failed reader keeps what it read, for its next try. */
  done(cell: number, resultOf: (cell: number) => CellResult | null): void {
    for (const name of this.#readBy.get(cell) ?? []) {
      const readers = this.#readers.get(name)!;
      readers.delete(cell);
      if (readers.size > 0) continue;
      const [producer, output] = name.split('\0') as [string, string];
      const result = resultOf(Number(producer));
      const artefact = result?.kind === 'done' ? result.outputs[output] : undefined;
      if (artefact !== undefined && !this.#usedElsewhere(artefact, resultOf)) this.#store.artefacts.remove(artefact);
    }
  }

  #add(producer: number, output: string, reader: number): void {
    if (this.#graph.cells[producer]!.outputs[output]?.temp !== true) return;
    const name = `${producer}\0${output}`;
    const readers = this.#readers.get(name);
    if (readers) readers.add(reader);
    else this.#readers.set(name, new Set([reader]));
    this.#readBy.set(reader, [...(this.#readBy.get(reader) ?? []), name]);
  }

  /** The same content may be an output that somebody keeps, or a temporary one whose readers are not done. */
  #usedElsewhere(artefact: Artefact, resultOf: (cell: number) => CellResult | null): boolean {
    for (const cell of this.#graph.cells) {
      const result = resultOf(cell.index);
      if (result?.kind !== 'done') continue;
      for (const [output, other] of Object.entries(result.outputs)) {
        if (other.digest !== artefact.digest) continue;
        const readers = this.#readers.get(`${cell.index}\0${output}`);
        if (cell.outputs[output]?.temp !== true || readers === undefined || readers.size > 0) return true;
      }
    }
    const kept = this.#store.database
      .prepare<[string], { cell: string; outputs: string }>(
        `SELECT attempt.cell AS cell, record.outputs AS outputs FROM record JOIN attempt ON attempt.id = record.attempt WHERE instr(record.outputs, ?) > 0`,
      )
      .all(artefact.digest);
    const known = new Map(this.#graph.cells.map(cell => [cell.id as string, cell]));
    return kept.some(({ cell, outputs }) =>
      Object.entries(JSON.parse(outputs) as Record<string, Artefact>).some(([output, { digest }]) => digest === artefact.digest && known.get(cell)?.outputs[output]?.temp !== true));
  }
}
