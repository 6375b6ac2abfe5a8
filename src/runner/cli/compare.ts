/** `pipe compare A B`: two runs, two cells or two profiles side by side. */
import { PipeError } from '../diagnostic.ts';
import type { Json } from '../json.ts';
import { selectOneCell } from '../pipeline/target.ts';
import { attemptOf, flatten, metricValues, resultRows } from '../report/result-rows.ts';
import { attemptsOfRun, findRun, lastMetricsOf } from '../store/history.ts';
import { resultsOfRun } from '../store/run-results.ts';
import { openStore } from '../store/store.ts';
import type { Store } from '../store/store.ts';
import { formatNumber, formatValue } from '../ui/format.ts';
import { makeStyle } from '../ui/style.ts';
import { terminalFacts } from '../ui/terminal.ts';
import { textTable } from '../ui/text-table.ts';
import { cut } from '../ui/width.ts';
import { cacheFolder } from './cache-folder.ts';
import type { CliContext, CommandModule } from './context.ts';
import { addPipelineOptions, fileAndTargets } from './options.ts';
import type { PipelineOptions } from './options.ts';
import { withReading } from './session.ts';

/** One side: what it was made with, and what came out. */
interface Side {
  readonly title: string;
  /** `param size`, `code stages/train.ts`, `input images` … */
  readonly settings: Readonly<Record<string, Json>>;
  /** `loss`, or `evaluate[size=d16l1] loss` where there are several cells. */
  readonly metrics: Readonly<Record<string, Json>>;
  /** What this side cannot show, in words. */
  readonly unseen?: string;
}

interface Line {
  readonly what: string;
  readonly kind: 'setting' | 'metric';
  readonly a: Json | undefined;
  readonly b: Json | undefined;
  /** b − a, of two numbers. */
  readonly difference: number | null;
}

export const compareCommand: CommandModule = {
  name: 'compare',
  register(program, context) {
    addPipelineOptions(program.command('compare').description('two runs (by number), cells or profiles side by side: params, code, data, metrics').argument('<a-and-b...>'))
      .option('--all', 'also what is the same')
      .action(async (words: string[], options: PipelineOptions & { all?: boolean }) => {
        const { targets } = fileAndTargets(words, options.file);
        const [first, second, ...more] = targets;
        if (first === undefined || second === undefined || more.length > 0) {
          throw new PipeError('pipe compare takes two things', { exitCode: 2, code: 'usage', hint: 'two run numbers, two cells, or two profiles' });
        }
        const files = words.filter(word => !targets.includes(word));
        const [a, b] = /^\d+$/.test(first) && /^\d+$/.test(second)
          ? runSides(Number(first), Number(second), options, context)
          : [await sideOf(first, files, options, context), await sideOf(second, files, options, context)];
        const lines = compareSides(a, b).filter(line => options.all || line.kind === 'metric' || JSON.stringify(line.a) !== JSON.stringify(line.b));
        const unseen = [a, b].flatMap(side => (side.unseen === undefined ? [] : [side.unseen]));
        for (const text of unseen) if (!options.json) context.stderr.write(`${text}\n`);
        if (options.json) context.stdout.write(`${JSON.stringify({ a: a.title, b: b.title, lines, unseen })}\n`);
        else printLines(a, b, lines, context);
      });
  },
};

async function sideOf(name: string, files: readonly string[], options: PipelineOptions, context: CliContext): Promise<Side> {
  if (/^\d+$/.test(name)) {
    const store = openStore({ cache: cacheFolder(options.cache, null, context), mode: 'read' });
    try {
      return runSide(Number(name), store);
    } finally {
      store.close();
    }
  }
  try {
    return await withReading(files, options, context, session => {
      const index = selectOneCell(session.graph, name);
      const planned = session.plan.cells[index];
      const id = session.graph.cells[index]?.id ?? name;
      const attempt = planned === undefined ? null : attemptOf(planned, session.plan, session.store);
      if (attempt === null) throw new PipeError(`${id} has no result yet`, { exitCode: 1, code: 'never-run', hint: `\`pipe run '${id}'\` makes it` });
      return cellSide(id, attempt, session.store);
    });
  } catch (error) {
    // What is no stage may be a profile.
    if (!(error instanceof PipeError) || error.code !== 'unknown-stage') throw error;
    return profileSide(name, error, files, options, context);
  }
}

/** Two runs; of cells whose results come from different attempts, also what these were made with. */
function runSides(first: number, second: number, options: PipelineOptions, context: CliContext): [Side, Side] {
  const store = openStore({ cache: cacheFolder(options.cache, null, context), mode: 'read' });
  try {
    const [was, is] = [resultsOfRun(store.database, first), resultsOfRun(store.database, second)];
    const madeAnew = new Set([...(was ?? [])].filter(([cell, attempt]) => is?.has(cell) === true && is.get(cell) !== attempt).map(([cell]) => cell));
    return [runSide(first, store, madeAnew), runSide(second, store, madeAnew)];
  } finally {
    store.close();
  }
}

