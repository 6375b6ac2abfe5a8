import { mkdir, readFile, rm, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { extractZip } from './archive.ts';
import { filesBelow } from './collect.ts';
import { downloadFile, parseChecksum } from './download-file.ts';
import type { Checksum, DownloadOptions } from './download-file.ts';
import type { LeftOut } from './pairs.ts';

/** A file of a data set that is published somewhere. */
export interface PublishedFile {
  readonly url: string;
  readonly name: string;
  readonly checksum: Checksum | undefined;
}

/** Where a data set is to be read from: a local folder, a local archive, or files to download. */
export interface SourcePlace {
  readonly folder?: string | undefined;
  readonly archive?: string | undefined;
  readonly published?: readonly PublishedFile[];
  /** Keeps downloaded files over attempts and runs. */
  readonly store?: string | undefined;
  /** An empty place for what is unpacked; removed by `close`. */
  readonly scratch: string;
  /** Archives inside the folder to unpack too, such as `test_images.zip`. */
  readonly unpack?: RegExp;
  readonly download?: DownloadOptions;
  readonly signal?: AbortSignal | undefined;
}

export interface SourceFile {
  readonly root: string;
  /** A path inside the root, with forward slashes. */
  readonly path: string;
}

export interface OpenedSource {
  readonly files: readonly SourceFile[];
  /** What archives held that was not unpacked, and why. */
  readonly refused: readonly LeftOut[];
  /** For the report: checksums of what was downloaded. */
  readonly about: Readonly<Record<string, unknown>>;
  /** Files whose path is `name` or ends with it, whole folder names only. */
  find(name: string): SourceFile[];
  close(): Promise<void>;
}

/** `find`'s first file, as an absolute path. */
export function pathOf(source: OpenedSource, ...names: readonly string[]): string | undefined {
  for (const name of names) {
    const [found] = source.find(name);
    if (found !== undefined) return join(found.root, found.path);
  }
  return undefined;
}

/** Reads the params that name published files: `address` or `address#sha256:…`. */
export function publishedFile(address: string): PublishedFile {
  const [url = '', fragment] = address.split('#');
  const checksum = fragment === undefined ? undefined : parseChecksum(fragment);
  if (fragment !== undefined && checksum === undefined) throw new Error(`${fragment} is no md5 or sha256 checksum`);
  const name = decodeURIComponent(new URL(url).pathname.split('/').filter(part => part !== '' && part !== 'content').at(-1) ?? 'download');
  return { url, name: name.replace(/[^\w.-]/g, '_').replace(/^\.+/, '_'), checksum };
}

/**
 * Makes a data set's files readable: folders are read in place, archives unpacked, published files downloaded and checked.
 *
 * @throws Error when there is nothing to read; HttpFailure; as extractZip
 */
export async function openSource(place: SourcePlace): Promise<OpenedSource> {
  const roots: string[] = [];
  const single: SourceFile[] = []; // the store may hold other sets' downloads too
  const refused: LeftOut[] = [];
  const downloaded: Record<string, unknown>[] = [];
  const close = (): Promise<void> => rm(place.scratch, { recursive: true, force: true });
  let unpacked = 0;
  const unpack = async (archive: string): Promise<void> => {
    const to = join(place.scratch, `archive-${(unpacked += 1)}`);
    await mkdir(to, { recursive: true });
    const extracted = await extractZip(archive, to, { signal: place.signal });
    refused.push(...extracted.refused.map(row => ({ ...row, id: `${basename(archive)}:${row.id}` })));
    roots.push(to);
  };
  try {
    if (place.folder !== undefined) roots.push(place.folder);
    if (place.archive !== undefined) await unpack(place.archive);
    if (place.folder === undefined && place.archive === undefined) {
      const published = place.published ?? [];
      if (published.length === 0) throw new Error('nothing to read: name a folder or an archive in `in:`');
      const store = place.store ?? join(place.scratch, 'downloads');
      for (const file of published) {
        const got = await downloadFile(file.url, store, file.name, file.checksum, { retries: 6, timeoutSeconds: 60, ...place.download, signal: place.signal });
        downloaded.push({ url: file.url, bytes: got.bytes, sha256: got.sha256, checked: got.checked?.algorithm ?? 'nothing: no checksum is published' });
        if (/\.zip$/i.test(file.name)) await unpack(got.path);
        else single.push({ root: store, path: file.name });
      }
    }
    if (place.unpack !== undefined) {
      for (const root of [...roots]) for (const path of await filesBelow(root)) if (place.unpack.test(path)) await unpack(join(root, path));
    }
    const files: SourceFile[] = [...single];
    for (const root of new Set(roots)) for (const path of await filesBelow(root)) files.push({ root, path });
    const byName = new Map<string, SourceFile[]>();
    for (const file of files) {
      const name = file.path.slice(file.path.lastIndexOf('/') + 1);
      const list = byName.get(name);
      if (list === undefined) byName.set(name, [file]);
      else list.push(file);
    }
    const find = (name: string): SourceFile[] =>
      (byName.get(name.slice(name.lastIndexOf('/') + 1)) ?? []).filter(({ path }) => path === name || path.endsWith(`/${name}`));
    return { files, refused, about: downloaded.length === 0 ? {} : { downloaded }, find, close };
  } catch (error) {
    await close();
    throw error;
  }
}

const largestJson = 512 * 1024 * 1024;

/**
 * Reads a JSON file, gzip-packed or not.
 *
 * @throws Error naming the file
 */
export async function readJson(path: string): Promise<unknown> {
  try {
    if ((await stat(path)).size > largestJson) throw new Error(`it is larger than ${largestJson} bytes`);
    const bytes = await readFile(path);
    const text = (bytes[0] === 0x1f && bytes[1] === 0x8b ? gunzipSync(bytes, { maxOutputLength: largestJson }) : bytes).toString('utf8');
    return JSON.parse(text.replace(/^\ufeff/, '')) as unknown;
  } catch (error) {
    throw new Error(`${basename(path)}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}

/** A row of foreign JSON: its fields as trimmed text, '' for what is missing. */
export type TextFields = (name: string, ...others: readonly string[]) => string;

/** @throws Error when the file holds no list of objects */
export function rowsOf(value: unknown, name: string): TextFields[] {
  if (!Array.isArray(value)) throw new Error(`${name} holds no list`);
  return value.map((row: unknown, index) => {
    if (typeof row !== 'object' || row === null) throw new Error(`${name}: entry ${index + 1} is no object`);
    return fieldsOf(row);
  });
}

export function fieldsOf(row: object): TextFields {
  const fields = row as Readonly<Record<string, unknown>>;
  return (...names) => {
    for (const name of names) {
      const value = Object.hasOwn(fields, name) ? fields[name] : undefined;
      const text = typeof value === 'string' ? value.trim() : typeof value === 'number' || typeof value === 'boolean' ? String(value) : '';
      if (text !== '') return text;
    }
    return '';
  };
}
