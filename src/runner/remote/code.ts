/**
 * What a typed stage needs on a host: its bundle with addresses that hold there, and the packages and assets that it
 * finds by those addresses. Packages go once for each list of versions: their tree is described once and remembered.
 */
import { existsSync, lstatSync, readFileSync, readdirSync, realpathSync, writeFileSync, mkdirSync, renameSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { outsideOf } from '../plan/bundle.ts';
import { baseOfStage } from '../plan/catalogue-paths.ts';
import { loadClosure } from '../plan/closure-cache.ts';
import type { Closure } from '../plan/closure.ts';
import { bytePath, fsPath, hashFile, isExecutable, sha256 } from '../store/file-bytes.ts';
import type { Artefact } from '../store/model.ts';
import type { Store } from '../store/store.ts';
import { listShipment } from './describe.ts';
import type { Shipment } from './describe.ts';
import type { HostEntry } from './protocol.ts';

export interface StageCode {
  /** The module to import. */
  readonly bundle: Artefact;
  readonly shipments: readonly Shipment[];
}

export interface CodeOptions {
  readonly store: Store;
  readonly projectRoot: string;
  readonly packageRoot: string;
  /** Where an artefact lies on the host. */
  readonly placeThere: (artefact: Artefact) => string;
}

/** `bundle`: its path here; `file`: the stage's module. */
export async function stageCode(bundle: string, file: string, options: CodeOptions): Promise<StageCode> {
  const { store, projectRoot, packageRoot } = options;
  const base = baseOfStage(file, { root: projectRoot, packageRoot });
  const closure = await loadClosure({ entry: file, base, packageRoot, cache: store.cache });
  const bundles = allBundles(bundle, new Map());
  const roots = packageRoots([...bundles.values()].flat());
  const trees = new Map<string, Shipment>();
  for (const root of new Set([...roots, base])) trees.set(root, treeOf(root, closure, options));
  const shipments: Shipment[] = [...trees.values()];
  const placed = new Map<string, Artefact>();
  // Those without bundles of their own first: the address of each is known before somebody names it.
  const place = (path: string): Artefact => {
    const known = placed.get(path);
    if (known !== undefined) return known;
    let text = readFileSync(path, 'utf8');
    text = text.slice(text.indexOf('\n') + 1);
    for (const inner of bundles.get(path) ?? []) {
      if (bundles.has(inner)) text = text.replaceAll(pathToFileURL(inner).href, pathToFileURL(options.placeThere(place(inner))).href);
    }
    for (const [root, tree] of [...trees].sort(([a], [b]) => b.length - a.length)) {
      const there = options.placeThere(tree.artefact);
      text = text.replaceAll(`${pathToFileURL(root).href}/`, `${pathToFileURL(there).href}/`).replaceAll(`"${root}/`, `"${there}/`);
    }
    const shipment = textShipment(store, 'stage.mjs', text);
    shipments.push(shipment);
    placed.set(path, shipment.artefact);
    return shipment.artefact;
  };
  return { bundle: place(bundle), shipments };
}

/** The bundle and those of the modules that it starts as workers → what each names outside of itself. */
function allBundles(bundle: string, found: Map<string, readonly string[]>): Map<string, readonly string[]> {
  const outside = outsideOf(bundle);
  found.set(bundle, outside);
  for (const path of outside) if (dirname(path) === dirname(bundle) && !found.has(path)) allBundles(path, found);
  return found;
}

/** Folders that hold the node_modules in which the packages lie. */
function packageRoots(outside: readonly string[]): Set<string> {
  return new Set(outside.flatMap(path => (path.includes('/node_modules/') ? [path.slice(0, path.indexOf('/node_modules/'))] : [])));
}

function treeOf(root: string, closure: Closure, { store }: CodeOptions): Shipment {
  const packages = packageEntries(root, closure, store);
  const assets: HostEntry[] = [];
  const folders = new Set<string>();
  for (const { path, digest, scan } of closure.files) {
    const place = relative(root, path);
    if (scan !== null || digest === null || place.startsWith('..')) continue;
    const stat = lstatSync(realpathSync(path), { bigint: true });
    assets.push([isExecutable(stat) ? 'x' : 'f', bytePath(place), digest, Number(stat.size)]);
    for (let folder = dirname(place); folder !== '.'; folder = dirname(folder)) folders.add(bytePath(folder));
  }
  const entries: HostEntry[] = [
    ['d', '', '', 0], ...packages, ...[...folders].sort().map((folder): HostEntry => ['d', folder, '', 0]), ...assets.filter(([, path]) => !path.startsWith('node_modules/')),
  ];
  const size = entries.reduce((sum, [, , , bytes]) => sum + bytes, 0);
  return listShipment('packages', entries, size, ([, path]) => bytePath(realpathSync(fsPath(`${bytePath(root)}/${path}`))));
}

/** Remembered by versions: as in the stage's key, packages of the same versions are the same. */
function packageEntries(root: string, closure: Closure, store: Store): readonly HostEntry[] {
  const modules = join(root, 'node_modules');
  const names = existsSync(modules) ? Object.keys(closure.packages).filter(name => existsSync(join(modules, name))) : [];
  if (names.length === 0) return [];
  const memory = join(store.cache, 'code', `packages-${sha256(JSON.stringify([1, root, names.map(name => [name, closure.packages[name]])])).slice(0, 32)}.json`);
  try {
    return JSON.parse(readFileSync(memory, 'utf8')) as HostEntry[];
  } catch {
    // not described yet
  }
  const entries: HostEntry[] = [['d', 'node_modules', '', 0]];
  const folders = new Set<string>();
  for (const name of names) {
    for (let folder = dirname(name); folder !== '.'; folder = dirname(folder)) folders.add(`node_modules/${folder}`);
    walk(join(modules, name), `node_modules/${name}`, entries);
  }
  const all: HostEntry[] = [...[...folders].sort().map((folder): HostEntry => ['d', bytePath(folder), '', 0]), ...entries];
  const seen = new Set<string>();
  const unique = all.filter(([, path]) => !seen.has(path) && seen.add(path));
  mkdirSync(dirname(memory), { recursive: true });
  writeFileSync(`${memory}.${process.pid}`, JSON.stringify(unique));
  renameSync(`${memory}.${process.pid}`, memory);
  return unique;
}

/** A package without those nested in it, which have names of their own; links are followed. */
function walk(folder: string, place: string, entries: HostEntry[]): void {
  entries.push(['d', bytePath(place), '', 0]);
  for (const name of readdirSync(folder)) {
    if (name === 'node_modules' || name === '.cache') continue;
    const path = realpathSync(join(folder, name));
    const stat = lstatSync(path, { bigint: true });
    if (stat.isDirectory()) walk(path, `${place}/${name}`, entries);
    else if (stat.isFile()) entries.push([isExecutable(stat) ? 'x' : 'f', bytePath(`${place}/${name}`), hashFile(bytePath(path)).toString('hex'), Number(stat.size)]);
  }
}

function textShipment(store: Store, name: string, text: string): Shipment {
  const digest = sha256(text);
  const path = join(store.cache, 'code', `there-${digest.slice(0, 32)}.mjs`);
  if (!existsSync(path)) {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(`${path}.${process.pid}`, text);
    renameSync(`${path}.${process.pid}`, path);
  }
  const size = Buffer.byteLength(text);
  const artefact: Artefact = { digest: sha256(`${name} ${digest}`), name, type: 'file', size, files: 1 };
  return { artefact, entries: [['f', '', digest, size]], pathOf: () => bytePath(path) };
}

