/** Large blobs straight from the socket: only what is plain is taken so, and all of it is checked. */
import { createHash, randomBytes } from 'node:crypto';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { downloadPiece, isWorthDirect } from '../../../src/runner/shared-cache/blob-download.ts';
import type { Piece } from '../../../src/runner/shared-cache/contents.ts';
import { DirectGets } from '../../../src/runner/shared-cache/direct-get.ts';
import { openHttpCache } from '../../../src/runner/shared-cache/http-cache.ts';
import { PieceWriter } from '../../../src/runner/shared-cache/piece-writer.ts';
import { BadEntry } from '../../../src/runner/shared-cache/remote.ts';
import type { SharedCache } from '../../../src/runner/shared-cache/remote.ts';

const digestOf = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
const content = randomBytes(3_000_001);
const pieceOf = (bytes: Buffer): Piece => {
  const digest = digestOf(bytes);
  return { stored: digest, storedSize: bytes.length, encoding: 'identity', size: bytes.length, files: [{ path: 'f', executable: false, size: bytes.length, digest }] };
};

describe('large blobs straight from the socket', () => {
  let answer: (request: IncomingMessage, response: ServerResponse) => void;
  let connections: number;
  let requests: number;
  const server = createServer((request, response) => {
    requests++;
    answer(request, response);
  }).on('connection', () => connections++);
  let cache: SharedCache;
  let gets: DirectGets;
  let folder: string;
  const timeoutMs = 400;
  const whole = (_request: IncomingMessage, response: ServerResponse): void => void response.writeHead(200, { 'content-length': content.length }).end(content);

  beforeEach(async () => {
    connections = requests = 0;
    await new Promise<void>(resolve => void server.listen(0, '127.0.0.1', resolve));
    const url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/base/`);
    cache = openHttpCache({ url, authorization: 'Bearer t0ken', ca: null, timeoutMs, connections: 4 });
    gets = new DirectGets({ ca: null, timeoutMs });
    folder = mkdtempSync(join(tmpdir(), 'pipe-direct-'));
  });
  afterEach(async () => {
    cache.close();
    gets.close();
    rmSync(folder, { recursive: true });
    server.closeAllConnections();
    await new Promise(resolve => server.close(resolve));
  });

  /** How often the ordinary client was asked, and what came. */
  async function download(piece: Piece = pieceOf(content), name = 'f'): Promise<{ readonly ordinary: number; readonly bytes: Buffer }> {
    let ordinary = 0;
    const asked = (): SharedCache => {
      ordinary++;
      return cache;
    };
    const path = join(folder, name);
    await downloadPiece({ cache: asked, gets, request: await cache.plainGet(`cas/${piece.stored}`) }, piece, new PieceWriter(piece, () => path), { timeoutMs, signal: null });
    return { ordinary, bytes: readFileSync(path) };
  }

  test('come whole, with the password, one after the other over one connection', async () => {
    const seen: unknown[] = [];
    answer = (request, response) => {
      seen.push(request.url, request.headers.authorization);
      whole(request, response);
    };
    for (const name of ['a', 'b', 'c']) {
      const { ordinary, bytes } = await download(pieceOf(content), name);
      expect(bytes.equals(content)).toBe(true);
      expect(ordinary).toBe(0);
    }
    expect(connections).toBe(1);
    expect(seen.slice(-2)).toEqual([`/base/cas/${digestOf(content)}`, 'Bearer t0ken']);
  });

  test('come whole however the server cuts them', async () => {
    answer = (_request, response) => {
      response.writeHead(200, { 'content-length': content.length });
      void (async () => {
        for (let at = 0; at < content.length; at += 700_001) {
          response.write(content.subarray(at, at + 700_001));
          await new Promise(setImmediate);
        }
        response.end();
      })();
    };
    expect((await download()).bytes.equals(content)).toBe(true);
  });

  test('an answer without a length is left to the ordinary client, and so is a refusal', async () => {
    answer = (_request, response) => void response.writeHead(200).end(content);
    const { ordinary, bytes } = await download();
    expect(ordinary).toBe(1);
    expect(bytes.equals(content)).toBe(true);
    answer = (_request, response) => void response.writeHead(404).end();
    await expect(download(pieceOf(content), 'g')).rejects.toThrow('is not there');
    answer = (_request, response) => void response.writeHead(403).end();
    await expect(download(pieceOf(content), 'h')).rejects.toMatchObject({ kind: 'denied' });
  });

  test('other bytes, fewer and more are refused', async () => {
    const other = Buffer.from(content);
    other[2_000_000]! ^= 1;
    answer = (_request, response) => void response.writeHead(200, { 'content-length': other.length }).end(other);
    const failure = await download().catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(BadEntry);
    expect(failure).toMatchObject({ stored: digestOf(content) });
    answer = (_request, response) => void response.writeHead(200, { 'content-length': 5 }).end('hello');
    await expect(download(pieceOf(content), 'g')).rejects.toThrow('has 5 bytes and should have 3000001');
    answer = (_request, response) => void response.writeHead(200, { 'content-length': content.length }).write(content.subarray(0, 1_500_000), () => response.destroy());
    await expect(download(pieceOf(content), 'h')).rejects.toMatchObject({ kind: 'cut' });
  });

  test('a server that stands still is given up, and one whose bytes cannot be written as fast is not', async () => {
    answer = (_request, response) => void response.writeHead(200, { 'content-length': content.length }).write(content.subarray(0, 1_500_000));
    await expect(download()).rejects.toMatchObject({ kind: 'timeout' });
    answer = whole;
    let came = 0;
    const { url, headers } = await cache.plainGet(`cas/${digestOf(content)}`);
    expect(await gets.get({ url, headers }, content.length, async bytes => {
      if (came === 0) await wait(3 * timeoutMs);
      came += bytes.length;
    }, AbortSignal.timeout(20_000))).toBe(true);
    expect(came).toBe(content.length);
  });

  test('a kept connection that the server has closed is made anew', async () => {
    answer = whole;
    await download();
    server.closeAllConnections();
    expect((await download(pieceOf(content), 'g')).ordinary).toBe(0);
    expect([connections, requests]).toEqual([2, 2]);
    answer = (request, response) => {
      response.setHeader('connection', 'close');
      whole(request, response);
    };
    await download(pieceOf(content), 'h');
    answer = whole;
    await download(pieceOf(content), 'i');
    expect(connections).toBe(3);
  });

  test('small ones and compressed ones do not go that way', () => {
    expect(isWorthDirect(pieceOf(content))).toBe(true);
    expect(isWorthDirect({ ...pieceOf(content), encoding: 'zstd' })).toBe(false);
    expect(isWorthDirect(pieceOf(Buffer.alloc(1000)))).toBe(false);
  });
});

const openssl = spawnSync('openssl', ['version']).status === 0;
describe.skipIf(!openssl)(`over TLS${openssl ? '' : ' (no openssl here)'}`, () => {
  test('what is still read is never overwritten, however slowly it is read', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'pipe-direct-tls-'));
    const [key, cert] = [join(folder, 'key'), join(folder, 'cert')];
    execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1', '-keyout', key, '-out', cert], { stdio: 'ignore' });
    const large = randomBytes(12_000_000);
    const server = createSecureServer({ key: readFileSync(key), cert: readFileSync(cert) }, (_request, response) => void response.writeHead(200, { 'content-length': large.length }).end(large));
    await new Promise<void>(resolve => void server.listen(0, resolve));
    const url = `https://localhost:${(server.address() as AddressInfo).port}/cas/x`;
    const ca = readFileSync(cert, 'utf8');
    const gets = new DirectGets({ ca, timeoutMs: 5000 });
    const strict = new DirectGets({ ca: null, timeoutMs: 5000 });
    try {
      const parts: Buffer[] = [];
      expect(await gets.get({ url, headers: {} }, large.length, async bytes => {
        // As long as the server needs to fill whatever there is.
        await wait(20);
        parts.push(Buffer.from(bytes));
      }, AbortSignal.timeout(20_000))).toBe(true);
      expect(Buffer.concat(parts).equals(large)).toBe(true);
      await expect(strict.get({ url, headers: {} }, large.length, () => Promise.resolve(), AbortSignal.timeout(20_000))).rejects.toThrow('self-signed');
    } finally {
      gets.close();
      strict.close();
      server.closeAllConnections();
      await new Promise(resolve => server.close(resolve));
      rmSync(folder, { recursive: true });
    }
  });
});
