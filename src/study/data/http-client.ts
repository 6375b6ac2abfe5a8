import { setMaxListeners } from 'node:events';
import { Agent as HttpAgent, request as httpRequest } from 'node:http';
import type { ClientRequest, IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { rateLimit, systemClock } from './rate-limit.ts';
import type { Clock } from './rate-limit.ts';

export interface HttpOptions {
  /** 0 means no limit. Retries count as requests. */
  readonly requestsPerSecond: number;
  /** Connections kept open to a host. */
  readonly concurrency: number;
  /** How often a request is tried again after its first failure. */
  readonly retries: number;
  /** A connection on which nothing arrives for so long is given up. */
  readonly timeoutSeconds: number;
  readonly signal?: AbortSignal;
  readonly clock?: Clock;
  /** For the jitter of the waits, [0, 1). */
  readonly random?: () => number;
}

export interface HttpAnswer {
  /** 200, or 404 / 410 for what is not there. */
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

export interface HttpStatistics {
  requests: number;
  retried: number;
  resumed: number;
  bytes: number;
}

export interface HttpClient {
  readonly statistics: Readonly<HttpStatistics>;
  /**
   * Fetches a whole body. `check` names what is wrong with it, if anything; such a body is fetched anew.
   *
   * @throws HttpFailure when the retries are used up or the answer is final; HostDown when the host answers nobody
   */
  get(url: string, check?: (body: Buffer) => string | undefined): Promise<HttpAnswer>;
  close(): void;
}

/** One address could not be fetched. `content` failures are the object's own fault, `network` ones may pass. */
export class HttpFailure extends Error {
  readonly url: string;
  readonly kind: 'network' | 'status' | 'content';
  constructor(url: string, kind: 'network' | 'status' | 'content', message: string) {
    super(message);
    this.name = 'HttpFailure';
    this.url = url;
    this.kind = kind;
  }
}

/** A host that gave no usable answer several times in a row: going on would only repeat it. */
export class HostDown extends Error {
  readonly host: string;
  constructor(host: string, message: string) {
    super(message);
    this.name = 'HostDown';
    this.host = host;
  }
}

/** A body beyond this is no article figure or list, and is not read into memory. */
const largestBody = 256 * 1024 * 1024;
/** Requests given up one after another, with no answer in between, after which a host counts as down. */
const givenUpMeansDown = 5;
const firstWaitSeconds = 0.25;
const longestWaitSeconds = 30;

interface Partial {
  readonly chunks: Buffer[];
  bytes: number;
  etag: string | undefined;
}

type Outcome =
  | { readonly done: true; readonly status: number; readonly headers: IncomingHttpHeaders; readonly body: Buffer }
  | { readonly done: false; readonly kind: 'network' | 'status'; readonly why: string; readonly final?: boolean; readonly afterSeconds?: number; readonly atOnce?: boolean };

const explanations: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ENOTFOUND: 'no such host name',
  EAI_AGAIN: 'the name server does not answer',
  ECONNRESET: 'the connection was cut',
  EHOSTUNREACH: 'the host cannot be reached',
  ENETUNREACH: 'the network cannot be reached',
  ETIMEDOUT: 'no answer in time',
};

function explain(error: NodeJS.ErrnoException): string {
  const known = error.code === undefined ? undefined : explanations[error.code];
  return known === undefined ? error.message : `${known} (${error.code})`;
}

/** Seconds that a `Retry-After` header asks for, as a number or a date. */
export function retryAfterSeconds(header: string | undefined, nowMs = Date.now()): number | undefined {
  if (header === undefined) return undefined;
  if (/^\s*\d+(\.\d+)?\s*$/.test(header)) return Number(header);
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, (date - nowMs) / 1000);
}

