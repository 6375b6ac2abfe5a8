import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { HttpFailure, retryAfterSeconds } from './http-client.ts';

export interface Checksum {
  readonly algorithm: 'md5' | 'sha256';
  readonly hex: string;
}

export interface DownloadOptions {
  readonly retries: number;
  /** A connection on which nothing arrives for so long is given up, and the rest asked for anew. */
  readonly timeoutSeconds: number;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((bytes: number, total: number | undefined) => void) | undefined;
}

export interface Downloaded {
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
  /** Whether it lay there already, whole. */
  readonly reused: boolean;
  /** What it was checked against, if anything. */
  readonly checked: Checksum | undefined;
}

async function digestOf(path: string, algorithm: 'md5' | 'sha256', signal?: AbortSignal): Promise<string> {
  const hash = createHash(algorithm);
  for await (const chunk of createReadStream(path, { signal })) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

/** `sha256:0123…` or `md5:0123…`; bare hex is told apart by its length. */
export function parseChecksum(text: string): Checksum | undefined {
  const parts = /^(?:(md5|sha-?256):)?([0-9a-f]+)$/i.exec(text.trim());
  const hex = parts?.[2]?.toLowerCase() ?? '';
  const algorithm = hex.length === 32 ? 'md5' : hex.length === 64 ? 'sha256' : undefined;
  if (algorithm === undefined || (parts?.[1] !== undefined && parts[1].toLowerCase().replace('-', '') !== algorithm)) return undefined;
  return { algorithm, hex };
}

/** The checksum that a host publishes with a file: Hugging Face names the sha256 of large ones in a header. */
async function publishedChecksum(url: string, options: DownloadOptions): Promise<Checksum | undefined> {
  const signal = AbortSignal.any([AbortSignal.timeout(options.timeoutSeconds * 1000), ...(options.signal === undefined ? [] : [options.signal])]);
  const response = await fetch(url, { method: 'HEAD', redirect: 'manual', signal }).catch(() => undefined);
  options.signal?.throwIfAborted();
  const hex = /^"?([0-9a-f]{64})"?$/.exec(response?.headers.get('x-linked-etag') ?? '')?.[1];
  return hex === undefined ? undefined : { algorithm: 'sha256', hex };
}

/** Names the half-fetched file's version, so that a resumed one is never put together from two. */
const versionOf = (headers: Headers): string => headers.get('etag') ?? headers.get('last-modified') ?? '';

/** One request; appends what arrives to `part`. Returns whether the body is whole. */
async function once(url: string, part: string, options: DownloadOptions): Promise<{ whole: true } | { whole: false; why: string; final?: boolean; afterSeconds?: number }> {
  const had = (await stat(part).catch(() => undefined))?.size ?? 0;
  const version = await readFile(`${part}.version`, 'utf8').catch(() => '');
  const stalled = new AbortController();
  const signal = options.signal === undefined ? stalled.signal : AbortSignal.any([options.signal, stalled.signal]);
  let timer = setTimeout(() => stalled.abort(), options.timeoutSeconds * 1000);
  const refresh = (): void => {
    clearTimeout(timer);
    timer = setTimeout(() => stalled.abort(), options.timeoutSeconds * 1000);
  };
  try {
    const resume = had > 0 && version !== '';
    const headers: Record<string, string> = { 'user-agent': 'xfolds (data set download)', ...(resume ? { range: `bytes=${had}-`, 'if-range': version } : {}) };
    const response = await fetch(url, { headers, signal });
    if (response.status === 416) {
      await rm(part, { force: true });
      return { whole: false, why: 'the host refused to go on where it was' };
    }
    if (!response.ok || response.body === null) {
      await response.body?.cancel();
      const passing = [408, 425, 429].includes(response.status) || response.status >= 500;
      const after = retryAfterSeconds(response.headers.get('retry-after') ?? undefined);
      return { whole: false, why: `HTTP ${response.status}`, final: !passing, ...(after === undefined ? {} : { afterSeconds: after }) };
    }
    const from = response.status === 206 ? Number(/^bytes (\d+)-/.exec(response.headers.get('content-range') ?? '')?.[1] ?? -1) : 0;
    if (from !== 0 && from !== had) return { whole: false, why: 'the host answered with another range than the one asked for' };
    const length = Number(response.headers.get('content-length') ?? NaN);
    // fetch unpacks content encodings, whose length is another one.
    const total = Number.isFinite(length) && response.headers.get('content-encoding') === null ? from + length : undefined;
    await writeFile(`${part}.version`, versionOf(response.headers));
    const file = await open(part, from === 0 ? 'w' : 'a');
    let bytes = from;
    try {
      for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
        refresh();
        await file.writeFile(chunk);
        bytes += chunk.length;
        options.onProgress?.(bytes, total);
      }
    } finally {
      await file.close();
    }
    return total === undefined || bytes === total ? { whole: true } : { whole: false, why: `the body was cut after ${bytes} of ${total} bytes` };
  } catch (error) {
    options.signal?.throwIfAborted();
    if (error instanceof Error && 'code' in error && ['ENOSPC', 'EDQUOT', 'EROFS'].includes(String(error.code))) throw error;
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    return { whole: false, why: stalled.signal.aborted ? `nothing arrived for ${options.timeoutSeconds} s` : cause instanceof Error ? cause.message || cause.name : String(cause) };
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Downloads a file of any size into `folder/name`, straight to disk, and checks it. What was cut goes on where it was, also in a
 * later process; a file that lies there whole is not fetched again.
 *
 * @param given what the file must hash to, where it is known; a body that differs is fetched anew once
 * @throws HttpFailure naming the address, what is wrong, and how often it was tried
 */
export async function downloadFile(url: string, folder: string, name: string, given: Checksum | undefined, options: DownloadOptions): Promise<Downloaded> {
  const expected = given ?? (await publishedChecksum(url, options));
  await mkdir(folder, { recursive: true });
  const path = join(folder, name);
  const part = `${path}.part`;
  const sums = async (file: string): Promise<{ sha256: string; wrong?: string }> => {
    const sha256 = await digestOf(file, 'sha256', options.signal);
    if (expected === undefined) return { sha256 };
    const hex = expected.algorithm === 'sha256' ? sha256 : await digestOf(file, expected.algorithm, options.signal);
    return hex === expected.hex ? { sha256 } : { sha256, wrong: `its ${expected.algorithm} is ${hex}, not ${expected.hex}` };
  };
  const there = await stat(path).catch(() => undefined);
  if (there !== undefined) {
    const { sha256, wrong } = await sums(path);
    if (wrong === undefined) return { path, bytes: there.size, sha256, reused: true, checked: expected };
    await rm(path);
  }
  let why = '';
  for (let attempt = 0, wrongBodies = 0; attempt <= options.retries; attempt += 1) {
    options.signal?.throwIfAborted();
    const before = (await stat(part).catch(() => undefined))?.size ?? 0;
    const result = await once(url, part, options);
    if (result.whole) {
      const { sha256, wrong } = await sums(part);
      if (wrong === undefined) {
        await rename(part, path);
        await rm(`${part}.version`, { force: true });
        return { path, bytes: (await stat(path)).size, sha256, reused: false, checked: expected };
      }
      await Promise.all([rm(part), rm(`${part}.version`, { force: true })]);
      why = wrong;
      wrongBodies += 1;
      if (wrongBodies > 1) throw new HttpFailure(url, 'content', `${url}: ${wrong}, twice: the file has changed, or is damaged where it lies`);
      continue;
    }
    why = result.why;
    if (result.final === true) throw new HttpFailure(url, 'status', `${url}: ${why}`);
    // What brought bytes was no vain attempt: a slow line may be cut a hundred times.
    if (((await stat(part).catch(() => undefined))?.size ?? 0) > before) attempt = -1;
    if (attempt < options.retries) await wait(1000 * Math.min(30, result.afterSeconds ?? 0.25 * 2 ** Math.max(0, attempt)), undefined, { signal: options.signal });
  }
  throw new HttpFailure(url, 'network', `${url}: ${why}; ${options.retries + 1} attempts`);
}
