/**
 * As many figures as ROCO has, by copies: what each stage holds in memory, and what the planner makes of as many files. Drawn pixels
 * stand for images, since decoding 80,000 files takes minutes; that decoding holds no more for more files is tried with fewer.
 */
import { linkSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import sharp from 'sharp';
import { expect, it } from 'vitest';
import { makeProject } from '../rig/pipe.ts';
import type { TestProject } from '../rig/pipe.ts';
import { hasShared, sharedPath } from '../rig/shared.ts';

const count = 80_000;
const megabytes = 1024 * 1024;

const captions = hasShared
  ? ['validation', 'test'].flatMap(split => readFileSync(sharedPath('roco-mirror', 'roco-dataset', 'data', split, 'radiology', 'captions.txt'), 'utf8').trim().split('\n').map(line => line.split('\t')[1]?.trim() ?? ''))
  : Array.from({ length: 16_000 }, (_, index) => `Axial computed tomography of case ${index} shows ${index % 7 === 0 ? 'an ultrasound-guided' : 'a round'} lesion of ${index % 50} mm in the ${index % 2 === 0 ? 'left' : 'right'} lung`);

function pairsOf(rows: number, image: (index: number) => unknown): string {
  return Array.from({ length: rows }, (_, index) => `${JSON.stringify({ id: `f${index}`, image: image(index), caption: captions[index % captions.length], group: `g${index >> 1}`, split: ['train', 'train', 'validation', 'test'][(index >> 1) % 4], licence: 'CC BY', modality: null, source: 'copies' })}\n`).join('');
}
const report = '{"source":"copies","leftOut":[],"counts":{}}';

/** Peak memory in bytes and seconds of processor time, by stage. */
function attempts(project: TestProject): Map<string, { peak: number; cpu: number }> {
  const { stdout } = project.pipe(['sql', 'select stage, max(peak_memory_bytes) as peak, cpu_seconds as cpu from attempt group by stage', '--json']);
  return new Map((JSON.parse(stdout) as { stage: string; peak: number; cpu: number }[]).map(({ stage, ...row }) => [stage, row]));
}

it('holds less than 500 MB at 80,000 figures, in every stage', () => {
  const project = makeProject({
    'pipelines/scale.yaml': `pipeline: scale
stages:
  preprocess: { uses: preprocess, in: { pairs: ./pairs, dropped: filter.dropped, groups: leaks.groups }, with: { resolution: 16, splitBy: group }, resources: { cpu: 2 } }
  tokenize: { uses: tokenize, in: { captions: preprocess.captions }, with: { context: 77, vocabulary: 4096 } }
  leaks: { uses: find-leaks, in: { training: ./prints.jsonl, other: ./tests.jsonl } }
  filter: { uses: filter, in: { pairs: ./pairs, leaks: leaks.dropped }, with: { set: random } }
  card: { uses: make-data-card, in: { pairs: ./pairs } }
`,
    'pairs/pairs.jsonl': pairsOf(count, index => ({ file: 'images.raw', offset: (index % 5000) * 256, width: 16, height: 16, channels: 1 })),
    'pairs/report.json': report,
  });
  try {
    writeFileSync(project.path('pairs/images.raw'), Uint8Array.from({ length: 5000 * 256 }, (_, at) => (at * 7919) >> 7));
    // Hashes far apart, but for every tenth row, which is a near-duplicate of the one before, and every thousandth, which a test
    // set holds. The last 20,000 rows are 100 files, 200 times each.
    let state = 7;
    const random = (): string => Array.from({ length: 8 }, () => ((state = (Math.imul(state, 1664525) + 1013904223) >>> 0)).toString(16).padStart(8, '0')).join('');
    const single = count - 20_000;
    const hashes = Array.from({ length: count }, random);
    const digests = Array.from({ length: count }, random);
    for (let index = 10; index < count; index += 10) hashes[index] = `0${hashes[index - 1]?.slice(1)}`;
    const print = (source: string, id: string, index: number, hash = hashes[index], sha256 = digests[index]): string => `${JSON.stringify({ id, source, group: `g${index >> 1}`, split: 'train', sha256, hash })}\n`;
    project.write('prints.jsonl', hashes.map((_, index) => (index < single ? print('copies', `f${index}`, index) : print('copies', `f${index}`, index, hashes[single + (index % 100)], digests[single + (index % 100)]))).join(''));
    project.write('tests.jsonl', Array.from({ length: single / 1000 }, (_, each) => each * 1000 + 5).map(index => print('tests', `t${index}`, index, `${hashes[index]?.slice(0, 63)}0`, random())).join(''));
    const run = project.pipe(['run', 'scale.yaml']);
    expect(run.code, run.stderr).toBe(0);
    const [leaks] = JSON.parse(project.pipe(['table', 'scale.yaml', 'leaks', '--format', 'json']).stdout) as Record<string, number>[];
    // 5,999 and 60 pairs, and 100 files of which nine are near-duplicates of others and one of a single row.
    expect(leaks).toMatchObject({ training: count, tests: 60, leaks: 60, near_duplicate: 60, clusters: 5999 + 60 + 91 });
    const measured = attempts(project);
    console.log([...measured].map(([stage, { peak, cpu }]) => `${stage}: ${(peak / megabytes).toFixed(0)} MB, ${cpu.toFixed(1)} s of processor time`).join('\n'));
    expect([...measured.keys()].sort()).toEqual(['card', 'filter', 'leaks', 'preprocess', 'tokenize']);
    for (const [stage, { peak }] of measured) expect(peak, stage).toBeLessThan(500 * megabytes);
  } finally {
    project.remove();
  }
});

it('holds no more pictures for more files: loading, hashing and decoding 1,600 JPEG files takes hardly more than 400', async () => {
  const peaks = new Map<number, Map<string, { peak: number; cpu: number }>>();
  const noise = Buffer.from(Array.from({ length: 512 * 512 * 3 }, (_, at) => (at * 7919) >> 9));
  const jpeg = await sharp(noise, { raw: { width: 512, height: 512, channels: 3 } }).blur(2).jpeg({ quality: 60 }).toBuffer();
  for (const files of [400, 1600]) {
    const project = makeProject({
      'pipelines/scale.yaml': `pipeline: scale
stages:
  load: { uses: load-folder, in: { folder: ./figures } }
  prints: { uses: fingerprint-images, in: { pairs: load.pairs }, resources: { cpu: 2 } }
  preprocess: { uses: preprocess, in: { pairs: load.pairs }, with: { resolution: 64 }, resources: { cpu: 2 } }
`,
      'figures/captions.jsonl': Array.from({ length: files }, (_, index) => `{"image":"${index}.jpg","caption":"Figure ${index}"}\n`).join(''),
    });
    try {
      writeFileSync(project.path('original.jpg'), jpeg);
      for (let index = 0; index < files; index += 1) linkSync(project.path('original.jpg'), project.path(`figures/${index}.jpg`));
      const run = project.pipe(['run', 'scale.yaml']);
      expect(run.code, run.stderr).toBe(0);
      peaks.set(files, attempts(project));
    } finally {
      project.remove();
    }
  }
  for (const stage of ['load', 'prints', 'preprocess']) {
    const [few, many] = [peaks.get(400)?.get(stage)?.peak ?? NaN, peaks.get(1600)?.get(stage)?.peak ?? NaN];
    console.log(`${stage}: ${(few / megabytes).toFixed(0)} MB at 400 files, ${(many / megabytes).toFixed(0)} MB at 1,600`);
    // 1,200 decoded pictures would be more than 900 MB.
    expect(many - few, stage).toBeLessThan(100 * megabytes);
  }
});

it('plans with 80,000 input files: fresh when nothing changed, and names the one that did', () => {
  const project = makeProject({ 'pipelines/files.yaml': 'pipeline: files\nstages:\n  count: { run: "ls ${in.figures} | wc -l > ${out.count}", in: { figures: ./figures }, out: { count: count.txt } }\n', 'original.jpg': 'pixels' });
  try {
    mkdirSync(project.path('figures'));
    for (let index = 0; index < count; index += 1) writeFileSync(project.path(`figures/${index}.jpg`), `figure ${index}`);
    expect(project.pipe(['run', 'files.yaml']).code).toBe(0);
    expect(project.read('cache/out/files/count/count').trim()).toBe(String(count));
    expect(project.pipe(['run', 'files.yaml']).stderr).toMatch(/nothing to run/);
    project.write('figures/4711.jpg', 'other pixels');
    expect(project.pipe(['why', 'files.yaml', 'count']).stdout).toMatch(/figures\/4711\.jpg/);
  } finally {
    project.remove();
  }
});
