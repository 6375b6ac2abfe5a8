/** `pipe.cache.yaml` and the environment → how to reach a shared cache, and whom to believe. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { isAlias, isMap, isScalar, isSeq, parseDocument } from 'yaml';
import type { Document, YAMLMap } from 'yaml';
import { PipeError } from '../diagnostic.ts';
import { suggestion } from '../pipeline/suggest.ts';
import { durationExample, parseDuration } from '../pipeline/units.ts';
import { findCacheFile, signingKeyFile, urlVariable } from './config-file.ts';
import type { Variables } from './config-file.ts';
import { parsePublicKey, parseSigningKey } from './signing-key.ts';
import type { PublicKeyText, SigningKey } from './signing-key.ts';

export interface TrustedKey {
  readonly name: string;
  readonly key: PublicKeyText;
}

export interface SharedCacheConfig {
  /** Without credentials. */
  readonly url: URL;
  /** The file that says so; null when only the environment does. */
  readonly file: string | null;
  readonly write: boolean;
  readonly salt: string;
  /** Of other people; this user's own key is trusted besides. */
  readonly trusted: readonly TrustedKey[];
  readonly signing: SigningKey | null;
  readonly timeoutMs: number;
  readonly authorization: string | null;
  readonly ca: string | null;
  readonly s3: {
    readonly endpoint: string | null;
    readonly region: string;
    readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string; readonly sessionToken?: string } | null;
  };
}

const settings = ['url', 'write', 'salt', 'trusted', 'timeout', 'endpoint', 'region', 'ca'] as const;
type Setting = (typeof settings)[number];

/** Null when there is no shared cache, or it is switched off. Throws PipeError (exit 2) that names the place of a mistake. */
export function loadSharedCacheConfig(root: string, env: Variables): SharedCacheConfig | null {
  const fromEnv = env[urlVariable] === '' ? undefined : env[urlVariable];
  if (fromEnv === 'off') return null;
  const file = findCacheFile(root, env);
  if (file === null && fromEnv === undefined) return null;
  const read = file === null ? null : readConfigFile(file);
  const text = fromEnv ?? read?.text('url') ?? null;
  if (text === null) return null; // a file that lists trusted keys alone: the address comes from each one's environment
  const url = parseUrl(text, fromEnv === undefined ? (read?.where('url') ?? '') : urlVariable);
  if (fromEnv === undefined && (url.username !== '' || url.password !== '')) {
    throw mistake(read?.where('url') ?? '', 'a password does not belong in a file', `give it in PIPE_REMOTE_CACHE_USER and PIPE_REMOTE_CACHE_PASSWORD`);
  }
  const ca = read?.text('ca') ?? null;
  const authorization = authorizationOf(url, env);
  url.username = '';
  url.password = '';
  return {
    url, file, authorization,
    write: env['PIPE_REMOTE_CACHE_WRITE'] === '1' || (read?.flag('write') ?? false),
    salt: read?.text('salt') ?? '',
    trusted: read?.trusted() ?? [],
    signing: loadSigningKey(env),
    timeoutMs: read?.duration('timeout') ?? 10_000,
    ca: ca === null || file === null ? null : readCa(resolve(dirname(file), ca), read?.where('ca') ?? ''),
    s3: {
      endpoint: endpointOf(read, env),
      region: read?.text('region') ?? env['AWS_REGION'] ?? env['AWS_DEFAULT_REGION'] ?? 'us-east-1',
      credentials: s3Credentials(env),
    },
  };
}

/** Of the file alone, whether or not it names a cache. */
export function readTrustedKeys(root: string, env: Variables): readonly TrustedKey[] {
  const file = findCacheFile(root, env);
  return file === null ? [] : readConfigFile(file).trusted();
}

/** `PIPE_REMOTE_CACHE_KEY` (the PEM itself, or a file that holds it), else the user's own key; null without either. */
export function loadSigningKey(env: Variables): SigningKey | null {
  const given = env['PIPE_REMOTE_CACHE_KEY'];
  if (given !== undefined && given !== '') {
    if (given.includes('-----BEGIN')) return parseSigningKey(given, 'what PIPE_REMOTE_CACHE_KEY holds');
    if (!existsSync(given)) throw mistake('PIPE_REMOTE_CACHE_KEY', 'there is no such file, and it is no key itself', '`pipe cache keys generate` makes one');
    return parseSigningKey(readFileSync(given, 'utf8'), 'the file that PIPE_REMOTE_CACHE_KEY names');
  }
  const file = signingKeyFile(env);
  return existsSync(file) ? parseSigningKey(readFileSync(file, 'utf8'), file) : null;
}

