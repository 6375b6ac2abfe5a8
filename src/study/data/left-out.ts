import { readJsonLines } from './json-lines.ts';
import type { LeftOut } from './pairs.ts';

/** Reads a list of rows to leave out, as `find-leaks` and `filter` write it. @throws JsonLinesError naming the line */
export const readLeftOut = (file: string): Promise<LeftOut[]> =>
  readJsonLines(file, ({ id, kind, reason }) =>
    typeof id === 'string' && typeof kind === 'string' && typeof reason === 'string' ? { value: { id, kind, reason } } : 'a row needs id, kind and reason');

/** Reads the groups that `find-leaks` joins: id → group. @throws JsonLinesError naming the line */
export const readGroups = async (file: string): Promise<Map<string, string>> =>
  new Map(await readJsonLines(file, ({ id, group }) => (typeof id === 'string' && typeof group === 'string' ? { value: [id, group] as const } : 'a row needs id and group')));
