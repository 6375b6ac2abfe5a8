/** A halving's decisions: where they are recorded, and that the same ones are taken again from nothing. */
import { expect, onTestFinished, test } from 'vitest';
import { makeProject } from '../../rig/pipe.ts';

// The loss falls with the rung and has its least at rate 3; its noise is of the rate alone.
const pipeline = `pipeline: p
stages:
  train:
    run: |
      printf '{"metric":"loss","value":%s,"step":1}\\n' $(awk "BEGIN { print (\${matrix.rate} - 3) ^ 2 + 100 / \${matrix.rung} }") > \${out.metrics}
      echo \${in.before} \${matrix.rung} > \${out.model}
    matrix:
      axes: { rate: [1, 2, 3, 5, 8, 9, 10, 11] }
      halving: { metric: loss, mode: min, metrics: metrics, param: pairs, rungs: [10, 20, 40], keep: 0.5, resume: { before: model } }
    out: { metrics: { path: metrics.jsonl, kind: metrics }, model: model.txt }
  answer:
    uses: answer-halving
    partial: true
    in: { runs: "train[*].metrics" }
    with: { axis: rate, metric: loss, title: Rates, label: loss, subject: rates }
report: [{ table: train, columns: [loss, reason] }]
`;

interface Row {
  readonly rate: number;
  readonly rung: number;
  readonly state: string;
  readonly reason?: string | null;
  readonly loss?: number | null;
}

test('a table, JSON and the page say who was stopped at which rung and why, and a rerun from nothing decides the same', () => {
  const project = makeProject({ 'pipe.yaml': pipeline, 'package.json': '{}' });
  onTestFinished(() => project.remove());
  const decided = (cache: string) => {
    const env = { PIPE_CACHE: project.path(cache) };
    expect(project.pipe(['run'], env).code).toBe(0);
    const table = JSON.parse(project.pipe(['table', 'train', '--json'], env).stdout) as Row[];
    project.pipe(['get', 'train/decide[rung=10].survivors', project.path(`${cache}-10.json`)], env);
    const record = JSON.parse(project.read(`${cache}-10.json`)) as { survivors: string[]; scores: Record<string, number | null> };
    project.pipe(['get', 'answer.decisions', project.path(`${cache}-decisions.json`)], env);
    return { table, record, decisions: project.read(`${cache}-decisions.json`) };
  };
  const first = decided('cache');
  expect(first.record.survivors).toEqual(['rate=1', 'rate=2', 'rate=3', 'rate=5']);
  expect(first.record.scores['rate=9']).toBe(46);
  const of = (rate: number, rung: number): Row => first.table.find(row => row.rate === rate && row.rung === rung)!;
  expect(of(9, 10)).toMatchObject({ state: 'fresh', loss: 46 });
  expect(of(9, 20)).toMatchObject({ state: 'stopped', reason: 'stopped after rung 10: loss 46.00 is number 6 of 8, and 4 went on' });
  // A later rung of it names the decision that stopped it, not one that it was not part of.
  expect(of(9, 40)).toMatchObject({ state: 'stopped', reason: 'stopped after rung 10: loss 46.00 is number 6 of 8, and 4 went on' });
  expect(of(5, 40)).toMatchObject({ state: 'stopped', reason: 'stopped after rung 20: loss 9.000 is number 4 of 4, and 2 went on' });
  expect(of(3, 40)).toMatchObject({ state: 'fresh', loss: 2.5 });
  const { decisions } = JSON.parse(first.decisions) as { decisions: { candidate: string; rung: number; wentOn: boolean | null; why: string }[] };
  expect(decisions).toHaveLength(8 + 4 + 2);
  expect(decisions.find(({ candidate, rung }) => candidate === '9' && rung === 10)).toMatchObject({ wentOn: false, why: 'loss 46.00 is number 6 of 8, and 4 went on' });

  const again = decided('other-cache');
  expect(again).toEqual(first);
});
