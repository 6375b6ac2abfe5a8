import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { openFigureStore } from './figure-store.ts';
import type { FigureStore } from './figure-store.ts';
import { HttpFailure, httpClient } from './http-client.ts';
import type { HttpClient, HttpOptions, HttpStatistics } from './http-client.ts';
import { countBy, writePairs } from './pairs.ts';
import type { LeftOut, Pair } from './pairs.ts';
import { fetchMedia, findArticle } from './pmc-cloud.ts';
import type { Article, ArticleAnswer } from './pmc-cloud.ts';
import { progressOf } from './progress.ts';
import type { DownloadProgress } from './progress.ts';
import { forEachConcurrent } from './rate-limit.ts';
import { readRocoLists } from './roco-text.ts';
import type { RocoRow } from './roco-text.ts';
import type { Split } from './splits.ts';

export interface RocoOptions extends Omit<HttpOptions, 'signal'> {
  /** Addresses without a trailing slash. */
  readonly pmcUrl: string;
  readonly textUrl: string;
  readonly splits: readonly Split[];
  readonly kind: 'radiology' | 'non-radiology';
  /** At most so many figures, the first of the lists that are to be had; null means all. */
  readonly limit: number | null;
  /** Licences to keep, as the archive names them; an empty list keeps all. */
  readonly licences: readonly string[];
  /** The share of figures that may be lost to errors that pass (not to absent ones) before the download counts as failed. */
  readonly failuresAllowed: number;
}

export interface RocoHooks {
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: DownloadProgress) => void;
  readonly onNote?: (text: string) => void;
}

export interface RocoSummary {
  readonly pairs: number;
  readonly leftOut: Readonly<Record<string, number>>;
  /** Figures that lay in the store already. */
  readonly reused: number;
  readonly http: Readonly<HttpStatistics>;
}

type Outcome =
  | { readonly row: RocoRow; readonly md5: string; readonly licence: string | null; readonly reused: boolean }
  | { readonly row: RocoRow; readonly leftOut: LeftOut; readonly passing?: boolean };

interface Session {
  readonly options: RocoOptions;
  readonly client: HttpClient;
  readonly store: FigureStore;
  /** Requests for articles or figures that failed, since the last one that did not. */
  failedInARow: number;
}

/** So many failures in a row are no bad luck: the address is wrong, or something sits between us and the host. */
const mostFailuresInARow = 25;

/** Rows of one article, so that its listing and metadata are asked for once. */
function byArticle(rows: readonly RocoRow[]): RocoRow[][] {
  const articles = new Map<string, RocoRow[]>();
  for (const row of rows) {
    const list = articles.get(row.pmcid);
    if (list === undefined) articles.set(row.pmcid, [row]);
    else list.push(row);
  }
  return [...articles.values()];
}

const without = (row: RocoRow, kind: string, reason: string): Outcome => ({ row, leftOut: { id: row.id, kind, reason } });

function failed(session: Session, row: RocoRow, error: unknown): Outcome {
  if (!(error instanceof HttpFailure)) throw error; // the host is down, the disk is full, or we are to stop
  session.failedInARow += 1;
  if (session.failedInARow >= mostFailuresInARow) {
    const { url, kind, message } = error;
    throw new HttpFailure(url, kind, `${mostFailuresInARow} figures in a row failed, the last one ${row.id}: ${message}`);
  }
  return { row, leftOut: { id: row.id, kind: 'failed', reason: error.message }, passing: error.kind !== 'content' };
}

async function askArticle(session: Session, pmcid: string): Promise<ArticleAnswer> {
  const { client, store, options } = session;
  const remembered = store.article(pmcid);
  if (remembered !== undefined) return remembered;
  const answer = await findArticle(client, options.pmcUrl, pmcid);
  if ('absent' in answer) session.failedInARow = 0; // with an article that is there, only its figures tell
  store.rememberArticle(pmcid, answer);
  return answer;
}

