/** The shipped pipelines as they expand: what reads which fold, and how comparisons are told of it. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import type { Cell, CellGraph } from '../../src/runner/pipeline/model.ts';
import { loadPipeline } from '../../src/runner/pipeline/load.ts';
import { shippedStages } from '../rig/shipped-stages.ts';

const packageRoot = fileURLToPath(new URL('../../', import.meta.url)).replace(/\/$/, '');
const catalogue = shippedStages();

const load = (name: string, profile: string, set: readonly string[] = []): Promise<CellGraph> =>
  loadPipeline({ file: join(packageRoot, 'pipelines', `${name}.yaml`), profile, set, catalogue });

const uses = ({ action }: Cell): string => (action.kind === 'module' ? action.uses : action.kind);

const sources = (cell: Cell): number[] =>
  Object.values(cell.inputs).flatMap(input => (input.kind === 'output' ? [input.cell] : input.kind === 'gather' ? input.items.map(item => item.cell) : []));

/** Each cell's `preprocess` cells, its own inputs' and theirs. */
function readFrom(graph: CellGraph): ReadonlySet<number>[] {
  const found: Set<number>[] = [];
  for (const cell of graph.cells) {
    found.push(new Set(uses(cell) === 'preprocess' ? [cell.index] : sources(cell).flatMap(source => [...(found[source] ?? [])])));
  }
  return found;
}

const together = new Set(['compare-models', 'plot-comparison', 'fit-scaling-law', 'answer-halving']);

it.each(['demo', 'lab', 'full'])('in the profile %s a model is trained, adapted, embedded and evaluated within one fold, and all models have the same', async profile => {
  const graph = await load('study', profile);
  const folds = readFrom(graph);
  const pipelineOf = (cell: Cell): string => graph.stages[cell.stage]!.name.split('/')[0]!;
  for (const cell of graph.cells) {
    const read = [...folds[cell.index]!].map(index => graph.cells[index]!);
    if (together.has(uses(cell)) || read.length === 0 || cell.guard !== null || uses(cell) === 'decision') continue;
    expect(read.map(({ point }) => point['fold']), cell.id).toEqual([cell.point['fold'] ?? 0]);
  }
  for (const pipeline of new Set(graph.cells.map(pipelineOf))) {
    const own = graph.cells.filter(cell => pipelineOf(cell) === pipeline);
    // One cell of images for each fold, whichever model reads them: its params say which fold it is, and of how many.
    const cut = own.filter(cell => uses(cell) === 'preprocess');
    expect(cut.map(({ with: { fold } }) => fold), pipeline).toEqual(cut.map(({ point }) => point['fold']));
    const [parts, ...others] = new Set(cut.map(({ with: { folds } }) => folds));
    expect(others, pipeline).toEqual([]);
    if (profile === 'lab' && pipeline !== 'learning-rates') expect([parts, cut.length >= 3], pipeline).toEqual([5, true]);
    for (const cell of own.filter(one => uses(one) === 'compare-models')) {
      expect(cell.with['folds'], cell.id).toBe(parts);
      expect(folds[cell.index]!.size, cell.id).toBe(cut.length);
    }
  }
});

it('does not take a number of parts without groups, nor a fold beyond them', async () => {
  const said = async (set: string): Promise<unknown> => load('masking', 'demo', [set]).catch((error: { diagnostics: readonly { code: string; message: string }[] }) => error.diagnostics.map(({ code, message }) => `${code} ${message}`).join('\n'));
  expect(await said('split.by=source')).toMatch(/^bad-param .*folds need splitBy: group/);
  expect(await said('split.folds=null')).toMatch(/^bad-param .*without folds there is only fold 0/);
});
