/** `pipe cache push`, `pull` and `verify --remote`: results to and from the shared cache by hand. */
import type { Command } from 'commander';
import { PipeError } from '../diagnostic.ts';
import type { Plan, PlannedCell } from '../plan/model.ts';
import type { Key } from '../store/model.ts';
import { showOutputs } from '../store/links.ts';
import { RemoteTrouble } from '../shared-cache/remote.ts';
import type { SharedResults } from '../shared-cache/shared-results.ts';
import { formatBytes, plural } from '../ui/format.ts';
import type { CliContext } from './context.ts';
import { addPipelineOptions } from './options.ts';
import type { PipelineOptions } from './options.ts';
import { backendChoice, openSession } from './session.ts';
import type { Session } from './session.ts';

const atOnce = 4;

export function addSharing(command: Command, context: CliContext): void {
  addPipelineOptions(command.command('push').description('put the present results into the shared cache').argument('[file-or-target...]'))
    .action((words: string[], options: PipelineOptions) => withShared(words, options, context, false, push));
  addPipelineOptions(command.command('pull').description('fetch results, with their outputs, out of the shared cache').argument('[file-or-target...]'))
    .action((words: string[], options: PipelineOptions) => withShared(words, options, context, true, pull));
}

type Work = (session: Session, shared: SharedResults, options: PipelineOptions, context: CliContext) => Promise<void>;

async function withShared(words: readonly string[], options: PipelineOptions, context: CliContext, lookUp: boolean, work: Work): Promise<void> {
  const session = await openSession(words, options, context, { mode: 'write', force: 'none', backend: backendChoice(undefined, context), lookUp });
  try {
    const { shared } = session;
    shared?.listen(text => void context.stderr.write(`warning: ${text}\n`));
    if (shared === null || (await shared.client()) === null) {
      throw new PipeError('there is no shared cache', { exitCode: 2, code: 'no-shared-cache', hint: 'describe one in pipe.cache.yaml, or name it in PIPE_REMOTE_CACHE' });
    }
    await work(session, shared, options, context);
  } catch (error) {
    // Somebody asked for it by hand: here it is what the command is about.
    if (error instanceof RemoteTrouble) throw new PipeError(`the shared cache: ${error.message}`, { exitCode: 1, code: 'shared-cache', cause: error });
    throw error;
  } finally {
    session.store.close();
  }
}

const push: Work = async ({ plan, store, graph }, shared, options, context) => {
  const counts = { pushed: 0, there: 0, gone: 0 };
  const cells = asked(plan).filter(({ state, record, cell }) => {
    const { settings } = graph.cells[cell]!;
    return state === 'fresh' && record !== null && record.accepted === null && settings.shared && !settings.always;
  });
  await each(cells, async ({ cell: index, record, actionKey, planKey }) => {
    const cell = graph.cells[index]!;
    const key = actionKey ?? store.results.attempt(record!.attempt)?.actionKey ?? null;
    if (key === null) return;
    const temp = new Set(Object.entries(cell.outputs).flatMap(([name, output]) => (output.temp ? [name] : [])));
    const isPlanned = store.results.lookup(planKey)?.attempt === record!.attempt;
    const pushed = await shared.push({ attempt: record!.attempt, actionKey: key, planKey: isPlanned ? planKey : null, outputs: record!.outputs, temp });
    counts[pushed.kind]++;
    if (pushed.kind === 'gone') context.stderr.write(`warning: ${cell.id}: its output ${pushed.output} is not here\n`);
  });
  const left = asked(plan).length - cells.length;
  if (options.json) context.stdout.write(`${JSON.stringify({ ...counts, left })}\n`);
  else context.stdout.write(`pushed ${plural(counts.pushed, 'result')}, ${counts.there} were there${left === 0 ? '' : `; ${plural(left, 'cell')} not fresh, or not to be shared`}\n`);
  if (counts.gone > 0) context.exit(1);
};

const pull: Work = async ({ plan, store, graph }, shared, options, context) => {
  const cells = asked(plan);
  let bytes = 0;
  let outputs = 0;
  const failed: string[] = [];
  await each(cells.filter(({ remote }) => remote), async ({ cell: index, record }) => {
    const cell = graph.cells[index]!;
    for (const [name, artefact] of Object.entries(record!.outputs)) {
      if (cell.outputs[name]?.temp !== false || store.artefacts.present(artefact) === 'here') continue;
      if (await shared.restore(artefact)) {
        outputs++;
        bytes += artefact.size;
        showOutputs(store, graph, cell, { [name]: artefact });
      } else failed.push(`${cell.id}.${name}`);
    }
  });
  const missing = cells.filter(({ state }) => state === 'run' || state === 'pending').length;
  if (options.json) context.stdout.write(`${JSON.stringify({ outputs, bytes, missing, failed })}\n`);
  else context.stdout.write(`fetched ${plural(outputs, 'output')}, ${formatBytes(bytes)}${missing === 0 ? '' : `; ${plural(missing, 'cell')} without a result there`}\n`);
  if (failed.length > 0) context.exit(1);
};

/** `pipe cache verify --remote`: for the cells of a pipeline, since only keys say what belongs to whom. */
export async function verifyRemote(words: readonly string[], options: PipelineOptions, context: CliContext): Promise<void> {
  await withShared(words, options, context, false, async ({ plan, graph }, shared) => {
    const { cache, config, trusted } = (await shared.client())!;
    const { verifyShared } = await import('../shared-cache/verify-shared.ts');
    const cells = asked(plan).map(({ cell, planKey, actionKey }) => ({ cell: graph.cells[cell]!.id, keys: [planKey, ...(actionKey === null ? [] : [actionKey])] as Key[] }));
    const found = await verifyShared(cells, { cache, trusted, salt: config.salt, timeoutMs: config.timeoutMs });
    if (options.json) context.stdout.write(`${JSON.stringify(found)}\n`);
    else {
      for (const { cell, name, why } of found.bad) context.stdout.write(`bad ${name} of ${cell}: ${why}\n`);
      context.stdout.write(`${plural(found.records, 'record')} and ${plural(found.blobs, 'blob')} whole, ${formatBytes(found.bytes)} read\n`);
    }
    if (found.bad.length > 0) context.exit(1);
  });
}

/** What was named, or everything. */
function asked(plan: Plan): PlannedCell[] {
  return plan.cells.filter(({ cell }) => plan.selected.has(cell));
}

async function each<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const left = items.toReversed();
  await Promise.all(Array.from({ length: Math.min(atOnce, left.length) }, async () => {
    for (let item = left.pop(); item !== undefined; item = left.pop()) await work(item);
  }));
}

