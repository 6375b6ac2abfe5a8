/** All stages of all namespaces, with their modules, outputs and whether they are active. */
import { posix } from 'node:path';
import { PipeError } from '../diagnostic.ts';
import type { JsonObject } from '../json.ts';
import { compileExpression, placeOf } from './compile.ts';
import type { Scope } from './compile.ts';
import { evaluateCondition } from './condition.ts';
import type { ArtefactKind } from '../../stage.ts';
import type { OutputDeclaration, StageCatalogue, StageInfo } from './model.ts';
import type { Namespace } from './namespace.ts';
import type { ParamSet } from './params.ts';
import { perAxes } from './per-axes.ts';
import type { Problems } from './problems.ts';
import type { StageYaml } from './schema.ts';
import { childPointer } from './source-file.ts';
import type { StageState } from './stage-state.ts';
import { suggestion } from './suggest.ts';
import { hasTemplate } from './template.ts';
import { compileValue } from './compile.ts';

export async function readStages(
  namespaces: readonly Namespace[], params: ReadonlyMap<string, ParamSet>, catalogue: StageCatalogue, problems: Problems,
): Promise<Map<string, StageState>> {
  const stages = new Map<string, StageState>();
  for (const namespace of namespaces) {
    for (const [shortName, stage] of namespace.stages) {
      const name = namespace.prefix + shortName;
      const state: StageState = {
        name, shortName, namespace, params: params.get(namespace.name)!, file: stage.file, pointer: childPointer('/stages', shortName),
        yaml: stage.yaml, raw: stage.raw, broken: stage.broken, inactive: null, module: null, inputKinds: null, outputs: null, expanded: null,
      };
      if (state.yaml) state.inactive = readCondition(state, problems);
      stages.set(name, state);
    }
  }
  const infos = new ModuleInfos(catalogue, problems);
  for (const stage of stages.values()) if (stage.yaml) await readAction(stage, stage.yaml, infos, problems);
  return stages;
}

/** What templates of a stage may name before its matrix is known. */
export function scopeOf(stage: StageState, problems: Problems, axes: Scope['axes']): Scope {
  return { file: stage.file, params: stage.params, axes, stage: stage.name, problems };
}

function readCondition(stage: StageState, problems: Problems): string | null {
  const when = stage.yaml?.when;
  if (when === undefined || when === true) return null;
  if (when === false) return 'false';
  const pointer = `${stage.pointer}/when`;
  const scope = scopeOf(stage, problems, null);
  const result = evaluateCondition(when, expression => compileExpression(expression, pointer, scope, [], new Set())({}));
  if (typeof result === 'boolean') return result ? null : when;
  problems.add({ code: result.code, message: result.message, hint: result.hint, at: placeOf(scope, pointer, result.text) });
  return null;
}

/** Asks for each module once. */
class ModuleInfos {
  readonly catalogue: StageCatalogue;
  readonly #problems: Problems;
  readonly #found = new Map<string, Promise<StageInfo | Error>>();

  constructor(catalogue: StageCatalogue, problems: Problems) {
    this.catalogue = catalogue;
    this.#problems = problems;
  }

  async info(file: string, stage: StageState): Promise<StageInfo | null> {
    let found = this.#found.get(file);
    if (!found) {
      found = this.catalogue.info(file).catch((error: unknown) => (error instanceof Error ? error : new Error(String(error))));
      this.#found.set(file, found);
    }
    const info = await found;
    if (!(info instanceof Error)) return info;
    const { message, hint, position } = info instanceof PipeError ? info : { message: info.message, hint: null, position: null };
    const place = position === null ? '' : `${position.file}:${position.line}:${position.column}: `;
    this.#problems.add({
      code: 'broken-stage', message: `the module of this stage cannot be loaded: ${message.startsWith(place) ? message.slice(place.length) : message}`,
      at: { kind: 'file', file: stage.file, pointer: `${stage.pointer}/uses` }, hint: hint ?? `see ${file}`,
      related: position === null ? [] : [{ message: 'it stands here', at: position }],
    });
    return null;
  }
}

