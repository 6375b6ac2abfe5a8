import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { HostDown, HttpFailure, httpClient, retryAfterSeconds } from '../../../src/study/data/http-client.ts';
import type { HttpClient, HttpOptions } from '../../../src/study/data/http-client.ts';
import { forEachConcurrent, rateLimit, systemClock } from '../../../src/study/data/rate-limit.ts';
import type { Clock } from '../../../src/study/data/rate-limit.ts';

/** A clock on which sleeping takes no time, and tells how long was slept. */
function fakeClock(): Clock & { readonly slept: number[] } {
  const slept: number[] = [];
  let time = 0;
  return { slept, now: () => time, sleep: async (ms, signal) => { signal?.throwIfAborted(); slept.push(ms); time += ms; } };
}

type Handler = (req: IncomingMessage, res: ServerResponse, count: number) => void;
const cleanUp: (() => void)[] = [];
afterEach(() => cleanUp.splice(0).forEach(end => end()));

async function serve(handler: Handler): Promise<{ url: string; seen: IncomingMessage[] }> {
  const seen: IncomingMessage[] = [];
  const server = createServer((req, res) => { seen.push(req); handler(req, res, seen.length); });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  cleanUp.push(() => { server.closeAllConnections(); server.close(); });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen };
}

function client(options: Partial<HttpOptions> = {}): HttpClient {
  const made = httpClient({ requestsPerSecond: 0, concurrency: 4, retries: 3, timeoutSeconds: 5, clock: fakeClock(), random: () => 1, ...options });
  cleanUp.push(() => made.close());
  return made;
}

const whole = Buffer.from(Array.from({ length: 50_000 }, (_, index) => index % 251));
const cutAt = (res: ServerResponse, bytes: Buffer): void => void res.write(bytes, () => res.destroy());

