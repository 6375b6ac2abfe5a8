import { describe, expect, it } from 'vitest';
import { decodeSquare } from '../../../src/study/data/decode-image.ts';

/** One element in explicit little-endian form. */
function element(group: number, number: number, vr: string, value: Buffer | string): Buffer {
  const bytes = Buffer.from(value);
  const even = bytes.length % 2 === 0 ? bytes : Buffer.concat([bytes, Buffer.from([vr === 'UI' ? 0 : 0x20])]);
  const long = vr === 'OB' || vr === 'OW';
  const head = Buffer.alloc(long ? 12 : 8);
  head.writeUInt16LE(group, 0);
  head.writeUInt16LE(number, 2);
  head.write(vr, 4, 'latin1');
  if (long) head.writeUInt32LE(even.length, 8);
  else head.writeUInt16LE(even.length, 6);
  return Buffer.concat([head, even]);
}

const short = (value: number): Buffer => Buffer.from([value & 255, value >> 8]);

/** A file of 16-bit grey values: `window` is centre and width. */
function dicom(width: number, height: number, values: readonly number[], window: readonly [number, number], inverted = false): Buffer {
  const pixels = Buffer.alloc(width * height * 2);
  values.forEach((value, index) => pixels.writeUInt16LE(value, index * 2));
  const syntax = element(2, 0x10, 'UI', '1.2.840.10008.1.2.1');
  const length = Buffer.alloc(4);
  length.writeUInt32LE(syntax.length);
  return Buffer.concat([
    Buffer.alloc(128), Buffer.from('DICM'), element(2, 0, 'UL', length), syntax,
    element(0x28, 2, 'US', short(1)), element(0x28, 4, 'CS', inverted ? 'MONOCHROME1' : 'MONOCHROME2'), element(0x28, 0x10, 'US', short(height)), element(0x28, 0x11, 'US', short(width)),
    element(0x28, 0x100, 'US', short(16)), element(0x28, 0x101, 'US', short(16)), element(0x28, 0x102, 'US', short(15)), element(0x28, 0x103, 'US', short(0)),
    element(0x28, 0x1050, 'DS', String(window[0])), element(0x28, 0x1051, 'DS', String(window[1])), element(0x7fe0, 0x10, 'OW', pixels),
  ]);
}

describe('DICOM', () => {
  const values = Array.from({ length: 64 }, (_, index) => (index % 8 < 4 ? 1000 : 3000));
  it('is shown by its own window, inverted where it says so', async () => {
    const shown = await decodeSquare({ bytes: dicom(8, 8, values, [2000, 1000]) }, 8, 'pad');
    expect([shown[0], shown[7 * 3], shown[7 * 3 + 1], shown[7 * 3 + 2]]).toEqual([0, 255, 255, 255]);
    const grey = await decodeSquare({ bytes: dicom(8, 8, values, [2000, 4000]) }, 8, 'pad');
    expect(grey[0]).toBeGreaterThan(50);
    expect(grey[0]).toBeLessThan(80);
    const inverted = await decodeSquare({ bytes: dicom(8, 8, values, [2000, 1000], true) }, 8, 'pad');
    expect([inverted[0], inverted[7 * 3]]).toEqual([255, 0]);
  });
  it('is refused where it is cut off or holds no image', async () => {
    const whole = dicom(8, 8, values, [2000, 1000]);
    await expect(decodeSquare({ bytes: whole.subarray(0, whole.length - 10) }, 8, 'pad')).rejects.toThrow('DICOM: its pixels are cut off');
    await expect(decodeSquare({ bytes: whole.subarray(0, 140) }, 8, 'pad')).rejects.toThrow(/^DICOM: /);
  });
});
