/** Typed stages: where they are, what they declare, and whether params suit them. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { ArtefactKind, InputKind, StageModule } from '../../stage.ts';
import { PipeError } from '../diagnostic.ts';
import type { Json, JsonObject } from '../json.ts';
import type { ParamsResult, StageCatalogue, StageInfo } from '../pipeline/model.ts';
import { bundleStage } from './bundle.ts';
import { baseOfStage } from './catalogue-paths.ts';
import { loadClosure, writeWhole } from './closure-cache.ts';

export interface CatalogueOptions {
  /** The project's root: its `stages/` come first. */
  readonly root: string;
  /** The folder of this package: the `stages/` that are shipped. */
  readonly packageRoot: string;
  readonly cache: string;
}

export function createCatalogue(options: CatalogueOptions): StageCatalogue {
  const folders = [...new Set([join(options.root, 'stages'), join(options.packageRoot, 'stages')])];
  const placesOf = (file: string): { cache: string; base: string; packageRoot: string } => ({
    cache: options.cache, base: baseOfStage(file, options), packageRoot: options.packageRoot,
  });
  const loaded = new Map<string, Promise<StageModule>>();
  const load = async (file: string): Promise<StageModule> => {
    const bundle = await bundleStage(file, placesOf(file));
    let module = loaded.get(bundle);
    if (module === undefined) {
      module = importStage(bundle, file);
      loaded.set(bundle, module);
    }
    return module;
  };
  return {
    names: () => [...new Set(folders.flatMap(stageNames))].sort(),
    find: name => folders.map(folder => join(folder, `${name}.ts`)).find(file => existsSync(file)) ?? null,
    async info(file) {
      const closure = await loadClosure({ entry: file, ...placesOf(file) });
      const path = join(options.cache, 'plans', `stage-${closure.digest.slice(0, 32)}.json`);
      const known = readInfo(path);
      if (known !== null) return known;
      const info = await describe(await load(file));
      writeWhole(path, JSON.stringify(info));
      return info;
    },
    async checkParams(file, values) {
      const stage = await load(file);
      return values.map(value => check(stage, value, file));
    },
    async checkInputs(file, given) {
      const { check: checkGiven } = await load(file);
      if (checkGiven === undefined) return null;
      return Promise.all(given.map(({ params, inputs }) => checkGiven({ params, inputs })));
    },
    async closureFiles(file) {
      const closure = await loadClosure({ entry: file, ...placesOf(file) });
      return closure.files.map(({ path }) => path);
    },
  };
}

function stageNames(folder: string): string[] {
  try {
    return readdirSync(folder).filter(name => name.endsWith('.ts') && !name.endsWith('.d.ts')).map(name => name.slice(0, -3));
  } catch {
    return []; // a project without stages of its own
  }
}

async function importStage(bundle: string, file: string): Promise<StageModule> {
  let module: { readonly stage?: unknown };
  try {
    module = (await import(pathToFileURL(bundle).href)) as typeof module;
  } catch (error) {
    if (error instanceof PipeError) throw error;
    throw new PipeError(`${file} fails when it is loaded: ${error instanceof Error ? error.message : String(error)}`, {
      exitCode: 2, code: 'stage-fails-to-load', hint: "what needs the machine belongs into `run`, behind await import('…')", cause: error,
    });
  }
  if (!isStage(module.stage)) {
    throw new PipeError(`${file} exports no stage`, {
      exitCode: 2, code: 'no-stage-export', hint: 'export const stage = defineStage({ summary, params, inputs, outputs, run })',
    });
  }
  return module.stage;
}

function isStage(value: unknown): value is StageModule {
  if (typeof value !== 'object' || value === null) return false;
  const stage = value as Partial<StageModule>;
  return (
    typeof stage.stageApi === 'number' && typeof stage.run === 'function' && typeof stage.inputs === 'object' &&
    typeof stage.outputs === 'object' && typeof stage.params?.safeParse === 'function'
  );
}

async function describe(stage: StageModule): Promise<StageInfo> {
  const { z } = await import('zod');
  const params = z.toJSONSchema(stage.params, { io: 'input', unrepresentable: 'any' }) as unknown as JsonObject;
  return {
    summary: stage.summary,
    stageApi: stage.stageApi,
    inputs: stage.inputs as Readonly<Record<string, InputKind>>,
    outputs: stage.outputs as Readonly<Record<string, ArtefactKind>>,
    params,
  };
}

function readInfo(path: string): StageInfo | null {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as StageInfo;
  } catch {
    return null; // not described yet
  }
}

function check(stage: StageModule, value: JsonObject, file: string): ParamsResult {
  const result = stage.params.safeParse(value);
  if (!result.success) {
    const issues = result.error.issues.map(({ path, message }) => ({ path: path.filter(part => typeof part !== 'symbol'), message }));
    return { ok: false, issues };
  }
  const trouble = notJson(result.data as Json, []);
  if (trouble !== null) {
    return { ok: false, issues: [{ path: trouble, message: `is no longer plain JSON after ${file} has checked it, so it cannot be part of a key` }] };
  }
  return { ok: true, value: withoutUndefined(result.data as JsonObject) };
}

/** The path of the first thing that JSON cannot hold: a Date, a Map, NaN. */
function notJson(value: unknown, path: (string | number)[]): (string | number)[] | null {
  if (value === null || value === undefined || typeof value === 'string' || typeof value === 'boolean') return null;
  if (typeof value === 'number') return Number.isFinite(value) ? null : path;
  if (typeof value !== 'object') return path;
  if (!Array.isArray(value) && Object.getPrototypeOf(value) !== Object.prototype && Object.getPrototypeOf(value) !== null) return path;
  for (const [key, item] of Object.entries(value)) {
    const found = notJson(item, [...path, Array.isArray(value) ? Number(key) : key]);
    if (found !== null) return found;
  }
  return null;
}

function withoutUndefined(value: JsonObject): JsonObject {
  return JSON.parse(JSON.stringify(value)) as JsonObject;
}
