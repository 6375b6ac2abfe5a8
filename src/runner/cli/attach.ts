/** `pipe attach`: follows cells that run elsewhere to their end, and takes their results. Ctrl-C ends the following only. */
import { selectCells } from '../pipeline/target.ts';
import type { RunEvent } from '../run/event.ts';
import { LogFollower } from '../run/log-follower.ts';
import { openStore } from '../store/store.ts';
import type { Store } from '../store/store.ts';
import type { CliContext, CommandModule } from './context.ts';
import { describeGoingOn, findGoingOn } from './going-on.ts';
import type { GoingOn } from './going-on.ts';
import { loadPipelineOf } from './load-pipeline.ts';
import type { LoadedPipeline } from './load-pipeline.ts';
import { addPipelineOptions } from './options.ts';
import type { PipelineOptions } from './options.ts';
import { backendChoice, planSession } from './session.ts';
import type { Session } from './session.ts';

export const attachCommand: CommandModule = {
  name: 'attach',
  register(program, context) {
    addPipelineOptions(program.command('attach').description('follow cells that run elsewhere (a host, a cluster, another terminal) and take their results').argument('[file-or-target...]'))
      .action(async (words: string[], options: PipelineOptions) => {
        const loaded = await loadPipelineOf(words, options, context);
        const found = await itemsOf(loaded, context);
        const { items, session } = await sessionFor(found, loaded, options, context);
        try {
          if (items.length === 0) {
            context.stdout.write(options.json ? `${JSON.stringify({ goingOn: [] })}\n` : 'nothing goes on elsewhere\n');
            return;
          }
          if (!options.json) for (const item of items) context.stderr.write(`${item.cell}: ${describeGoingOn(item)}\n`);
          await follow(session, items, options, context);
        } finally {
          session.store.close();
        }
      });
  },
};

async function itemsOf({ cache, graph, targets }: LoadedPipeline, context: CliContext): Promise<readonly GoingOn[]> {
  const wanted = targets.length === 0 ? null : new Set<string>([...selectCells(graph, targets)].map(cell => graph.cells[cell]!.id));
  const store = openStore({ cache, mode: 'read' });
  try {
    const { items, close } = await findGoingOn(store, graph.root, context);
    await close();
    return items.filter(({ cell }) => wanted === null || wanted.has(cell));
  } finally {
    store.close();
  }
}

/** The plan with each of these cells placed where it is; those that the pipeline would not run as they are there are told and left out. */
async function sessionFor(found: readonly GoingOn[], loaded: LoadedPipeline, options: PipelineOptions, context: CliContext): Promise<{ readonly items: readonly GoingOn[]; readonly session: Session }> {
  const where = new Map(found.flatMap(item => (item.kind === 'job' ? [[item.cell, item.host.settings.name] as const] : [])));
  const known = new Set<string>(loaded.graph.cells.map(({ id }) => id));
  const targets = found.map(({ cell }) => cell).filter(cell => known.has(cell));
  const session = await planSession({ ...loaded, targets }, context, { mode: 'write', force: 'none', backend: backendChoice(undefined, context), on: where });
  const items = found.filter(item => {
    const index = session.graph.cells.findIndex(({ id }) => id === item.cell);
    const planned = session.plan.cells[index];
    if (planned?.state === 'fresh') return item.kind === 'run';
    if (planned !== undefined && (planned.actionKey === item.key || item.kind === 'run')) return true;
    const why = planned === undefined ? 'is of another pipeline: name its FILE' : 'is not what the pipeline says now: something of it has changed since';
    if (!options.json) context.stderr.write(`warning: ${item.cell} (${describeGoingOn(item)}) ${why}; \`pipe stop '${item.cell}'\` stops it\n`);
    return false;
  });
  if (items.length === targets.length && items.length === found.length) return { items, session };
  if (items.length === 0) return { items, session };
  session.store.close();
  return { items, session: await planSession({ ...loaded, targets: items.map(({ cell }) => cell) }, context, { mode: 'write', force: 'none', backend: backendChoice(undefined, context), on: where }) };
}

async function follow(session: Session, items: readonly GoingOn[], options: PipelineOptions, context: CliContext): Promise<void> {
  const { runOnce } = await import('./run-once.ts');
  const onlyOne = items.length === 1;
  const print = (event: RunEvent): void => {
    // With --json the run prints its own; what follows another process's log is printed here.
    if (event.event === 'log' && !options.json) context.stdout.write(onlyOne ? `${event.text}\n` : `${event.cell} | ${event.text}\n`);
  };
  const logs = items.flatMap(item => {
    const log = item.kind === 'run' ? logOf(item, session.store) : null;
    return log === null ? [] : [new LogFollower(log, item.cell, event => (options.json ? void context.stdout.write(`${JSON.stringify(event)}\n`) : print(event)))];
  });
  try {
    context.exit(await runOnce(session, { ...pick(options.json), plain: true, backend: backendChoice(undefined, context) }, context, { detach: true, onEvent: print }));
  } finally {
    await Promise.all(logs.map(log => log.close()));
  }
}

const pick = (json: boolean | undefined): { readonly json?: boolean } => (json === undefined ? {} : { json });

const logOf = ({ holder }: Extract<GoingOn, { kind: 'run' }>, store: Store): string | null =>
  holder.attempt === null ? null : (store.results.attempt(holder.attempt)?.log ?? null);
