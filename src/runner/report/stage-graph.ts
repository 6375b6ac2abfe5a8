/** Stages as nodes, with what state their cells are in, and the edges between them. */
import type { CellGraph, CellInput } from '../pipeline/model.ts';
import type { Plan } from '../plan/model.ts';

export interface StageNode {
  readonly name: string;
  readonly summary: string | null;
  readonly cells: number;
  /** Null without a plan. `stale` is what would run or may have to; `failed` those of them whose last attempt failed. */
  readonly states: { readonly fresh: number; readonly stale: number; readonly failed: number; readonly stopped: number } | null;
}

export interface StageEdge {
  readonly from: string;
  readonly to: string;
  /** Output names; none for an edge that only orders. */
  readonly outputs: readonly string[];
  /** Several cells go into one. */
  readonly gather: boolean;
}

export interface StageGraph {
  /** Producers before consumers. */
  readonly nodes: readonly StageNode[];
  readonly edges: readonly StageEdge[];
}

export function stageGraph(graph: CellGraph, plan: Plan | null): StageGraph {
  const nodes = graph.stages.map(stage => {
    const planned = plan?.cells.slice(stage.first, stage.first + stage.count) ?? null;
    const count = (wanted: (cell: NonNullable<typeof planned>[number]) => boolean): number => planned?.filter(wanted).length ?? 0;
    const failed = count(cell => cell.state === 'run' && cell.reasons.some(reason => reason.kind === 'failed-before'));
    return {
      name: stage.name,
      summary: stage.summary,
      cells: stage.count,
      states: planned === null ? null : {
        fresh: count(cell => cell.state === 'fresh'),
        stale: count(cell => cell.state === 'run' || cell.state === 'pending') - failed,
        failed,
        stopped: count(cell => cell.state === 'stopped'),
      },
    };
  });
  return { nodes, edges: stageEdges(graph) };
}

function stageEdges(graph: CellGraph): StageEdge[] {
  const edges = new Map<string, { from: number; to: number; outputs: Set<string>; gather: boolean }>();
  const add = (from: number, to: number, output: string | null, gather: boolean): void => {
    if (from === to) return; // rungs of one stage that follow each other
    const key = `${from} ${to}`;
    const edge = edges.get(key) ?? { from, to, outputs: new Set<string>(), gather: false };
    if (output !== null) edge.outputs.add(output);
    edge.gather ||= gather;
    edges.set(key, edge);
  };
  const stageOf = (cell: number): number => graph.cells[cell]?.stage ?? -1;
  for (const cell of graph.cells) {
    for (const input of Object.values(cell.inputs)) {
      for (const producer of producers(input)) add(stageOf(producer), cell.stage, input.kind === 'path' ? null : input.output, input.kind === 'gather');
    }
    for (const other of cell.needs) add(stageOf(other), cell.stage, null, false);
  }
  const name = (index: number): string => graph.stages[index]?.name ?? '';
  return [...edges.values()]
    .sort((a, b) => a.to - b.to || a.from - b.from)
    .map(edge => ({ from: name(edge.from), to: name(edge.to), outputs: [...edge.outputs].sort(), gather: edge.gather }));
}

function producers(input: CellInput): readonly number[] {
  switch (input.kind) {
    case 'output':
      return [input.cell];
    case 'gather':
      return input.items.map(item => item.cell);
    case 'path':
      return [];
  }
}

/** `20 fresh, 3 stale, 1 failed` */
export function statesText(states: NonNullable<StageNode['states']>): string {
  return (['fresh', 'stale', 'failed', 'stopped'] as const).flatMap(name => (states[name] > 0 ? [`${states[name]} ${name}`] : [])).join(', ');
}

export const nodeLabel = (node: StageNode): string => (node.cells === 1 ? node.name : `${node.name} ×${node.cells}`);
