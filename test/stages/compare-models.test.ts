import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { GatheredCell } from '../../src/stage.ts';
import { chanceOf } from '../../src/study/eval/metrics.ts';
import { metricLines, readMetrics } from '../../src/study/metric-lines.ts';
import { stage as compareModels } from '../../stages/compare-models.ts';
import { stage as plotComparison } from '../../stages/plot-comparison.ts';
import { runStage, temporaryFolder } from './data-stage.ts';

/** One gathered cell a value, seeds from 1; null stands for a failed cell. */
async function cells(sharing: string, values: readonly (number | null)[], parameters = 1000): Promise<GatheredCell[]> {
  const folder = await temporaryFolder();
  return Promise.all(
    values.map(async (value, index): Promise<GatheredCell> => {
      const [seed, path] = [index + 1, join(folder, `${index}.jsonl`)];
      if (value !== null) await writeFile(path, metricLines([{ metric: 'recall_at_10', value }, { metric: 'parameters', value: parameters }, { metric: 'chance_at_10', value: 0.04 }]));
      return { point: { sharing, seed }, cell: `evaluate[sharing=${sharing},seed=${seed}]`, path: value === null ? null : path, status: value === null ? 'failed' : 'done' };
    }),
  );
}

const params = { axes: ['sharing'], metrics: ['recall_at_10'] };

