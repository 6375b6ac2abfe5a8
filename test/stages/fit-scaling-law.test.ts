import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { GatheredCell } from '../../src/stage.ts';
import { stage } from '../../stages/fit-scaling-law.ts';

interface Outcome {
  law: {
    alpha: number;
    beta: number;
    E: number;
    points: unknown[];
    leftOut: { cell: string; reason: string }[];
    answers: { sentence: string }[];
  };
  svg: string;
  metrics: Map<string, number>;
  notes: string[];
}

/** Runs the stage on one metrics file a cell; a null stands for a failed cell. */
async function run(files: readonly (string | null)[], params: object = {}): Promise<Outcome> {
  const at = await mkdtemp(join(tmpdir(), 'law-'));
  const runs = await Promise.all(
    files.map(async (text, i): Promise<GatheredCell> => {
      const path = join(at, `cell-${i}.jsonl`);
      if (text !== null) await writeFile(path, text);
      return {
        point: { size: i },
        cell: `evaluate[size=${i}]`,
        path: text === null ? null : path,
        status: text === null ? 'failed' : 'done',
      };
    }),
  );
  const notes: string[] = [];
  const outputs = { law: join(at, 'law.json'), plot: join(at, 'plot.svg'), fit: join(at, 'fit.jsonl') };
  await stage.run({
    params: stage.params.parse({ replicates: 50, ...params }),
    inputs: { runs },
    outputs,
    report: { metric: () => {}, progress: () => {}, note: (text) => void notes.push(text), platform: () => {}, resumed: () => {} },
    signal: new AbortController().signal,
    checkpoint: null,
    resources: { cpu: 1, gpus: [] },
    backend: 'auto',
    projectRoot: at,
  });
  const rows = (await readFile(outputs.fit, 'utf8'))
    .trim()
    .split('\n')
    .map((row) => JSON.parse(row) as { metric: string; value: number });
  return {
    law: JSON.parse(await readFile(outputs.law, 'utf8')) as Outcome['law'],
    svg: await readFile(outputs.plot, 'utf8'),
    metrics: new Map(rows.map(({ metric, value }) => [metric, value])),
    notes,
  };
}

function cell(n: number, d: number, changes: Record<string, unknown> = {}): string {
  const loss = 1.2 + 40 * n ** -0.4 + 30 * d ** -0.35;
  const values = {
    loss,
    loss_chance: Math.log(64),
    non_embedding_parameters: n,
    pairs_seen: d,
    macs_per_pair: 3 * n ** 0.95,
    ...changes,
  };
  const lines = Object.entries(values).map(([metric, value]) => JSON.stringify({ metric, value }));
  return [JSON.stringify({ metric: 'loss', value: 99, step: 0 }), ...lines].join('\n');
}

const cells = [5e3, 2e4, 6e4, 2e5].flatMap((n) => [2e3, 8e3, 3.2e4].map((d) => cell(n, d)));

describe('fit-scaling-law', () => {
  it('writes the law, its plot and metrics, and ends with the answer', async () => {
    const { law, svg, metrics, notes } = await run(cells);
    expect(law.alpha).toBeCloseTo(0.4, 5);
    expect(law.beta).toBeCloseTo(0.35, 5);
    expect(law.points).toHaveLength(12);
    expect(metrics.get('E')).toBeCloseTo(1.2, 5);
    expect(metrics.get('runs')).toBe(12);
    expect(metrics.get('optimal_compute')).toBeCloseTo(6 * 3 * 2e5 ** 0.95 * 3.2e4, -6);
    expect(metrics.get('parameters_on_bound')).toBe(0);
    expect(notes.at(-1)).toBe(law.answers[0]!.sentence);
    expect(notes.at(-1)).toMatch(/^For this data and .* FLOP, train /);
    expect(svg).toContain('best at this compute');
    expect(svg.match(/N = /g)).toHaveLength(4);
  });

  it('names cells that are missing or whose loss is not finite', async () => {
    const broken = [
      null,
      cell(5e3, 4e3, { loss: 'NaN' }),
      cell(5e3, 4e3, { loss: null }),
      cell(5e3, 4e3, { pairs_seen: 0 }),
      '{"metric":"loss","value":1}\n',
    ];
    const { law, notes, metrics } = await run([...cells, ...broken]);
    expect(law.leftOut).toEqual([
      { cell: 'evaluate[size=12]', reason: 'failed' },
      { cell: 'evaluate[size=13]', reason: 'loss is NaN' },
      { cell: 'evaluate[size=14]', reason: 'loss is NaN' },
      { cell: 'evaluate[size=15]', reason: 'pairs_seen is 0' },
      { cell: 'evaluate[size=16]', reason: 'has no metric non_embedding_parameters' },
    ]);
    expect(notes[0]).toBe('left out evaluate[size=12]: failed');
    expect(metrics.get('runs_left_out')).toBe(5);
  });

  it('gives equal bytes for equal input, and follows its params', async () => {
    const [first, second] = [await run(cells), await run(cells)];
    expect(second.svg).toBe(first.svg);
    expect(second.law).toEqual(first.law);
    const dropped = await run(cells, { dropHighest: 2, compute: [1e9, 1e10, 1e11] });
    expect(dropped.law.points).toHaveLength(10);
    expect(dropped.law.answers).toHaveLength(3);
    const other = await run(
      cells.map((text) => text.replaceAll('"loss"', '"validation_loss"')),
      { loss: 'validation_loss' },
    );
    expect(other.law.alpha).toBeCloseTo(0.4, 5);
  });

  it('fails with a reason when there is too little', async () => {
    await expect(run(cells.slice(0, 3))).rejects.toThrow(/3 points cannot fix 5 parameters/);
    await expect(run([...cells, 'no json'])).rejects.toThrow(/cell-12\.jsonl:1: not JSON/);
    await expect(run([...cells, '{"value":1}'])).rejects.toThrow(/not a metric/);
  });
});
