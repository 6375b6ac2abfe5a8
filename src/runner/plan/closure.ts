/**
 * The import closure of a typed stage: every project module it can reach, by normalised text; the assets it names; and
 * the versions of the packages it imports. `src/stage.ts` is not part of it: the number `stageApi` is.
 */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PipeError } from '../diagnostic.ts';
import { canonicalJson } from '../store/canonical-json.ts';
import { hashFile, bytePath, sha256 } from '../store/file-bytes.ts';
import type { Digest } from '../store/model.ts';
import { isModule } from './module-scan.ts';
import type { ScannedModule } from './module-scan.ts';
import { packageName, packageVersions } from './package-versions.ts';

export interface ClosureFile {
  /** Absolute path. */
  readonly path: string;
  /** Null for an asset that is not there (yet). */
  readonly digest: Digest | null;
  readonly scan: ScannedModule | null;
  /** The first module that was found to import it; null for the stage module itself. */
  readonly importedBy: string | null;
}

export interface Closure {
  /** Of everything below: the same closure elsewhere on disk has the same digest. */
  readonly digest: Digest;
  readonly entry: string;
  /** Paths in keys are relative to this. */
  readonly base: string;
  readonly files: readonly ClosureFile[];
  /** Relative path → digest: the part `code` of the key. */
  readonly code: Readonly<Record<string, string>>;
  readonly packages: Readonly<Record<string, string>>;
  /** Lock files and package.json files that the versions came from. */
  readonly packageFiles: readonly string[];
  /** Places where a file would be resolved to instead, if it appeared. */
  readonly probes: readonly string[];
}

export interface ClosureOptions {
  /** The stage module, absolute. */
  readonly entry: string;
  /** The project's root, or the package's for a stage that is shipped. */
  readonly base: string;
  readonly packageRoot: string;
}

/**
 * Walks the closure. It yields lists of modules and wants their scans back: so one walk serves the loading of a
 * pipeline, which scans many at once, and planning, which may not wait.
 */
export function* walkClosure(options: ClosureOptions): Generator<readonly string[], Closure, readonly ScannedModule[]> {
  const files = new Map<string, ClosureFile>();
  const packages = new Map<string, string[]>();
  const probes = new Set<string>();
  const importedBy = new Map<string, string | null>([[options.entry, null]]);
  let level = [options.entry];
  while (level.length > 0) {
    const scans = yield level;
    const next: string[] = [];
    const found = (path: string, importer: string): void => {
      if (importedBy.has(path)) return;
      importedBy.set(path, importer);
      if (existsSync(path) && isModule(path)) next.push(path);
      else addAsset(path, importer, files, importedBy, probes);
    };
    for (const [index, path] of level.entries()) {
      const scan = scans[index]!;
      files.set(path, { path, digest: scan.digest, scan, importedBy: importedBy.get(path) ?? null });
      for (const specifier of scan.imports) {
        if (isBuiltin(specifier) || isStageApi(specifier, path, options.packageRoot)) continue;
        if (isRelative(specifier)) found(resolveModule(specifier, path, probes), path);
        else if (specifier.startsWith('#')) throw privateImport(specifier, path);
        else packages.set(packageName(specifier), [...(packages.get(packageName(specifier)) ?? []), dirname(path)]);
      }
      for (const asset of scan.assets) found(resolve(dirname(path), asset), path);
    }
    level = next;
  }
  const { versions, files: packageFiles } = packageVersions(packages);
  const sorted = [...files.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
  const code = Object.fromEntries(sorted.map(({ path, digest }) => [relative(options.base, path).split(sep).join('/'), digest ?? 'missing']));
  const digest = sha256(canonicalJson({ code, packages: versions }));
  return { digest, entry: options.entry, base: options.base, files: sorted, code, packages: versions, packageFiles, probes: [...probes].sort() };
}

/** The modules from the stage module to a file of its closure, relative to the closure's base. */
export function importChain(closure: Closure, file: string): string[] {
  const byPath = new Map(closure.files.map(item => [item.path, item]));
  const chain: string[] = [];
  for (let path: string | null = resolve(closure.base, file); path !== null; path = byPath.get(path)?.importedBy ?? null) {
    chain.unshift(relative(closure.base, path).split(sep).join('/'));
  }
  return chain;
}

export function isRelative(specifier: string): boolean {
  return specifier.startsWith('./') || specifier.startsWith('../') || specifier.startsWith('/') || specifier === '.' || specifier === '..' || specifier.startsWith('file:');
}

/** Whether an import means this package's `stage`, however it is written. */
export function isStageApi(specifier: string, importer: string, packageRoot: string): boolean {
  if (specifier === 'xfolds/stage') return true;
  if (!isRelative(specifier)) return false;
  const path = specifier.startsWith('file:') ? fileURLToPath(specifier) : resolve(dirname(importer), specifier);
  return path === join(packageRoot, 'src', 'stage.ts') || path === join(packageRoot, 'dist', 'stage.js');
}

const extensions = ['.ts', '.tsx', '.mts', '.js', '.mjs', '.jsx', '.json'];

/** A relative import, with the ways of writing it that the bundler knows: no extension, `.js` for `.ts`, a folder's index. */
export function resolveModule(specifier: string, importer: string, probes: Set<string>): string {
  const path = specifier.startsWith('file:') ? fileURLToPath(specifier) : resolve(dirname(importer), specifier.replace(/[?#].*$/, ''));
  for (const candidate of candidates(path)) {
    if (statSync(candidate, { throwIfNoEntry: false })?.isFile() === true) return candidate;
    probes.add(candidate);
  }
  throw new PipeError(`${importer} imports '${specifier}', and there is no such file`, {
    exitCode: 2, code: 'module-not-found', hint: neighbours(path),
  });
}

function candidates(path: string): string[] {
  const list = [path];
  const script = /\.([mc]?)js(x?)$/.exec(path);
  if (script !== null) list.push(`${path.slice(0, script.index)}.${script[1]}ts${script[2]}`);
  for (const extension of extensions) list.push(path + extension);
  for (const extension of extensions) list.push(join(path, `index${extension}`));
  return list;
}

function neighbours(path: string): string | null {
  try {
    const names = readdirSync(dirname(path)).filter(isModule);
    return names.length === 0 ? null : `in that folder there are: ${names.slice(0, 12).join(', ')}`;
  } catch {
    return `the folder ${dirname(path)} does not exist`;
  }
}

function privateImport(specifier: string, importer: string): PipeError {
  return new PipeError(`${importer} imports '${specifier}', a private name of a package.json, which stages cannot use`, {
    exitCode: 2, code: 'private-import', hint: 'import the file by its relative path',
  });
}

/** An asset counts by its bytes, a folder by all files in it. One that is missing counts as such: it may be made later. */
function addAsset(path: string, importer: string, files: Map<string, ClosureFile>, importedBy: Map<string, string | null>, probes: Set<string>): void {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat?.isDirectory() === true) {
    probes.add(path);
    for (const name of readdirSync(path)) {
      const child = join(path, name);
      importedBy.set(child, importer);
      addAsset(child, importer, files, importedBy, probes);
    }
    return;
  }
  const digest = stat === undefined ? null : (hashFile(bytePath(path)).toString('hex') as Digest);
  files.set(path, { path, digest, scan: null, importedBy: importer });
}
