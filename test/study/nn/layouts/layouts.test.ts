import { existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { exportForeign, importForeign, startingWeights } from '../../../../src/study/nn/layouts/foreign-weights.ts';
import type { LayoutName } from '../../../../src/study/nn/layouts/layout.ts';
import { modelConfig } from '../../../../src/study/nn/model-config.ts';
import { saveModel, untrained } from '../../../../src/study/nn/model-folder.ts';
import { digestOfWeights, initialWeights, parametersOf } from '../../../../src/study/nn/parameters.ts';
import { readSafeTensors, writeSafeTensors } from '../../../../src/study/nn/safetensors.ts';
import type { SafeTensor } from '../../../../src/study/nn/safetensors.ts';

// Towers of different widths, depths and heads, so that no two shapes are equal by chance.
const base = modelConfig('d32l2', { input: { resolution: 24, patch: 8, context: 12, vocabulary: 60 } });
const config = { ...base, image: { ...base.image, width: 128, heads: 2, layers: 3 }, text: { ...base.text, width: 64, heads: 1 }, embedding: 40 };
const weights = initialWeights(parametersOf(config), 5);
const fresh = (): string => mkdtempSync(join(tmpdir(), 'layouts-'));
const sorted = (map: ReadonlyMap<string, Float32Array>): string => digestOfWeights(new Map([...map].sort(([a], [b]) => (a < b ? -1 : 1))));

async function exported(layout: LayoutName): Promise<{ path: string; file: string; tensors: Map<string, SafeTensor> }> {
  const root = fresh();
  const path = join(root, layout === 'openai' ? 'clip.safetensors' : 'clip');
  await exportForeign(path, layout, config, weights);
  const file = layout === 'openai' ? path : join(path, 'model.safetensors');
  return { path, file, tensors: new Map((await readSafeTensors(file)).tensors) };
}

describe.each(['openai', 'huggingface'] as const)('the layout %s', (layout) => {
  it('gives back configuration and weights, bit for bit', async () => {
    const { path } = await exported(layout);
    const back = await importForeign(path);
    expect(back.layout).toBe(layout);
    expect({ ...back.config, name: config.name }).toEqual(config);
    expect(sorted(back.weights)).toBe(sorted(weights));
  });

  it('takes the prefix of data-parallel training', async () => {
    const { file, tensors } = await exported(layout);
    await writeSafeTensors(file, { tensors: new Map([...tensors].map(([name, tensor]) => [`module.${name}`, tensor])), metadata: {} });
    expect(sorted((await importForeign(file)).weights)).toBe(sorted(weights));
  });

  it('names what is missing, left over, or of another shape', async () => {
    const { file, tensors } = await exported(layout);
    const bias = layout === 'openai' ? 'visual.ln_post.bias' : 'vision_model.post_layernorm.bias';
    const scale = layout === 'openai' ? 'ln_final.weight' : 'text_model.final_layer_norm.weight';
    tensors.delete(bias);
    tensors.set(scale, { shape: [3], values: new Float32Array(3) });
    tensors.set('adapter.weight', { shape: [1], values: new Float32Array(1) });
    await writeSafeTensors(file, { tensors, metadata: {} });
    const error = await importForeign(file).catch((problem: unknown) => problem);
    expect(error).toMatchObject({ name: 'WeightsError', exitCode: 1 });
    expect(String(error)).toContain(`${bias} is missing`);
    expect(String(error)).toContain(`${scale} has shape [3], the model's is [64]`);
    expect(String(error)).toContain('adapter.weight has no place in the model');
  });
});

describe('weights of other libraries', () => {
  it('puts queries, keys and values one after the other, and matrices the other way round', async () => {
    const { tensors } = await exported('huggingface');
    const own = weights.get('image.block1.attention.in.weight')!;
    const key = tensors.get('vision_model.encoder.layers.1.self_attn.k_proj.weight')!;
    expect(key.shape).toEqual([128, 128]);
    // Row 5, column 7 of the keys is row 7, column 128 + 5 of ours.
    expect(key.values[5 * 128 + 7]).toBe(own[7 * 384 + 128 + 5]);
    const patch = (await exported('openai')).tensors.get('visual.conv1.weight')!;
    expect(patch.shape).toEqual([128, 3, 8, 8]);
    // Filter 9, channel 2, row 3, column 4.
    expect(patch.values[((9 * 3 + 2) * 8 + 3) * 8 + 4]).toBe(weights.get('image.patch.weight')![((2 * 8 + 3) * 8 + 4) * 128 + 9]);
  });

  it('takes heads from config.json, and refuses another activation', async () => {
    const { path } = await exported('huggingface');
    const file = join(path, 'config.json');
    const described = JSON.parse(readFileSync(file, 'utf8')) as { vision_config: Record<string, unknown> };
    described.vision_config['num_attention_heads'] = 4;
    writeFileSync(file, JSON.stringify(described));
    expect((await importForeign(path)).config.image.heads).toBe(4);
    described.vision_config['hidden_act'] = 'gelu';
    writeFileSync(file, JSON.stringify(described));
    await expect(importForeign(path)).rejects.toThrow('vision_config.hidden_act is gelu');
  });

  it('says what a file is that it cannot take', async () => {
    const root = fresh();
    await expect(importForeign(join(root, 'nothing'))).rejects.toThrow(/there is no/);
    writeFileSync(join(root, 'clip.pt'), '');
    await expect(importForeign(join(root, 'clip.pt'))).rejects.toThrow(/is a pickle/);
    await expect(importForeign(root)).rejects.toThrow(/neither model.safetensors nor/);
    await writeSafeTensors(join(root, 'other.safetensors'), { tensors: new Map([['x', { shape: [1], values: Float32Array.of(1) }]]), metadata: {} });
    await expect(importForeign(join(root, 'other.safetensors'))).rejects.toThrow(/weights of neither/);
    const shared = modelConfig('d32l2', { sharing: 'blocks' });
    await expect(exportForeign(join(root, 'shared'), 'huggingface', shared, initialWeights(parametersOf(shared), 1))).rejects.toThrow(/sharing: blocks/);
    expect(existsSync(join(root, 'shared'))).toBe(false);
  });

  it('starts a model from a folder of ours or a file, and names each parameter that does not fit', async () => {
    const folder = join(fresh(), 'model');
    await saveModel(folder, { config, weights, training: untrained('nowhere') });
    expect(sorted(await startingWeights(folder, config))).toBe(sorted(weights));
    expect(sorted(await startingWeights((await exported('openai')).path, config))).toBe(sorted(weights));
    const other = { ...config, text: { ...config.text, context: 20, vocabulary: 70 } };
    const error = String(await startingWeights(folder, other).catch((problem: unknown) => problem));
    expect(error).toContain('text.embedding has shape [60, 64], the model\'s is [70, 64]');
    expect(error).toContain('text.positions has shape [12, 64], the model\'s is [20, 64]');
  });
});

describe('16-bit and 64-bit floats in safetensors', () => {
  it('become 32-bit ones', async () => {
    const header = JSON.stringify({
      half: { dtype: 'F16', shape: [4], data_offsets: [0, 8] },
      truncated: { dtype: 'BF16', shape: [2], data_offsets: [8, 12] },
      double: { dtype: 'F64', shape: [1], data_offsets: [12, 20] },
      ids: { dtype: 'I64', shape: [1], data_offsets: [20, 28] },
    });
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(header.length));
    const half = Buffer.from(Uint16Array.of(0x3c00, 0xc100, 0x0001, 0x7c00).buffer);
    const truncated = Buffer.from(Uint16Array.of(0x3fc0, 0xbf80).buffer);
    const double = Buffer.from(Float64Array.of(0.1).buffer);
    const path = join(fresh(), 'mixed.safetensors');
    writeFileSync(path, Buffer.concat([length, Buffer.from(header), half, truncated, double, Buffer.alloc(8)]));
    const { tensors } = await readSafeTensors(path);
    expect([...tensors.keys()]).toEqual(['half', 'truncated', 'double']);
    expect([...tensors.get('half')!.values]).toEqual([1, -2.5, 2 ** -24, Infinity]);
    expect([...tensors.get('truncated')!.values]).toEqual([1.5, -1]);
    expect(tensors.get('double')!.values[0]).toBe(Math.fround(0.1));
  });
});
