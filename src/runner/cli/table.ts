/** `pipe table`: cells as rows, params and metrics as columns. */
import { Option } from 'commander';
import { PipeError } from '../diagnostic.ts';
import { suggestion } from '../pipeline/suggest.ts';
import { defaultColumns, resultRows, valueOf } from '../report/result-rows.ts';
import type { ResultRow } from '../report/result-rows.ts';
import { conditionHolds, parseConditions } from '../report/where.ts';
import { makeStyle } from '../ui/style.ts';
import { terminalFacts } from '../ui/terminal.ts';
import { formatTable, tableFormats, textTable } from '../ui/text-table.ts';
import type { Table, TableFormat } from '../ui/text-table.ts';
import type { CommandModule } from './context.ts';
import { addPipelineOptions, collect } from './options.ts';
import type { PipelineOptions } from './options.ts';
import { withReading } from './session.ts';
import type { Session } from './session.ts';

interface TableOptions extends PipelineOptions {
  readonly where: readonly string[];
  readonly sort?: string;
  readonly columns?: string;
  readonly format: TableFormat;
}

export const tableCommand: CommandModule = {
  name: 'table',
  register(program, context) {
    addPipelineOptions(program.command('table').description('cells as rows, params and metrics as columns; stale rows are marked').argument('[file-or-target...]'))
      .option('--where <condition>', 'only rows where it holds, such as size=d32l2 or loss<3; may be repeated', collect, [])
      .option('--sort <column>', 'sort by a column; -COLUMN for the greatest first')
      .option('--columns <names>', 'which columns, with commas between')
      .addOption(new Option('--format <format>', 'how to print').choices(tableFormats).default('text'))
      .action(async (words: string[], options: TableOptions) => {
        await withReading(words, options, context, session => {
          const rows = chosenRows(session, options);
          const table = makeTable(rows, options);
          const format = options.json ? 'json' : options.format;
          const style = makeStyle(terminalFacts(context.stdout, context.env).color);
          context.stdout.write(format === 'text' ? textTable(table, style.dim) : formatTable(table, format));
          const stale = rows.filter(row => row.mark.state === 'stale').length;
          if (stale > 0 && format === 'text') {
            context.stderr.write(`${style.warn(`${stale} of ${rows.length} rows are stale`)}: made with other code, inputs or settings; \`pipe why CELL\` says which\n`);
          }
        });
      });
  },
};

/** Targets as named; without any, the cells of the report's tables, else of all stages that have metrics. */
function chosenRows(session: Session, options: TableOptions): ResultRow[] {
  const { plan, store, graph, selected } = session;
  const reported = new Set(graph.report.flatMap(item => (item.kind === 'table' ? [item.stage] : [])));
  const wanted = (index: number): boolean => {
    if (selected !== null) return selected.has(index);
    return reported.size === 0 || reported.has(graph.stages[graph.cells[index]?.stage ?? -1]?.name ?? '');
  };
  let rows = resultRows(plan, store, [...graph.cells.keys()].filter(wanted));
  if (selected === null && reported.size === 0 && rows.some(row => Object.keys(row.metrics).length > 0)) {
    const measured = new Set(rows.filter(row => Object.keys(row.metrics).length > 0).map(row => row.stage));
    rows = rows.filter(row => measured.has(row.stage));
  }
  const conditions = options.where.flatMap(parseConditions);
  for (const condition of conditions) requireColumn(condition.column, rows);
  rows = rows.filter(row => conditions.every(condition => conditionHolds(condition, valueOf(row, condition.column))));
  return options.sort === undefined ? rows : sorted(rows, options.sort);
}

function sorted(rows: readonly ResultRow[], sort: string): ResultRow[] {
  const down = sort.startsWith('-');
  const column = down ? sort.slice(1) : sort;
  requireColumn(column, rows);
  const order = (a: ResultRow, b: ResultRow): number => {
    const [x, y] = [valueOf(a, column), valueOf(b, column)];
    // Rows without the value come last, whichever way is up.
    if (x === undefined || y === undefined) return Number(x === undefined) - Number(y === undefined);
    const difference = typeof x === 'number' && typeof y === 'number' ? x - y : String(x) < String(y) ? -1 : String(x) > String(y) ? 1 : 0;
    return down ? -difference : difference;
  };
  return rows.toSorted(order);
}

const fixedColumns = ['cell', 'stage', 'state', 'reason', 'attempt'];

function requireColumn(name: string, rows: readonly ResultRow[]): void {
  if (rows.length === 0 || fixedColumns.includes(name) || rows.some(row => valueOf(row, name) !== undefined)) return;
  const names = new Set(rows.flatMap(row => [...Object.keys(row.cell.point), ...Object.keys(row.metrics), ...Object.keys(row.params)]));
  throw new PipeError(`there is no column ${name}`, { exitCode: 2, code: 'unknown-column', hint: suggestion(name, [...names, ...fixedColumns], 'columns are') });
}

function makeTable(rows: readonly ResultRow[], options: TableOptions): Table {
  const stages = new Set(rows.map(row => row.stage));
  const given = options.columns?.split(',').map(name => name.trim()).filter(name => name !== '');
  for (const name of given ?? []) requireColumn(name, rows);
  const found = defaultColumns(rows).map(column => column.name);
  const noAxes = rows.some(row => Object.keys(row.cell.point).length === 0);
  const columns = given ?? [...(stages.size > 1 ? ['stage'] : noAxes ? ['cell'] : []), ...found];
  // A stale row says so in every format.
  const state = columns.includes('state') ? columns : [...columns, 'state'];
  // So does one that stands by acceptance or was stopped, with the reason.
  const all = state.includes('reason') || !rows.some(row => row.mark.state === 'accepted' || row.mark.state === 'stopped') ? state : [...state, 'reason'];
  return { columns: all, rows: rows.map(row => all.map(column => valueOf(row, column))) };
}