describe('http client', () => {
  it('goes on with Range where a body was cut, and ends with the whole', async () => {
    const { url, seen } = await serve((req, res, count) => {
      const from = Number(/^bytes=(\d+)-/.exec(req.headers.range ?? '')?.[1] ?? 0);
      res.writeHead(from > 0 ? 206 : 200, {
        'content-length': whole.length - from, etag: '"x"', ...(from > 0 ? { 'content-range': `bytes ${from}-${whole.length - 1}/${whole.length}` } : {}),
      });
      if (count < 3) cutAt(res, whole.subarray(from, from + 10_000));
      else res.end(whole.subarray(from));
    });
    const http = client();
    expect((await http.get(`${url}/a`)).body.equals(whole)).toBe(true);
    expect(seen.map(req => req.headers.range)).toEqual([undefined, 'bytes=10000-', 'bytes=20000-']);
    expect(seen[1]?.headers['if-range']).toBe('"x"');
    expect(http.statistics).toMatchObject({ requests: 3, retried: 2, resumed: 2, bytes: whole.length });
  });

  it('begins anew when the host does not resume', async () => {
    const { url } = await serve((_, res, count) => {
      res.writeHead(200, { 'content-length': whole.length });
      if (count === 1) cutAt(res, whole.subarray(0, 10_000));
      else res.end(whole);
    });
    expect((await client().get(`${url}/a`)).body.equals(whole)).toBe(true);
  });

  it('begins anew after 416 and after a range that was not asked for', async () => {
    const { url } = await serve((_, res, count) => {
      if (count === 1 || count === 3) { res.writeHead(200, { 'content-length': whole.length }); cutAt(res, whole.subarray(0, 10_000)); }
      else if (count === 2) res.writeHead(416).end();
      else if (count === 4) res.writeHead(206, { 'content-range': 'bytes 5-9/10', 'content-length': 5 }).end('wrong');
      else res.writeHead(200, { 'content-length': whole.length }).end(whole);
    });
    expect((await client({ retries: 5 }).get(`${url}/a`)).body.equals(whole)).toBe(true);
  });

  it('waits as Retry-After says, else twice as long each time', async () => {
    const clock = fakeClock();
    const { url } = await serve((_, res, count) => {
      if (count === 1) res.writeHead(503, { 'retry-after': '7' }).end();
      else if (count < 4) res.writeHead(500).end();
      else res.end('ok');
    });
    expect((await client({ clock }).get(`${url}/a`)).body.toString()).toBe('ok');
    expect(clock.slept).toEqual([7000, 500, 1000]);
  });

  it('fetches anew what the check finds wrong, and fails in the end with the reason', async () => {
    const { url, seen } = await serve((_, res) => res.end('<html>'));
    const http = client();
    await expect(http.get(`${url}/a`, () => 'it is a web page')).rejects.toThrow(/\/a: it is a web page; 4 attempts/);
    await expect(http.get(`${url}/b`, () => 'no')).rejects.toMatchObject({ kind: 'content' });
    expect(seen).toHaveLength(8);
  });

  it('gives up a body that stalls', async () => {
    const { url } = await serve((_, res, count) => {
      res.writeHead(200, { 'content-length': 4 });
      if (count === 1) res.flushHeaders();
      else res.end('done');
    });
    expect((await client({ timeoutSeconds: 0.05 }).get(`${url}/a`)).body.toString()).toBe('done');
    await expect(client({ timeoutSeconds: 0.05, retries: 0 }).get((await serve(() => undefined)).url)).rejects.toThrow('nothing arrived for 0.05 s');
  });

  it('returns 404 at once, and does not repeat 403', async () => {
    const { url, seen } = await serve((req, res) => res.writeHead(req.url === '/gone' ? 404 : 403).end());
    expect((await client().get(`${url}/gone`)).status).toBe(404);
    await expect(client().get(`${url}/no`)).rejects.toThrow('HTTP 403');
    expect(seen).toHaveLength(2);
  });

  it('says that a host is down after a few addresses, and asks it no more', async () => {
    const gone = await serve(() => undefined);
    cleanUp.pop()?.();
    const http = client({ retries: 2 });
    const errors: unknown[] = [];
    for (let index = 0; index < 7; index += 1) await http.get(`${gone.url}/${index}`).catch(error => errors.push(error));
    expect(errors.slice(0, 4).every(error => error instanceof HttpFailure)).toBe(true);
    expect(errors.slice(4).every(error => error instanceof HostDown)).toBe(true);
    expect(String(errors[0])).toContain('connection refused (ECONNREFUSED); 3 attempts');
    expect(String(errors[4])).toContain(`${gone.url} seems to be down: 5 addresses in a row failed`);
    expect(http.statistics.requests).toBe(15);
  });

  it('stops at once with the reason of the signal, also while it waits', async () => {
    const controller = new AbortController();
    const { url } = await serve((_, res) => { res.writeHead(200, { 'content-length': 4 }).flushHeaders(); controller.abort(new Error('stop')); });
    await expect(client({ signal: controller.signal }).get(url)).rejects.toThrow('stop');
    const waiting = new AbortController();
    const busy = await serve((_, res) => { res.writeHead(503, { 'retry-after': '60' }).end(); setImmediate(() => waiting.abort(new Error('stop'))); });
    await expect(client({ signal: waiting.signal, clock: systemClock }).get(busy.url)).rejects.toThrow('stop');
  });
});

describe('rate limit', () => {
  it('spaces turns evenly, and lets all pass at 0', async () => {
    const clock = fakeClock();
    const turn = rateLimit(5, clock);
    for (let index = 0; index < 4; index += 1) await turn();
    expect(clock.slept).toEqual([200, 200, 200]);
    await rateLimit(0, clock)();
    expect(() => rateLimit(-1)).toThrow(RangeError);
  });
  it('reads Retry-After as seconds and as a date', () => {
    expect(retryAfterSeconds('3')).toBe(3);
    expect(retryAfterSeconds('Thu, 01 Jan 1970 00:00:10 GMT', 4000)).toBe(6);
    expect(retryAfterSeconds('soon')).toBeUndefined();
  });
});

describe('forEachConcurrent', () => {
  it('keeps to its width, in order, stops when there is enough and after the first error', async () => {
    let [running, most] = [0, 0];
    const seen: number[] = [];
    const items = Array.from({ length: 20 }, (_, index) => index);
    const work = async (item: number): Promise<void> => {
      seen.push(item);
      most = Math.max(most, ++running);
      await new Promise(resolve => setImmediate(resolve));
      running -= 1;
    };
    expect(await forEachConcurrent(items, 3, work)).toBe(20);
    expect([most, seen]).toEqual([3, items]);
    expect(await forEachConcurrent(items, 3, async () => undefined, () => true)).toBe(0);
    let started = 0;
    await expect(forEachConcurrent(items, 2, async () => { started += 1; throw new Error(`broken ${started}`); })).rejects.toThrow('broken 1');
    expect(started).toBeLessThanOrEqual(2);
  });
});
