const numbers = new Map<unknown, number>([['SIGHUP', 1], ['SIGPIPE', 13], ['SIGTERM', 15]]);

/** The exit code of a run that was stopped: 128 and the number of the signal that was the reason, SIGINT unless said. */
export const stoppedCode = (reason: unknown): number => 128 + (numbers.get(reason) ?? 2);
