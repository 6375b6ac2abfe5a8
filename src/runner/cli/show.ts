/** `pipe show RUN` lists what a run did; `pipe show TARGET` says all that is known of the last attempt of a cell. */
import { PipeError } from '../diagnostic.ts';
import { selectOneCell } from '../pipeline/target.ts';
import { metricValues } from '../report/result-rows.ts';
import { attemptsOfRun, findRun, lastMetricsOf, notesOf, outputsOf, paramsOf } from '../store/history.ts';
import type { Attempt } from '../store/model.ts';
import { verificationsOf } from '../store/verifications.ts';
import type { Verification } from '../store/verifications.ts';
import { openStore } from '../store/store.ts';
import type { Store } from '../store/store.ts';
import { formatBytes, formatDuration, formatTime, formatValue } from '../ui/format.ts';
import { makeStyle } from '../ui/style.ts';
import type { Style } from '../ui/style.ts';
import { resumedText, shownPath } from '../ui/lines.ts';
import { terminalFacts } from '../ui/terminal.ts';
import { shown, textTable } from '../ui/text-table.ts';
import { printable } from '../run/log-file.ts';
import { padEnd } from '../ui/width.ts';
import { cacheFolder } from './cache-folder.ts';
import type { CliContext, CommandModule } from './context.ts';
import { addPipelineOptions, fileAndTargets, onlyTarget } from './options.ts';
import type { PipelineOptions } from './options.ts';
import { withReading } from './session.ts';

export const showCommand: CommandModule = {
  name: 'show',
  register(program, context) {
    addPipelineOptions(program.command('show').description('show a run by its number, or the last attempt of a cell').argument('<run-or-target...>'))
      .action(async (words: string[], options: PipelineOptions) => {
        const target = onlyTarget(fileAndTargets(words, options.file).targets, 'show');
        if (/^\d+$/.test(target)) showRun(Number(target), options, context);
        else await showCell(target, words.filter(word => word !== target), options, context);
      });
  },
};

function showRun(id: number, options: PipelineOptions, context: CliContext): void {
  const store = openStore({ cache: cacheFolder(options.cache, null, context), mode: 'read' });
  try {
    const run = findRun(store.database, id);
    if (run === null) throw new PipeError(`there is no run ${id}`, { exitCode: 2, code: 'no-such-run', hint: '`pipe history` lists them' });
    const attempts = attemptsOfRun(store.database, id);
    if (options.json) {
      context.stdout.write(`${JSON.stringify({ ...run, attempts })}\n`);
      return;
    }
    const style = makeStyle(terminalFacts(context.stdout, context.env).color);
    const took = run.endedAt === null ? 'not ended' : formatDuration(run.endedAt - run.startedAt);
    printFacts([
      ['run', `${run.id} of ${run.pipeline}${run.profile === null ? '' : `, profile ${run.profile}`}`],
      ['command', run.command.join(' ')],
      ['when', `${formatTime(run.startedAt)}, ${took}`],
      ['where', `${run.host}, process ${run.pid}`],
      ['exit', String(run.exitCode ?? '–')],
      ['counts', Object.entries(run.summary ?? {}).filter(([, n]) => typeof n === 'number' && n > 0).map(([name, n]) => `${n} ${name}`).join(', ')],
    ], style, context);
    if (attempts.length === 0) return;
    context.stdout.write(`\n${textTable({
      columns: ['attempt', 'cell', 'status', 'took', 'processor', 'memory', 'exit', 'key', 'message'],
      rows: attempts.map(attempt => [
        String(attempt.id), attempt.cell, attempt.status, tookOf(attempt),
        attempt.cpuSeconds === null ? undefined : formatDuration(attempt.cpuSeconds * 1000),
        attempt.peakMemoryBytes === null ? undefined : formatBytes(attempt.peakMemoryBytes),
        attempt.exitCode, (attempt.actionKey ?? attempt.planKey).slice(0, 10), aboutAttempt(attempt),
      ]),
    }, style.dim)}`);
  } finally {
    store.close();
  }
}

