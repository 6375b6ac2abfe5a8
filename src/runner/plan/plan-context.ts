/** What a plan is made with, kept for those who settle and explain it. */
import type { CellGraph } from '../pipeline/model.ts';
import { ownPackageRoot } from '../package-root.ts';
import type { Store } from '../store/store.ts';
import { ManifestReader } from './manifest.ts';
import type { PlatformFacts } from './manifest.ts';
import type { Plan } from './model.ts';
import { producersOf } from './order.ts';
import { PlanKeys } from './plan-keys.ts';

export interface PlanOptions {
  readonly graph: CellGraph;
  readonly store: Store;
  /** The cells that are asked for; null: all of them. */
  readonly targets: ReadonlySet<number> | null;
  readonly force: 'none' | 'all' | ReadonlySet<number>;
  readonly platform: PlatformFacts;
  /** Defaults to this program's own. */
  readonly packageRoot?: string;
  /** Defaults to process.env. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
}

export interface PlanContext {
  readonly graph: CellGraph;
  readonly store: Store;
  readonly platform: PlatformFacts;
  readonly packageRoot: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly reader: ManifestReader;
  readonly planKeys: PlanKeys;
  /** Of each cell, the cells it is made from. */
  readonly producers: readonly (readonly number[])[];
}

export function planContext({ graph, store, platform, packageRoot = ownPackageRoot(), environment = process.env }: PlanOptions): PlanContext {
  const base = { graph, store, platform, packageRoot, environment };
  const reader = new ManifestReader(base);
  const producers = graph.cells.map(producersOf);
  return { ...base, reader, producers, planKeys: new PlanKeys(graph, producers, reader) };
}

const contexts = new WeakMap<Plan, PlanContext>();

export function keepContext(plan: Plan, context: PlanContext): void {
  contexts.set(plan, context);
}

export function contextOf(plan: Plan): PlanContext {
  const context = contexts.get(plan);
  if (context === undefined) throw new Error('this plan was not made by makePlan in this process');
  return context;
}
