import { existsSync, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { modelSize } from '../../src/study/nn/model-size.ts';
import { loadModel } from '../../src/study/nn/model-folder.ts';
import { stage } from '../../stages/train.ts';
import { outputs, readLines, recordingReport, surroundings, tinyFolders } from './training-rig.ts';

let inputs: Awaited<ReturnType<typeof tinyFolders>>;
beforeAll(async () => {
  inputs = await tinyFolders();
});

interface Options {
  readonly signal?: AbortSignal;
  readonly checkpoint?: string;
  readonly stopAt?: () => void;
  readonly weights?: string;
}

async function run(params: Readonly<Record<string, unknown>>, { signal, checkpoint, stopAt, weights }: Options = {}) {
  const { folder, file } = outputs();
  const { report, told } = recordingReport();
  const progress = report.progress;
  await stage.run({
    params: stage.params.parse(params),
    inputs: { ...inputs, weights },
    outputs: { model: folder, metrics: file },
    report: { ...report, progress: (...told) => (progress(...told), stopAt?.()) },
    ...surroundings(signal),
    checkpoint: checkpoint ?? null,
  });
  return { folder, file, told };
}

const bytes = (folder: string): string => readFileSync(join(folder, 'weights.safetensors')).toString('base64');

describe('the stage train', () => {
  it('spends the budget, and writes model, curves and facts', async () => {
    const perPair = 6 * modelSize('d16l1', { input: { resolution: 16, patch: 8, context: 8, vocabulary: 40 } }).macsPerPair;
    const { folder, file, told } = await run({ size: 'd16l1', flops: perPair * 16 * 40, batch: 16, learningRate: 3e-3 });
    const { config, training } = await loadModel(folder);
    expect(config).toMatchObject({ name: 'd16l1', image: { width: 16, resolution: 16, patch: 8 }, text: { context: 8, vocabulary: 40 } });
    expect(training).toMatchObject({ steps: 40, pairs_seen: 640, unique_pairs: 144, batch: 16, learning_rate: 3e-3 });
    expect(training.flops).toBe(perPair * 640);
    const rows = readLines(file);
    const curve = (metric: string): number[] => rows.filter((row) => row.metric === metric).map(({ value }) => value);
    expect(curve('loss')).toHaveLength(40);
    expect(curve('validation_loss')).toHaveLength(10);
    expect(curve('validation_loss').at(-1)).toBeLessThan(curve('validation_loss')[0]!);
    expect(told.platform).toMatchObject({ backend: expect.stringMatching(/^wasm 4\./) as string, threads: 1, device: 'cpu' });
    expect(told.fractions.at(-1)).toBe(1);
    expect(told.notes.at(-1)).toMatch(/^training loss \d\.\d{3}, validation loss \d\.\d{3} of 3\.871 by chance$/);
  });

  it('trains with chunks, accumulation, checkpointed blocks, and Adam with L2 at a constant rate', async () => {
    const plain = { size: 'd16l1', pairs: 96, batch: 16, decay: 'l2', decayed: 'all', weightDecay: 5e-4, schedule: 'constant', warmup: 0, evaluateEvery: 3 };
    const losses = async (params: Readonly<Record<string, unknown>>): Promise<readonly number[]> =>
      readLines((await run({ ...plain, ...params })).file).flatMap(({ metric, value }) => (metric === 'loss' ? [value] : []));
    const whole = await losses({});
    expect(whole).toHaveLength(6);
    const chunked = await losses({ chunk: 4, checkpointBlocks: true });
    whole.forEach((loss, index) => expect(chunked[index]).toBeCloseTo(loss, 4));
    // Eight pairs have less to be told apart from.
    expect((await losses({ accumulate: 2 }))[0]).toBeLessThan(whole[0]! - 0.3);
    await expect(run({ ...plain, chunk: 5 })).rejects.toThrow(/chunks of 5 pairs do not fill 16 pairs/);
    await expect(run({ ...plain, accumulate: 3 })).rejects.toThrow(/a batch of 16 does not divide into 3 parts/);
    await expect(run({ ...plain, precision: 'bfloat16' })).rejects.toThrow(/precision: bfloat16 needs native TensorFlow, and this is wasm/);
  });

  it('stops when told to, and goes on to the same bytes', async () => {
    const params = { size: 'd16l1', pairs: 320, batch: 16, seed: 3, augment: { crop: 0.5 }, keep: 'best' };
    const whole = await run(params);
    const checkpoint = mkdtempSync(join(tmpdir(), 'checkpoint-'));
    const stop = new AbortController();
    let steps = 0;
    const stopAt = (): void => (++steps === 7 ? stop.abort(new Error('stopped')) : undefined);
    await expect(run(params, { signal: stop.signal, checkpoint, stopAt })).rejects.toThrow('stopped');
    const rest = await run(params, { checkpoint });
    expect(rest.told.resumedFrom).toEqual([7]);
    expect(bytes(rest.folder)).toBe(bytes(whole.folder));
    expect(readFileSync(rest.file, 'utf8')).toBe(readFileSync(whole.file, 'utf8'));
  });

  it('takes fewer unique pairs when asked to', async () => {
    const { folder } = await run({ size: 'd16l1', epochs: 3, unique: 32, batch: 16 });
    expect((await loadModel(folder)).training).toMatchObject({ steps: 6, unique_pairs: 32 });
  });

  it('asks for what is hidden beside contrast, as a variant of masking, and keeps nothing of that in the model', async () => {
    const plain = { size: 'd16l1', pairs: 480, batch: 16, learningRate: 3e-3, evaluateEvery: 30 };
    const { folder, file } = await run({ ...plain, masking: 'bidirectional+mlm' });
    const { config, training } = await loadModel(folder);
    expect(config.auxiliary).toBeUndefined();
    // The second pass of the text tower and its head count.
    expect(training.flops).toBeGreaterThan(1.3 * 6 * modelSize(config).macsPerPair * 480);
    expect(readLines(file).find(({ metric }) => metric === 'validation_loss')!.value).toBeLessThan(0.95 * Math.log(48));
    await expect((async () => run({ ...plain, masking: 'mlm' }))()).rejects.toThrow(/causal tower has not yet seen/);
    await expect((async () => run({ ...plain, masking: 'bidirectional+mlm', auxiliary: 'span' }))()).rejects.toThrow(/both ask for something beside contrast/);
  });

  it('starts from given weights, and refuses those of another shape by name', async () => {
    const first = await run({ size: 'd16l1', pairs: 640, batch: 16, learningRate: 3e-3 });
    const loss = (of: { file: string }): number => readLines(of.file).find(({ metric }) => metric === 'loss')!.value;
    const again = await run({ size: 'd16l1', pairs: 16, batch: 16 }, { weights: first.folder });
    expect(loss(again)).toBeLessThan(loss(first) / 2);
    await expect(run({ size: 'd24l1', pairs: 16, batch: 16 }, { weights: first.folder })).rejects.toThrow(
      "image.patch.weight has shape [192, 16], the model's is [192, 24]",
    );
  });

  it.each([
    [{ size: 'd16l1' }, /exactly one of flops, pairs and epochs/],
    [{ size: 'd16l1', flops: 1e9, epochs: 2 }, /exactly one of flops, pairs and epochs/],
    [{ size: 'd16l1', epochs: 1, evaluateEvery: 0, keep: 'best' }, /keep: best needs validation/],
    [{ size: 'd16l1', epochs: 1, colour: 1 }, /colour/],
    [{ size: 'n0', epochs: 1 }, /n0 has resolution 64, but the data have 16/],
    [{ size: 'd16l1', epochs: 1, patch: 5 }, /patches of 5 pixels do not fill 16/],
    [{ size: 'd16l1', epochs: 1, batch: 200 }, /144 training pairs do not fill a batch of 200/],
    [{ size: 'd16l1', flops: 1000 }, /less than half a batch/],
  ])('refuses %j', async (params, message) => {
    await expect((async () => run(params))()).rejects.toThrow(message);
  });

  it.each([
    ['d16', 'unknown model size "d16": write width and layers as d64l3, or one of n0, n1, n2'],
    ['', 'unknown model size "": write width and layers as d64l3'],
    ['d0l1', 'the model d0l1 has image width 0: image width must be a whole number above 0'],
  ])('refuses the size "%s" before it runs, and says what to write', (size, message) => {
    const issue = stage.params.safeParse({ size, epochs: 1 }).error?.issues[0];
    expect(issue?.path).toEqual(['size']);
    expect(issue?.message).toContain(message);
  });

  it.each(['d16l1', 'n0', 'n7', 'Ti/16', 'ViT-B/32'])('takes the size %s', (size) => {
    expect(stage.params.safeParse({ size, epochs: 1 }).success).toBe(true);
  });

  it('leaves no model behind when the loss is lost', async () => {
    const { folder, file } = outputs();
    const { report } = recordingReport();
    const params = stage.params.parse({ size: 'd16l1', epochs: 4, batch: 16, learningRate: 1e30, clipNorm: null });
    await expect(stage.run({ params, inputs, outputs: { model: folder, metrics: file }, report, ...surroundings() })).rejects.toThrow(
      /the loss is \S+ at step \d+/,
    );
    expect(existsSync(join(folder, 'weights.safetensors'))).toBe(false);
  });
});
