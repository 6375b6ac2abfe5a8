/**
 * A typed stage as one module that Node can import, `cache/code/<digest>.mjs`: TypeScript and project modules inside,
 * packages outside, named by absolute file addresses resolved from the module that imports them, so that it works
 * wherever the cache lies. `import.meta.url` means the original module's address, so assets are found where they are.
 */
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { basename, dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Plugin } from 'esbuild';
import { PipeError } from '../diagnostic.ts';
import { sha256 } from '../store/file-bytes.ts';
import { isRelative, isStageApi, resolveModule } from './closure.ts';
import type { Closure } from './closure.ts';
import { loadClosure, writeWhole } from './closure-cache.ts';
import { isModule } from './module-scan.ts';

export interface BundleOptions {
  /** Absolute path of the cache folder. */
  readonly cache: string;
  /** The project's root, or the package's for a stage that is shipped. */
  readonly base: string;
  readonly packageRoot: string;
}

const bundleFormat = 2;

/** Nearly every stage imports it, it is some eighty files, and nothing that it keeps can make another result. */
const flattened = new Set(['zod']);
const flatPrefix = 'package-';

/** Path of the bundle of a stage module as its files are now; made unless it is there. Throws PipeError (exit 2). */
export async function bundleStage(file: string, options: BundleOptions): Promise<string> {
  for (let attempt = 1; ; attempt++) {
    const closure = await loadClosure({ entry: file, ...options });
    const path = bundlePath(closure, options);
    if (isWhole(path)) return path;
    const made = await makeBundle(file, path, options);
    // A file that was edited between the closure and the bundle would be in the bundle and not in the key.
    const after = await loadClosure({ entry: file, ...options });
    if (after.digest === closure.digest) {
      mkdirSync(dirname(path), { recursive: true });
      writeWhole(path, made);
      if (!existsSync(path)) throw new PipeError(`${path} cannot be written`, { exitCode: 3, code: 'cache-unwritable' });
      return path;
    }
    if (attempt === 5) throw new PipeError(`${file} and what it imports keep changing while they are read`, { exitCode: 1, code: 'code-changing' });
  }
}

/** The name holds where things lie, too, because the bundle does. */
export function bundlePath(closure: Closure, options: Pick<BundleOptions, 'cache' | 'packageRoot'>): string {
  return join(options.cache, 'code', `${sha256(`${bundleFormat} ${closure.digest} ${closure.entry} ${options.packageRoot}`).slice(0, 32)}.mjs`);
}

const header = '// xfolds bundle; outside of it: ';

/** A bundle whose packages have moved since is made again. */
function isWhole(path: string): boolean {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    return false;
  }
  if (!text.startsWith(header)) return false;
  return (JSON.parse(text.slice(header.length, text.indexOf('\n'))) as string[]).every(outside => existsSync(outside));
}

/** What a bundle names outside of itself: modules of packages, and bundles of workers. */
export function outsideOf(bundle: string): readonly string[] {
  const text = readFileSync(bundle, 'utf8');
  return JSON.parse(text.slice(header.length, text.indexOf('\n'))) as string[];
}

/**
 * The packages that a bundle names, where all of them are known to keep no state: then all that loading it again leaves of the
 * time before is in these. Null where it names others.
 */
export function statelessPackages(bundle: string): readonly string[] | null {
  const folder = dirname(bundle);
  const outside = outsideOf(bundle);
  // The rest of what lies in that folder are workers' modules, which run elsewhere.
  return outside.every(path => dirname(path) === folder) ? outside.filter(path => basename(path).startsWith(flatPrefix)) : null;
}

/**
 * A package as one file, which loads in a fraction of the time: made with the program for the versions that it has itself. Null for
 * others, which are loaded from where they are.
 */
function flatPackage(name: string, entry: string, options: BundleOptions): string | null {
  const version = versionOf(entry);
  const made = join(options.packageRoot, 'dist', 'packages', `${name}-${version}.mjs`);
  if (version === null || !existsSync(made)) return null;
  const text = readFileSync(made, 'utf8');
  const path = join(options.cache, 'code', `${flatPrefix}${sha256(`${bundleFormat} ${text}`).slice(0, 32)}.mjs`);
  if (!isWhole(path)) writeWhole(path, `${header}[]\n${text}`);
  return existsSync(path) ? path : null;
}

/** Of the package that a module belongs to. */
function versionOf(module: string): string | null {
  for (let folder = dirname(module); folder !== dirname(folder); folder = dirname(folder)) {
    const path = join(folder, 'package.json');
    if (!existsSync(path)) continue;
    const { version } = JSON.parse(readFileSync(path, 'utf8')) as { readonly version?: string };
    if (version !== undefined) return version;
  }
  return null;
}

async function makeBundle(file: string, path: string, options: BundleOptions): Promise<string> {
  const { build } = await import('esbuild');
  const outside = new Set<string>();
  try {
    const result = await build({
      entryPoints: [file], outfile: path, write: false, bundle: true, format: 'esm', platform: 'node', target: 'node20', charset: 'utf8',
      sourcemap: 'inline', sourcesContent: true, tsconfigRaw: {}, jsx: 'automatic', logLevel: 'silent', conditions: [], keepNames: true,
      plugins: [placesPlugin(options, outside)],
    });
    return `${header}${JSON.stringify([...outside].sort())}\n${shiftedBySourceMap(result.outputFiles[0]!.text)}`;
  } catch (error) {
    throw bundleTrouble(file, error);
  }
}

