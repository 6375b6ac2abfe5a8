/** Two-step stopping: the first signal asks the running stages to stop, the second ends them. */

export interface StopSignals {
  /** Aborted by the first. */
  readonly stop: AbortSignal;
  /** Aborted by the second. */
  readonly kill: AbortSignal;
  /** As if Ctrl-C were pressed. */
  interrupt(): void;
  /** What the process ends with once it was told to stop: 128 and the number of the first signal; null if it was not. */
  exitCode(): number | null;
  /** Gives the signals back to Node. */
  dispose(): void;
}

const numbers = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

export function listenForStop(): StopSignals {
  const stop = new AbortController();
  const kill = new AbortController();
  let first: keyof typeof numbers | null = null;
  const onSignal = (name: keyof typeof numbers): void => {
    if (first === null) {
      first = name;
      stop.abort(name);
    } else kill.abort(name);
  };
  const listeners = (Object.keys(numbers) as (keyof typeof numbers)[]).map(name => ({ name, listener: () => onSignal(name) }));
  for (const { name, listener } of listeners) process.on(name, listener);
  return {
    stop: stop.signal,
    kill: kill.signal,
    interrupt: () => onSignal('SIGINT'),
    exitCode: () => (first === null ? null : numbers[first]),
    dispose() {
      for (const { name, listener } of listeners) process.off(name, listener);
    },
  };
}
