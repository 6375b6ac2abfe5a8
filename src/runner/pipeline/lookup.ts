/** Finding stages by the names that a pipeline file uses. */
import type { Place, Problems } from './problems.ts';
import type { StageState } from './stage-state.ts';
import { closest, listNames } from './suggest.ts';

/** All stages by full name. */
export type StageTable = ReadonlyMap<string, StageState>;

/** From where a name is looked up: a stage, or anything else that stands in a pipeline. */
type Standpoint = Pick<StageState, 'namespace'>;

/** Names under which stages can be reached: those of its own pipeline and, with a prefix, of included ones. */
function reachable(from: Standpoint, stages: StageTable): string[] {
  const names = [...from.namespace.stages.keys()];
  for (const stage of stages.values()) if (from.namespace.visible.has(stage.namespace.name) && stage.namespace !== from.namespace) names.push(`${stage.namespace.name}/${stage.shortName}`);
  return names;
}

export function findStage(name: string, from: Standpoint, stages: StageTable): StageState | null {
  const slash = name.indexOf('/');
  if (slash < 0) return stages.get(from.namespace.prefix + name) ?? null;
  const pipeline = name.slice(0, slash);
  if (pipeline === from.namespace.name) return stages.get(from.namespace.prefix + name.slice(slash + 1)) ?? null;
  return from.namespace.visible.has(pipeline) ? stages.get(name) ?? null : null;
}

/** As `findStage`; an unknown name is noted with what was probably meant, or with the hint `otherwise`. */
export function requireStage(name: string, from: Standpoint, stages: StageTable, at: Place, problems: Problems, otherwise: string | null = null): StageState | null {
  const found = findStage(name, from, stages);
  if (found) return found;
  const names = reachable(from, stages);
  const meant = closest(name, names) ?? names.find(known => known.endsWith(`/${name}`)) ?? null;
  problems.add({
    code: 'unknown-stage', message: `no stage is called \`${name}\``, at,
    hint: meant !== null ? `did you mean \`${meant}\`?` : otherwise ?? (names.length > 0 ? `stages are: ${listNames(names)}` : 'the pipeline has no stages'),
  });
  return null;
}
