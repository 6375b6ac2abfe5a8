/**
 * The `tokens` folder: `tokens.json`, `ids.bin` (int32 `[count, context]`) and `lengths.bin` (uint16 `[count]`), little-endian. For
 * reducers also `words.bin`, `classes.bin`, `sentences.bin`, `frequencies.bin` (uint16, uint8, uint8, float32 `[count, context]`) and
 * the rows of the captions' first characters, `first-ids.bin` and `first-lengths.bin`.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { endianness } from 'node:os';
import { join } from 'node:path';
import type { ReducibleTokens } from './reducible.ts';
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
  /** What reducers need; absent where the captions were cut without it. */
  readonly reducible?: ReducibleTokens;
}

/** A tokens folder that is missing a part or contradicts itself. */
export class TokenFileError extends Error {
  override readonly name = 'TokenFileError';
}

/** Writes the files into an existing folder. */
export async function writeTokens(
  folder: string,
  rows: TokenRows,
  vocabulary: TokenVocabulary,
  context: number,
  reducible?: ReducibleTokens,
): Promise<void> {
  const { size, pad, start, end, unknown, mapping } = vocabulary;
  const first = reducible === undefined ? {} : { first: { characters: reducible.first.characters, context: reducible.first.context } };
  const head = { count: rows.lengths.length, context, vocabulary: size, pad, start, end, unknown, mapping, ...first };
  await writeFile(join(folder, 'tokens.json'), `${JSON.stringify(head)}\n`);
  if (reducible !== undefined) {
    await writeFile(join(folder, 'words.bin'), littleEndian(reducible.words));
    await writeFile(join(folder, 'classes.bin'), reducible.classes);
    await writeFile(join(folder, 'sentences.bin'), reducible.sentences);
    await writeFile(join(folder, 'frequencies.bin'), littleEndian(reducible.frequencies));
    await writeFile(join(folder, 'first-ids.bin'), littleEndian(reducible.first.ids));
    await writeFile(join(folder, 'first-lengths.bin'), littleEndian(reducible.first.lengths));
  }
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
  const { first, ...about } = head;
  return { ...about, ids, lengths, ...(first === undefined ? {} : { reducible: await openReducible(folder, about, first) }) };
}

async function openReducible(folder: string, { count, context }: { count: number; context: number }, first: FirstCharacters): Promise<ReducibleTokens> {
  const size = count * context;
  return {
    words: new Uint16Array(await aligned(folder, 'words.bin', size, 2)),
    classes: new Uint8Array(await aligned(folder, 'classes.bin', size, 1)),
    sentences: new Uint8Array(await aligned(folder, 'sentences.bin', size, 1)),
    frequencies: new Float32Array(await aligned(folder, 'frequencies.bin', size, 4)),
    first: {
      ...first,
      ids: new Int32Array(await aligned(folder, 'first-ids.bin', count * first.context, 4)),
      lengths: new Uint16Array(await aligned(folder, 'first-lengths.bin', count, 2)),
    },
  };
}

interface FirstCharacters {
  readonly characters: number;
  readonly context: number;
}
type Head = Omit<TokenFile, 'ids' | 'lengths' | 'reducible'> & { readonly first?: FirstCharacters };

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
    ...firstOf(file, values.get('first')),
  };
}

function firstOf(file: string, value: unknown): { first?: FirstCharacters } {
  if (value === undefined) return {};
  const parts = new Map<string, unknown>(typeof value === 'object' && value !== null ? Object.entries(value) : []);
  const [characters, context] = [parts.get('characters'), parts.get('context')];
  if (!Number.isInteger(characters) || !Number.isInteger(context)) throw new TokenFileError(`${file}: first is ${JSON.stringify(value)}.`);
  return { first: { characters: Number(characters), context: Number(context) } };
}

async function read(folder: string, name: string): Promise<Buffer> {
  try {
    return await readFile(join(folder, name));
  } catch (cause) {
    throw new TokenFileError(`${join(folder, name)} cannot be read.`, { cause });
  }
}

async function aligned(folder: string, name: string, items: number, width: 1 | 2 | 4): Promise<ArrayBuffer> {
  const bytes = await read(folder, name);
  if (bytes.length !== items * width) {
    throw new TokenFileError(`${join(folder, name)} has ${bytes.length} bytes; tokens.json asks for ${items * width}.`);
  }
  const copy = Buffer.from(new Uint8Array(bytes).buffer);
  if (endianness() === 'BE' && width > 1) width === 4 ? copy.swap32() : copy.swap16();
  return copy.buffer.slice(copy.byteOffset, copy.byteOffset + copy.length);
}

function littleEndian(values: Int32Array | Uint16Array | Float32Array): Buffer {
  const bytes = Buffer.from(values.buffer, values.byteOffset, values.byteLength);
  if (endianness() === 'LE') return bytes;
  const swapped = Buffer.from(bytes);
  return values.BYTES_PER_ELEMENT === 4 ? swapped.swap32() : swapped.swap16();
}