/** The header line moves all lines down by one; `;` is an empty line of a source map. */
function shiftedBySourceMap(text: string): string {
  const marker = '//# sourceMappingURL=data:application/json;base64,';
  const at = text.lastIndexOf(marker);
  if (at < 0) return text;
  const map = JSON.parse(Buffer.from(text.slice(at + marker.length).trim(), 'base64').toString('utf8')) as { mappings: string };
  map.mappings = `;${map.mappings}`;
  return `${text.slice(0, at)}${marker}${Buffer.from(JSON.stringify(map)).toString('base64')}\n`;
}

function placesPlugin(options: BundleOptions, outside: Set<string>): Plugin {
  const inner = Symbol('resolved by esbuild itself');
  const stageModule = [join(options.packageRoot, 'src', 'stage.ts'), join(options.packageRoot, 'dist', 'stage.js')].find(existsSync);
  return {
    name: 'places',
    setup(build) {
      build.onResolve({ filter: /.*/ }, async args => {
        if (args.kind === 'entry-point' || args.pluginData === inner) return undefined;
        if (isBuiltin(args.path)) return { path: args.path, external: true };
        if (isStageApi(args.path, args.importer, options.packageRoot) && stageModule !== undefined) return { path: stageModule };
        if (isRelative(args.path)) return { path: resolveModule(args.path, args.importer, new Set()) };
        const found = await build.resolve(args.path, { importer: args.importer, resolveDir: args.resolveDir, kind: args.kind, pluginData: inner });
        if (found.errors.length > 0) {
          // Only an import that runs may fail: one inside a try, or of an optional package, must not stop the others.
          if (args.kind === 'dynamic-import') return { path: args.path, external: true };
          throw new PipeError(`${args.importer} imports '${args.path}', and there is no such package`, {
            exitCode: 3, code: 'package-not-found', hint: `install it: npm install ${args.path.split('/').slice(0, args.path.startsWith('@') ? 2 : 1).join('/')}`,
          });
        }
        if (found.external) return { path: found.path, external: true };
        const place = (flattened.has(args.path) ? flatPackage(args.path, found.path, options) : null) ?? found.path;
        outside.add(place);
        return { path: pathToFileURL(place).href, external: true };
      });
      build.onLoad({ filter: /\.[mc]?[jt]sx?$/ }, async args => {
        const source = readFileSync(args.path, 'utf8');
        if (!source.includes('import.meta')) return undefined;
        const loader = /\.[mc]?tsx$/.test(args.path) ? 'tsx' : /\.[mc]?ts$/.test(args.path) ? 'ts' : /x$/.test(args.path) ? 'jsx' : 'js';
        return { contents: await withOwnAddress(args.path, source, options, outside), loader };
      });
    },
  };
}

/** Replaces `import.meta.url`, `.filename` and `.dirname` by the original module's, and worker modules by their bundles. */
async function withOwnAddress(path: string, source: string, options: BundleOptions, outside: Set<string>): Promise<string> {
  const { parseSync } = await import('oxc-parser');
  const { module } = parseSync(path, source);
  const values: Readonly<Record<string, string>> = { url: pathToFileURL(path).href, filename: path, dirname: dirname(path) };
  let text = '';
  let at = 0;
  for (const meta of module.importMetas) {
    const property = /^\s*\.\s*(url|filename|dirname)\b/.exec(source.slice(meta.end));
    if (property === null) continue;
    const worker = property[1] === 'url' ? await workerBundle(path, source.slice(at, meta.start), options) : null;
    if (worker !== null) {
      outside.add(worker.bundle);
      text += `${source.slice(at, meta.start - worker.length)}${JSON.stringify(pathToFileURL(worker.bundle).href)}, `;
    } else {
      text += source.slice(at, meta.start);
    }
    text += JSON.stringify(values[property[1]!]);
    at = meta.end + property[0].length;
  }
  return text + source.slice(at);
}

/** When what stands before `import.meta.url` is `new URL('./module.ts', `: that module's own bundle. */
async function workerBundle(path: string, before: string, options: BundleOptions): Promise<{ readonly bundle: string; readonly length: number } | null> {
  const found = /\bnew\s+URL\(\s*(['"`])([^'"`$\\]+)\1\s*,\s*$/.exec(before);
  if (found === null) return null;
  const file = resolve(dirname(path), found[2]!);
  if (!existsSync(file) || !isModule(file)) return null;
  const literal = found[0].indexOf(found[1]!);
  return { bundle: await bundleStage(file, options), length: found[0].length - literal };
}

function bundleTrouble(file: string, error: unknown): unknown {
  if (!(error instanceof Error) || !('errors' in error) || !Array.isArray(error.errors)) return error;
  const errors = error.errors as { readonly text: string; readonly detail: unknown; readonly location: { file: string; line: number; column: number } | null }[];
  const expected = errors.find(({ detail }) => detail instanceof PipeError);
  if (expected !== undefined) return expected.detail;
  const [first] = errors;
  if (first === undefined) return error;
  const at = first.location === null ? file : `${resolve(first.location.file)}:${first.location.line}:${first.location.column + 1}`;
  return new PipeError(`${at}: ${first.text}`, { exitCode: 2, code: 'module-syntax', cause: error });
}
