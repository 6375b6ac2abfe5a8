import { mkdtemp, readFile, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { clipTokens, mapTokens, remapVocabulary } from '../../../src/study/text/remap.ts';
import { tokenRows } from '../../../src/study/text/rows.ts';
import { tokenStatistics } from '../../../src/study/text/statistics.ts';
import { openTokens, writeTokens } from '../../../src/study/text/token-file.ts';

const folder = (): Promise<string> => mkdtemp(join(tmpdir(), 'tokens-'));

describe('a remapped vocabulary', () => {
  const captions = [
    [5, 5, 7, 9],
    [7, 5, 9, 11],
    [3, 3],
  ];

  it('keeps tokens seen twice, the most frequent first, ties by id', () => {
    expect(remapVocabulary(captions, 100)).toEqual({
      size: 8,
      pad: 0,
      unknown: 1,
      start: 6,
      end: 7,
      mapping: [-1, -1, 5, 3, 7, 9, -1, -1],
    });
    expect(remapVocabulary(captions, 6).mapping).toEqual([-1, -1, 5, 3, -1, -1]);
    expect(remapVocabulary(captions, 100, 1).mapping).toContain(11);
  });

  it('maps what it has not kept to unknown', () => {
    const map = mapTokens(remapVocabulary(captions, 6));
    expect([...map([5, 7, 3, 11])]).toEqual([2, 1, 3, 1]);
    expect([...mapTokens(clipTokens)([5, 7])]).toEqual([5, 7]);
  });

  it('needs room for a token', () => expect(() => remapVocabulary(captions, 4)).toThrow(/no room/));
});

describe('token rows', () => {
  it('hold start, tokens, end and padding; a long caption ends with the end token', () => {
    const { ids, lengths } = tokenRows([[5, 6], [5, 6, 7, 8, 9], []], clipTokens, 5);
    expect([...ids]).toEqual([49406, 5, 6, 49407, 0, 49406, 5, 6, 7, 49407, 49406, 49407, 0, 0, 0]);
    expect([...lengths]).toEqual([4, 5, 2]);
  });

  it('refuse by name', () => {
    expect(() => tokenRows([[1, 2, 3, 4]], clipTokens, 5, 'refuse', ['ROCO_7'])).toThrow('ROCO_7 has 6 tokens');
    expect(() => tokenRows([[1]], clipTokens, 2)).toThrow(RangeError);
  });

  it('come back from disk as they were, little-endian', async () => {
    const at = await folder();
    const vocabulary = remapVocabulary([[5, 5, 7, 7]], 50);
    const rows = tokenRows([[2], [3, 2]], vocabulary, 6);
    await writeTokens(at, rows, vocabulary, 6);
    const opened = await openTokens(at);
    expect(opened).toMatchObject({ count: 2, context: 6, vocabulary: 6, pad: 0, start: 4, end: 5, unknown: 1 });
    expect(opened.mapping).toEqual([-1, -1, 5, 7, -1, -1]);
    expect([...opened.ids]).toEqual([...rows.ids]);
    expect([...opened.lengths]).toEqual([3, 4]);
    expect([...(await readFile(join(at, 'ids.bin'))).subarray(0, 8)]).toEqual([4, 0, 0, 0, 2, 0, 0, 0]);
  });

  it('are refused when damaged, by file name', async () => {
    const at = await folder();
    const write = (): Promise<void> => writeTokens(at, tokenRows([[2], [3, 2]], clipTokens, 6), clipTokens, 6);
    await expect(openTokens(at)).rejects.toThrow(/tokens\.json cannot be read/);
    await write();
    await truncate(join(at, 'ids.bin'), 40);
    await expect(openTokens(at)).rejects.toThrow(/ids\.bin has 40 bytes.*48/);
    await write();
    await writeFile(join(at, 'lengths.bin'), Buffer.from([3, 0, 9, 0]));
    await expect(openTokens(at)).rejects.toThrow(/row 1 has 9 tokens of 6/);
    await write();
    await writeFile(join(at, 'ids.bin'), Buffer.alloc(48, 0x7f));
    await expect(openTokens(at)).rejects.toThrow(/row 0 is not below 49408/);
    await writeFile(join(at, 'tokens.json'), '{"count":2.5}');
    await expect(openTokens(at)).rejects.toThrow(/count is 2.5/);
    await writeFile(join(at, 'tokens.json'), '{"cou');
    await expect(openTokens(at)).rejects.toThrow(/not JSON/);
  });
});

describe('token statistics', () => {
  it('count truncation with start and end', () => {
    const metrics = new Map(tokenStatistics([14, 15, 30, 1], '_x').map(({ metric, value }) => [metric, value]));
    expect(metrics.get('captions_x')).toBe(4);
    expect(metrics.get('tokens_mean_x')).toBe(15);
    expect(metrics.get('tokens_p50_x')).toBe(14);
    expect(metrics.get('tokens_max_x')).toBe(30);
    expect(metrics.get('truncated_at_16_x')).toBe(0.5);
    expect(metrics.get('tokens_kept_at_16_x')).toBe((14 + 14 + 14 + 1) / 60);
    expect(metrics.get('truncated_at_32_x')).toBe(0);
    expect(tokenStatistics([])).toEqual([{ metric: 'captions', value: 0 }]);
  });
});
