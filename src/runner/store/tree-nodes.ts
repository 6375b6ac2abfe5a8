import type { Digest } from './model.ts';

/** Nodes of folders by digest, made only when somebody asks: in a run in which nothing changed nobody does. */
export class TreeNodes {
  readonly #nodes = new Map<string, Buffer>();
  readonly #trees = new Map<string, () => Iterable<readonly [digest: Digest, node: Buffer]>>();

  get empty(): boolean {
    return this.#nodes.size === 0 && this.#trees.size === 0;
  }

  set(digest: string, node: Buffer): void {
    this.#nodes.set(digest, node);
  }

  /** All nodes of a tree by the digest of its root. */
  setTree(root: string, make: () => Iterable<readonly [digest: Digest, node: Buffer]>): void {
    if (!this.#nodes.has(root)) this.#trees.set(root, make);
  }

  get(digest: string): Buffer | undefined {
    if (!this.#nodes.has(digest)) for (const root of [...this.#trees.keys()]) this.#make(root);
    return this.#nodes.get(digest);
  }

  /** Every node but those of trees whose root `isKnown`: who knows a root knows what is below it. */
  *unknown(isKnown: (root: string) => boolean): Generator<readonly [digest: string, node: Buffer]> {
    for (const root of [...this.#trees.keys()]) if (!isKnown(root)) this.#make(root);
    yield* this.#nodes;
  }

  /** These nodes and, where they lack one, those of `other`. */
  with(other: TreeNodes): Pick<TreeNodes, 'get'> {
    return { get: digest => this.get(digest) ?? other.get(digest) };
  }

  #make(root: string): void {
    const make = this.#trees.get(root);
    this.#trees.delete(root);
    for (const [digest, node] of make?.() ?? []) this.#nodes.set(digest, node);
  }
}
