/** The `tokens` folder: `tokens.json`, `ids.bin` (int32 `[count, context]`) and `lengths.bin` (uint16 `[count]`), little-endian. */
import { readFile, writeFile } from 'node:fs/promises';
import { endianness } from 'node:os';
import { join } from 'node:path';
import type { TokenVocabulary } from './remap.ts';
import type { TokenRows } from './rows.ts';

export interface TokenFile extends TokenRows {
  readonly count: number;
  readonly context: number;
  /** Number of ids used, special ones included. */
  readonly vocabulary: number;
  readonly pad: number;
  readonly start: number;
  readonly end: number;
  readonly unknown?: number;
  /** CLIP's id of each id, −1 for special ones; absent where ids are CLIP's own. */
  readonly mapping?: readonly number[];
}

/** A tokens folder that is missing a part or contradicts itself. */
export class TokenFileError extends Error {
  override readonly name = 'TokenFileError';
}

/** Writes the three files into an existing folder. */
export async function writeTokens(folder: string, rows: TokenRows, vocabulary: TokenVocabulary, context: number): Promise<void> {
  const { size, pad, start, end, unknown, mapping } = vocabulary;
  const head = { count: rows.lengths.length, context, vocabulary: size, pad, start, end, unknown, mapping };
  await writeFile(join(folder, 'tokens.json'), `${JSON.stringify(head)}\n`);
  await writeFile(join(folder, 'ids.bin'), littleEndian(rows.ids));
  await writeFile(join(folder, 'lengths.bin'), littleEndian(rows.lengths));
}

/**
 * Reads a tokens folder whole.
 * @throws TokenFileError when a file is missing, has another size than `tokens.json` says, or holds an id or length out of range.
 */
export async function openTokens(folder: string): Promise<TokenFile> {
  const head = parseHead(folder, await read(folder, 'tokens.json'));
  const ids = new Int32Array(await aligned(folder, 'ids.bin', head.count * head.context, 4));
  const lengths = new Uint16Array(await aligned(folder, 'lengths.bin', head.count, 2));
  const wrong = ids.findIndex((id) => id < 0 || id >= head.vocabulary);
  if (wrong >= 0) {
    throw new TokenFileError(
      `${join(folder, 'ids.bin')}: id ${ids[wrong]} in row ${Math.floor(wrong / head.context)} is not below ${head.vocabulary}.`,
    );
  }
  const long = lengths.findIndex((length) => length < 2 || length > head.context);
  if (long >= 0)
    throw new TokenFileError(`${join(folder, 'lengths.bin')}: row ${long} has ${lengths[long]} tokens of ${head.context}.`);
  return { ...head, ids, lengths };
}

type Head = Omit<TokenFile, 'ids' | 'lengths'>;

function parseHead(folder: string, bytes: Buffer): Head {
  const file = join(folder, 'tokens.json');
  let head: unknown;
  try {
    head = JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    throw new TokenFileError(`${file} is not JSON.`, { cause });
  }
  const values = new Map<string, unknown>(typeof head === 'object' && head !== null ? Object.entries(head) : []);
  const whole = (name: string): number => {
    const value = values.get(name);
    if (typeof value === 'number' && Number.isInteger(value) && value >= 0) return value;
    throw new TokenFileError(`${file}: ${name} is ${JSON.stringify(value) ?? 'missing'}, not a whole number.`);
  };
  const mapping = values.get('mapping');
  if (mapping !== undefined && !(Array.isArray(mapping) && mapping.every((id) => Number.isInteger(id)))) {
    throw new TokenFileError(`${file}: mapping is not a list of whole numbers.`);
  }
  return {
    count: whole('count'),
    context: whole('context'),
    vocabulary: whole('vocabulary'),
    pad: whole('pad'),
    start: whole('start'),
    end: whole('end'),
    ...(values.has('unknown') ? { unknown: whole('unknown') } : {}),
    ...(mapping === undefined ? {} : { mapping }),
  };
}

async function read(folder: string, name: string): Promise<Buffer> {
  try {
    return await readFile(join(folder, name));
  } catch (cause) {
    throw new TokenFileError(`${join(folder, name)} cannot be read.`, { cause });
  }
}

async function aligned(folder: string, name: string, items: number, width: 2 | 4): Promise<ArrayBuffer> {
  const bytes = await read(folder, name);
  if (bytes.length !== items * width) {
    throw new TokenFileError(`${join(folder, name)} has ${bytes.length} bytes; tokens.json asks for ${items * width}.`);
  }
  const copy = Buffer.from(new Uint8Array(bytes).buffer);
  if (endianness() === 'BE') width === 4 ? copy.swap32() : copy.swap16();
  return copy.buffer.slice(copy.byteOffset, copy.byteOffset + copy.length);
}

function littleEndian(values: Int32Array | Uint16Array): Buffer {
  const bytes = Buffer.from(values.buffer, values.byteOffset, values.byteLength);
  if (endianness() === 'LE') return bytes;
  const swapped = Buffer.from(bytes);
  return values.BYTES_PER_ELEMENT === 4 ? swapped.swap32() : swapped.swap16();
}
