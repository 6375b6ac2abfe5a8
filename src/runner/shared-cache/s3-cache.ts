/** A shared cache in an S3-compatible bucket, by Amazon's client. */
import { GetObjectCommand, HeadObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { Readable } from 'node:stream';
import { networkTrouble } from './network-trouble.ts';
import { RemoteTrouble } from './remote.ts';
import type { RemoteBody, RemoteName, SharedCache } from './remote.ts';

export interface S3CacheOptions {
  readonly bucket: string;
  /** Before `cas/` and `ac/`, without slashes at its ends; may be empty. */
  readonly prefix: string;
  /** Of a server that is not Amazon's; null: Amazon's. */
  readonly endpoint: string | null;
  readonly region: string;
  /** Null: requests are not signed. */
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string; readonly sessionToken?: string } | null;
  readonly ca: string | null;
  readonly timeoutMs: number;
  readonly connections: number;
}

/** Larger ones go in parts. */
const partSize = 16 << 20;

/** The client looks for credentials although it signs nothing with them, and must not find a person's own. */
const nobody = { accessKeyId: '', secretAccessKey: '' };

export function openS3Cache(options: S3CacheOptions): SharedCache {
  const { bucket, prefix, endpoint, timeoutMs, connections, ca } = options;
  const pool = { keepAlive: true, maxSockets: connections };
  const httpsAgent = new HttpsAgent({ ...pool, ...(ca === null ? {} : { ca }) });
  const httpAgent = new HttpAgent(pool);
  const client = new S3Client({
    region: options.region,
    ...(endpoint === null ? {} : { endpoint, forcePathStyle: true }),
    ...(options.credentials === null ? { credentials: nobody, signer: { sign: request => Promise.resolve(request) } } : { credentials: options.credentials }),
    // Every byte is checked against its SHA-256 by whoever reads it.
    responseChecksumValidation: 'WHEN_REQUIRED',
    maxAttempts: 2,
    // By silence: how long a part takes on a slow line is for `deadline` to say.
    requestHandler: { connectionTimeout: timeoutMs, socketTimeout: timeoutMs, httpAgent, httpsAgent },
  });
  const shown = `s3://${bucket}${prefix === '' ? '' : `/${prefix}`}${endpoint === null ? '' : ` at ${endpoint}`}`;
  const keyOf = (name: RemoteName): string => (prefix === '' ? name : `${prefix}/${name}`);

  return {
    name: shown,
    async get(name, signal) {
      try {
        const { Body: body, ContentLength: size } = await client.send(new GetObjectCommand({ Bucket: bucket, Key: keyOf(name) }), { abortSignal: signal });
        if (!(body instanceof Readable)) throw new RemoteTrouble('server', `GET ${name}: an answer without a body`);
        return { size: size ?? null, stream: body };
      } catch (error) {
        if (statusOf(error) === 404 && !isMissingBucket(error)) return null;
        throw troubleOf(error, `GET ${shown} ${name}`);
      }
    },
    async plainGet(name) {
      const command = new GetObjectCommand({ Bucket: bucket, Key: keyOf(name) });
      // Signed as any other, and handed over instead of being sent.
      command.middlewareStack.add(() => ({ request }) => Promise.resolve({ response: request, output: { $metadata: {}, request } }), { step: 'finalizeRequest', priority: 'low', name: 'handOver' });
      try {
        const { request } = (await client.send(command)) as unknown as { readonly request: SignedRequest };
        return { url: addressOf(request), headers: request.headers };
      } catch (error) {
        throw troubleOf(error, `GET ${shown} ${name}`);
      }
    },
    async head(name, signal) {
      try {
        const { ContentLength: size } = await client.send(new HeadObjectCommand({ Bucket: bucket, Key: keyOf(name) }), { abortSignal: signal });
        return { size: size ?? null };
      } catch (error) {
        if (statusOf(error) === 404) return null;
        throw troubleOf(error, `HEAD ${shown} ${name}`);
      }
    },
    async put(name, body, { replace }, signal) {
      const target = { Bucket: bucket, Key: keyOf(name), ...(replace ? {} : { IfNoneMatch: '*' }) };
      try {
        // Asked first, so that nothing is sent in vain; the condition decides between two that come at once.
        if (!replace && (await this.head(name, signal)) !== null) return 'exists';
        if (body.size > partSize) await putInParts(client, target, body, signal);
        else await client.send(new PutObjectCommand({ ...target, Body: body.open(), ContentLength: body.size, ChecksumSHA256: base64Of(body.sha256) }), { abortSignal: signal });
        return 'stored';
      } catch (error) {
        // 409: another conditional upload of the same name is going on.
        if (!replace && (statusOf(error) === 412 || statusOf(error) === 409)) return 'exists';
        throw troubleOf(error, `PUT ${shown} ${name}`);
      }
    },
    close() {
      client.destroy();
      httpAgent.destroy();
      httpsAgent.destroy();
    },
  };
}

/** What the client makes of a command. */
interface SignedRequest {
  readonly protocol: string;
  readonly hostname: string;
  readonly port?: number;
  /** Escaped. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string | readonly string[] | null>>;
  readonly headers: Readonly<Record<string, string>>;
}

function addressOf({ protocol, hostname, port, path, query = {} }: SignedRequest): string {
  const pairs = Object.entries(query).flatMap(([name, value]) => (value === null ? [[name, '']] : [value].flat().map(item => [name, item])));
  const words = pairs.map(pair => pair.map(encodeURIComponent).join('='));
  return `${protocol}//${hostname}${port === undefined ? '' : `:${port}`}${path}${words.length === 0 ? '' : `?${words.join('&')}`}`;
}

async function putInParts(client: S3Client, target: { Bucket: string; Key: string; IfNoneMatch?: string }, body: RemoteBody, signal: AbortSignal): Promise<void> {
  const upload = new Upload({ client, params: { ...target, Body: body.open(), ChecksumAlgorithm: 'SHA256' }, partSize, queueSize: 3, leavePartsOnError: false });
  const stop = (): void => void upload.abort().catch(() => {});
  signal.addEventListener('abort', stop, { once: true });
  try {
    signal.throwIfAborted();
    await upload.done();
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

const base64Of = (hex: string): string => Buffer.from(hex, 'hex').toString('base64');

function statusOf(error: unknown): number | null {
  if (typeof error !== 'object' || error === null || !('$metadata' in error)) return null;
  return (error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode ?? null;
}

function isMissingBucket(error: unknown): boolean {
  return error instanceof Error && error.name === 'NoSuchBucket';
}

function troubleOf(error: unknown, what: string): unknown {
  if (error instanceof RemoteTrouble) return error;
  const status = statusOf(error);
  if (status === null) return networkTrouble(error, what);
  const name = error instanceof Error ? error.name : '';
  return new RemoteTrouble(status === 401 || status === 403 ? 'denied' : 'server', `${what}: the server answered ${status}${name === '' || name === String(status) ? '' : ` ${name}`}`, error);
}
