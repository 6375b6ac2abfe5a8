/** `pipe sql`: one statement that only reads, on the results database. */
import { Option } from 'commander';
import type { Database } from 'better-sqlite3';
import { PipeError } from '../diagnostic.ts';
import type { Json } from '../json.ts';
import { migrations } from '../store/migrations.ts';
import { openStore } from '../store/store.ts';
import { makeStyle } from '../ui/style.ts';
import { terminalFacts } from '../ui/terminal.ts';
import { formatTable, tableFormats, textTable } from '../ui/text-table.ts';
import type { Table, TableFormat } from '../ui/text-table.ts';
import { cacheFolder } from './cache-folder.ts';
import type { CommandModule } from './context.ts';
import { addCacheOptions } from './options.ts';

export const sqlCommand: CommandModule = {
  name: 'sql',
  register(program, context) {
    addCacheOptions(program.command('sql').description('read the results database with SQL').argument('[query]', 'a statement that only reads'))
      .option('--schema', 'print the documented views and tables')
      .addOption(new Option('--format <format>', 'how to print').choices(tableFormats).default('text'))
      .action((query: string | undefined, options: { cache?: string; json?: boolean; schema?: boolean; format: TableFormat }) => {
        if (options.schema) {
          const schema = migrations.map(step => step.trim()).join('\n\n');
          context.stdout.write(options.json ? `${JSON.stringify({ version: migrations.length, schema })}\n` : `${schema}\n`);
          return;
        }
        if (query === undefined) {
          throw new PipeError('pipe sql takes a query', { exitCode: 2, code: 'usage', hint: 'for example `pipe sql "select cell, metrics from results"`; --schema shows what there is' });
        }
        const store = openStore({ cache: cacheFolder(options.cache, null, context), mode: 'read' });
        try {
          const table = ask(store.database, query);
          const format = options.json ? 'json' : options.format;
          const style = makeStyle(terminalFacts(context.stdout, context.env).color);
          context.stdout.write(format === 'text' ? textTable(table, style.dim) : formatTable(table, format));
        } finally {
          store.close();
        }
      });
  },
};

function ask(database: Database, query: string): Table {
  // Even a statement that gives rows could write (`insert … returning`, pragmas).
  database.pragma('query_only = ON');
  try {
    const statement = database.prepare(query);
    if (!statement.reader) {
      throw new PipeError('pipe sql only reads: the statement gives no rows', { exitCode: 2, code: 'sql-read-only', hint: 'write a SELECT' });
    }
    const columns = statement.columns().map(column => column.name);
    const rows = (statement.raw().all() as unknown[][]).map(row => row.map(toJson));
    return { columns, rows };
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.name === 'SqliteError') {
      const readOnly = error.code === 'SQLITE_READONLY';
      throw new PipeError(readOnly ? 'pipe sql only reads' : `the query fails: ${error.message}`, {
        exitCode: 2, code: readOnly ? 'sql-read-only' : 'sql-error', hint: readOnly ? null : '`pipe sql --schema` shows the views and tables', cause: error,
      });
    }
    throw error instanceof RangeError ? new PipeError('one statement at a time', { exitCode: 2, code: 'sql-error', cause: error }) : error;
  }
}

/** Blobs are shown as hexadecimal digits. */
function toJson(value: unknown): Json {
  if (value === null || typeof value === 'string' || typeof value === 'number') return value;
  return Buffer.isBuffer(value) ? value.toString('hex') : String(value);
}