describe('comparing models', () => {
  it('pairs runs by seed and passes on what the model costs', async () => {
    const { outputs, notes } = await runStage(compareModels, {
      params,
      inputs: { runs: await cells('all', [0.5, 0.62, null, 0.7]), reference: await cells('dual', [0.4, 0.5, 0.9, 0.6], 1600) },
    });
    const metrics = await readMetrics(outputs.comparison);
    expect(metrics.get('runs')).toBe(3);
    expect([metrics.get('parameters'), metrics.get('parameters_ratio'), metrics.has('flops_ratio')]).toEqual([1000, 0.625, false]);
    expect(metrics.get('recall_at_10_chance')).toBeCloseTo(0.04, 12);
    expect(metrics.get('recall_at_10_difference')).toBeCloseTo((0.1 + 0.12 + 0.1) / 3, 12); // the failed third seed has no part in it
    expect(metrics.get('recall_at_10_p')).toBeLessThan(0.01);
    expect(notes[0]).toMatch(/^recall_at_10 0\.607 .* 0\.107 against the reference/);
  });

  it('takes intervals over folds where runs are folds, and asks for the axis', async () => {
    const folded = (given: readonly GatheredCell[]): GatheredCell[] =>
      given.map(({ point, ...cell }, index) => ({ ...cell, point: { sharing: point['sharing'], fold: index >> 1, seed: index & 1 } }));
    const runs = folded(await cells('all', [0.5, 0.6, 0.55, 0.65, 0.62, 0.7]));
    const { outputs } = await runStage(compareModels, { params: { ...params, folds: 5 }, inputs: { runs, reference: folded(await cells('dual', [0.4, 0.5, 0.4, 0.5, 0.5, 0.5])) } });
    const metrics = await readMetrics(outputs.comparison);
    expect([metrics.get('runs'), metrics.get('folds')]).toEqual([6, 3]);
    // Means of folds 0.1, 0.15, 0.16; of five parts one is tested on for each three trained on.
    const [mean, s] = [0.41 / 3, Math.sqrt(((0.1 - 0.41 / 3) ** 2 + (0.15 - 0.41 / 3) ** 2 + (0.16 - 0.41 / 3) ** 2) / 2)];
    expect(metrics.get('recall_at_10_difference_high')).toBeCloseTo(mean + 4.30265 * s * Math.sqrt(1 / 3 + 1 / 3), 5);
    const seeds = await cells('all', [0.5, 0.6]);
    await expect(runStage(compareModels, { params: { ...params, folds: 5 }, inputs: { runs: seeds, reference: seeds } })).rejects.toThrow(/have no axis fold: sharing, seed/);
  });

  it('names the metrics there are when the asked one is not', async () => {
    const runs = await cells('all', [0.5]);
    await expect(runStage(compareModels, { params: { ...params, metrics: ['los'] }, inputs: { runs, reference: runs } })).rejects.toThrow(/no run has the metric los; they have recall_at_10, parameters, chance_at_10/);
  });

  it('draws bars with intervals and says what they show, corrected for many comparisons', async () => {
    const reference = [0.4, 0.5, 0.45, 0.42];
    const kinds = { dual: reference, all: reference.map((v, i) => v + 0.1 + 0.001 * i), blocks: reference.map((v, i) => v + (i % 2 === 0 ? 0.02 : -0.02)) };
    const comparisons: GatheredCell[] = [];
    for (const [sharing, values] of Object.entries(kinds)) {
      const { outputs } = await runStage(compareModels, { params, inputs: { runs: await cells(sharing, values), reference: await cells('dual', reference) } });
      const path = join(await temporaryFolder(), 'comparison.jsonl');
      await writeFile(path, await readFile(outputs.comparison));
      comparisons.push({ point: { sharing }, cell: `compare[sharing=${sharing}]`, path, status: 'done' });
    }
    const { outputs } = await runStage(plotComparison, {
      params: { axis: 'sharing', reference: 'dual', title: 'Sharing', label: 'recall at 10', subject: 'ways of sharing' },
      inputs: { comparisons },
    });
    const answer = await readFile(outputs.answer, 'utf8');
    expect(answer).toMatch(/^Of these ways of sharing, against dual in recall_at_10, better: all \(\+0\.10, p [^)]*\); not told apart: blocks \(0\.0, p 1\.0\)/);
    expect(answer).toMatch(/Holm's, over 2 comparisons/);
    expect(answer).toMatch(/Matched with dual within 5 % are parameters of every one\.\n$/);
    const svg = await readFile(outputs.plot, 'utf8');
    for (const name of ['dual', 'all', 'blocks']) expect(svg).toContain(name);
    // Chance is 0.04 of an axis from 0 to 0.6: its line lies low, dashed, and is named.
    expect(svg).toContain('>chance<');
    const heights = [...svg.matchAll(/<line [^>]*stroke-dasharray[^>]*>/g)].map(([line]) => Number(/ y1="([\d.]+)"/.exec(line)![1]));
    const bars = [...svg.matchAll(/<rect [^>]*y="([\d.]+)"[^>]*height="([\d.]+)"/g)].map(([, y, height]) => ({ y: Number(y), height: Number(height) })).filter(({ height }) => height > 20);
    const [foot, bar] = [bars[0]!.y + bars[0]!.height, bars[0]!.height / (reference.reduce((sum, value) => sum + value, 0) / 4)];
    expect(Math.max(...heights)).toBeCloseTo(foot - 0.04 * bar, 0);
  });

  it('knows chance by the names of metrics, and draws no line where there is none', async () => {
    const metrics = new Map([['chance_at_1', 0.1], ['chance_at_5_pool_100', 0.2], ['loss_chance', 3], ['chance', 0.25]]);
    const found = ['recall_at_1', 'image_to_text_recall_at_1', 'recall_at_5_pool_100', 'recall_at_10', 'loss', 'loss_calibrated', 'balanced_accuracy', 'macro_auc', 'parameters'].map((name) => chanceOf(metrics, name));
    expect(found).toEqual([0.1, 0.1, 0.2, undefined, 3, 3, 0.25, 0.5, undefined]);
    const comparison = join(await temporaryFolder(), 'comparison.jsonl');
    await writeFile(comparison, metricLines([{ metric: 'recall_at_10', value: 0.4 }]));
    const { outputs } = await runStage(plotComparison, {
      params: { axis: 'sharing', reference: 'dual', title: 'Sharing', label: 'recall at 10' },
      inputs: { comparisons: [{ point: { sharing: 'dual' }, cell: 'compare[sharing=dual]', path: comparison, status: 'done' }] },
    });
    expect(await readFile(outputs.plot, 'utf8')).not.toContain('chance');
  });

  it('draws intervals of a share no further than a share can be, and of a loss as they are', async () => {
    const ticks = async (metric: string): Promise<string[]> => {
      const comparison = join(await temporaryFolder(), 'comparison.jsonl');
      await writeFile(comparison, metricLines([{ metric, value: 0.6 }, { metric: `${metric}_low`, value: -0.7 }, { metric: `${metric}_high`, value: 1.9 }]));
      const { outputs } = await runStage(plotComparison, {
        params: { axis: 'sharing', reference: 'dual', title: 'Sharing', label: 'value', metric },
        inputs: { comparisons: [{ point: { sharing: 'dual' }, cell: 'compare[sharing=dual]', path: comparison, status: 'done' }] },
      });
      return [...(await readFile(outputs.plot, 'utf8')).matchAll(/>([−\d.]+)</g)].map(([, text]) => text!);
    };
    expect((await ticks('recall_at_10')).map(Number).every((value) => value >= 0 && value <= 1)).toBe(true);
    expect(await ticks('loss')).toContain('−0.5');
  });

  it('answers for each reference by itself where there are several, and draws each model once', async () => {
    const kinds = { dual: { values: [0.4, 0.5, 0.45], parameters: 1600 }, narrow: { values: [0.3, 0.41, 0.36], parameters: 1010 }, all: { values: [0.41, 0.5, 0.46], parameters: 1000 } };
    const comparisons: GatheredCell[] = [];
    for (const [sharing, { values, parameters }] of Object.entries(kinds)) {
      for (const against of ['dual', 'narrow'] as const) {
        const { outputs } = await runStage(compareModels, {
          params,
          inputs: { runs: await cells(sharing, values, parameters), reference: await cells(against, kinds[against].values, kinds[against].parameters) },
        });
        comparisons.push({ point: { sharing, against }, cell: `compare[sharing=${sharing},against=${against}]`, path: outputs.comparison, status: 'done' });
      }
    }
    const shown = { axis: 'sharing', title: 'Sharing', label: 'recall at 10' };
    const { outputs } = await runStage(plotComparison, { params: { ...shown, against: 'against' }, inputs: { comparisons } });
    const [dual, narrow] = (await readFile(outputs.answer, 'utf8')).trim().split('\n');
    expect(dual).toMatch(/^Of these models, against dual in recall_at_10, worse: narrow .* not told apart: all .* of none: narrow \(0\.631 times\), all \(0\.625 times\)\.$/);
    expect(narrow).toMatch(/^Of these models, against narrow in recall_at_10, better: dual .*, all .* of every one but dual \(1\.58 times\)\.$/);
    const { outputs: one } = await runStage(plotComparison, { params: { ...shown, reference: 'dual' }, inputs: { comparisons: comparisons.filter(({ point }) => point['against'] === 'dual') } });
    expect(await readFile(outputs.plot, 'utf8')).toBe(await readFile(one.plot, 'utf8'));
    expect(plotComparison.params.safeParse(shown).error?.issues[0]?.path).toEqual(['reference']);
  });
});