async function readAction(stage: StageState, yaml: StageYaml, infos: ModuleInfos, problems: Problems): Promise<void> {
  const at = (key: string): { kind: 'file'; file: string; pointer: string; part: 'key' } => ({ kind: 'file', file: stage.file, pointer: `${stage.pointer}/${key}`, part: 'key' });
  if (yaml.uses !== undefined && yaml.run !== undefined) {
    problems.add({ code: 'uses-and-run', message: `stage \`${stage.shortName}\` has both \`uses\` and \`run\``, at: at('run'), hint: 'keep one', related: [{ message: 'the other', at: at('uses') }] });
    return;
  }
  if (yaml.run !== undefined) {
    const outputs = commandOutputs(stage, yaml, problems);
    if (!stage.broken.has('out')) stage.outputs = outputs;
    return;
  }
  if (yaml.uses === undefined) {
    if (stage.broken.has('uses') || stage.broken.has('run')) return;
    problems.add({
      code: 'missing-key', message: `stage \`${stage.shortName}\` does nothing: it has neither \`uses\` nor \`run\``, at: { kind: 'file', file: stage.file, pointer: stage.pointer, part: 'key' },
      hint: 'name a typed stage with `uses:`, or give a command with `run:`',
    });
    return;
  }
  for (const key of ['out', 'interpreter'] as const) {
    if (yaml[key] !== undefined) problems.add({ code: 'unknown-key', message: `\`${key}\` belongs to \`run:\` stages: a typed stage declares its own`, at: at(key), hint: 'leave it out' });
  }
  const uses = hasTemplate(yaml.uses) ? String(compileValue(yaml.uses, `${stage.pointer}/uses`, scopeOf(stage, problems, null)).fill({})) : yaml.uses;
  const file = infos.catalogue.find(uses);
  if (file === null) {
    problems.add({ code: 'unknown-module', message: `there is no typed stage \`${uses}\``, at: { kind: 'file', file: stage.file, pointer: `${stage.pointer}/uses` }, hint: suggestion(uses, infos.catalogue.names(), 'there are') ?? `write stages/${uses}.ts` });
    return;
  }
  const info = await infos.info(file, stage);
  if (!info) return;
  stage.module = { uses, file, info };
  // Looked up by names that a user writes, of which one may be `constructor`.
  stage.inputKinds = Object.assign(Object.create(null), info.inputs);
  const temp = tempNames(stage, yaml, Object.keys(info.outputs), problems);
  const outputs: Record<string, OutputDeclaration> = {};
  for (const [name, kind] of Object.entries(info.outputs)) outputs[name] = { kind, path: name, temp: temp.has(name) };
  stage.outputs = outputs;
}

function tempNames(stage: StageState, yaml: StageYaml, outputs: readonly string[], problems: Problems): Set<string> {
  if (yaml.temp === undefined || yaml.temp === false) return new Set();
  if (yaml.temp === true) return new Set(outputs);
  for (const [index, name] of yaml.temp.entries()) {
    if (!outputs.includes(name)) {
      problems.add({ code: 'unknown-output', message: `stage \`${stage.shortName}\` has no output \`${name}\``, at: { kind: 'file', file: stage.file, pointer: `${stage.pointer}/temp/${index}` }, hint: suggestion(name, outputs, 'outputs are') });
    }
  }
  return new Set(yaml.temp);
}

/** Outputs of a command; templates in their paths are filled in for each cell by `outputFinder`. */
function commandOutputs(stage: StageState, yaml: StageYaml, problems: Problems): Record<string, OutputDeclaration> {
  const outputs: Record<string, OutputDeclaration> = {};
  const temp = tempNames(stage, yaml, Object.keys(yaml.out ?? {}), problems);
  for (const [name, written] of Object.entries(yaml.out ?? {})) {
    const long: { path: string; kind?: ArtefactKind; temp?: boolean } = typeof written === 'string' ? { path: written } : written;
    outputs[name] = { kind: long.kind ?? 'any', path: long.path, temp: long.temp ?? temp.has(name) };
  }
  return outputs;
}

/** The outputs of each cell, their paths checked. */
export function outputFinder(stage: StageState, scope: Scope): { readonly fill: (point: JsonObject) => Readonly<Record<string, OutputDeclaration>> } {
  const declared = stage.outputs ?? {};
  if (stage.module) return { fill: () => declared };
  const entries = Object.entries(declared).map(([name, output]) => {
    const pointer = childPointer(`${stage.pointer}/out`, name);
    const place = typeof stage.yaml?.out?.[name] === 'string' ? pointer : `${pointer}/path`;
    return { name, output, pointer: place, path: compileValue(output.path, place, scope) };
  });
  const make = (point: JsonObject): Record<string, OutputDeclaration> => {
    const outputs: Record<string, OutputDeclaration> = {};
    for (const { name, output, pointer, path } of entries) {
      const filled = posix.normalize(String(path.fill(point))).replace(/\/$/, '');
      if (posix.isAbsolute(filled) || filled === '.' || filled === '..' || filled.startsWith('../')) {
        scope.problems.add({ code: 'bad-path', message: `output \`${name}\` must lie in the run folder, not at ${filled}`, at: placeOf(scope, pointer), hint: 'write a relative path without ..; `publish:` copies into the project' });
      }
      const twin = Object.entries(outputs).find(([, other]) => pathsOverlap(other.path, filled));
      if (twin) scope.problems.add({ code: 'path-conflict', message: `outputs \`${twin[0]}\` and \`${name}\` are written to the same path ${filled}`, at: placeOf(scope, pointer), hint: 'give each its own' });
      outputs[name] = { ...output, path: filled };
    }
    return outputs;
  };
  if (!entries.every(({ path }) => path.constant)) {
    const used = new Set(entries.flatMap(({ path }) => [...path.axes]));
    return { fill: perAxes(used, scope.axes, make) };
  }
  const shared = make({});
  return { fill: () => shared };
}

/** Equal, or one inside the other. */
export function pathsOverlap(a: string, b: string): boolean {
  return a === b || a.startsWith(`${b}/`) || b.startsWith(`${a}/`);
}
