/**
 * `pipe run --watch`: run, wait until a file that counts changes, plan again, and run what that made stale. A change
 * during a run is taken up at once: see `steer`.
 */
import { sep } from 'node:path';
import { PipeError } from '../diagnostic.ts';
import { RunControl } from '../run/run-control.ts';
import { stoppedCode } from '../run/stopped-code.ts';
import { cacheFolder } from './cache-folder.ts';
import type { CliContext } from './context.ts';
import { reportFailure } from './failure.ts';
import { FileWatch } from './file-watch.ts';
import type { RunOptions } from './run.ts';
import { runUntilStopped } from './run-once.ts';
import { openSession } from './session.ts';
import type { PlanOptions, Session } from './session.ts';
import { listenForStop } from './stop-signals.ts';
import { steer, WatchHistory } from './watch-round.ts';
import { mostEntries, watchedPaths } from './watched-paths.ts';

/** Gives the exit code of the signal that ended it. A mistake in the pipeline is shown, and waits for the next change. */
export async function watchAndRun(
  words: readonly string[], options: RunOptions & { readonly backend: string }, force: PlanOptions['force'], context: CliContext,
): Promise<number> {
  const open = (now: PlanOptions['force']): Promise<Session> => openSession(words, options, context, {
    mode: 'write', force: now, backend: options.backend, lookUp: true, push: options.push === true, ...(options.on === undefined ? {} : { on: options.on }),
  });
  const first = await open(force);
  const cache = cacheFolder(options.cache, first.graph.file, context);
  const skip = (path: string): boolean => path === cache || path.startsWith(cache + sep) || /[/\\](node_modules|\.git)([/\\]|$)/.test(path);
  const files = new FileWatch(skip);
  const history = new WatchHistory();
  const told = new Set<string>();
  const follow = async ({ graph }: Session): Promise<void> => {
    const paths = watchedPaths(graph, skip);
    for (const path of paths.tooLarge.filter(name => !told.has(name))) {
      told.add(path);
      if (!options.json) context.stderr.write(`not watched, since it is data (more than ${mostEntries} files or 64 MB): ${path}\n`);
    }
    await files.follow(paths);
  };
  // One listener for all of it: a signal that comes between two runs must not be lost.
  const signals = listenForStop();
  const openOrShow = mistakes(options.json === true, context);
  let session: Session | null = first;
  try {
    for (let round = 0; ; round++) {
      session ??= await openOrShow(() => open('none'));
      if (session !== null) {
        try {
          await follow(session);
          if (round === 0 || history.wants(session.plan)) await runRound(session);
        } finally {
          session.store.close();
          session = null;
        }
      }
      if (!options.json && round === 0) context.stderr.write('watching for changes; Ctrl-C ends\n');
      const stopped = await files.next(signals.stop);
      if (stopped !== null) return stoppedCode(stopped);
    }
  } finally {
    signals.dispose();
    await files.close();
  }

  async function runRound(running: Session): Promise<void> {
    const control = new RunControl();
    let looking: Promise<void> | null = null;
    let again = false;
    files.onQuiet = () => {
      again = true;
      looking ??= lookUntilQuiet().finally(() => void (looking = null));
    };
    // One look at a time, and one more after a change meanwhile.
    const lookUntilQuiet = async (): Promise<void> => {
      while (again) {
        again = false;
        await look();
      }
    };
    const look = async (): Promise<void> => {
      if (control.running.length === 0 || control.closed) return;
      const now = await openOrShow(() => open('none'));
      if (now === null) return;
      try {
        steer(control, running.plan, now.plan);
      } finally {
        now.store.close();
      }
    };
    try {
      const refused = new Set(history.refused);
      await runUntilStopped(running, options, context, signals, { control, refused, onEvent: event => history.record(running.plan, event) });
    } finally {
      files.onQuiet = null;
      await looking;
    }
  }
}

/** Shows a mistake once, however often files change that have nothing to do with it. */
function mistakes(json: boolean, context: CliContext): (open: () => Promise<Session>) => Promise<Session | null> {
  let shown: string | null = null;
  return async open => {
    try {
      const session = await open();
      if (shown !== null && !json) context.stderr.write('the pipeline can be read again\n');
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