async function fetchFigure(session: Session, row: RocoRow, article: Article): Promise<Outcome> {
  const { client, store, options } = session;
  const licence = article.licence ?? row.licence;
  if (article.retracted) return without(row, 'retracted', `${row.pmcid} is retracted`);
  if (options.licences.length > 0 && !options.licences.includes(licence ?? '')) {
    return without(row, 'licence', `the licence of ${row.pmcid} is ${licence ?? 'unknown'}, which is not among those asked for`);
  }
  const object = Object.hasOwn(article.media, row.file) ? article.media[row.file] : undefined;
  if (object === undefined) {
    const count = Object.keys(article.media).length;
    return without(row, 'absent', `${row.file} is not among the ${count} media files of ${row.pmcid}.${article.version}`);
  }
  const known = object.md5 ?? store.digestOf(object.key);
  if (known !== undefined && (await store.has(known))) return { row, md5: known, licence, reused: true };
  const media = await fetchMedia(client, options.pmcUrl, object);
  session.failedInARow = 0;
  if (media === null) return without(row, 'absent', `${object.key} is listed in the metadata, but not there`);
  await store.put(object.key, media.md5, media.bytes);
  return { row, md5: media.md5, licence, reused: false };
}

/** All figures of one article. What fails is an outcome too; only what ends the whole download is thrown. */
async function fetchArticle(session: Session, rows: readonly RocoRow[], settled: (outcome: Outcome) => void): Promise<Outcome[]> {
  const first = rows[0];
  if (first === undefined) return [];
  const all = (outcomeOf: (row: RocoRow) => Outcome): Outcome[] => {
    const outcomes = rows.map(outcomeOf);
    outcomes.forEach(settled);
    return outcomes;
  };
  let answer: ArticleAnswer;
  try {
    answer = await askArticle(session, first.pmcid);
  } catch (error) {
    return all(row => failed(session, row, error));
  }
  if ('absent' in answer) {
    const { absent } = answer;
    return all(row => without(row, 'absent', absent));
  }
  const outcomes: Outcome[] = [];
  for (const row of rows) {
    const outcome = await fetchFigure(session, row, answer.article).catch((error: unknown) => failed(session, row, error));
    outcomes.push(outcome);
    settled(outcome);
  }
  return outcomes;
}

/** The outcomes that count: all, or those up to the figure that reaches the limit, in the order of the articles. */
function upToLimit(outcomes: readonly (readonly Outcome[] | undefined)[], limit: number | null): Outcome[] {
  const kept: Outcome[] = [];
  let figures = 0;
  for (const outcome of outcomes.flatMap(list => list ?? [])) {
    if (limit !== null && figures >= limit) break;
    kept.push(outcome);
    if ('md5' in outcome) figures += 1;
  }
  return kept;
}

function ending(file: string): string {
  const found = /\.([A-Za-z0-9]{1,5})$/.exec(file)?.[1]?.toLowerCase();
  return found === undefined ? 'jpg' : found === 'jpeg' ? 'jpg' : found;
}

/**
 * Downloads ROCO v1 figures through the PMC Cloud Service into `folder` (`pairs.jsonl`, `images/`, `report.json`). Figures are
 * kept by content in `storeFolder`, and what lies there already is not fetched again. Rows are in the lists' order, and every
 * listed id is either a pair or in the report with the reason.
 *
 * @throws HostDown, HttpFailure (a list that cannot be read), Error when too many figures fail, or the signal's reason
 */
