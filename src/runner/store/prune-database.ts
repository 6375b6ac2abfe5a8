/** Removes what nothing in the database refers to any more. */
import { readNode } from './merkle.ts';
import type { Store } from './store.ts';

/** Rows that nothing refers to any more. Attempts stay: they are the history. */
export function pruneDatabase({ database }: Store): void {
  database.transaction(() => {
    database.prepare('DELETE FROM manifest_value WHERE id NOT IN (SELECT value FROM manifest_part)').run();
    pruneTrees(database);
    database.prepare(`DELETE FROM artefact WHERE state <> 'here' AND digest NOT IN (SELECT digest FROM pin)
      AND NOT EXISTS (SELECT 1 FROM record WHERE instr(outputs, artefact.digest) > 0)`).run();
  })();
}

/** Keeps the nodes that are reached from the inputs of known attempts. */
function pruneTrees(database: Store['database']): void {
  const roots = database.prepare<[], { tree: string | null }>(
    `SELECT json_extract(value, '$.tree') AS tree FROM manifest_value WHERE json_type(value) = 'object'`).all();
  const read = database.prepare<[string], { entries: Buffer }>('SELECT entries FROM tree_node WHERE digest = ?');
  const reached = new Set<string>();
  const open = roots.flatMap(({ tree }) => (typeof tree === 'string' ? [tree] : []));
  for (let digest = open.pop(); digest !== undefined; digest = open.pop()) {
    if (reached.has(digest)) continue;
    reached.add(digest);
    const node = read.get(digest);
    if (node !== undefined) for (const entry of readNode(node.entries)) if (entry.type === 'd') open.push(entry.digest);
  }
  const remove = database.prepare('DELETE FROM tree_node WHERE digest = ?');
  for (const { digest } of database.prepare<[], { digest: string }>('SELECT digest FROM tree_node').all()) if (!reached.has(digest)) remove.run(digest);
}
