/** One event → the line or lines that people read; shared by the plain and the live view. */
import { relative } from 'node:path';
import type { CellStatus, RunEvent } from '../run/event.ts';
import { formatCount, formatDuration, formatEstimate, plural } from './format.ts';
import type { Style } from './style.ts';
import { printable } from '../run/log-file.ts';
import { padEnd } from './width.ts';

export type EventOf<Name extends RunEvent['event']> = Extract<RunEvent, { readonly event: Name }>;

/** `scaling · profile demo · 31 cells: 24 fresh, 7 to run · about 3 min (from history)` */
export function headingLine(event: EventOf<'run.planned'>, style: Style): string {
  const parts = [style.bold(event.pipeline)];
  if (event.profile !== null) parts.push(`profile ${event.profile}`);
  parts.push(planCounts(event));
  if (event.estimateMs !== null && event.toRun + event.pending > 0) {
    parts.push(`about ${formatEstimate(event.estimateMs)} (from history)`);
  }
  if (event.dry) parts.push('dry run');
  return parts.join(' · ');
}

interface Counts {
  readonly cells: number;
  readonly fresh: number;
  readonly toRun: number;
  readonly pending: number;
  readonly stopped: number;
}

/** `31 cells: 24 fresh, 3 to run, 4 that depend on them`; says plainly when nothing is to run. */
export function planCounts(counts: Counts): string {
  if (counts.toRun + counts.pending === 0) {
    const stopped = counts.stopped > 0 ? `, ${counts.stopped} stopped` : '';
    return `nothing to run: ${plural(counts.fresh, 'cell')} fresh${stopped}`;
  }
  const parts = [`${formatCount(counts.fresh)} fresh`, `${formatCount(counts.toRun)} to run`];
  if (counts.pending > 0) parts.push(`${formatCount(counts.pending)} that depend${counts.pending === 1 ? 's' : ''} on ${counts.toRun === 1 ? 'it' : 'them'}`);
  if (counts.stopped > 0) parts.push(`${formatCount(counts.stopped)} stopped`);
  return `${plural(counts.cells, 'cell')}: ${parts.join(', ')}`;
}

const symbols: Readonly<Record<CellStatus, string>> = {
  ran: '✓', fresh: '✓', failed: '✗', skipped: '–', tainted: '!', stopped: '■', interrupted: '‖',
};

export function paintStatus(status: CellStatus, text: string, style: Style): string {
  switch (status) {
    case 'ran':
      return style.good(text);
    case 'fresh':
    case 'skipped':
    case 'stopped':
      return style.dim(text);
    case 'failed':
      return style.bad(text);
    case 'tainted':
    case 'interrupted':
      return style.warn(text);
  }
}

/** `✓ train[size=d16l1]   ran     41 s     loss 2.913` */
export function finishedLine(event: EventOf<'cell.finished'>, style: Style, idColumns: number): string {
  const what = event.status === 'fresh' ? (event.key?.slice(0, 6) ?? '') : event.durationMs > 0 ? formatDuration(event.durationMs) : '';
  const result = event.summary ?? (event.status === 'skipped' ? (event.message ?? '') : '');
  const said = event.resumedFromStep === undefined ? result : [resumedText(event.resumedFromStep), result].filter(Boolean).join(', ');
  const line = [
    paintStatus(event.status, symbols[event.status], style),
    padEnd(printable(event.cell), idColumns),
    paintStatus(event.status, padEnd(event.status, 7), style),
    padEnd(what, 9),
    printable(said).split('\n')[0] ?? '',
  ];
  return line.join(' ').trimEnd();
}

export const resumedText = (step: number): string => `resumed from step ${formatCount(step)}`;

/** Several fresh cells of one stage in one line: `✓ train ×24   fresh`. */
export const freshGroupLine = (stage: string, count: number, style: Style, idColumns: number): string =>
  `${paintStatus('fresh', symbols.fresh, style)} ${padEnd(`${stage} ×${formatCount(count)}`, idColumns)} ${paintStatus('fresh', 'fresh', style)}`;

/** What failed, the last lines of its log, where the whole log and the folder are, and the command that runs it again. */
export function failureBlock(event: EventOf<'cell.finished'>, style: Style, cwd: string): string[] {
  const lines = [`${style.bad(`${event.cell} failed`)}: ${printable(event.message ?? event.cause ?? 'no reason was given')}`];
  const tail = (event.tail ?? []).map(printable);
  lines.push(...tail.map(line => `  ${style.dim('│')} ${line}`));
  if (event.log !== undefined) lines.push(`  log     ${shownPath(event.log, cwd)}`);
  if (event.folder !== undefined) {
    lines.push(`  folder  ${shownPath(event.folder, cwd)}`, `  again   ${style.bold(`sh ${shellWord(`${shownPath(event.folder, cwd)}/run.sh`)}`)}`);
  }
  return lines;
}

/** Relative to where the user is if that is shorter, else absolute. */
export function shownPath(path: string, cwd: string): string {
  const near = relative(cwd, path);
  return near === '' ? '.' : near.length < path.length && !near.startsWith('../../..') ? near : path;
}

/** Quoted only if a shell would otherwise read it differently. */
export const shellWord = (text: string): string => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`);

/** `7 ran, 24 fresh, 1 failed · 2 min 3 s`; `nothing to run: 31 cells fresh` when so. */
export function summaryLine(event: EventOf<'run.finished'>, style: Style): string {
  const others = event.ran + event.failed + event.skipped + event.tainted + event.interrupted;
  const took = formatDuration(event.durationMs);
  if (others === 0 && event.stopped === 0) return `${style.good('✓')} nothing to run: ${plural(event.fresh, 'cell')} fresh`;
  const count = (n: number, name: string, paint: (text: string) => string): string[] => (n > 0 ? [paint(`${formatCount(n)} ${name}`)] : []);
  const plain = (text: string): string => text;
  const parts = [
    ...count(event.ran, 'ran', style.good),
    ...count(event.fresh, 'fresh', plain),
    ...count(event.failed, 'failed', style.bad),
    ...count(event.skipped, 'skipped', style.warn),
    ...count(event.tainted, 'tainted', style.warn),
    ...count(event.interrupted, 'interrupted', style.warn),
    ...count(event.stopped, 'stopped', plain),
  ];
  const mark = event.failed > 0 ? style.bad('✗') : event.exitCode === 0 ? style.good('✓') : style.warn('‖');
  return `${mark} ${parts.join(', ')} · ${took}`;
}

/** Lines for events that are neither start nor end of a cell: notices, waiting, retries; none for the rest. */
export function asideLines(event: RunEvent, style: Style): string[] {
  switch (event.event) {
    case 'notice': {
      const where = event.cell === undefined ? '' : `${event.cell}: `;
      const text = `${where}${printable(event.text)}`;
      return [event.level === 'warning' ? `${style.warn('warning')} ${text}` : style.dim(text)];
    }
    case 'cell.waiting':
      return [style.dim(`… ${event.cell} waits for ${printable(event.holder)}, and will take its result`)];
    case 'cell.resumed':
      return [style.dim(`↪ ${event.cell} ${resumedText(event.step)}`)];
    case 'cell.retrying': {
      const wait = event.inMs > 0 ? ` in ${formatDuration(event.inMs)}` : '';
      return [style.warn(`↻ ${event.cell} ended by ${event.cause}; try ${event.try}${wait}`)];
    }
    case 'run.planned':
    case 'cell.started':
    case 'cell.progress':
    case 'metric':
    case 'note':
    case 'platform':
    case 'log':
    case 'cell.finished':
    case 'run.finished':
      return [];
  }
}
