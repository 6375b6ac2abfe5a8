/** `pipe run --watch`: run, wait until a file of the project changes, plan again, and run what that made stale. */
import { resolve, sep } from 'node:path';
import { watch as watchFiles } from 'chokidar';
import type { CellGraph } from '../pipeline/model.ts';
import { PipeError } from '../diagnostic.ts';
import { cacheFolder } from './cache-folder.ts';
import type { CliContext } from './context.ts';
import { reportFailure } from './failure.ts';
import type { RunOptions } from './run.ts';
import { runUntilStopped } from './run-once.ts';
import { openSession } from './session.ts';
import type { PlanOptions, Session } from './session.ts';
import { listenForStop } from './stop-signals.ts';

/** Editors write in several steps: a plan is made once they have been quiet for so long. */
const quietMs = 120;

/** Gives the exit code of the signal that ended it. A mistake in the pipeline is shown, and waits for the next change. */
export async function watchAndRun(
  words: readonly string[], options: RunOptions & { readonly backend: string }, force: PlanOptions['force'], context: CliContext,
): Promise<number> {
  const open = (now: PlanOptions['force']): Promise<Session> => openSession(words, options, context, { mode: 'write', force: now, backend: options.backend });
  const first = await open(force);
  const cache = cacheFolder(options.cache, first.graph.file, context);
  const skipped = [cache, `${sep}node_modules`, `${sep}.git`];
  const watcher = watchFiles([first.graph.root, ...outside(first.graph)], {
    ignoreInitial: true,
    ignored: path => skipped.some(name => path === name || path.endsWith(name) || path.includes(`${name}${sep}`)),
  });
  const changes = changeQueue();
  watcher.on('all', changes.note);
  await new Promise<void>(ready => watcher.once('ready', () => ready()));
  // One listener for all of it: a signal that comes between two runs must not be lost.
  const signals = listenForStop();
  const openOrShow = mistakes(options.json === true, context);
  let session: Session | null = first;
  try {
    for (let round = 0; ; round++) {
      session ??= await openOrShow(() => open('none'));
      if (session !== null) {
        try {
          if (round === 0 || session.plan.counts.run + session.plan.counts.pending > 0) await runUntilStopped(session, options, context, signals);
          watcher.add(outside(session.graph));
        } finally {
          session.store.close();
          session = null;
        }
      }
      if (!options.json && round === 0) context.stderr.write('watching for changes; Ctrl-C ends\n');
      const stopped = await changes.next(signals.stop);
      if (stopped !== null) return stopped === 'SIGTERM' ? 143 : stopped === 'SIGHUP' ? 129 : 130;
    }
  } finally {
    signals.dispose();
    await watcher.close();
  }
}

/** Shows a mistake once, however often files change that have nothing to do with it. */
function mistakes(json: boolean, context: CliContext): (open: () => Promise<Session>) => Promise<Session | null> {
  let shown: string | null = null;
  return async open => {
    try {
      const session = await open();
      shown = null;
      return session;
    } catch (error) {
      if (!(error instanceof PipeError)) throw error;
      if (error.message !== shown) await reportFailure(error, context, json);
      shown = error.message;
      return null;
    }
  };
}

/** Files and folders that cells read and that lie outside the project. */
function outside(graph: CellGraph): string[] {
  const paths = new Set<string>();
  for (const cell of graph.cells) {
    for (const input of Object.values(cell.inputs)) {
      if (input.kind !== 'path') continue;
      const path = resolve(graph.root, input.glob ? input.path.replace(/[*?{[].*$/s, '') : input.path);
      if (!path.startsWith(`${graph.root}${sep}`) && path !== graph.root) paths.add(path);
    }
  }
  return [...paths];
}

interface ChangeQueue {
  note(): void;
  /** Resolves once something changed and it is quiet again, with null; or with the signal's name when told to stop. */
  next(stop: AbortSignal): Promise<string | null>;
}

function changeQueue(): ChangeQueue {
  let changed = false;
  let wake: (() => void) | null = null;
  return {
    note() {
      changed = true;
      wake?.();
    },
    async next(stop) {
      for (;;) {
        if (stop.aborted) return String(stop.reason);
        if (changed) {
          changed = false;
          await new Promise<void>(quiet => setTimeout(quiet, quietMs));
          if (!changed) return null;
          continue;
        }
        await new Promise<void>(resolveNext => {
          wake = resolveNext;
          stop.addEventListener('abort', () => resolveNext(), { once: true });
        });
        wake = null;
      }
    },
  };
}
