import { createHash, randomUUID } from 'node:crypto';
import { constants, createReadStream } from 'node:fs';
import { copyFile, link, mkdir, open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ArticleAnswer } from './pmc-cloud.ts';

/** What was already fetched, kept by content, so that an interrupted download goes on where it was. */
export interface FigureStore {
  /** What the archive said of an article, unless that is too long ago. */
  article(pmcid: string): ArticleAnswer | undefined;
  rememberArticle(pmcid: string, answer: ArticleAnswer): void;
  /** The md5 of an object without a published one, where it was fetched before. */
  digestOf(key: string): string | undefined;
  /** Whether these bytes are here and whole: they are hashed, so that a torn file is fetched again. */
  has(md5: string): Promise<boolean>;
  put(key: string, md5: string, bytes: Buffer): Promise<void>;
  /** Places a figure at a path, without a second copy where the file system can. */
  place(md5: string, path: string): Promise<void>;
  /**
   * Writes what is still to be written.
   *
   * @throws the error of the disk, if some of it could not be
   */
  close(): Promise<void>;
}

/** Articles appear, are retracted and get new versions: after so long the archive is asked again. */
const articleIsFreshMs = 30 * 24 * 3600 * 1000;

type Entry =
  | { readonly pmcid: string; readonly at: number; readonly answer: ArticleAnswer }
  | { readonly key: string; readonly md5: string };

async function readJournal(path: string): Promise<Entry[]> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw error;
  });
  return text.split('\n').flatMap(line => {
    if (line === '') return [];
    try {
      return [JSON.parse(line) as Entry];
    } catch {
      return []; // the line that was being written when the process ended; what it told is asked for again
    }
  });
}

/** Appends lines in the background, many at once: one write a line would cost more than the download of a small figure. */
async function openJournal(path: string): Promise<{ add(entry: Entry): void; close(): Promise<void> }> {
  const file = await open(path, 'a');
  let waiting = '\n'; // ends a line that another process left torn
  let failure: { readonly error: unknown } | undefined;
  let writing: Promise<void> | undefined;
  const drain = async (): Promise<void> => {
    while (waiting !== '' && failure === undefined) {
      const text = waiting;
      waiting = '';
      // With O_APPEND in one write, so that the lines of two processes do not mix.
      await file.appendFile(text).catch((error: unknown) => (failure = { error }));
    }
    writing = undefined;
  };
  return {
    add(entry) {
      if (failure !== undefined) throw failure.error;
      waiting += `${JSON.stringify(entry)}\n`;
      writing ??= drain();
    },
    async close() {
      await writing;
      await file.close();
      if (failure !== undefined) throw failure.error;
    },
  };
}

async function md5OfFile(path: string): Promise<string | null> {
  const hash = createHash('md5');
  try {
    for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  return hash.digest('hex');
}

/**
 * Opens a store of figures: `figures/ab/<md5>` and a journal. Several processes may share one: files are written under a
 * name of their own and renamed, journal lines are appended.
 */
export async function openFigureStore(folder: string): Promise<FigureStore> {
  await mkdir(join(folder, 'figures'), { recursive: true });
  const path = join(folder, 'journal.jsonl');
  const articles = new Map<string, ArticleAnswer>();
  const digests = new Map<string, string>();
  const oldest = Date.now() - articleIsFreshMs;
  for (const entry of await readJournal(path)) {
    if ('pmcid' in entry) {
      if (entry.at >= oldest) articles.set(entry.pmcid, entry.answer);
    } else digests.set(entry.key, entry.md5);
  }
  const known = new Set<string>();
  const made = new Set<string>();
  const pathOf = (md5: string): string => join(folder, 'figures', md5.slice(0, 2), md5);
  const journal = await openJournal(path);

  return {
    article: pmcid => articles.get(pmcid),
    rememberArticle(pmcid, answer) {
      articles.set(pmcid, answer);
      journal.add({ pmcid, at: Date.now(), answer });
    },
    digestOf: key => digests.get(key),
    async has(md5) {
      if (known.has(md5)) return true;
      const found = await md5OfFile(pathOf(md5));
      if (found === md5) known.add(md5);
      else if (found !== null) await rm(pathOf(md5), { force: true });
      return found === md5;
    },
    async put(key, md5, bytes) {
      const path = pathOf(md5);
      const shelf = join(folder, 'figures', md5.slice(0, 2));
      if (!made.has(shelf)) made.add((await mkdir(shelf, { recursive: true }), shelf));
      const temporary = `${path}.${randomUUID()}`;
      try {
        await writeFile(temporary, bytes);
        await rename(temporary, path);
      } catch (error) {
        await rm(temporary, { force: true });
        throw error;
      }
      known.add(md5);
      if (digests.get(key) !== md5) {
        digests.set(key, md5);
        journal.add({ key, md5 });
      }
    },
    async place(md5, path) {
      try {
        await link(pathOf(md5), path);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw error;
        await copyFile(pathOf(md5), path, constants.COPYFILE_FICLONE);
      }
    },
    close: () => journal.close(),
  };
}
