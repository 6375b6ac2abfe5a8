import { describe, expect, it } from 'vitest';
import { trainBytePairs } from '../../../src/study/text/train-byte-pairs.ts';

const byte = (character: string): number => character.charCodeAt(0);

describe('byte pairs trained on captions', () => {
  // Sennrich et al.'s example: low 5, lower 2, newest 6, widest 3.
  const captions = ['low low low low low lower lower newest newest newest', 'newest newest newest widest widest widest'];

  it('merge the most frequent pairs first', () => {
    const { merges, vocabulary } = trainBytePairs(captions, 4 + 12 + 4);
    const [e, s, t, w, o, l] = [...'estwol'].map(byte) as [number, number, number, number, number, number];
    // 9 words hold "es" and "st"; of equals the pair of smaller ids. The last byte of a word is another symbol than the same byte inside.
    expect(merges[0]).toEqual([e, s]);
    expect(merges[1]).toEqual([512, t + 256]);
    expect(merges[2]).toEqual([l, o]);
    expect(merges[3]).toEqual([e, w]);
    expect(vocabulary).toMatchObject({ size: 20, pad: 0, unknown: 1, start: 18, end: 19 });
  });

  it('encode what was seen in few ids, and what was not in bytes or as unknown', () => {
    const { encode, vocabulary } = trainBytePairs(captions, 64);
    expect(encode('newest')).toHaveLength(1);
    expect(encode('newest low')).toHaveLength(2);
    expect([...encode('slow')].every((id) => id >= 2 && id < vocabulary.start)).toBe(true);
    expect([...encode('z')]).toEqual([1]);
    expect([...encode('NEWEST')]).toEqual([...encode('newest')]);
    expect(vocabulary.size).toBeLessThan(64); // no pair is seen twice any more
  });

  it('is refused where the bytes alone do not fit', () => {
    expect(() => trainBytePairs(captions, 8)).toThrow(/no room for the \d+ bytes/);
  });
});
