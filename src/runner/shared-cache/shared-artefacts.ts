/** What this cache knows of artefacts that a shared cache can supply. */
import type { Database } from 'better-sqlite3';
import type { Json } from '../json.ts';
import type { Digest } from '../store/model.ts';
import { readContentsReference } from './contents.ts';
import type { ContentsReference } from './contents.ts';

export function isShared(database: Database, digest: Digest): boolean {
  return database.prepare('SELECT 1 FROM shared_artefact WHERE digest = ?').get(digest) !== undefined;
}

export function sharedContents(database: Database, digest: Digest): ContentsReference | null {
  const row = database.prepare<[string], { contents: string }>('SELECT contents FROM shared_artefact WHERE digest = ?').get(digest);
  return row === undefined ? null : readContentsReference(JSON.parse(row.contents) as Json);
}

export function recordShared(database: Database, cache: string, digest: Digest, contents: ContentsReference): void {
  database.prepare('INSERT OR REPLACE INTO shared_artefact (digest, cache, contents, seen_at) VALUES (?, ?, ?, ?)').run(digest, cache, JSON.stringify(contents), Date.now());
}

export function forgetShared(database: Database, digest: Digest): void {
  database.prepare('DELETE FROM shared_artefact WHERE digest = ?').run(digest);
}
