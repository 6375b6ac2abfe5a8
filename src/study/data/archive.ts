import { createWriteStream } from 'node:fs';
import { mkdir, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { openPromise, validateFileName } from 'yauzl';
import type { Entry } from 'yauzl';
import type { LeftOut } from './pairs.ts';

/** How far an archive may swell. Archives of images do not, tables and masks do tenfold; a bomb does a thousandfold. */
export interface ArchiveLimits {
  /** Unpacked over packed size, of an entry and of the whole. */
  readonly ratio: number;
  /** What is smaller than this unpacked is no bomb, whatever its ratio. */
  readonly freeBytes: number;
  readonly entries: number;
}

export const usualLimits: ArchiveLimits = { ratio: 200, freeBytes: 64 * 1024 * 1024, entries: 1_000_000 };

/** A file of an archive, found sound by its name and its claims; `open` checks what it really holds. */
export interface ArchiveFile {
  readonly name: string;
  /** Unpacked, as the archive claims; the stream fails when it holds another number. */
  readonly bytes: number;
  open(): Promise<Readable>;
}

const fileTypeMask = 0o170000;
const symbolicLink = 0o120000;

function entryProblem(entry: Entry, name: string, limits: ArchiveLimits): string | undefined {
  const problem = name.includes('\0') ? 'the name holds a zero byte' : validateFileName(name);
  if (problem !== null) return `the path would leave the folder or is not portable (${problem})`;
  if (((entry.externalFileAttributes >>> 16) & fileTypeMask) === symbolicLink) return 'it is a symbolic link';
  if (entry.isEncrypted()) return 'it is encrypted';
  if (entry.uncompressedSize > limits.freeBytes && entry.uncompressedSize > limits.ratio * entry.compressedSize) {
    return `it claims to unpack ${entry.compressedSize} bytes to ${entry.uncompressedSize}, more than ${limits.ratio} times: a zip bomb`;
  }
  return undefined;
}

/**
 * Goes through a zip archive's files one by one. A file that cannot be trusted (its path climbs out, it is a link, a bomb, there
 * twice) is refused and reported; `visit` sees the others, and what it throws is reported of that file, unless it is fatal.
 *
 * @throws Error when the file is no zip archive, is cut off, or holds more entries than allowed
 */
export async function readZip(
  path: string,
  visit: (file: ArchiveFile) => Promise<void>,
  { limits = usualLimits, signal, fatal = () => false }: { limits?: ArchiveLimits; signal?: AbortSignal | undefined; fatal?: (error: unknown) => boolean } = {},
): Promise<LeftOut[]> {
  const { size } = await stat(path);
  const refused: LeftOut[] = [];
  // Names are checked here, one by one: the library would give up the whole archive at the first bad one.
  const zip = await openPromise(path, { autoClose: false, lazyEntries: true, decodeStrings: false, validateEntrySizes: true })
    .catch((error: unknown) => { throw new Error(`${path} is no whole zip archive: ${error instanceof Error ? error.message : String(error)}`, { cause: error }); });
  try {
    if (zip.entryCount > limits.entries) throw new Error(`${path} claims ${zip.entryCount} entries, more than ${limits.entries}`);
    const most = Math.max(limits.freeBytes, limits.ratio * size);
    const seen = new Set<string>();
    let [packed, unpacked] = [0, 0];
    for await (const entry of zip.eachEntry()) {
      signal?.throwIfAborted();
      const name = entry.fileNameRaw.toString('utf8');
      if (name.endsWith('/')) continue;
      const report = (reason: string): void => void refused.push({ id: name, kind: 'archive', reason });
      const problem = seen.has(name) ? 'the archive holds this name twice; the first one counts' : entryProblem(entry, name, limits);
      seen.add(name);
      // Entries that overlap each look harmless: together they claim more packed bytes than there are.
      if (problem === undefined && packed + entry.compressedSize > size) report('its packed bytes overlap those of other entries: a zip bomb');
      else if (problem === undefined && unpacked + entry.uncompressedSize > most) report(`the archive unpacks to more than ${most} bytes: a zip bomb`);
      else if (problem !== undefined) report(problem);
      else {
        packed += entry.compressedSize;
        unpacked += entry.uncompressedSize;
        try {
          await visit({ name, bytes: entry.uncompressedSize, open: () => zip.openReadStreamPromise(entry) });
        } catch (error) {
          if (signal?.aborted === true || fatal(error)) throw error;
          report(error instanceof Error ? error.message : String(error));
        }
      }
    }
  } finally {
    zip.close();
  }
  return refused;
}

export interface Extracted {
  /** Paths inside the folder, with forward slashes, in the archive's order. */
  readonly files: readonly string[];
  readonly refused: readonly LeftOut[];
}

/** A full disk is no fault of the archive. */
const diskFailed = (error: unknown): boolean => error instanceof Error && 'code' in error && ['ENOSPC', 'EDQUOT', 'EROFS', 'EIO', 'EMFILE'].includes(String(error.code));

/**
 * Unpacks a zip archive into a folder, which nothing is written outside of.
 *
 * @param wanted which names to unpack; all unless said
 * @throws as readZip; the disk's error
 */
export async function extractZip(
  path: string,
  folder: string,
  options: { wanted?: (name: string) => boolean; limits?: ArchiveLimits; signal?: AbortSignal | undefined; onFile?: (count: number) => void } = {},
): Promise<Extracted> {
  const files: string[] = [];
  const made = new Set<string>();
  const refused = await readZip(path, async file => {
    if (options.wanted !== undefined && !options.wanted(file.name)) return;
    const to = join(folder, file.name);
    const parent = dirname(to);
    if (!made.has(parent)) made.add((await mkdir(parent, { recursive: true }), parent));
    try {
      await pipeline(await file.open(), createWriteStream(to, { flags: 'wx' }), { signal: options.signal });
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) await rm(to, { force: true });
      throw error;
    }
    files.push(file.name);
    options.onFile?.(files.length);
  }, { ...options, fatal: diskFailed });
  return { files, refused };
}