/** A polite HTTP client: rate limit, keep-alive, retries with backoff and jitter, `Retry-After`, `Range` resume, timeouts. */
export function httpClient(options: HttpOptions): HttpClient {
  const { concurrency, retries, timeoutSeconds, clock = systemClock, random = Math.random } = options;
  // One listener on the caller's signal, however many requests there are; those that wait listen to a signal of our own.
  const stopping = new AbortController();
  const { signal } = stopping;
  setMaxListeners(0, signal);
  const running = new Set<ClientRequest>();
  const stopAll = (): void => {
    stopping.abort(options.signal?.reason);
    for (const request of running) request.destroy();
  };
  if (options.signal?.aborted) stopAll();
  options.signal?.addEventListener('abort', stopAll, { once: true });
  const turn = rateLimit(options.requestsPerSecond, clock);
  const keep = { keepAlive: true, maxSockets: concurrency, scheduling: 'lifo' } as const;
  const agents = { 'http:': new HttpAgent(keep), 'https:': new HttpsAgent(keep) };
  const statistics: HttpStatistics = { requests: 0, retried: 0, resumed: 0, bytes: 0 };
  const givenUp = new Map<string, number>();
  const down = new Map<string, HostDown>();

  /** One request. What arrived of a body that was cut stays in `partial`, for the next one to go on from. */
  function once(url: URL, partial: Partial): Promise<Outcome> {
    statistics.requests += 1;
    const secure = url.protocol === 'https:';
    return new Promise((resolve, reject) => {
      const headers: Record<string, string> = { 'user-agent': 'xfolds (ROCO download)', accept: '*/*' };
      if (partial.bytes > 0) {
        headers['range'] = `bytes=${partial.bytes}-`;
        if (partial.etag !== undefined) headers['if-range'] = partial.etag;
      }
      const request = (secure ? httpsRequest : httpRequest)(url, { agent: agents[secure ? 'https:' : 'http:'], headers });
      let stalled = false;
      let response: IncomingMessage | undefined;
      const timer = setTimeout(() => {
        stalled = true;
        request.destroy();
      }, timeoutSeconds * 1000);
      running.add(request);
      let settled = false;
      const settle = (outcome: Outcome): void => {
        if (settled) return;
        settled = true;
        clearTimeout(timer);
        running.delete(request);
        if (signal.aborted) reject(signal.reason);
        else resolve(outcome);
      };
      const failed = (error: NodeJS.ErrnoException): void => {
        const had = partial.bytes > 0 ? ` after ${partial.bytes} bytes` : '';
        const why = stalled ? `nothing arrived for ${timeoutSeconds} s${had}` : `${explain(error)}${response ? had : ''}`;
        // A kept-alive connection that the server closed meanwhile says nothing about the server: try a new one at once.
        const atOnce = !stalled && response === undefined && request.reusedSocket && error.code === 'ECONNRESET';
        settle({ done: false, kind: 'network', why, atOnce });
      };
      request.on('error', failed);
      request.on('response', answer => {
        response = answer;
        timer.refresh();
        const status = answer.statusCode ?? 0;
        if (status !== 200 && status !== 206) {
          answer.resume();
          answer.on('error', () => undefined);
          // A refused range leaves nothing to go on from; the next request asks for the whole.
          if (status === 416) forget(partial);
          return void settle(refusal(status, answer.headers));
        }
        const from = /^bytes (\d+)-/.exec(answer.headers['content-range'] ?? '')?.[1];
        if (status === 200) forget(partial);
        else if (Number(from) !== partial.bytes) {
          forget(partial);
          request.destroy();
          return void settle({ done: false, kind: 'network', why: 'the host answered with another range than the one asked for' });
        } else statistics.resumed += 1;
        partial.etag = answer.headers.etag;
        answer.on('data', (chunk: Buffer) => {
          timer.refresh();
          statistics.bytes += chunk.length;
          partial.chunks.push(chunk);
          partial.bytes += chunk.length;
          if (partial.bytes > largestBody) {
            request.destroy();
            settle({ done: false, kind: 'status', why: `the body is larger than ${largestBody} bytes`, final: true });
          }
        });
        answer.on('error', failed);
        answer.on('aborted', () => failed(Object.assign(new Error('cut'), { code: 'ECONNRESET' })));
        answer.on('end', () => {
          if (!answer.complete) return failed(Object.assign(new Error('cut'), { code: 'ECONNRESET' }));
          settle({ done: true, status: 200, headers: answer.headers, body: Buffer.concat(partial.chunks, partial.bytes) });
        });
      });
      request.end();
    });
  }

  function refusal(status: number, headers: IncomingHttpHeaders): Outcome {
    if (status === 404 || status === 410) return { done: true, status, headers, body: Buffer.alloc(0) };
    const passing = status === 408 || status === 416 || status === 425 || status === 429 || status >= 500;
    return { done: false, kind: 'status', why: `HTTP ${status}`, final: !passing, afterSeconds: retryAfterSeconds(headers['retry-after']) };
  }

  function giveUp(url: URL, kind: 'network' | 'status' | 'content', why: string, attempts: number, started: number): Error {
    const seconds = Math.max(1, Math.round((clock.now() - started) / 1000));
    const times = attempts === 1 ? '1 attempt' : `${attempts} attempts over ${seconds} s`;
    const count = (givenUp.get(url.host) ?? 0) + 1;
    if (kind !== 'content') givenUp.set(url.host, count);
    if (kind !== 'content' && count >= givenUpMeansDown) {
      const error = new HostDown(url.host, `${url.origin} seems to be down: ${count} addresses in a row failed, the last one ${url.pathname} (${why}; ${times})`);
      down.set(url.host, error);
      return error;
    }
    return new HttpFailure(url.href, kind, `${url.origin}${url.pathname}: ${why}; ${times}`);
  }

  async function get(address: string, check?: (body: Buffer) => string | undefined): Promise<HttpAnswer> {
    const url = new URL(address);
    const started = clock.now();
    const partial: Partial = { chunks: [], bytes: 0, etag: undefined };
    let freeRetries = 1;
    for (let attempt = 1; ; attempt += 1) {
      const isDown = down.get(url.host);
      if (isDown !== undefined) throw isDown;
      await turn(signal);
      let outcome = await once(url, partial);
      if (!outcome.done && outcome.atOnce === true && freeRetries > 0) {
        freeRetries -= 1;
        outcome = await turn(signal).then(() => once(url, partial));
      }
      let kind: 'network' | 'status' | 'content' = 'content';
      let why: string;
      let wait = Math.min(longestWaitSeconds, firstWaitSeconds * 2 ** (attempt - 1)) * (0.5 + random() / 2);
      if (outcome.done) {
        givenUp.set(url.host, 0);
        const problem = outcome.status === 200 ? check?.(outcome.body) : undefined;
        if (problem === undefined) return { status: outcome.status, headers: outcome.headers, body: outcome.body };
        forget(partial);
        why = problem;
      } else {
        kind = outcome.kind;
        why = outcome.why;
        if (outcome.final === true) {
          givenUp.set(url.host, 0);
          throw new HttpFailure(url.href, 'status', `${url.origin}${url.pathname}: ${why}`);
        }
        wait = Math.max(wait, outcome.afterSeconds ?? 0);
      }
      if (attempt > retries) throw giveUp(url, kind, why, attempt, started);
      statistics.retried += 1;
      await clock.sleep(wait * 1000, signal);
    }
  }

  return {
    statistics,
    get,
    close: () => {
      options.signal?.removeEventListener('abort', stopAll);
      agents['http:'].destroy();
      agents['https:'].destroy();
    },
  };
}

function forget(partial: Partial): void {
  partial.chunks.length = 0;
  partial.bytes = 0;
  partial.etag = undefined;
}
