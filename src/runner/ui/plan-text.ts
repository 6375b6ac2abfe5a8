/** A plan as people read it: `pipe status` and `pipe run --dry` show this very text. */
import type { CellState, Plan, PlannedCell } from '../plan/model.ts';
import { formatEstimate, formatCount } from './format.ts';
import { planCounts } from './lines.ts';
import { reasonText } from './reason-text.ts';
import type { ReasonContext } from './reason-text.ts';
import type { Style } from './style.ts';
import { padEnd, textWidth } from './width.ts';

const symbols: Readonly<Record<CellState, string>> = { fresh: '✓', run: '●', pending: '○', stopped: '■' };

/** Cells of one stage that are not fresh, listed one by one, before the rest is counted. */
const listed = 8;

export interface PlanTextOptions {
  readonly style: Style;
  readonly cwd: string;
  /** Shown at the end of the heading. */
  readonly dry: boolean;
}

export function planText(plan: Plan, options: PlanTextOptions): string {
  const { style } = options;
  const { graph } = plan;
  const context: ReasonContext = { graph, cwd: options.cwd, locate: null };
  const heading = [style.bold(graph.pipeline)];
  if (graph.profile !== null) heading.push(`profile ${graph.profile}`);
  heading.push(planCounts({ cells: plan.selected.size, toRun: plan.counts.run, ...plan.counts }));
  if (plan.estimateMs !== null && plan.counts.run + plan.counts.pending > 0) heading.push(`about ${formatEstimate(plan.estimateMs)} (from history)`);
  if (options.dry) heading.push('dry run: nothing is started');
  const lines = [heading.join(' · ')];

  const stages = graph.stages
    .map(stage => ({ stage, cells: plan.cells.slice(stage.first, stage.first + stage.count).filter(cell => plan.selected.has(cell.cell)) }))
    .filter(entry => entry.cells.length > 0);
  const idOf = (planned: PlannedCell): string => graph.cells[planned.cell]?.id ?? '';
  const columns = Math.min(48, stages.reduce((most, { stage, cells }) => {
    const shown = cells.filter(cell => cell.state !== 'fresh').slice(0, listed).map(cell => textWidth(idOf(cell)));
    return Math.max(most, textWidth(stage.name) + 6, ...shown);
  }, 0));
  const row = (state: CellState, name: string, said: string): string =>
    `${paint(state, symbols[state], style)} ${padEnd(name, columns)} ${paint(state, padEnd(state, 7), style)} ${said}`.trimEnd();

  for (const { stage, cells } of stages) {
    const [only] = cells;
    if (cells.length === 1 && only !== undefined) {
      lines.push(row(only.state, idOf(only), cellNote(only, context, style)));
      continue;
    }
    const counts = (['fresh', 'run', 'pending', 'stopped'] as const).flatMap(state => {
      const count = cells.filter(cell => cell.state === state).length;
      return count > 0 ? [{ state, count }] : [];
    });
    for (const { state, count } of counts) {
      const of = cells.filter(cell => cell.state === state);
      if (state !== 'fresh' && count <= listed) lines.push(...of.map(cell => row(state, idOf(cell), cellNote(cell, context, style))));
      else lines.push(row(state, `${stage.name} ×${formatCount(count)}`, groupNote(of, context, style)));
    }
  }
  for (const stage of graph.inactive) lines.push(style.dim(`– ${padEnd(stage.name, columns)} inactive (when: ${stage.when})`));
  return `${lines.join('\n')}\n`;
}

function paint(state: CellState, text: string, style: Style): string {
  return state === 'fresh' ? style.good(text) : state === 'run' ? style.accent(text) : state === 'pending' ? style.warn(text) : style.dim(text);
}

function cellNote(cell: PlannedCell, context: ReasonContext, style: Style): string {
  const parts: string[] = [];
  if (cell.state === 'fresh') parts.push(style.dim((cell.record?.key ?? cell.planKey).slice(0, 6)));
  if (cell.remote) parts.push(style.dim('in the shared cache'));
  const accepted = cell.record?.accepted ?? null;
  if (accepted !== null) parts.push(style.warn(`accepted: ${accepted}`));
  if (cell.sameAs !== null) parts.push(`same as ${context.graph.cells[cell.sameAs]?.id ?? ''}`);
  else if (cell.state !== 'fresh') parts.push(reasonsNote(cell, context));
  parts.push(cacheNote(cell, context, style));
  if (cell.state === 'run' && cell.estimateMs !== null) parts.push(style.dim(`about ${formatEstimate(cell.estimateMs)}`));
  return parts.filter(part => part !== '').join(' · ');
}

/** Of cells of one stage in one state. */
function groupNote(cells: readonly PlannedCell[], context: ReasonContext, style: Style): string {
  const [first] = cells;
  const note = first?.state === 'fresh' ? remoteNote(cells, style) : commonNote(cells, context, style);
  return [note, first === undefined ? '' : cacheNote(first, context, style)].filter(part => part !== '').join(' · ');
}

/** What keeps a stage's results from being reused, here or by others. */
function cacheNote(cell: PlannedCell, { graph }: ReasonContext, style: Style): string {
  if (!cell.cacheable.ok) return style.warn(`not cached: ${cell.cacheable.why}`);
  return graph.cells[cell.cell]!.settings.shared ? '' : style.dim('not shared: `cache: false`');
}

function remoteNote(cells: readonly PlannedCell[], style: Style): string {
  const remote = cells.filter(cell => cell.remote).length;
  return remote === 0 ? '' : style.dim(remote === cells.length ? 'in the shared cache' : `${formatCount(remote)} of them in the shared cache`);
}

function reasonsNote(cell: PlannedCell, context: ReasonContext): string {
  const [first, ...more] = cell.reasons;
  if (first === undefined) return '';
  return reasonText(first, context) + (more.length > 0 ? ` (and ${more.length} more)` : '');
}

/** The reason that most of many cells share. */
function commonNote(cells: readonly PlannedCell[], context: ReasonContext, style: Style): string {
  const tally = new Map<string, number>();
  for (const cell of cells) {
    const note = reasonsNote(cell, context);
    tally.set(note, (tally.get(note) ?? 0) + 1);
  }
  const [most] = [...tally].sort((a, b) => b[1] - a[1]);
  if (most === undefined || most[0] === '') return '';
  return most[1] === cells.length ? most[0] : `${most[0]} ${style.dim(`(${formatCount(most[1])} of them)`)}`;
}
