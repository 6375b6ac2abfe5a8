/** `pipe stop`: asks what goes on elsewhere for this cache to stop, or ends it, and waits until it has. */
import { join } from 'node:path';
import { PipeError } from '../diagnostic.ts';
import { findProjectRoot } from '../pipeline/project.ts';
import { selectCells } from '../pipeline/target.ts';
import { cacheOwner } from '../remote/remote-executor.ts';
import type { ListedJob } from '../remote/protocol.ts';
import { listLeases } from '../run/leases.ts';
import type { LeaseHolder } from '../run/leases.ts';
import { ownerState, thisProcess } from '../run/owner.ts';
import { openStore } from '../store/store.ts';
import type { Store } from '../store/store.ts';
import { cacheFolder } from './cache-folder.ts';
import type { CliContext, CommandModule } from './context.ts';
import { describeGoingOn, findGoingOn } from './going-on.ts';
import type { GoingOn } from './going-on.ts';
import { loadPipelineOf } from './load-pipeline.ts';
import { addPipelineOptions, fileAndTargets } from './options.ts';
import type { PipelineOptions } from './options.ts';

interface StopOptions extends PipelineOptions {
  readonly all?: boolean;
  readonly kill?: boolean;
}

const pollMs = 200;
/** A stage has 30 s to save its checkpoint, and its run some time to say so. */
const patienceMs = 60_000;

type Stopped = { readonly cell: string; readonly where: string; readonly stopped: boolean; readonly message: string };

export const stopCommand: CommandModule = {
  name: 'stop',
  register(program, context) {
    addPipelineOptions(program.command('stop').description('stop cells that run elsewhere (a host, a cluster, another terminal)').argument('[file-or-target...]', 'cells; may be left out where there is only one'))
      .option('--all', 'all that goes on for this cache')
      .option('--kill', 'end their processes now, without time to save a checkpoint')
      .action(async (words: string[], options: StopOptions) => await stop(words, options, context));
  },
};

async function stop(words: readonly string[], options: StopOptions, context: CliContext): Promise<void> {
  const { targets } = fileAndTargets(words, options.file);
  const loaded = targets.length === 0 ? null : await loadPipelineOf(words, options, context);
  const wanted = loaded === null ? null : new Set<string>([...selectCells(loaded.graph, targets)].map(cell => loaded.graph.cells[cell]!.id));
  const root = loaded?.graph.root ?? findProjectRoot(join(context.cwd, 'pipe.yaml'));
  const store = openStore({ cache: loaded?.cache ?? cacheFolder(options.cache, null, context), mode: 'read' });
  const { items, close } = await findGoingOn(store, root, context);
  try {
    const chosen = items.filter(({ cell }) => wanted === null || wanted.has(cell));
    if (chosen.length > 1 && wanted === null && options.all !== true) {
      throw new PipeError(`there are ${chosen.length} cells that go on elsewhere:\n${chosen.map(item => `  ${item.cell}: ${describeGoingOn(item)}`).join('\n')}`, { exitCode: 2, code: 'usage', hint: 'name those to stop, or --all' });
    }
    // A run that is asked to stop stops its cells wherever they are, and once is enough for all of them.
    const processes = new Map<string, Promise<boolean>>();
    const results = await Promise.all(chosen.map(async (item): Promise<Stopped> => {
      const { cell } = item;
      const where = describeGoingOn(item);
      if (item.kind === 'job') return { cell, where, ...(await stopJob(item, store, options.kill === true)) };
      const name = `${item.holder.host} ${item.holder.pid}`;
      const asked = processes.get(name) ?? stopProcess(item.holder, store, options.kill === true);
      processes.set(name, asked);
      const stopped = await asked;
      return { cell, where, stopped, message: stopped ? 'stopped' : item.holder.host === thisProcess().host ? 'asked to stop, and still at it' : `it runs on ${item.holder.host}: stop it there` };
    }));
    if (options.json) context.stdout.write(`${JSON.stringify({ stopped: results })}\n`);
    else if (results.length === 0) context.stdout.write('nothing goes on elsewhere\n');
    else for (const { cell, where, message } of results) context.stdout.write(`${cell} (${where}): ${message}\n`);
    if (results.some(({ stopped }) => !stopped)) context.exit(1);
  } finally {
    await close();
    store.close();
  }
}

async function stopJob({ host, key, job: { state } }: Extract<GoingOn, { kind: 'job' }>, store: Store, kill: boolean): Promise<{ readonly stopped: boolean; readonly message: string }> {
  const { owner } = cacheOwner(store.cache);
  const signal = new AbortController().signal;
  if (state === 'ended') return { stopped: true, message: 'it had ended already' };
  await host.using(signal, async link => await link.ask('cancel', { name: key, owner, kill }));
  const ended = await until(async () => {
    const listed = await host.using(signal, async link => await link.ask<ListedJob[]>('list'));
    const now = listed.find(({ name }) => name === key);
    return now === undefined || now.state === 'ended' || now.state === 'lost';
  });
  return { stopped: ended, message: ended ? 'stopped' : 'asked to stop, and still at it: --kill ends it' };
}

/** As Ctrl-C does in its terminal, and twice for `kill`. */
async function stopProcess(holder: LeaseHolder, store: Store, kill: boolean): Promise<boolean> {
  if (ownerState(holder) !== 'alive') return false;
  process.kill(holder.pid, 'SIGINT');
  const gone = async (): Promise<boolean> => Promise.resolve(ownerState(holder) === 'dead' || !listLeases(store.database).some(other => other.pid === holder.pid && other.host === holder.host));
  if (kill) {
    await until(gone, 500);
    if (ownerState(holder) === 'alive') process.kill(holder.pid, 'SIGINT');
  }
  return await until(gone);
}

async function until(isSo: () => Promise<boolean>, ms = patienceMs): Promise<boolean> {
  for (const since = performance.now(); performance.now() - since < ms; ) {
    if (await isSo()) return true;
    await new Promise<void>(resolve => setTimeout(resolve, pollMs));
  }
  return false;
}