/** What every cell had when the run ended, whether it ran or was fresh, and how those ended that came to nothing. */
function runSide(id: number, store: Store, madeAnew: ReadonlySet<string> = new Set()): Side {
  const run = findRun(store.database, id);
  if (run === null) throw new PipeError(`there is no run ${id}`, { exitCode: 2, code: 'no-such-run', hint: '`pipe history` lists them' });
  const metrics: Record<string, Json> = {};
  const settings: Record<string, Json> = { pipeline: run.pipeline, profile: run.profile, program: run.version, host: run.host };
  for (const [name, value] of Object.entries(flatten(run.params))) settings[`param ${name}`] = value;
  const attempts = attemptsOfRun(store.database, id).filter(({ verifies }) => verifies === null);
  const results = resultsOfRun(store.database, id);
  for (const { cell, status } of attempts) settings[`cell ${cell}`] = status;
  for (const [cell, attempt] of results ?? attempts.map(({ cell: ran, id: of }) => [ran, of] as const)) {
    if (results !== null) settings[`cell ${cell}`] = `attempt ${attempt}`;
    for (const [name, value] of Object.entries(metricValues(lastMetricsOf(store.database, attempt)))) metrics[`${cell} ${name}`] = value;
    if (!madeAnew.has(cell)) continue;
    for (const [part, value] of Object.entries(cellSide(cell, attempt, store).settings)) settings[`${cell} ${part}`] = value;
  }
  const title = `run ${id}`;
  if (results !== null) return { title, settings, metrics };
  return { title, settings, metrics, unseen: `${title} did not record which results its fresh cells had (it did not end, or an older version made it): only cells that ran in it are compared` };
}

function cellSide(id: string, attempt: number, store: Store): Side {
  const settings: Record<string, Json> = {};
  for (const { part, value } of store.results.manifestOf(attempt)) {
    const map = value !== null && typeof value === 'object' && !Array.isArray(value) ? value : null;
    if (map === null) settings[part] = value;
    else for (const [name, entry] of Object.entries(flatten(map as Readonly<Record<string, Json>>))) settings[`${part} ${name}`] = entry;
  }
  return { title: id, settings, metrics: metricValues(lastMetricsOf(store.database, attempt)) };
}

async function profileSide(name: string, noStage: PipeError, files: readonly string[], options: PipelineOptions, context: CliContext): Promise<Side> {
  try {
    return await withReading(files, { ...options, profile: name }, context, ({ plan, store, graph }) => {
      const settings: Record<string, Json> = {};
      for (const [param, value] of Object.entries(flatten(graph.params))) settings[`param ${param}`] = value;
      settings['cells'] = graph.cells.length;
      const metrics: Record<string, Json> = {};
      for (const row of resultRows(plan, store, graph.cells.keys())) {
        for (const [metric, value] of Object.entries(row.metrics)) metrics[`${row.cell.id} ${metric}`] = value;
      }
      return { title: `profile ${name}`, settings, metrics };
    });
  } catch (error) {
    throw error instanceof PipeError && error.exitCode === 2
      ? new PipeError(`${name} is no run number, cell or profile: ${noStage.message}`, { exitCode: 2, code: 'unknown-side', hint: noStage.hint })
      : error;
  }
}

function compareSides(a: Side, b: Side): Line[] {
  const lines = (kind: Line['kind'], left: Side['settings'], right: Side['settings']): Line[] =>
    [...new Set([...Object.keys(left), ...Object.keys(right)])].map(what => {
      const [x, y] = [left[what], right[what]];
      return { what, kind, a: x, b: y, difference: typeof x === 'number' && typeof y === 'number' ? y - x : null };
    });
  return [...lines('setting', a.settings, b.settings), ...lines('metric', a.metrics, b.metrics)];
}

function printLines(a: Side, b: Side, lines: readonly Line[], context: CliContext): void {
  const style = makeStyle(terminalFacts(context.stdout, context.env).color);
  if (lines.length === 0) {
    context.stdout.write('no difference\n');
    return;
  }
  const short = (value: Json | undefined): Json | undefined =>
    value === undefined || typeof value === 'number' ? value
      : typeof value === 'string' && /^[0-9a-f]{64}$/.test(value) ? value.slice(0, 10) : cut(formatValue(value).replaceAll('\n', '⏎'), 48);
  context.stdout.write(textTable({
    columns: ['', a.title, b.title, 'difference'],
    rows: lines.map(line => [line.what, text(short(line.a)), text(short(line.b)), line.difference === null || line.difference === 0 ? undefined : signed(line.difference)]),
  }, style.dim));
}

const text = (value: Json | undefined): Json | undefined => (typeof value === 'number' ? formatNumber(value) : value);
const signed = (value: number): string => (value > 0 ? `+${formatNumber(value)}` : formatNumber(value));
