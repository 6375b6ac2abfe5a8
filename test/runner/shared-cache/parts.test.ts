/** What comes from outside, before anything of it reaches the disk. */
import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { buffer } from 'node:stream/consumers';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readContents } from '../../../src/runner/shared-cache/contents.ts';
import { decodeRecord, encodeRecord, recordName } from '../../../src/runner/shared-cache/record.ts';
import type { SharedRecord } from '../../../src/runner/shared-cache/record.ts';
import { BadEntry } from '../../../src/runner/shared-cache/remote.ts';
import { generateSigningKey, parseSigningKey } from '../../../src/runner/shared-cache/signing-key.ts';
import { Compress, compressFrame, Decompress, frameAt } from '../../../src/runner/shared-cache/zstd.ts';
import type { Key } from '../../../src/runner/store/model.ts';

const hex = (digit: string): string => digit.repeat(64);
const piece = (paths: readonly string[]): object => ({
  stored: hex('a'), storedSize: paths.length, encoding: 'identity', size: paths.length, files: paths.map(path => ({ path, executable: false, size: 1, digest: hex('b') })),
});

describe('lists of files', () => {
  const bad: readonly [string, object][] = [
    ['an absolute path', { folders: [], links: [], pieces: [piece(['/etc/passwd'])] }],
    ['a path upwards', { folders: ['a'], links: [], pieces: [piece(['a/../../x'])] }],
    ['an empty part', { folders: ['a'], links: [], pieces: [piece(['a//x'])] }],
    ['a NUL', { folders: [], links: [], pieces: [piece(['x\0y'])] }],
    ['a file in no folder', { folders: [], links: [], pieces: [piece(['a/x'])] }],
    ['a file through a link', { folders: [], links: [{ path: 'a', target: 'b' }], pieces: [piece(['a/x'])] }],
    ['a link and a folder at one path', { folders: ['a'], links: [{ path: 'a', target: 'b' }], pieces: [] }],
    ['one file twice', { folders: [], links: [], pieces: [piece(['x']), piece(['x'])] }],
    ['an absolute link', { folders: [], links: [{ path: 'a', target: '/etc' }], pieces: [] }],
    ['a link out of the folder', { folders: ['d'], links: [{ path: 'd/a', target: '../../x' }], pieces: [] }],
    ['a link that leaves and comes back', { folders: [], links: [{ path: 'a', target: '../own/x' }], pieces: [] }],
    ['a folder upwards', { folders: ['..'], links: [], pieces: [] }],
    ['a negative size', { folders: [], links: [], pieces: [{ ...piece(['x']), size: -1 }] }],
    ['a piece that is not the sum of its files', { folders: [], links: [], pieces: [{ ...piece(['x']), size: 5, storedSize: 5 }] }],
    ['no list', { folders: [], links: [] }],
  ];
  test.each(bad)('%s is refused', (_name, contents) => {
    expect(() => readContents(contents as never)).toThrow(BadEntry);
  });

  test('what folders can hold is taken', () => {
    const contents = { folders: ['a', 'a/b', '\u00c3\u00a4'], links: [{ path: 'a/b/l', target: '../x' }], pieces: [piece(['a/x', 'a/b/y', 'z..'])] };
    expect(readContents(contents as never)).toEqual(contents);
  });
});

describe('zstd', () => {
  test('gives back what went in, however it is cut', async () => {
    await fc.assert(fc.asyncProperty(fc.integer({ min: 0, max: 2_500_000 }), fc.integer({ min: 3000, max: 400_000 }), fc.boolean(), async (size, cut, random) => {
      const data = random ? randomBytes(size) : Buffer.alloc(size, 'text and more text ');
      const pieces = (bytes: Buffer): Buffer[] => Array.from({ length: Math.ceil(bytes.length / cut) }, (_, i) => bytes.subarray(i * cut, (i + 1) * cut));
      const packed = await buffer(Readable.from(pieces(data)).pipe(new Compress()));
      expect((await buffer(Readable.from(pieces(packed)).pipe(new Decompress()))).equals(data)).toBe(true);
    }), { numRuns: 8 });
  });

  const unpack = async (bytes: Buffer): Promise<void> => await pipeline(Readable.from([bytes]), new Decompress(), async function* (content: AsyncIterable<Buffer>) {
    for await (const chunk of content) yield chunk.length;
  }, async sizes => { for await (const _ of sizes); });

  test('what is cut off, altered or something else is refused', async () => {
    const frame = await compressFrame(Buffer.alloc(100_000, 'abc'));
    await expect(unpack(frame.subarray(0, frame.length - 1))).rejects.toThrow(BadEntry);
    await expect(unpack(Buffer.concat([frame, Buffer.from('no frame at all')]))).rejects.toThrow(BadEntry);
    await expect(unpack(Buffer.from('hello, hello, hello'))).rejects.toThrow(BadEntry);
  });

  test('a frame that says it holds more than one may is refused before it is unpacked', () => {
    const header = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 0, 0, 1, 0]);
    expect(() => frameAt(header)).toThrow(BadEntry);
  });
});

describe('records', () => {
  const { pem, publicKey } = generateSigningKey();
  const blob = { stored: hex('c'), storedSize: 3, encoding: 'identity', size: 3 } as const;
  const record: SharedRecord = {
    actionKey: hex('1') as Key, planKey: hex('2') as Key, stage: 's', cell: 's', outputs: {}, exitCode: 0, startedAt: 1, endedAt: 2, cpuSeconds: null, peakMemoryBytes: null, gpu: null,
    host: 'h', version: '1', log: null, details: blob,
  };
  const bytes = encodeRecord(record, parseSigningKey(pem, 'test'));
  const trusted = new Set([publicKey]);

  test('are read under both of their keys and no other', () => {
    for (const key of [record.actionKey, record.planKey!]) expect(decodeRecord(bytes, key, trusted).record).toEqual(record);
    expect(() => decodeRecord(bytes, hex('3') as Key, trusted)).toThrow('another key');
    expect(() => decodeRecord(bytes, record.actionKey, new Set())).toThrow('nobody here trusts');
  });

  test('a flip of any bit is found', () => {
    for (let at = 0; at < bytes.length; at++) {
      const altered = Buffer.from(bytes);
      altered[at]! ^= 1;
      let accepted: unknown = null;
      try {
        accepted = decodeRecord(altered, record.actionKey, trusted).record;
      } catch (error) {
        expect(error).toBeInstanceOf(BadEntry);
      }
      // White space around, or unused bits of base64, change nothing.
      if (accepted !== null) expect(accepted).toEqual(record);
    }
  });

  test('a salt makes other names', () => {
    expect(recordName(record.actionKey, '')).toBe(`ac/${record.actionKey}`);
    expect(recordName(record.actionKey, 'a')).not.toBe(recordName(record.actionKey, 'b'));
    expect(recordName(record.actionKey, 'a')).toMatch(/^ac\/[0-9a-f]{64}$/);
  });
});