function authorizationOf(url: URL, env: Variables): string | null {
  const token = env['PIPE_REMOTE_CACHE_TOKEN'];
  if (token !== undefined && token !== '') return `Bearer ${token}`;
  const user = env['PIPE_REMOTE_CACHE_USER'] ?? decodeURIComponent(url.username);
  const password = env['PIPE_REMOTE_CACHE_PASSWORD'] ?? decodeURIComponent(url.password);
  return user === '' && password === '' ? null : `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
}

function s3Credentials(env: Variables): SharedCacheConfig['s3']['credentials'] {
  const accessKeyId = env['AWS_ACCESS_KEY_ID'] ?? '';
  const secretAccessKey = env['AWS_SECRET_ACCESS_KEY'] ?? '';
  if (accessKeyId === '' || secretAccessKey === '') return null;
  const sessionToken = env['AWS_SESSION_TOKEN'];
  return { accessKeyId, secretAccessKey, ...(sessionToken === undefined || sessionToken === '' ? {} : { sessionToken }) };
}

/** Where S3 is spoken if not at Amazon's. A password in it would be shown in every message. */
function endpointOf(read: ConfigFile | null, env: Variables): string | null {
  const given = read?.text('endpoint') ?? null;
  const variable = env['AWS_ENDPOINT_URL_S3'] === undefined ? 'AWS_ENDPOINT_URL' : 'AWS_ENDPOINT_URL_S3';
  const text = given ?? env[variable] ?? '';
  if (text === '') return null;
  const where = given === null ? variable : (read?.where('endpoint') ?? '');
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || !['http:', 'https:'].includes(url.protocol)) throw mistake(where, 'this is no address of an S3 server', 'https://HOST or http://HOST:PORT');
  if (url.username !== '' || url.password !== '') throw mistake(where, 'a password does not belong into an address', 'give it in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY');
  return text;
}

function parseUrl(text: string, where: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || !['http:', 'https:', 's3:'].includes(url.protocol) || url.hostname === '' || url.search !== '' || url.hash !== '') {
    // What was given may hold a password: it is not repeated.
    throw mistake(where, 'this is no address of a shared cache', 'https://HOST/PATH, http://HOST/PATH or s3://BUCKET/PREFIX');
  }
  return url;
}

function readCa(path: string, where: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw mistake(where, `${path} cannot be read: ${error instanceof Error ? error.message : String(error)}`, null);
  }
}

class ConfigFile {
  readonly #file: string;
  readonly #text: string;
  readonly #map: YAMLMap;

  constructor(file: string, text: string, document: Document) {
    this.#file = file;
    this.#text = text;
    const { contents } = document;
    if (!isMap(contents)) throw mistake(`${file}:1`, 'a shared cache is described by settings such as `url:`', null);
    this.#map = contents;
    for (const { key } of contents.items) {
      const name = isScalar(key) ? String(key.value) : '';
      if (!(settings as readonly string[]).includes(name)) {
        throw mistake(this.#place(rangeOf(key)), `there is no setting ${name}`, suggestion(name, settings, 'there are'));
      }
    }
  }

  where(name: Setting): string {
    return this.#place(rangeOf(this.#node(name)));
  }

  text(name: Setting): string | null {
    const value = this.#scalar(name);
    if (value === null) return null;
    if (typeof value !== 'string' || value === '') throw mistake(this.where(name), `${name} has to be a text`, null);
    return value;
  }

  flag(name: Setting): boolean | null {
    const value = this.#scalar(name);
    if (value !== null && typeof value !== 'boolean') throw mistake(this.where(name), `${name} is true or false`, null);
    return value;
  }

  duration(name: Setting): number | null {
    const value = this.#scalar(name);
    if (value === null) return null;
    const ms = typeof value === 'string' || typeof value === 'number' ? parseDuration(value) : null;
    if (ms === null || ms === 0) throw mistake(this.where(name), `${name} has to be ${durationExample}`, null);
    return ms;
  }

  /** Entries of `trusted`: a name and a key each. */
  trusted(): TrustedKey[] {
    const node = this.#node('trusted');
    if (node === undefined || (isScalar(node) && node.value === null)) return [];
    if (!isMap(node)) throw mistake(this.where('trusted'), 'trusted lists keys by the names of their owners', 'ci: ed25519:…');
    return node.items.map(({ key: name, value }) => {
      const key = isScalar(value) && typeof value.value === 'string' ? parsePublicKey(value.value) : null;
      if (!isScalar(name) || key === null) {
        throw mistake(this.#place(rangeOf(value) ?? rangeOf(name)), 'this is no public key', '`pipe cache keys list` prints one: ed25519: and 44 letters');
      }
      return { name: String(name.value), key };
    });
  }

  #scalar(name: Setting): string | number | boolean | null {
    const node = this.#node(name);
    if (node === undefined) return null;
    const value = isScalar(node) ? node.value : undefined;
    if (value === null || typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return value;
    throw mistake(this.where(name), `${name} is one value`, null);
  }

  #node(name: Setting): unknown {
    return this.#map.items.find(({ key }) => isScalar(key) && key.value === name)?.value ?? undefined;
  }

  #place(range: number | null): string {
    if (range === null) return this.#file;
    const before = this.#text.slice(0, range).split('\n');
    return `${this.#file}:${before.length}:${(before.at(-1)?.length ?? 0) + 1}`;
  }
}

function readConfigFile(file: string): ConfigFile {
  const text = readFileSync(file, 'utf8');
  const document = parseDocument(text, { version: '1.2', prettyErrors: false });
  const error = document.errors[0];
  if (error !== undefined) throw mistake(`${file}:${text.slice(0, error.pos[0]).split('\n').length}`, error.message, null);
  return new ConfigFile(file, text, document);
}

function rangeOf(node: unknown): number | null {
  return isScalar(node) || isMap(node) || isSeq(node) || isAlias(node) ? (node.range?.[0] ?? null) : null;
}

function mistake(where: string, message: string, hint: string | null): PipeError {
  return new PipeError(`${where}: ${message}`, { exitCode: 2, code: 'invalid-shared-cache', hint });
}
