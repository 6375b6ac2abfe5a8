/** What each attempt depended on, in the database: every value once, however many attempts share it. */
import type { Json } from '../json.ts';
import { canonicalJson } from './canonical-json.ts';
import { sha256 } from './file-bytes.ts';
import type { Manifest, ManifestPart } from './model.ts';
import type { Statements } from './statements.ts';

/** To be called within the transaction that begins the attempt. */
export function writeManifest(statements: Statements, attempt: number, manifest: Manifest): void {
  const find = statements.prepare<[string], { id: number }>('SELECT id FROM manifest_value WHERE digest = ?');
  const insertValue = statements.prepare('INSERT INTO manifest_value (digest, value) VALUES (?, ?)');
  const insertPart = statements.prepare('INSERT INTO manifest_part (attempt, part, value, ignored) VALUES (?, ?, ?, ?)');
  for (const { part, value, ignored } of manifest) {
    const text = canonicalJson(value);
    const digest = sha256(text);
    const id = find.get(digest)?.id ?? insertValue.run(digest, text).lastInsertRowid;
    insertPart.run(attempt, part, id, ignored === true ? 1 : 0);
  }
}

/** What an attempt depended on, sorted by part; empty when it is not known. */
export function readManifest(statements: Statements, attempt: number): Manifest {
  return statements.prepare<[number], { part: string; value: string; ignored: number }>(
    `SELECT part, manifest_value.value AS value, ignored FROM manifest_part JOIN manifest_value ON manifest_value.id = manifest_part.value
     WHERE attempt = ? ORDER BY part`,
  ).all(attempt).map(row => toPart(row));
}

function toPart(row: { readonly part: string; readonly value: string; readonly ignored: number }): ManifestPart {
  const value = JSON.parse(row.value) as Json;
  return row.ignored === 1 ? { part: row.part, value, ignored: true } : { part: row.part, value };
}
