/** The live region as lines of text: a pure function of the state, the time and the size of the terminal. */
import { progressBar, sparkline } from '../bars.ts';
import { formatClock, formatCount, formatEstimate, formatNumber } from '../format.ts';
import { isHere } from '../host.ts';
import type { Style } from '../style.ts';
import { printable } from '../../run/log-file.ts';
import { cut, padEnd, padStart, textWidth } from '../width.ts';
import type { LiveState, RunningCell } from './state.ts';

export interface LiveExtras {
  readonly paused: boolean;
  readonly stopping: 'no' | 'asked' | 'killed';
  /** Lines of the panel that a key has opened (a log, a reason), without colours. */
  readonly panel: { readonly title: string; readonly lines: readonly string[] } | null;
  /** Whether `p` does anything. */
  readonly canPause: boolean;
}

/** At most `maxRows` lines, each at most `columns` wide. */
export function liveRows(
  state: LiveState, extras: LiveExtras, at: { readonly now: number; readonly columns: number; readonly maxRows: number }, style: Style,
): string[] {
  const { columns, maxRows } = at;
  const foot = [...waitingRow(state, columns, style), footRow(state, extras, columns, style)];
  const panel = panelRows(extras, Math.max(0, Math.min(12, Math.floor(maxRows / 2) - foot.length)), columns, style);
  const space = Math.max(1, maxRows - foot.length - panel.length);
  const cells = [...state.running.values()];
  const shown = cells.length > space ? cells.slice(0, space - 1) : cells;
  const idColumns = Math.min(Math.floor(columns * 0.4), Math.max(8, ...shown.map(cell => textWidth(cell.cell))));
  const rows = shown.map(cell => runningRow(cell, idColumns, at, style));
  if (shown.length < cells.length) rows.push(style.dim(`  … and ${cells.length - shown.length} more running`));
  return [...rows, ...panel, ...foot].slice(-maxRows);
}

/** `● train[d24l2]  ████████░░░░ 64 %  step 320/500  loss 3.01 ▇▅▃▂  1,820 pairs/s  0:21 left  cpu 2` */
function runningRow(cell: RunningCell, idColumns: number, at: { readonly now: number; readonly columns: number }, style: Style): string {
  const elapsed = at.now - cell.startedAt;
  const head = `${style.accent('●')} ${padEnd(cut(printable(cell.cell), idColumns), idColumns)}  `;
  const place = [
    ...(isHere(cell.host) ? [] : [cell.host]),
    ...(cell.gpus.length > 0 ? [`gpu ${cell.gpus.join('+')}`] : []),
    `cpu ${cell.cpu}`,
    ...(cell.try > 1 ? [`try ${cell.try}`] : []),
  ].join(' ');
  const parts: string[] = [];
  if (cell.fraction !== null) parts.push(`${progressBar(cell.fraction, 12)} ${padStart(String(Math.floor(cell.fraction * 100)), 3)} %`);
  if (cell.step !== null) parts.push(`step ${formatCount(cell.step)}${cell.total === null ? '' : `/${formatCount(cell.total)}`}`);
  if (cell.shownMetric !== null && cell.value !== null) {
    parts.push(`${cell.shownMetric} ${Number.isFinite(cell.value) ? cell.value.toPrecision(4) : String(cell.value)}`);
  }
  if (cell.rate !== null) parts.push(`${formatNumber(cell.rate)} ${cell.unit ?? ''}/s`);
  const left = timeLeft(cell.fraction, elapsed);
  parts.push(left === null ? formatClock(elapsed) : `${formatClock(left)} left`, place);
  // Without numbers the last thing the stage said is worth the space.
  if (cell.fraction === null && cell.note !== null) parts.splice(-1, 0, printable(cell.note));
  const room = at.columns - textWidth(head);
  // A narrow terminal loses the place and the rate first, never the bar.
  while (parts.length > 1 && textWidth(parts.join('  ')) > room) parts.splice(parts.length > 3 ? parts.length - 1 : -1, 1);
  return head + cut(parts.join('  '), room);
}

/** By what has been done so far; null until a hundredth is done, since before that it would jump about. */
function timeLeft(fraction: number | null, elapsed: number): number | null {
  return fraction !== null && fraction >= 0.01 ? (elapsed * (1 - fraction)) / fraction : null;
}

/** `○ evaluate ×3  ○ fit` */
function waitingRow(state: LiveState, columns: number, style: Style): string[] {
  const names = [...state.waiting].map(([stage, count]) => (count === 1 ? `○ ${stage}` : `○ ${stage} ×${formatCount(count)}`));
  return names.length === 0 ? [] : [style.dim(cut(names.join('  '), columns))];
}

/** `train ▁▂▅▇ 2 running · 4 waiting · 24 done        p pause · w why · l log · q stop` */
function footRow(state: LiveState, extras: LiveExtras, columns: number, style: Style): string {
  const charted = [...state.running.values()].findLast(cell => cell.curve.length > 1);
  const waiting = [...state.waiting.values()].reduce((sum, n) => sum + n, 0);
  const counts = [
    `${state.running.size} running`,
    ...(waiting > 0 ? [`${formatCount(waiting)} waiting`] : []),
    ...(state.done > 0 ? [`${formatCount(state.done)} ran`] : []),
    ...(state.fresh > 0 ? [`${formatCount(state.fresh)} fresh`] : []),
    ...(state.failed > 0 ? [`${formatCount(state.failed)} failed`] : []),
    ...(state.estimateMs === null ? [] : [`planned for about ${formatEstimate(state.estimateMs)}`]),
  ].join(' · ');
  const chart = charted === undefined ? '' : `${charted.stage} ${charted.shownMetric} ${sparkline(charted.curve, 16)}  `;
  const keys = extras.stopping === 'no'
    ? [...(extras.canPause ? [extras.paused ? 'p go on' : 'p pause'] : []), 'w why', 'l log', 'q stop'].join(' · ')
    : extras.stopping === 'asked'
      ? 'stopping: the running stages save what they can · q again to end them now'
      : 'ending the running stages';
  const said = `${extras.paused ? 'paused · ' : ''}${counts}`;
  // The curve goes first where there is not room for all, then the keys.
  const left = [chart + said, said].find(text => textWidth(text) + 2 + textWidth(keys) <= columns);
  if (left === undefined) return cut(extras.stopping === 'no' ? said : keys, columns);
  return left + ' '.repeat(columns - textWidth(left) - textWidth(keys)) + style.dim(keys);
}

function panelRows(extras: LiveExtras, most: number, columns: number, style: Style): string[] {
  if (extras.panel === null || most < 2) return [];
  const title = `─ ${extras.panel.title} `;
  const rule = cut(title + '─'.repeat(Math.max(0, columns - textWidth(title))), columns);
  return [style.dim(rule), ...extras.panel.lines.slice(-(most - 1)).map(line => cut(printable(line), columns))];
}
