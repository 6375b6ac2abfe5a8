/** What a run ends with: the first table of the report in short, and the last thing each final stage said. */
import type { Plan } from '../plan/model.ts';
import { collectNotes } from '../report/final-notes.ts';
import { defaultTables, tableItem } from '../report/collect.ts';
import type { PageItem } from '../report/page-model.ts';
import type { Store } from '../store/store.ts';
import { makeStyle } from '../ui/style.ts';
import type { Style } from '../ui/style.ts';
import { terminalFacts } from '../ui/terminal.ts';
import { textTable } from '../ui/text-table.ts';
import type { CliContext } from './context.ts';

const mostRows = 20;

/** Empty for a pipeline without metrics and notes. */
export function resultsText(plan: Plan, store: Store, context: Pick<CliContext, 'stdout' | 'env'>): string {
  const style = makeStyle(terminalFacts(context.stdout, context.env).color);
  const listed = plan.graph.report.flatMap(item => (item.kind === 'table' ? [tableItem(item, plan, store)] : []));
  const tables = plan.graph.report.length > 0 ? listed : defaultTables(plan, store).slice(-1);
  const made = tables.filter(table => table.rows.some(row => row.attempt !== null));
  // Tables of several cells are the results; those of a single one, with all that it counted, are for the page.
  const several = made.filter(table => table.rows.length > 1);
  const parts = (several.length > 0 ? several : made.slice(0, 1)).map(table => tableText(table, style));
  const notes = collectNotes(plan, store);
  if (notes.length > 0) parts.push(notes.map(({ stage, text }) => `${style.bold(stage)}: ${text}\n`).join(''));
  return parts.join('\n');
}

function tableText(table: Extract<PageItem, { kind: 'table' }>, style: Style): string {
  const rows = table.rows.slice(0, mostRows);
  const marked = rows.some(row => row.mark.state !== 'fresh');
  const text = textTable({
    columns: [...table.columns.map(column => column.name), ...(marked ? ['state'] : [])],
    rows: rows.map(row => [...row.values, ...(marked ? [row.mark.state === 'fresh' ? undefined : row.mark.state] : [])]),
  }, style.dim);
  const more = table.rows.length > rows.length ? style.dim(`… ${table.rows.length - rows.length} more rows: pipe table\n`) : '';
  return `${style.bold(table.title)}\n${text}${more}`;
}
