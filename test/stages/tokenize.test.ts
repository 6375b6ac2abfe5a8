import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { stage } from '../../stages/tokenize.ts';
import { openTokens } from '../../src/study/text/token-file.ts';

async function run(
  lines: readonly string[],
  params: object,
): Promise<{ folder: string; metrics: Map<string, number>; notes: string[] }> {
  const at = await mkdtemp(join(tmpdir(), 'tokenize-'));
  const folder = join(at, 'tokens');
  await mkdir(folder);
  await writeFile(join(at, 'captions.jsonl'), lines.map((line) => `${line}\n`).join(''));
  const notes: string[] = [];
  await stage.run({
    params: stage.params.parse(params),
    inputs: { captions: join(at, 'captions.jsonl') },
    outputs: { tokens: folder, lengths: join(at, 'lengths.jsonl') },
    report: { metric: () => {}, progress: () => {}, note: (text) => void notes.push(text), platform: () => {}, resumed: () => {} },
    signal: new AbortController().signal,
    checkpoint: null,
    resources: { cpu: 1, gpus: [] },
    backend: 'auto',
    projectRoot: at,
  });
  const rows = (await readFile(join(at, 'lengths.jsonl'), 'utf8')).trim().split('\n');
  const metrics = new Map(
    rows.map((row) => JSON.parse(row) as { metric: string; value: number }).map((row) => [row.metric, row.value]),
  );
  return { folder, metrics, notes };
}

const caption = (id: string, text: string, split: string): string => JSON.stringify({ id, caption: text, split, group: id });
const captions = [
  caption('a', 'a photo of a cat', 'train'),
  caption('b', 'a photo of a dog', 'train'),
  caption('c', 'a photo of a zebra with a cat', 'test'),
];

describe('tokenize', () => {
  it("writes CLIP's ids", async () => {
    const { folder, metrics, notes } = await run(captions, { context: 8 });
    const tokens = await openTokens(folder);
    expect(tokens).toMatchObject({ count: 3, context: 8, vocabulary: 49408, start: 49406, end: 49407 });
    expect([...tokens.ids.subarray(0, 8)]).toEqual([49406, 320, 1125, 539, 320, 2368, 49407, 0]);
    expect([...tokens.lengths]).toEqual([7, 7, 8]);
    expect(tokens.ids[23]).toBe(49407);
    expect(metrics.get('captions_train')).toBe(2);
    expect(metrics.get('tokens_mean')).toBe(6);
    expect(notes[0]).toContain('33.3 % truncated at 8');
  });

  it('remaps to tokens that the training captions use twice', async () => {
    const { folder, metrics, notes } = await run(captions, { context: 10, vocabulary: 512 });
    const tokens = await openTokens(folder);
    expect(tokens.mapping).toEqual([-1, -1, 320, 539, 1125, -1, -1]);
    expect([...tokens.ids.subarray(0, 10)]).toEqual([5, 2, 4, 3, 2, 1, 6, 0, 0, 0]);
    expect(metrics.get('vocabulary')).toBe(7);
    expect(metrics.get('unknown_share')).toBeCloseTo(5 / 18);
    expect(notes[1]).toContain('only 7 ids');
  });

  it('names the line, the caption or the split that is wrong', async () => {
    await expect(run([captions[0]!, '{"id": 3}'], {})).rejects.toThrow(/captions\.jsonl:2: id is 3/);
    await expect(run(['{"id'], {})).rejects.toThrow(/:1: not JSON/);
    await expect(run([], {})).rejects.toThrow(/no caption/);
    await expect(run(captions, { context: 6, overlong: 'refuse' })).rejects.toThrow(/a has 7 tokens/);
    await expect(run([captions[2]!], { vocabulary: 64 })).rejects.toThrow(/split "train"/);
    expect(() => stage.params.parse({ context: 2 })).toThrow();
    expect(() => stage.params.parse({ contxt: 77 })).toThrow();
  });
});