export async function downloadRoco(options: RocoOptions, folder: string, storeFolder: string, hooks: RocoHooks = {}): Promise<RocoSummary> {
  const { limit } = options;
  const client = httpClient({ ...options, signal: hooks.signal });
  let store: FigureStore | undefined;
  try {
    const rows: RocoRow[] = [];
    const unlisted: LeftOut[] = [];
    for (const split of options.splits) {
      const lists = await readRocoLists(client, options.textUrl, split, options.kind);
      rows.push(...lists.rows);
      unlisted.push(...lists.leftOut);
    }
    const articles = byArticle(rows);
    hooks.onNote?.(`${rows.length} figures of ${articles.length} articles are listed in ${options.splits.join(', ')}`);
    store = await openFigureStore(storeFolder);
    const session: Session = { options, client, store, failedInARow: 0 };
    const outcomes: Outcome[][] = new Array<Outcome[]>(articles.length);
    const progress = progressOf(limit === null ? rows.length : Math.min(limit, rows.length), hooks.onProgress);
    let figures = 0;
    // Articles are started in order and all that were started end, so those that count are the same at any speed.
    await forEachConcurrent(
      articles,
      options.concurrency,
      async (article, index) => {
        // With a limit only what was fetched brings the end nearer; without one every row does.
        const list = await fetchArticle(session, article, outcome => {
          if (limit === null || 'md5' in outcome) progress.settled();
        });
        outcomes[index] = list;
        for (const outcome of list) if ('md5' in outcome) figures += 1;
      },
      () => limit !== null && figures >= limit,
    );
    await tryAgain(session, outcomes, upToLimit(outcomes, limit), hooks);
    progress.finish();
    const kept = upToLimit(outcomes, limit);
    const losses = kept.filter(outcome => 'leftOut' in outcome && outcome.passing === true);
    if (losses.length > options.failuresAllowed * kept.length) {
      const reason = losses.flatMap(outcome => ('leftOut' in outcome ? [`${outcome.leftOut.id}: ${outcome.leftOut.reason}`] : []))[0];
      throw new Error(`${losses.length} of ${kept.length} figures could not be fetched, for example ${reason}. `
        + `What was fetched is kept: run it again, or raise failuresAllowed (${options.failuresAllowed}).`);
    }
    const { pairs, leftOut } = await placeFigures(store, folder, kept, rows);
    const everything = [...leftOut, ...unlisted];
    await writePairs(folder, pairs, everything, {
      source: 'ROCO v1',
      splits: options.splits,
      kind: options.kind,
      limit,
      listed: rows.length,
      considered: kept.length,
      licencesAsked: options.licences,
      licenceInRoco: countBy(pairs, pair => pair.licenceInRoco ?? 'unknown'),
      licenceDiffers: pairs.filter(pair => pair.licenceInRoco !== undefined && pair.licenceInRoco !== pair.licence).length,
    });
    return { pairs: pairs.length, leftOut: countBy(everything, row => row.kind), reused: kept.filter(outcome => 'md5' in outcome && outcome.reused).length, http: client.statistics };
  } finally {
    client.close();
    await store?.close();
  }
}

/** What failed for a reason that passes gets one more round, now that the busy time is over. Changes `outcomes` in place. */
async function tryAgain(session: Session, outcomes: Outcome[][], kept: readonly Outcome[], hooks: RocoHooks): Promise<void> {
  const wanted = new Set(kept.flatMap(outcome => ('leftOut' in outcome && outcome.passing === true ? [outcome.row] : [])));
  if (wanted.size === 0) return;
  hooks.onNote?.(`${wanted.size} figures failed and are tried once more`);
  const lists = outcomes.filter(list => list?.some(outcome => wanted.has(outcome.row)));
  await forEachConcurrent(lists, session.options.concurrency, async list => {
    const again = await fetchArticle(session, list.map(outcome => outcome.row).filter(row => wanted.has(row)), () => undefined);
    for (const outcome of again) list[list.findIndex(earlier => earlier.row === outcome.row)] = outcome;
  });
}

/** Puts the figures beside the rows that name them, in the order of the lists. */
async function placeFigures(
  store: FigureStore,
  folder: string,
  kept: readonly Outcome[],
  rows: readonly RocoRow[],
): Promise<{ pairs: Pair[]; leftOut: LeftOut[] }> {
  const order = new Map(rows.map((row, index) => [row, index]));
  const sorted = kept.toSorted((x, y) => (order.get(x.row) ?? 0) - (order.get(y.row) ?? 0));
  const pairs: Pair[] = [];
  const leftOut: LeftOut[] = [];
  await rm(join(folder, 'images'), { recursive: true, force: true });
  await mkdir(join(folder, 'images'), { recursive: true });
  for (const outcome of sorted) {
    if ('leftOut' in outcome) {
      leftOut.push(outcome.leftOut);
      continue;
    }
    const { row, md5, licence } = outcome;
    const image = `images/${row.id}.${ending(row.file)}`;
    await store.place(md5, join(folder, image));
    pairs.push({
      id: row.id,
      image,
      caption: row.caption,
      group: row.pmcid,
      split: row.split,
      licence: licence ?? 'unknown',
      modality: null,
      source: 'roco',
      ...(row.licence === null ? {} : { licenceInRoco: row.licence }),
      ...(row.concepts.length === 0 ? {} : { concepts: row.concepts }),
    });
  }
  return { pairs, leftOut };
}
