import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { dirname, isAbsolute, join } from 'node:path';
import { collectPairs } from './collect.ts';
import { parseChecksum } from './download-file.ts';
import { HttpFailure, httpClient } from './http-client.ts';
import { openSource } from './open-source.ts';
import type { OpenedSource, PublishedFile, SourcePlace } from './open-source.ts';
import { countBy } from './pairs.ts';
import { writeQuestions } from './questions.ts';
import type { SourceRows } from './sources/source.ts';

export interface LoadHooks {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: (done: number, total: number) => void;
  readonly onBytes?: (bytes: number, total: number | undefined) => void;
}

/** Numbers by name for metrics, and a sentence about them. */
export interface LoadSummary {
  readonly counts: Readonly<Record<string, number>>;
  readonly note: string;
}

export function summaryOf(pairs: number, groups: number, leftOut: Readonly<Record<string, number>>, questions?: number): LoadSummary {
  const without = Object.entries(leftOut).map(([kind, count]) => `${count} ${kind}`).join(', ');
  return {
    counts: { pairs, groups, ...(questions === undefined ? {} : { questions }), ...Object.fromEntries(Object.entries(leftOut).map(([kind, count]) => [`left_out_${kind.replace(/\W+/g, '_')}`, count])) },
    note: `${pairs} images${questions === undefined ? '' : `, ${questions} questions`}${without === '' ? '' : `; left out, each with its reason in report.json: ${without}`}`,
  };
}

/** The folder that keeps downloads: `store` (relative to the project), else the checkpoint, else none. */
export const storeFolder = (store: string | null, checkpoint: string | null, projectRoot: string): string | undefined =>
  store === null ? (checkpoint ?? undefined) : isAbsolute(store) ? store : join(projectRoot, store);

/**
 * Reads a source from where it is into a folder of pairs (and, where it asks questions, a file of those).
 *
 * @throws Error when it holds nothing usable, and what the source's reader throws
 */
export async function loadSource(
  place: Omit<SourcePlace, 'scratch'>,
  read: (source: OpenedSource) => Promise<SourceRows>,
  outputs: { readonly pairs: string; readonly questions?: string },
  hooks: LoadHooks = {},
): Promise<LoadSummary> {
  const scratch = await mkdtemp(join(dirname(outputs.pairs), 'unpacked-'));
  const source = await openSource({ ...place, scratch, signal: hooks.signal, download: { retries: 6, timeoutSeconds: 60, ...place.download, ...(hooks.onBytes === undefined ? {} : { onProgress: hooks.onBytes }) } });
  try {
    const rows = await read(source);
    const about = { ...rows.about, ...source.about };
    const { pairs, leftOut } = await collectPairs(outputs.pairs, rows.candidates, [...source.refused, ...rows.leftOut], about, hooks);
    if (outputs.questions !== undefined) await writeQuestions(outputs.questions, rows.questions ?? []);
    if (pairs.length === 0 && (rows.questions ?? []).length === 0) {
      throw new Error(`no image with a caption could be had${leftOut[0] === undefined ? '' : `; for example ${leftOut[0].id}: ${leftOut[0].reason}`}`);
    }
    return summaryOf(pairs.length, new Set(pairs.map(pair => pair.group)).size, countBy(leftOut, row => row.kind), rows.questions?.length);
  } finally {
    await source.close();
  }
}

/**
 * Lists a Zenodo record's files with the md5 sums it publishes.
 *
 * @param wanted which files
 * @throws HttpFailure, HostDown; Error when the record has none of them
 */
export async function zenodoFiles(recordUrl: string, wanted: (name: string) => boolean, signal?: AbortSignal): Promise<PublishedFile[]> {
  const client = httpClient({ requestsPerSecond: 0, concurrency: 1, retries: 5, timeoutSeconds: 60, ...(signal === undefined ? {} : { signal }) });
  try {
    const { status, body } = await client.get(recordUrl);
    if (status !== 200) throw new HttpFailure(recordUrl, 'status', `${recordUrl}: HTTP ${status}`);
    const record = JSON.parse(body.toString('utf8')) as { files?: readonly { key?: unknown; checksum?: unknown; links?: { self?: unknown } }[] };
    const files = (record.files ?? []).flatMap(({ key, checksum, links }): PublishedFile[] =>
      typeof key === 'string' && typeof links?.self === 'string' && /^[\w.-]+$/.test(key) && wanted(key)
        ? [{ url: links.self, name: key, checksum: typeof checksum === 'string' ? parseChecksum(checksum) : undefined }]
        : []);
    if (files.length === 0) throw new Error(`${recordUrl} lists none of the files wanted; it has ${(record.files ?? []).map(({ key }) => String(key)).slice(0, 20).join(', ') || 'none'}`);
    return files;
  } finally {
    client.close();
  }
}

/** One sha256 over the contents of files, by name and in any order: archives made at another time have the same. */
export async function contentDigest(source: OpenedSource, wanted: RegExp): Promise<string> {
  const lines: string[] = [];
  for (const { root, path } of source.files) {
    const name = path.slice(path.lastIndexOf('/') + 1);
    if (!wanted.test(path)) continue;
    const hash = createHash('sha256');
    for await (const chunk of createReadStream(join(root, path))) hash.update(chunk as Buffer);
    lines.push(`${name} ${hash.digest('hex')}\n`);
  }
  return createHash('sha256').update(lines.sort().join('')).digest('hex');
}
