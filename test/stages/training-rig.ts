import { mkdirSync, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeShards } from '../../src/study/data/image-shards.ts';
import type { Split } from '../../src/study/data/splits.ts';
import { writeTokens } from '../../src/study/text/token-file.ts';
import type { Report } from '../../src/stage.ts';
import { stage as embed } from '../../stages/embed.ts';
import { tinyData } from '../study/nn/rig.ts';

/** Folders `images` and `tokens` as `preprocess` and `tokenize` write them, of 16 × 16 pixels and eight tokens. */
export async function tinyFolders(): Promise<{ images: string; tokens: string; weights: string | undefined }> {
  const root = mkdtempSync(join(tmpdir(), 'stages-'));
  const folders = { images: join(root, 'images'), tokens: join(root, 'tokens') };
  mkdirSync(folders.images);
  mkdirSync(folders.tokens);
  const { images, tokens } = tinyData(240);
  const writer = writeShards(folders.images, 16);
  const pixels = new Uint8Array(16 * 16 * 3);
  for (let row = 0; row < images.count; row++) {
    images.read([row], pixels);
    const split: Split = row < 144 ? 'train' : row < 192 ? 'validation' : 'test';
    const about = { group: `case-${row}`, split, licence: 'CC0-1.0', modality: 'ct', source: 'tiny' };
    await writer.add(Uint8Array.from(pixels), { id: `tiny-${row}`, ...about });
  }
  await writer.finish();
  await writeTokens(folders.tokens, { ids: tokens.ids, lengths: tokens.lengths }, { size: 40, pad: 0, start: 38, end: 39, unknown: 1 }, 8);
  return { ...folders, weights: undefined };
}

export interface Told {
  readonly notes: string[];
  readonly metrics: { name: string; value: number; step: number | undefined }[];
  readonly fractions: number[];
  readonly resumedFrom: number[];
  platform: Readonly<Record<string, string | number>>;
}

/** A report that keeps what it is told. */
export function recordingReport(): { report: Report; told: Told } {
  const told: Told = { notes: [], metrics: [], fractions: [], resumedFrom: [], platform: {} };
  const report: Report = {
    metric: (name, value, step) => void told.metrics.push({ name, value, step }),
    progress: (fraction) => void told.fractions.push(fraction),
    note: (text) => void told.notes.push(text),
    platform: (facts) => void (told.platform = facts),
    resumed: (step) => void told.resumedFrom.push(step),
  };
  return { report, told };
}

/** What every stage is handed beside its params, inputs and outputs. */
export const surroundings = (signal = new AbortController().signal) => ({
  signal,
  checkpoint: null as string | null,
  resources: { cpu: 1, gpus: [] },
  backend: 'wasm',
  projectRoot: tmpdir(),
});

/** An empty folder and a path beside it. */
export function outputs(): { folder: string; file: string } {
  const root = mkdtempSync(join(tmpdir(), 'outputs-'));
  mkdirSync(join(root, 'folder'));
  return { folder: join(root, 'folder'), file: join(root, 'metrics.jsonl') };
}

export const readLines = (path: string): { metric: string; value: number; step?: number }[] =>
  readFileSync(path, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { metric: string; value: number; step?: number });

/** The embeddings that the stage embed makes of a model, and what it told. */
export async function embedded(
  inputs: { readonly images: string; readonly tokens: string; readonly model: string; readonly routes?: string; readonly captions?: string },
  params: Readonly<Record<string, unknown>> = {},
): Promise<{ embeddings: string; told: Told }> {
  const { folder } = outputs();
  const { report, told } = recordingReport();
  await embed.run({ params: embed.params.parse(params), inputs: { routes: undefined, captions: undefined, ...inputs }, outputs: { embeddings: folder }, report, ...surroundings() });
  return { embeddings: folder, told };
}