async function showCell(target: string, files: readonly string[], options: PipelineOptions, context: CliContext): Promise<void> {
  await withReading(files, options, context, ({ graph, plan, store }) => {
    const index = selectOneCell(graph, target);
    const id = graph.cells[index]?.id ?? target;
    const made = plan.cells[index]?.record?.attempt;
    const attempt = store.results.lastAttempts(graph.pipeline, id, { limit: 1 })[0] ?? (made === undefined ? null : store.results.attempt(made));
    if (attempt === null) throw new PipeError(`${id} has not been run yet`, { exitCode: 1, code: 'never-run' });
    if (options.json) {
      context.stdout.write(`${JSON.stringify({
        ...attempt, params: paramsOf(store.database, attempt.id), metrics: metricValues(lastMetricsOf(store.database, attempt.id)),
        notes: notesOf(store.database, attempt.id), manifest: store.results.manifestOf(attempt.id), outputs: outputsOf(store.database, attempt.id),
        verifications: verificationsOf(store.database, attempt.id),
      })}\n`);
      return;
    }
    printAttempt(attempt, store, makeStyle(terminalFacts(context.stdout, context.env).color), context);
  });
}

function printAttempt(attempt: Attempt, store: Store, style: Style, context: CliContext): void {
  const list = (entries: readonly (readonly [string, string])[]): string => entries.map(([name, value]) => `${name} ${value}`).join(', ');
  printFacts([
    ['cell', attempt.cell],
    ['attempt', `${attempt.id} of run ${attempt.run}: ${attempt.status}${attempt.cause === null ? '' : ` (${attempt.cause})`}`],
    ['message', printable(attempt.message ?? '')],
    ['key', attempt.actionKey ?? attempt.planKey],
    ['when', `${formatTime(attempt.startedAt)}, ${tookOf(attempt)}`],
    ['where', `${attempt.host}${attempt.gpu === null ? '' : `, ${attempt.gpu}`}`],
    ['platform', list(Object.entries(attempt.platform).map(([name, value]) => [name, formatValue(value)] as const))],
    ['used', list([
      ...(attempt.cpuSeconds === null ? [] : [['processor', formatDuration(attempt.cpuSeconds * 1000)] as const]),
      ...(attempt.peakMemoryBytes === null ? [] : [['peak memory', formatBytes(attempt.peakMemoryBytes)] as const]),
    ])],
    ['exit', attempt.signal ?? String(attempt.exitCode ?? '')],
    ['resumed', attempt.resumedFromStep === null ? '' : `from step ${attempt.resumedFromStep}`],
    ['params', list(Object.entries(paramsOf(store.database, attempt.id)).map(([name, value]) => [name, formatValue(value)] as const))],
    ['metrics', list(Object.entries(metricValues(lastMetricsOf(store.database, attempt.id))).map(([name, value]) => [name, shown(value)] as const))],
    ['notes', notesOf(store.database, attempt.id).map(printable).join('\n')],
    ['outputs', Object.entries(outputsOf(store.database, attempt.id)).map(([name, artefact]) => `${name} ${artefact.digest.slice(0, 12)} ${formatBytes(artefact.size)}`).join('\n')],
    ['verified', verificationsOf(store.database, attempt.id).map(verificationText).join('\n')],
    ['log', shownPath(attempt.log, context.cwd)],
  ], style, context);
}

function verificationText({ deterministic, tolerance, outputs, again, at }: Verification): string {
  const changed = outputs.filter(({ how }) => how !== 'same').map(({ output, text }) => `${output}: ${text ?? ''}`);
  const within = outputs.some(({ how }) => how === 'tolerated') ? ` within ${tolerance ?? 0}` : '';
  const detail = changed.length === 0 ? '' : ` (${changed.join('; ')})`;
  return `${deterministic ? `deterministic${within}` : 'not deterministic'}: run again ${formatTime(at)}${again === null ? '' : ` as attempt ${again}`}${detail}`;
}

/** Entries without a value are left out; further lines stand under the first. */
function printFacts(facts: readonly (readonly [string, string])[], style: Style, context: CliContext): void {
  for (const [name, value] of facts) {
    if (value !== '') context.stdout.write(`${style.dim(padEnd(name, 10))} ${value.replaceAll('\n', `\n${' '.repeat(11)}`)}\n`);
  }
}

/** What its row says beside the numbers. */
function aboutAttempt({ message, resumedFromStep }: Attempt): string | undefined {
  const resumed = resumedFromStep === null ? [] : [resumedText(resumedFromStep)];
  const parts = message === null ? resumed : [...resumed, printable(message).slice(0, 60)];
  return parts.length === 0 ? undefined : parts.join('; ');
}

const tookOf = (attempt: Attempt): string => (attempt.endedAt === null ? 'not ended' : formatDuration(attempt.endedAt - attempt.startedAt));
