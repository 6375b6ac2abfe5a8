/** Keeps values of `env.secret` out of what is shown and stored. */
import { closeSync, existsSync, openSync, readFileSync, writeSync } from 'node:fs';
import { Transform } from 'node:stream';
import type { TransformCallback } from 'node:stream';

/** Shorter values would tear holes into ordinary text. */
const shortest = 4;
const mask = '[secret]';

export type Redact = (text: string) => string;

/** The values of the named variables that are worth hiding. Each line of a value with several is one of its own. */
export function secretValues(names: readonly string[], environment: Readonly<Record<string, string | undefined>>): string[] {
  const values = names.flatMap(name => {
    const value = environment[name];
    // As it is, line by line, and as it stands in JSON.
    return value === undefined ? [] : [value, ...value.split('\n'), JSON.stringify(value).slice(1, -1)];
  });
  return [...new Set(values.map(value => value.trim()))].filter(value => value.length >= shortest).sort((a, b) => b.length - a.length);
}

export function redactor(secrets: readonly string[]): Redact {
  if (secrets.length === 0) return text => text;
  return text => secrets.reduce((result, secret) => result.replaceAll(secret, mask), text);
}

/** Puts stars over them in a file that somebody reads by its offsets: nothing in it moves. */
export function starOut(path: string, secrets: readonly string[]): void {
  if (secrets.length === 0 || !existsSync(path)) return;
  const bytes = readFileSync(path);
  let found = false;
  for (const secret of secrets.map(text => Buffer.from(text))) {
    for (let at = bytes.indexOf(secret); at >= 0; at = bytes.indexOf(secret, at)) {
      bytes.fill('*', at, at + secret.length);
      found = true;
    }
  }
  if (!found) return;
  const descriptor = openSync(path, 'r+');
  try {
    for (let done = 0; done < bytes.length; ) done += writeSync(descriptor, bytes, done, bytes.length - done, done);
  } finally {
    closeSync(descriptor);
  }
}

/**
 * The same for a stream of bytes. A secret may lie across two chunks, so as many bytes as the longest secret has, less
 * one, wait for what follows.
 */
export class RedactStream extends Transform {
  readonly #secrets: readonly Buffer[];
  readonly #overlap: number;
  #held: Buffer = Buffer.alloc(0);

  constructor(secrets: readonly string[]) {
    super();
    this.#secrets = secrets.map(secret => Buffer.from(secret));
    this.#overlap = Math.max(0, ...this.#secrets.map(secret => secret.length - 1));
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    const clean = this.#replace(Buffer.concat([this.#held, chunk]));
    const cut = Math.max(0, clean.length - this.#overlap);
    this.#held = clean.subarray(cut);
    done(null, clean.subarray(0, cut));
  }

  override _flush(done: TransformCallback): void {
    done(null, this.#held);
  }

  #replace(bytes: Buffer): Buffer {
    let result = bytes;
    for (const secret of this.#secrets) {
      const parts: Buffer[] = [];
      let from = 0;
      for (let at = result.indexOf(secret); at >= 0; at = result.indexOf(secret, from)) {
        parts.push(result.subarray(from, at), Buffer.from(mask));
        from = at + secret.length;
      }
      if (from > 0) result = Buffer.concat([...parts, result.subarray(from)]);
    }
    return result;
  }
}
