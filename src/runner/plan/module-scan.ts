/**
 * What a module imports, found in its normalised form: types are gone, so `import type` counts for nothing, and
 * comments, formatting and quotes are those of one printer, so they do not change its digest.
 */
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import type * as Esbuild from 'esbuild';
import type * as Oxc from 'oxc-parser';
import { PipeError } from '../diagnostic.ts';
import type { Position } from '../pipeline/model.ts';
import { sha256 } from '../store/file-bytes.ts';
import type { Digest } from '../store/model.ts';

export interface ScannedModule {
  /** Of the normalised text. */
  readonly digest: Digest;
  /** Specifiers of static imports, re-exports and `import('literal')`. */
  readonly imports: readonly string[];
  /** Literals of `new URL('literal', import.meta.url)`. */
  readonly assets: readonly string[];
}

const require = createRequire(import.meta.url);

/** Loaded when a module really has to be read: a run in which nothing changed loads neither. */
const esbuild = (): typeof Esbuild => require('esbuild') as typeof Esbuild;
const oxc = (): typeof Oxc => require('oxc-parser') as typeof Oxc;

const loaders: Readonly<Record<string, Esbuild.Loader>> = {
  '.ts': 'ts', '.mts': 'ts', '.cts': 'ts', '.tsx': 'tsx', '.js': 'js', '.mjs': 'js', '.cjs': 'js', '.jsx': 'jsx',
};

/** Whether a file is a module that can import others; anything else is an asset, known by its bytes. */
export function isModule(file: string): boolean {
  return loaderOf(file) !== null;
}

function loaderOf(file: string): Esbuild.Loader | null {
  if (file.endsWith('.d.ts')) return null;
  return loaders[file.slice(file.lastIndexOf('.'))] ?? null;
}

export async function scanModule(file: string): Promise<ScannedModule> {
  const source = readSource(file);
  try {
    const { code } = await esbuild().transform(source, transformOptions(file));
    return scanned(file, source, code);
  } catch (error) {
    throw syntaxTrouble(file, error);
  }
}

/** The same for a plan that finds a module changed; it starts a process, so `scanModule` is for many. */
export function scanModuleSync(file: string): ScannedModule {
  const source = readSource(file);
  try {
    return scanned(file, source, esbuild().transformSync(source, transformOptions(file)).code);
  } catch (error) {
    throw syntaxTrouble(file, error);
  }
}

function transformOptions(file: string): Esbuild.TransformOptions {
  return {
    loader: loaderOf(file) ?? 'js', sourcefile: file, target: 'esnext', minifyWhitespace: true, legalComments: 'none', charset: 'utf8',
    // The project's tsconfig.json is no input of a stage.
    tsconfigRaw: {}, jsx: 'automatic', logLevel: 'silent',
  };
}

function scanned(file: string, source: string, code: string): ScannedModule {
  const { module } = oxc().parseSync('module.mjs', code);
  const imports = new Set<string>();
  for (const { moduleRequest } of module.staticImports) imports.add(moduleRequest.value);
  for (const { entries } of module.staticExports) for (const { moduleRequest } of entries) if (moduleRequest) imports.add(moduleRequest.value);
  for (const { moduleRequest } of module.dynamicImports) {
    const literal = literalText(code.slice(moduleRequest.start, moduleRequest.end));
    if (literal === null) throw computedImport(file, source);
    imports.add(literal);
  }
  return { digest: sha256(code), imports: [...imports].sort(), assets: module.importMetas.length === 0 ? [] : assetsOf(code) };
}

/** The value of a string literal, or of a template without places. The printer leaves no comments around it. */
function literalText(text: string): string | null {
  if (/^"(?:[^"\\]|\\.)*"$/s.test(text)) return JSON.parse(text) as string;
  if (/^'[^'\\]*'$/s.test(text) || /^`[^`\\$]*`$/s.test(text)) return text.slice(1, -1);
  return null;
}

const newUrl = /\bnew URL\(("(?:[^"\\]|\\.)*"|'[^'\\]*'|`[^`\\$]*`),import\.meta\.url\)/g;

function assetsOf(code: string): string[] {
  const assets = new Set<string>();
  for (const [, literal] of code.matchAll(newUrl)) {
    const value = literalText(literal!);
    // An address with a scheme of its own is not a file of ours.
    if (value !== null && !/^[a-z][a-z0-9+.-]*:/i.test(value)) assets.add(value);
  }
  return [...assets].sort();
}

function computedImport(file: string, source: string): PipeError {
  const { module } = oxc().parseSync(file, source);
  const found = module.dynamicImports.find(({ moduleRequest }) => literalText(source.slice(moduleRequest.start, moduleRequest.end).trim()) === null);
  const shown = found === undefined ? 'import(…)' : source.slice(found.start, found.end);
  const position = found === undefined ? null : positionAt(file, source, found.start, found.end);
  return new PipeError(`${placeOf(file, position)}: what \`${shown}\` imports is not known before it runs, so the stage's key cannot hold it`, {
    exitCode: 2, code: 'computed-import', position,
    hint: "write import('./the-module.ts') with the path as it is, for instance one for each case of a switch or in a table of functions",
  });
}

function positionAt(file: string, source: string, start: number, end: number): Position {
  const before = source.slice(0, start);
  const line = source.slice(start, end).split('\n', 1)[0]!;
  return { file, line: before.split('\n').length, column: start - before.lastIndexOf('\n'), length: line.length };
}

const placeOf = (file: string, position: Position | null): string => (position === null ? file : `${file}:${position.line}:${position.column}`);

function readSource(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new PipeError(`the module ${file} cannot be read: ${error instanceof Error ? error.message : String(error)}`, {
      exitCode: 2, code: 'module-unreadable', cause: error,
    });
  }
}

function syntaxTrouble(file: string, error: unknown): unknown {
  if (!(error instanceof Error) || !('errors' in error) || !Array.isArray(error.errors)) return error;
  const [first] = error.errors as Esbuild.Message[];
  if (first === undefined) return error;
  const { location } = first;
  const position = location === null ? null : { file, line: location.line, column: location.column + 1, length: Math.max(1, location.length) };
  return new PipeError(`${placeOf(file, position)}: ${first.text}`, { exitCode: 2, code: 'module-syntax', position, cause: error });
}
