/** Files that a pipeline gives to typed stages, looked at by the stages themselves before anything runs. */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { JsonObject } from '../json.ts';
import type { ParamsCheck } from './expand-stage.ts';
import type { Cell, StageCatalogue } from './model.ts';
import type { Problems } from './problems.ts';
import { childPointer } from './source-file.ts';

interface Given {
  readonly check: ParamsCheck;
  readonly cell: Cell;
  readonly params: JsonObject;
  /** Absolute paths of those that are there: what is not is told when it is looked for to be hashed. */
  readonly inputs: Readonly<Record<string, string>>;
  readonly looked: readonly string[];
}

/** Files of a folder that a stage may look into; one with more is data rather than a model. */
const mostFiles = 64;

/**
 * Asks each typed stage once for every choice of params and given paths. Mistakes are noted at the input in the YAML. Gives the paths that
 * were looked at or for, absolute.
 */
export async function checkInputs(checks: readonly ParamsCheck[], cells: readonly Cell[], root: string, catalogue: StageCatalogue, problems: Problems): Promise<string[]> {
  const byModule = new Map<string, Map<string, Given>>();
  for (const check of checks) {
    for (const cell of cells.slice(check.first, check.first + check.count)) {
      const paths = Object.entries(cell.inputs).flatMap(([name, input]) => (input.kind === 'path' && !input.glob ? [[name, resolve(root, input.path)] as const] : []));
      if (paths.length === 0) continue;
      const inputs = Object.fromEntries(paths.filter(([, path]) => existsSync(path)));
      const { file } = check.stage.module!;
      const of = byModule.get(file) ?? new Map<string, Given>();
      byModule.set(file, of);
      const id = JSON.stringify([check.stage.name, cell.with, inputs]);
      if (!of.has(id)) of.set(id, { check, cell, params: cell.with, inputs, looked: paths.map(([, path]) => path) });
    }
  }
  const looked = new Set<string>();
  await Promise.all([...byModule].map(async ([file, of]) => {
    const given = [...of.values()];
    const found = await catalogue.checkInputs(file, given);
    if (found === null) return;
    for (const path of given.flatMap(one => one.looked)) for (const part of [path, ...filesIn(path)]) looked.add(part);
    const told = new Set<string>();
    for (const [index, { check, cell }] of given.entries()) {
      for (const { input, message, hint } of found[index]!) {
        const id = JSON.stringify([check.stage.name, input, message]);
        if (told.has(id)) continue;
        told.add(id);
        const which = check.count > 1 ? ` (${cell.id})` : '';
        problems.add({
          code: 'bad-input', message: `input \`${input}\` of stage \`${check.stage.shortName}\`${which}: ${message}`,
          at: { kind: 'file', file: check.stage.file, pointer: childPointer(`${check.stage.pointer}/in`, input) }, hint: hint ?? null,
        });
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
