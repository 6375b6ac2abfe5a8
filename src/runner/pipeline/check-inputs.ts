/** Files that a pipeline gives to typed stages, looked at by the stages themselves before anything runs. */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { JsonObject } from '../json.ts';
import { paramPlace } from './check-params.ts';
import type { ParamsCheck } from './expand-stage.ts';
import type { Cell, StageCatalogue } from './model.ts';
import type { Problems } from './problems.ts';
import { childPointer } from './source-file.ts';

interface Given {
  readonly check: ParamsCheck;
  readonly cell: Cell;
  readonly params: JsonObject;
  /** Absolute paths of those that are there; null for others: what is not there is told when it is looked for to be hashed. */
  readonly inputs: Readonly<Record<string, string | null>>;
  readonly looked: readonly string[];
}

/** Files of a folder that a stage may look into; one with more is data rather than a model. */
const mostFiles = 64;

/**
 * Asks each typed stage once for every choice of params and inputs: where something is given as a path, and where an input may be
 * left out. Mistakes are noted at the input or param in the YAML. Gives the paths that were looked at or for, absolute.
 */
export async function checkInputs(checks: readonly ParamsCheck[], cells: readonly Cell[], root: string, catalogue: StageCatalogue, problems: Problems): Promise<string[]> {
  const byModule = new Map<string, Given[]>();
  for (const check of checks) {
    const { file } = check.stage.module!;
    // A module without a check of its own is not asked about thousands of cells.
    if (!byModule.has(file) && (await catalogue.checkInputs(file, [])) === null) continue;
    const optional = Object.values(check.stage.inputKinds ?? {}).some(kind => kind.endsWith('?'));
    const of = byModule.get(file) ?? [];
    byModule.set(file, of);
    // Thousands of cells may share one object of params.
    const seen = new Map<JsonObject, Set<string>>();
    for (const cell of cells.slice(check.first, check.first + check.count)) {
      const entries = Object.entries(cell.inputs);
      if (!optional && !entries.some(([, input]) => input.kind === 'path' && !input.glob)) continue;
      const given = entries.map(([name, input]) => [name, input.kind === 'path' && !input.glob ? resolve(root, input.path) : null] as const);
      const inputs = given.map(([name, path]) => `${name}\u0000${path ?? ''}`).join('\u0000');
      const before = seen.get(cell.with);
      if (before?.has(inputs) === true) continue;
      if (before === undefined) seen.set(cell.with, new Set([inputs]));
      else before.add(inputs);
      const looked = given.flatMap(([, path]) => (path === null ? [] : [path]));
      const there = Object.fromEntries(given.map(([name, path]) => [name, path !== null && existsSync(path) ? path : null]));
      of.push({ check, cell, params: cell.with, inputs: there, looked });
    }
  }
  const looked = new Set<string>();
  await Promise.all([...byModule].map(async ([file, given]) => {
    const found = given.length === 0 ? null : await catalogue.checkInputs(file, given);
    if (found === null) return;
    for (const path of given.flatMap(one => one.looked)) for (const part of [path, ...filesIn(path)]) looked.add(part);
    const told = new Set<string>();
    for (const [index, { check, cell }] of given.entries()) {
      for (const problem of found[index]!) {
        const id = JSON.stringify([check.stage.name, problem]);
        if (told.has(id)) continue;
        told.add(id);
        const which = `of stage \`${check.stage.shortName}\`${check.count > 1 ? ` (${cell.id})` : ''}: ${problem.message}`;
        const hint = problem.hint ?? null;
        if ('param' in problem) problems.add({ code: 'bad-param', message: `\`with.${problem.param}\` ${which}`, ...paramPlace(check, problem.param.split('.')), hint });
        else problems.add({ code: 'bad-input', message: `input \`${problem.input}\` ${which}`, at: { kind: 'file', file: check.stage.file, pointer: childPointer(`${check.stage.pointer}/in`, problem.input) }, hint });
      }
    }
  }));
  return [...looked];
}

function filesIn(path: string): string[] {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() !== true) return [];
  const names = readdirSync(path);
  return names.length > mostFiles ? [] : names.map(name => join(path, name));
}
