/** YAML text → CellGraph. */
import { resolve } from 'node:path';
import { checkInputs } from './check-inputs.ts';
import { checkParams } from './check-params.ts';
import { placeOf } from './compile.ts';
import { expandStage } from './expand-stage.ts';
import type { Expansion } from './expand-stage.ts';
import { checkIgnored } from './ignored.ts';
import { resolveInputs } from './inputs.ts';
import type { ResolvedInput } from './inputs.ts';
import { requireStage } from './lookup.ts';
import type { StageTable } from './lookup.ts';
import type { CellGraph, InactiveStage, JsonObject, StageCatalogue } from './model.ts';
import { readNamespaces } from './namespace.ts';
import { orderStages } from './order.ts';
import type { StageEdge } from './order.ts';
import { readParams } from './params.ts';
import { Problems } from './problems.ts';
import { findProjectRoot } from './project.ts';
import { checkPublish } from './publish.ts';
import { readReport } from './report-items.ts';
import { childPointer } from './source-file.ts';
import type { StageState } from './stage-state.ts';
import { readStages, scopeOf } from './stage-table.ts';

export interface LoadOptions {
  /** The pipeline file, absolute or relative to the working directory. */
  readonly file: string;
  readonly profile: string | null;
  /** `--set` entries: `seeds=3`, `input.resolution=64`, `scaling.seeds=3`. */
  readonly set: readonly string[];
  readonly catalogue: StageCatalogue;
}

/**
 * Reads a pipeline with all that it includes, checks it, and expands it into cells, producers before consumers.
 * Throws InvalidPipeline with every mistake of every file in one go.
 */
export async function loadPipeline(options: LoadOptions): Promise<CellGraph> {
  const file = resolve(options.file);
  const root = findProjectRoot(file);
  const problems = new Problems();

  const namespaces = readNamespaces(file, problems);
  problems.throwIfUnreadable(namespaces.length === 0);
  const params = readParams(namespaces, options.profile, options.set, problems);
  const stages = await readStages(namespaces, params, options.catalogue, problems);

  const inputs = new Map<StageState, ResolvedInput[]>();
  for (const stage of stages.values()) {
    if (stage.yaml) inputs.set(stage, resolveInputs(stage, scopeOf(stage, problems, null), stages, root));
  }
  const ordered = orderStages([...stages.values()], stage => edgesOf(stage, inputs.get(stage) ?? [], stages, problems), problems);

  const expansion: Expansion = { stages: [], cells: [], checks: [], pool: new Map() };
  for (const stage of ordered) {
    if (stage.yaml && stage.inactive === null) expandStage(stage, inputs.get(stage) ?? [], stages, expansion, problems);
  }
  const states = [...stages.values()];
  checkIgnored(states, problems);
  checkPublish(states, expansion.stages, expansion.cells, root, problems);
  const report = readReport(namespaces, stages, problems);
  await checkParams(expansion.checks, expansion.cells, options.catalogue, problems);
  problems.throwIfAny();
  const looked = await checkInputs(expansion.checks, expansion.cells, root, options.catalogue, problems);
  problems.throwIfAny();

  const modules = new Set(states.flatMap(stage => (stage.module ? [stage.module.file] : [])));
  const closures = await Promise.all([...modules].map(module => options.catalogue.closureFiles(module)));
  const inactive = states.flatMap((stage): InactiveStage[] => (stage.inactive !== null ? [{ name: stage.name, when: stage.inactive }] : []));
  const [main, ...included] = namespaces;
  const values: Record<string, JsonObject[string]> = { ...params.get(main!.name)!.values };
  for (const { name } of included) values[name] = params.get(name)!.values;
  return {
    pipeline: main!.name, title: main!.files[0]!.header.title ?? null, file, root, profile: options.profile, overrides: [...options.set],
    params: values, stages: expansion.stages, cells: expansion.cells, inactive, report,
    sources: [...new Set([...problems.sources.keys(), ...closures.flat()])], looked,
  };
}

/** The stages that have to be expanded before this one: what it reads, follows and needs. Unknown names are noted. */
function edgesOf(stage: StageState, inputs: readonly ResolvedInput[], stages: StageTable, problems: Problems): StageEdge[] {
  const scope = scopeOf(stage, problems, null);
  const edges: StageEdge[] = [];
  if (stage.yaml?.each !== undefined) {
    const at = placeOf(scope, `${stage.pointer}/each`);
    const producer = requireStage(stage.yaml.each, stage, stages, at, problems);
    if (producer) edges.push({ to: producer, at });
    if (producer && producer.inactive !== null && stage.inactive === null) {
      problems.add({ code: 'inactive-stage', message: `\`each: ${stage.yaml.each}\` follows a stage that is not active (when: ${producer.inactive})`, at, hint: 'give this stage the same `when:`' });
    }
  }
  for (const input of inputs) if (input.kind === 'reference') edges.push({ to: input.producer, at: placeOf(scope, input.pointer) });
  for (const [index, name] of (stage.yaml?.needs ?? []).entries()) {
    const at = placeOf(scope, childPointer(`${stage.pointer}/needs`, index));
    const before = requireStage(name, stage, stages, at, problems);
    if (before) edges.push({ to: before, at });
  }
  return edges;
}
