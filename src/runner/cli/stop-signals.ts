/** Two-step stopping: the first signal asks the running stages to stop, the second ends them. */

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

export function listenForStop(): StopSignals {
  const stop = new AbortController();
  const kill = new AbortController();
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
      for (const { name, listener } of listeners) process.off(name, listener);
    },
  };
}
