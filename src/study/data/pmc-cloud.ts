import { createHash } from 'node:crypto';
import { HttpFailure } from './http-client.ts';
import type { HttpClient } from './http-client.ts';
import { imageEnding } from './image-type.ts';

/** The public bucket of the PMC Cloud Service. */
export const pmcCloudUrl = 'https://pmc-oa-opendata.s3.amazonaws.com';

/** What the archive says of one article today. */
export interface Article {
  readonly pmcid: string;
  readonly version: number;
  readonly licence: string | null;
  readonly retracted: boolean;
  /** Object key and md5 (hex; null where the archive gives none) of each media file, by file name. */
  readonly media: Readonly<Record<string, { readonly key: string; readonly md5: string | null }>>;
}

/** The article, or why it is not there. */
export type ArticleAnswer = { readonly article: Article } | { readonly absent: string };

function unescapeXml(text: string): string {
  return text.replace(/&(lt|gt|quot|apos|amp);/g, (_, name: string) => ({ lt: '<', gt: '>', quot: '"', apos: "'", amp: '&' })[name] ?? '');
}

function tag(xml: string, name: string): string | undefined {
  const text = new RegExp(`<${name}>([^<]*)</${name}>`).exec(xml)?.[1];
  return text === undefined ? undefined : unescapeXml(text);
}

function beginning(body: Buffer): string {
  return JSON.stringify(body.subarray(0, 40).toString('latin1'));
}

/** The numerically newest version that `metadata/` lists for an article; null when it lists none. */
async function newestVersion(client: HttpClient, base: string, pmcid: string): Promise<number | null> {
  const keyOf = new RegExp(`^metadata/${pmcid}\\.(\\d+)\\.json$`);
  let newest: number | null = null;
  let token: string | undefined;
  do {
    const query = new URLSearchParams({ 'list-type': '2', prefix: `metadata/${pmcid}.` });
    if (token !== undefined) query.set('continuation-token', token);
    const url = `${base}/?${query}`;
    const { status, body } = await client.get(url, bytes =>
      bytes.includes('<ListBucketResult') && bytes.includes('</ListBucketResult>')
        ? undefined
        : `expected a listing (ListBucketResult XML), got ${beginning(bytes)}`);
    if (status !== 200) throw new HttpFailure(url, 'status', `${base}: the listing of ${pmcid} answers HTTP ${status}`);
    const xml = body.toString('utf8');
    for (const [, key = ''] of xml.matchAll(/<Key>([^<]*)<\/Key>/g)) {
      const version = keyOf.exec(unescapeXml(key))?.[1];
      if (version !== undefined) newest = Math.max(newest ?? 0, Number(version));
    }
    const next = tag(xml, 'IsTruncated') === 'true' ? tag(xml, 'NextContinuationToken') : undefined;
    if (next !== undefined && next === token) throw new HttpFailure(url, 'content', `${base}: the listing of ${pmcid} goes round in a circle`);
    token = next;
  } while (token !== undefined);
  return newest;
}

function parseMetadata(text: string, pmcid: string, version: number): Article | string {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return `the metadata are not JSON, they begin with ${JSON.stringify(text.slice(0, 40))}`;
  }
  const row = (typeof value === 'object' && value !== null ? value : {}) as Record<string, unknown>;
  if (row.pmcid !== pmcid) return `the metadata are of ${JSON.stringify(row.pmcid)}, not of ${pmcid}`;
  if (!Array.isArray(row.media_urls)) return 'the metadata have no media_urls';
  const media: Record<string, { key: string; md5: string | null }> = {};
  for (const url of row.media_urls as readonly unknown[]) {
    const parts = typeof url === 'string' ? /^s3:\/\/[^/]+\/([^?]+)(?:\?(.*))?$/.exec(url) : null;
    const key = parts?.[1];
    // Only objects of this article: a key that points elsewhere must not become one of its figures.
    if (key === undefined || !new RegExp(`^${pmcid}\\.\\d+/[^/]+$`).test(key)) continue;
    const md5 = new URLSearchParams(parts?.[2] ?? '').get('md5')?.toLowerCase();
    media[key.slice(key.indexOf('/') + 1)] = { key, md5: md5 !== undefined && /^[0-9a-f]{32}$/.test(md5) ? md5 : null };
  }
  const licence = typeof row.license_code === 'string' && row.license_code !== '' ? row.license_code : null;
  return { pmcid, version, licence, retracted: row.is_retracted === true, media };
}

/**
 * Finds an article in the PMC Cloud Service: list its metadata versions, take the numerically newest, read it.
 *
 * @param base address of the bucket, without a trailing slash
 * @throws HttpFailure, HostDown
 */
export async function findArticle(client: HttpClient, base: string, pmcid: string): Promise<ArticleAnswer> {
  const version = await newestVersion(client, base, pmcid);
  if (version === null) return { absent: `${pmcid} is not in the PMC Cloud Service` };
  let article: Article | string = 'not read';
  const { status } = await client.get(`${base}/metadata/${pmcid}.${version}.json`, body => {
    article = parseMetadata(body.toString('utf8'), pmcid, version);
    return typeof article === 'string' ? article : undefined;
  });
  if (status !== 200 || typeof article === 'string') {
    return { absent: `${pmcid} is listed with version ${version}, but its metadata are not there (HTTP ${status})` };
  }
  return { article };
}

/**
 * Fetches one media file and checks its md5; a body that differs is fetched again.
 *
 * @returns the bytes with their md5, or null when the object is not there
 * @throws HttpFailure of kind `content` when it stays wrong, or is no image
 */
export async function fetchMedia(
  client: HttpClient,
  base: string,
  object: { readonly key: string; readonly md5: string | null },
): Promise<{ readonly bytes: Buffer; readonly md5: string } | null> {
  let md5 = '';
  const path = object.key.split('/').map(encodeURIComponent).join('/');
  const { status, body } = await client.get(`${base}/${path}`, bytes => {
    md5 = createHash('md5').update(bytes).digest('hex');
    if (bytes.length === 0) return 'the file is empty';
    if (imageEnding(bytes) === undefined) {
      return `expected an image, got ${/^\s*</.test(bytes.subarray(0, 64).toString('latin1')) ? 'a web page or XML' : 'something else'}: ${beginning(bytes)}`;
    }
    return object.md5 === null || md5 === object.md5 ? undefined : `the md5 is ${md5}, the archive says ${object.md5}`;
  });
  return status === 200 ? { bytes: body, md5 } : null;
}
