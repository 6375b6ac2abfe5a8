/**
 * Validated, expanded pipelines on disk, so that a run in which nothing changed parses no YAML and loads no schema.
 * A stored graph is used only if every file it was read from is as it was, and no file has appeared that would have
 * been read instead.
 */
import { existsSync, lstatSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Cell, CellGraph } from '../pipeline/model.ts';
import { findProjectRoot } from '../pipeline/project.ts';
import { sha256 } from '../store/file-bytes.ts';
import { checkStamps, newestOf, stampsOf, statStamp } from './file-stamp.ts';
import type { FileStamp } from './file-stamp.ts';
import { writeWhole } from './closure-cache.ts';

/** Raise it when the shape of a graph, or what the language makes of a file, changes. */
const graphFormat = 2;

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
  const { text: body, packed } = packGraph(graph);
  const digest = sha256(body).slice(0, 24);
  writeWhole(bodyPath(headerPath, digest), body);
  writeWhole(headerPath, JSON.stringify({ program, root, stamps, body: digest }));
  dropOldBodies(join(options.cache, 'plans'), `graph-${name}-`, `graph-${name}-${digest}.body.json`);
  // Equal values are one object now, as they will be when this is read: each is encoded for keys once.
  return unpackGraph(packed);
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

/** Values that many cells share are written once: cells name them by number, and share them again when read. */
interface PackedGraph extends Omit<CellGraph, 'cells'> {
  readonly shared: readonly unknown[];
  readonly packed: readonly PackedCell[];
}

const sharedFields = ['action', 'with', 'inputs', 'outputs', 'needs', 'settings'] as const;
type SharedField = (typeof sharedFields)[number];
/** The same object before and after: there are tens of thousands, and copies of them are most of the work. */
type PackedCell = Omit<Cell, SharedField> & Record<SharedField, unknown>;

function packGraph(graph: CellGraph): { readonly text: string; readonly packed: PackedGraph } {
  const shared: unknown[] = [];
  const texts: string[] = [];
  const byObject = new Map<unknown, number>();
  const byText = new Map<string, number>();
  const numberOf = (value: unknown): number => {
    const known = byObject.get(value);
    if (known !== undefined) return known;
    const text = JSON.stringify(value);
    let number = byText.get(text);
    if (number === undefined) {
      number = shared.push(value) - 1;
      texts.push(text);
      byText.set(text, number);
    }
    byObject.set(value, number);
    return number;
  };
  const { cells, ...rest } = graph;
  const packed = cells.map((cell): PackedCell => {
    const numbered: PackedCell = { ...cell };
    for (const field of sharedFields) numbered[field] = numberOf(cell[field]);
    return numbered;
  });
  const text = `${JSON.stringify(rest).slice(0, -1)},"shared":[${texts.join(',')}],"packed":${JSON.stringify(packed)}}`;
  return { text, packed: { ...rest, shared, packed } };
}

/** The cells of the packed graph become those of the graph. */
function unpackGraph({ shared, packed, ...rest }: PackedGraph): CellGraph {
  for (const cell of packed) for (const field of sharedFields) cell[field] = shared[cell[field] as number];
  return { ...rest, cells: packed as readonly Cell[] };
}
