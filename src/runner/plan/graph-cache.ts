/**
 * Validated, expanded pipelines on disk, so that a run in which nothing changed parses no YAML and loads no schema.
 * A stored graph is used only if every file it was read from is as it was, and no file has appeared that would have
 * been read instead.
 */
import { existsSync, lstatSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Cell, CellGraph, CellId } from '../pipeline/model.ts';
import { findProjectRoot } from '../pipeline/project.ts';
import { sha256 } from '../store/file-bytes.ts';
import { checkStamps, newestOf, stampsOf, statStamp } from './file-stamp.ts';
import type { FileStamp } from './file-stamp.ts';
import { writeWhole } from './closure-cache.ts';

/** Raise it when the shape of a graph, or what the language makes of a file, changes. */
const graphFormat = 3;

export interface LoadGraphOptions {
  readonly file: string;
  readonly profile: string | null;
  readonly set: readonly string[];
  readonly cache: string;
  readonly packageRoot: string;
}

interface Header {
  readonly program: string;
  readonly root: string;
  readonly stamps: readonly FileStamp[];
}

/** The pipeline, expanded, from the cache where it can be. Throws InvalidPipeline with every mistake in it. */
export async function loadGraph(options: LoadGraphOptions): Promise<CellGraph> {
  const file = resolve(options.file);
  const root = findProjectRoot(file);
  const program = programStamp(options.packageRoot);
  const name = sha256(JSON.stringify([file, options.profile, options.set, options.packageRoot])).slice(0, 24);
  const headerPath = join(options.cache, 'plans', `graph-${name}.json`);
  const stored = readStored(headerPath, program, root);
  if (stored !== null) return stored;

  const since = Date.now();
  const [{ loadPipeline }, { createCatalogue }] = await Promise.all([import('../pipeline/load.ts'), import('./catalogue.ts')]);
  const catalogue = createCatalogue({ root, packageRoot: options.packageRoot, cache: options.cache });
  const graph = await loadPipeline({ file, profile: options.profile, set: options.set, catalogue });
  const stamps = [...stampsOf(new Set([...graph.sources, ...shadows(graph, options.packageRoot)]), since), ...graph.looked.map(statStamp)];
  // What was edited while it was read may be here in its old form: not worth keeping.
  if (stamps.some(stamp => newestOf(stamp) >= since)) return graph;
  const body = JSON.stringify(packGraph(graph));
  const digest = sha256(body).slice(0, 24);
  writeWhole(bodyPath(headerPath, digest), body);
  writeWhole(headerPath, JSON.stringify({ program, root, stamps, body: digest }));
  dropOldBodies(join(options.cache, 'plans'), `graph-${name}-`, `graph-${name}-${digest}.body.json`);
  return graph;
}

/** One body for each pipeline, profile and set of overrides is enough; whoever is just reading an older one loads anew. */
function dropOldBodies(folder: string, prefix: string, keep: string): void {
  if (!existsSync(folder)) return;
  for (const name of readdirSync(folder)) if (name.startsWith(prefix) && name !== keep) rmSync(join(folder, name), { force: true });
}

/** Files of the project that would be used in place of a shipped stage, were they there. */
function shadows(graph: CellGraph, packageRoot: string): string[] {
  const shipped = join(packageRoot, 'stages');
  const paths = new Set<string>();
  for (const { action } of graph.cells) {
    if (action.kind === 'module' && action.file.startsWith(shipped)) paths.add(join(graph.root, 'stages', `${action.uses}.ts`));
  }
  return [...paths].filter(path => !path.startsWith(shipped));
}

/** A rebuilt or updated program reads pipelines anew. */
function programStamp(packageRoot: string): string {
  const parts = ['dist/pipe.js', 'package.json'].map(name => {
    const stat = lstatSync(join(packageRoot, name), { throwIfNoEntry: false });
    return stat === undefined ? '-' : `${stat.size}:${stat.mtimeMs}`;
  });
  return `${graphFormat} ${parts.join(' ')}`;
}

/** The body of a stored graph that would be used as things are, absolute; null for one that would not. */
export function graphInUse(path: string, packageRoot: string): string | null {
  try {
    const header = JSON.parse(readFileSync(path, 'utf8')) as Header & { readonly body: string };
    const current = header.program === programStamp(packageRoot) && existsSync(header.root) && checkStamps(header.stamps) !== null;
    return current ? bodyPath(path, header.body) : null;
  } catch {
    return null;
  }
}

const bodyPath = (path: string, body: string): string => `${path.slice(0, -5)}-${body}.body.json`;

function readStored(path: string, program: string, root: string): CellGraph | null {
  try {
    const header = JSON.parse(readFileSync(path, 'utf8')) as Header & { readonly body: string };
    if (header.program !== program || header.root !== root) return null;
    const checked = checkStamps(header.stamps);
    if (checked === null) return null;
    const graph = unpackGraph(JSON.parse(readFileSync(bodyPath(path, header.body), 'utf8')) as PackedGraph);
    if (checked.renewed) writeWhole(path, JSON.stringify({ ...header, stamps: checked.stamps }));
    return graph;
  } catch {
    return null; // none yet, or one that a crash or another version left
  }
}

/**
 * Values that cells share are written once, and the cells as columns of numbers: tens of thousands of objects would take
 * as long to write as all the rest.
 */
interface PackedGraph extends Omit<CellGraph, 'cells'> {
  readonly shared: readonly unknown[];
  readonly ids: readonly CellId[];
  readonly stageOf: readonly number[];
  readonly guards: readonly Cell['guard'][];
  /** Field → of each cell the number of its value. */
  readonly columns: Readonly<Record<SharedField, readonly number[]>>;
}

type SharedField = Exclude<keyof Cell, 'index' | 'id' | 'stage' | 'guard'>;

function packGraph({ cells, ...rest }: CellGraph): PackedGraph {
  const shared: unknown[] = [];
  const numbers = new Map<unknown, number>();
  const column = (field: SharedField): number[] => {
    let last: unknown;
    let number = -1;
    return cells.map(cell => {
      const value = cell[field];
      if (value === last) return number;
      last = value;
      const known = numbers.get(value);
      number = known ?? shared.push(value) - 1;
      if (known === undefined) numbers.set(value, number);
      return number;
    });
  };
  return {
    ...rest,
    columns: {
      point: column('point'), action: column('action'), with: column('with'), inputs: column('inputs'), outputs: column('outputs'), needs: column('needs'),
      settings: column('settings'),
    },
    shared, ids: cells.map(cell => cell.id), stageOf: cells.map(cell => cell.stage), guards: cells.map(cell => cell.guard),
  };
}

function unpackGraph({ shared, columns, ids, stageOf, guards, ...rest }: PackedGraph): CellGraph {
  const at = <T extends SharedField>(field: T, index: number): Cell[T] => shared[columns[field][index]!] as Cell[T];
  const cells = ids.map((id, index): Cell => ({
    index, id, stage: stageOf[index]!, point: at('point', index), action: at('action', index), with: at('with', index), inputs: at('inputs', index),
    outputs: at('outputs', index), needs: at('needs', index), settings: at('settings', index), guard: guards[index]!,
  }));
  return { ...rest, cells };
}
