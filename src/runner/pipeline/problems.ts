import { InvalidPipeline } from '../diagnostic.ts';
import type { Diagnostic } from '../diagnostic.ts';
import type { Origin, Position } from './model.ts';
import { positionOf } from './source-file.ts';
import type { Mark, SourceFile } from './source-file.ts';

/** Where a mistake is: a node of a file, or the command line. */
export type FilePlace = Origin & { readonly kind: 'file' } & Mark;
export type Place = FilePlace | (Origin & { readonly kind: 'command-line' });

export interface Problem {
  readonly code: string;
  readonly message: string;
  readonly at: Place | Position;
  readonly hint?: string | null;
  readonly related?: readonly { readonly message: string; readonly at: Place | Position }[];
}

/** Collects the mistakes of all files of one pipeline, so that they are shown in one go. */
export class Problems {
  readonly sources = new Map<string, SourceFile>();
  readonly #found: Diagnostic[] = [];
  readonly #seen = new Set<string>();

  get count(): number {
    return this.#found.length;
  }

  /** A mistake said twice about one place is kept once: cells of a matrix share their YAML. */
  add(problem: Problem): void {
    const position = this.resolve(problem.at);
    const id = JSON.stringify([problem.code, problem.message, position]);
    if (this.#seen.has(id)) return;
    this.#seen.add(id);
    const related = (problem.related ?? []).flatMap(item => {
      const place = this.resolve(item.at);
      return place ? [{ message: item.message, position: place }] : [];
    });
    this.#found.push({ code: problem.code, message: problem.message, position, hint: problem.hint ?? null, related });
  }

  resolve(place: Place | Position): Position | null {
    if (!('kind' in place)) return place;
    if (place.kind === 'command-line') return null;
    const source = this.sources.get(place.file);
    return source ? positionOf(source, place.pointer, place) : null;
  }

  /** In the order of files as they were read, then lines. */
  sorted(): Diagnostic[] {
    const order = new Map([...this.sources.keys()].map((file, index) => [file, index]));
    const rank = (d: Diagnostic): [number, number, number] =>
      d.position ? [order.get(d.position.file) ?? 0, d.position.line, d.position.column] : [-1, 0, 0];
    return [...this.#found].sort((a, b) => {
      const [x, y] = [rank(a), rank(b)];
      return x[0] - y[0] || x[1] - y[1] || x[2] - y[2];
    });
  }

  /** For a file that could not be read at all. */
  throwIfUnreadable(unreadable: boolean): void {
    if (unreadable) this.throwIfAny();
  }

  throwIfAny(): void {
    if (this.#found.length > 0) throw new InvalidPipeline(this.sorted());
  }
}
