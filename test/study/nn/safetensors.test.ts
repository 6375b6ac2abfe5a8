import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readSafeTensors, readSafeTensorShapes, SafeTensorsError, writeSafeTensors } from '../../../src/study/nn/safetensors.ts';

const folder = mkdtempSync(join(tmpdir(), 'safetensors-'));
const tensors = new Map([
  ['b', { shape: [2, 3], values: Float32Array.of(1, -2, 3.5, 0, 1e-30, Infinity) }],
  ['a', { shape: [], values: Float32Array.of(7) }],
  ['empty', { shape: [0, 4], values: new Float32Array(0) }],
]);

describe('safetensors', () => {
  it('gives back what was written', async () => {
    const path = join(folder, 'whole.safetensors');
    await writeSafeTensors(path, { tensors, metadata: { format: 'pt', note: 'ärzte' } });
    const read = await readSafeTensors(path);
    expect(read.metadata).toEqual({ format: 'pt', note: 'ärzte' });
    expect(Object.fromEntries(read.tensors)).toEqual(Object.fromEntries(tensors));
  });

  it('has the layout of the format: length, JSON, values from a multiple of eight', async () => {
    const path = join(folder, 'layout.safetensors');
    await writeSafeTensors(path, { tensors, metadata: {} });
    const bytes = readFileSync(path);
    const length = Number(bytes.readBigUInt64LE(0));
    expect((8 + length) % 8).toBe(0);
    const header = JSON.parse(bytes.toString('utf8', 8, 8 + length)) as Record<string, { data_offsets: number[] }>;
    expect(Object.keys(header)).toEqual(['a', 'b', 'empty']);
    expect(header['b']).toEqual({ dtype: 'F32', shape: [2, 3], data_offsets: [4, 28] });
    expect(bytes.length).toBe(8 + length + 28);
    expect(bytes.readFloatLE(8 + length)).toBe(7);
  });

  it('tells shapes from the header alone', async () => {
    const path = join(folder, 'header.safetensors');
    await writeSafeTensors(path, { tensors, metadata: { format: 'pt' } });
    const bytes = readFileSync(path);
    // No values at all.
    writeFileSync(path, bytes.subarray(0, 8 + Number(bytes.readBigUInt64LE(0))));
    expect(Object.fromEntries(await readSafeTensorShapes(path))).toEqual({ a: { shape: [] }, b: { shape: [2, 3] }, empty: { shape: [0, 4] } });
    await expect(readSafeTensors(path)).rejects.toThrow(/are cut short/);
    writeFileSync(path, bytes.subarray(0, 20));
    await expect(readSafeTensorShapes(path)).rejects.toThrow(/header of \d+ bytes is cut short/);
    writeFileSync(path, bytes.subarray(0, 5));
    await expect(readSafeTensorShapes(path)).rejects.toThrow(/too short/);
  });

  it('names the file and what is wrong with it', async () => {
    const whole = join(folder, 'source.safetensors');
    await writeSafeTensors(whole, { tensors, metadata: {} });
    const bytes = readFileSync(whole);
    const broken = async (name: string, content: Buffer): Promise<unknown> => {
      const path = join(folder, name);
      writeFileSync(path, content);
      return readSafeTensors(path).catch((error: unknown) => error);
    };
    const cut = await broken('cut', bytes.subarray(0, bytes.length - 4));
    expect(cut).toBeInstanceOf(SafeTensorsError);
    expect(String(cut)).toMatch(/cut: the values of "b" are cut short/);
    expect(String(await broken('short', bytes.subarray(0, 5)))).toMatch(/too short/);
    expect(String(await broken('header', bytes.subarray(0, 20)))).toMatch(/header of \d+ bytes is cut short/);
    expect(String(await broken('text', Buffer.concat([Buffer.from([4, 0, 0, 0, 0, 0, 0, 0]), Buffer.from('oops')])))).toMatch(/not JSON/);
    const half = Buffer.from(JSON.stringify({ x: { dtype: 'F8_E4M3', shape: [2], data_offsets: [0, 2] } }));
    const head = Buffer.alloc(8);
    head.writeBigUInt64LE(BigInt(half.length));
    expect(String(await broken('half', Buffer.concat([head, half, Buffer.alloc(2)])))).toMatch(/"x" is F8_E4M3/);
    await expect(
      writeSafeTensors(whole, { tensors: new Map([['x', { shape: [2], values: new Float32Array(3) }]]), metadata: {} }),
    ).rejects.toThrow(/"x" has 3 values for the shape \[2\]/);
  });
});
