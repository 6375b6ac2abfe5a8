/**
 * Two-step stopping: the first signal asks the running stages to stop, the second ends them. That nobody reads the output
 * any more counts as a first one.
 */

export interface StopSignals {
  /** Aborted by the first. */
  readonly stop: AbortSignal;
  /** Aborted by the second. */
  readonly kill: AbortSignal;
  /** As if Ctrl-C were pressed. */
  interrupt(): void;
  /** Gives the signals back to Node. */
  dispose(): void;
}

/** The name is the reason of the abort: what the process ends with depends on it. */
const names = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
type StopSignal = (typeof names)[number];

/** Those that listen now. */
const listening = new Set<AbortController>();

export function listenForStop(): StopSignals {
  const stop = new AbortController();
  const kill = new AbortController();
  listening.add(stop);
  const onSignal = (name: StopSignal): void => {
    if (stop.signal.aborted) kill.abort(name);
    else stop.abort(name);
  };
  const listeners = names.map(name => ({ name, listener: () => onSignal(name) }));
  for (const { name, listener } of listeners) process.on(name, listener);
  return {
    stop: stop.signal,
    kill: kill.signal,
    interrupt: () => onSignal('SIGINT'),
    dispose() {
      listening.delete(stop);
      for (const { name, listener } of listeners) process.off(name, listener);
    },
  };
}

/**
 * To be called when writing to stdout or stderr fails. False when nothing is going on that has to be stopped first: then
 * the program may end at once, as others do.
 */
export function outputFailed(error: NodeJS.ErrnoException): boolean {
  // A terminal that is gone (EIO) sends SIGHUP as well, and where that was held off the run is meant to go on.
  if (error.code === 'EPIPE') for (const stop of listening) if (!stop.signal.aborted) stop.abort('SIGPIPE');
  return listening.size > 0;
}
