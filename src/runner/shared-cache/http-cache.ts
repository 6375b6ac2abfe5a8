/** A shared cache on any server that takes GET, HEAD and PUT of `/cas/<sha256>` and `/ac/<key>`: nginx, bazel-remote. */
import { Agent as HttpAgent, request as httpRequest } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { pipeline } from 'node:stream/promises';
import { RemoteTrouble } from './remote.ts';
import type { RemoteBody, RemoteName, SharedCache } from './remote.ts';
import { networkTrouble } from './network-trouble.ts';

export interface HttpCacheOptions {
  readonly url: URL;
  /** `Basic …` or `Bearer …`; null: none is sent. */
  readonly authorization: string | null;
  /** PEM of a certificate authority of one's own; null: those that Node knows. */
  readonly ca: string | null;
  /** Milliseconds without a sign of life. */
  readonly timeoutMs: number;
  readonly connections: number;
}

const noHeaders: Readonly<Record<string, string>> = {};

export function openHttpCache(options: HttpCacheOptions): SharedCache {
  const { url, authorization, timeoutMs, ca } = options;
  const secure = url.protocol === 'https:';
  const pool = { keepAlive: true, maxSockets: options.connections };
  const agent = secure ? new HttpsAgent({ ...pool, ...(ca === null ? {} : { ca }) }) : new HttpAgent(pool);
  const base = url.pathname.replace(/\/+$/, '');
  const shown = `${url.origin}${base}`;

  /** Resolves with the response's head; its body is the caller's. */
  const ask = (method: 'GET' | 'HEAD' | 'PUT', name: RemoteName, signal: AbortSignal, body?: RemoteBody): Promise<IncomingMessage> =>
    new Promise((resolve, reject) => {
      const fail = (error: unknown): void => reject(networkTrouble(error, `${method} ${shown}/${name}`));
      const request = (secure ? httpsRequest : httpRequest)({
        protocol: url.protocol, hostname: url.hostname.replace(/^\[|\]$/g, ''), port: url.port, path: `${base}/${name}`, method, agent, signal,
        headers: {
          ...(authorization === null ? {} : { authorization }),
          ...(body === undefined ? {} : { 'content-length': String(body.size), 'content-type': 'application/octet-stream' }),
        },
      });
      // Covers connecting, waiting and a body that stands still: any byte starts it anew.
      request.setTimeout(timeoutMs, () => request.destroy(new RemoteTrouble('timeout', `${method} ${shown}/${name}: nothing came for ${timeoutMs / 1000} s`)));
      request.on('error', fail);
      request.on('response', response => {
        // A refusal that comes before the whole body was sent ends the sending.
        if (body !== undefined && !request.writableEnded) request.destroy();
        resolve(response);
      });
      if (body === undefined) request.end();
      else pipeline(body.open(), request).catch(fail);
    });

  const refuse = async (response: IncomingMessage, what: string): Promise<never> => {
    await drain(response);
    const status = response.statusCode ?? 0;
    const kind = status === 401 || status === 403 || status === 407 ? 'denied' : 'server';
    throw new RemoteTrouble(kind, `${what}: the server answered ${status} ${response.statusMessage ?? ''}`.trimEnd());
  };

  /** A kept connection that the server has just closed is no failure: once more, on a new one. */
  const askTwice = async (method: 'GET' | 'HEAD', name: RemoteName, signal: AbortSignal): Promise<IncomingMessage> => {
    try {
      return await ask(method, name, signal);
    } catch (error) {
      if (signal.aborted || !(error instanceof RemoteTrouble) || error.kind !== 'cut') throw error;
      return await ask(method, name, signal);
    }
  };

  return {
    name: shown,
    async get(name, signal) {
      const response = await askTwice('GET', name, signal);
      if (response.statusCode === 404) {
        await drain(response);
        return null;
      }
      if (response.statusCode !== 200) return await refuse(response, `GET ${shown}/${name}`);
      return { size: lengthOf(response), stream: response };
    },
    plainGet: name => Promise.resolve({ url: `${url.origin}${base}/${name}`, headers: authorization === null ? noHeaders : { authorization } }),
    async head(name, signal) {
      const response = await askTwice('HEAD', name, signal);
      await drain(response);
      if (response.statusCode === 404) return null;
      if (response.statusCode !== 200) return await refuse(response, `HEAD ${shown}/${name}`);
      return { size: lengthOf(response) };
    },
    async put(name, body, { replace }, signal) {
      // The protocol has no conditions: a look before is all there is, and what is stored twice is the same.
      if (!replace && (await this.head(name, signal)) !== null) return 'exists';
      const response = await ask('PUT', name, signal, body);
      const status = response.statusCode ?? 0;
      if (status < 200 || status > 299) return await refuse(response, `PUT ${shown}/${name}`);
      await drain(response);
      return 'stored';
    },
    close: () => agent.destroy(),
  };
}

function lengthOf(response: IncomingMessage): number | null {
  const length = Number(response.headers['content-length'] ?? NaN);
  return Number.isSafeInteger(length) && length >= 0 ? length : null;
}

/** So that the connection can be used again; a long one is closed instead. */
async function drain(response: IncomingMessage): Promise<void> {
  let bytes = 0;
  try {
    for await (const chunk of response) {
      bytes += (chunk as Buffer).length;
      if (bytes > 1 << 16) break;
    }
  } catch {
    // what was asked is known from the head
  }
}
