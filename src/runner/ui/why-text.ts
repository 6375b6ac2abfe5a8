/** `pipe why`: the tree of reasons of one cell, each cause under what it causes. */
import type { Explanation } from '../plan/model.ts';
import { formatEstimate } from './format.ts';
import { resumedText } from './lines.ts';
import { differenceText, reasonText } from './reason-text.ts';
import type { ReasonContext } from './reason-text.ts';
import { printable } from '../run/log-file.ts';
import type { Style } from './style.ts';

export function whyText(explanation: Explanation, state: string, context: ReasonContext, style: Style): string {
  const lines: string[] = [];
  const id = context.graph.cells[explanation.cell]?.id ?? '';
  lines.push(`${style.bold(id)} ${state === 'fresh' ? style.good(state) : style.warn(state)}`);
  if (explanation.accepted !== null) lines.push(style.warn(acceptedText(explanation.accepted)));
  addBranches(explanation, '', lines, context, style, new Set());
  if (explanation.made !== null && explanation.accepted === null) lines.push(madeText(explanation.made));
  if (explanation.nearest !== null) {
    const { attempt, cell, differences } = explanation.nearest;
    lines.push(`nearest cached: ${cell} (attempt ${attempt})${differences.length === 0 ? '' : ', which differs in'}`);
    lines.push(...differences.slice(0, 8).map(reason => `    ${differenceText(reason, context)}`));
    if (differences.length > 8) lines.push(`    … and ${differences.length - 8} more`);
  }
  if (explanation.estimateMs !== null && state !== 'fresh') lines.push(`to run it takes about ${formatEstimate(explanation.estimateMs)} (from history)`);
  return `${lines.join('\n')}\n`;
}

const acceptedText = ({ reason, attempt }: NonNullable<Explanation['accepted']>): string => `accepted, made by attempt ${attempt}: ${printable(reason)}`;

const madeText = ({ attempt, resumedFromStep }: NonNullable<Explanation['made']>): string =>
  `made by attempt ${attempt}${resumedFromStep === null ? '' : `, ${resumedText(resumedFromStep)}`}`;

/** A cell that several inputs lead to is shown in full once. */
function addBranches(
  explanation: Explanation, indent: string, lines: string[], context: ReasonContext, style: Style, shown: Set<number>,
): void {
  shown.add(explanation.cell);
  const { reasons } = explanation;
  if (reasons.length === 0) lines.push(`${indent}└ ${style.dim('nothing changed')}`);
  reasons.forEach((reason, i) => {
    const last = i === reasons.length - 1;
    const text = reasonText(reason, context);
    lines.push(`${indent}${last ? '└' : '├'} ${reason.kind === 'ignored' ? style.dim(text) : text}`);
    if (reason.kind !== 'upstream') return;
    const cause = explanation.because.find(other => other.cell === reason.cell);
    if (cause === undefined) return;
    if (shown.has(cause.cell)) lines.push(`${indent}${last ? ' ' : '│'}   ${style.dim('(as above)')}`);
    else addBranches(cause, `${indent}${last ? ' ' : '│'}   `, lines, context, style, shown);
  });
}
