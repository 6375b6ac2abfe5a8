/** Time as a seam, so that waiting is tested without waiting. */
export interface Clock {
  /** Milliseconds, monotonic. */
  now(): number;
  /** Resolves after that many milliseconds; rejects with the signal's reason when it is aborted first. */
  sleep(milliseconds: number, signal?: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  now: () => performance.now(),
  sleep: (milliseconds, signal) =>
    new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const stop = (): void => {
        clearTimeout(timer);
        reject(signal?.reason);
      };
      const timer = setTimeout(() => {
        signal?.removeEventListener('abort', stop);
        resolve();
      }, milliseconds);
      signal?.addEventListener('abort', stop, { once: true });
    }),
};

/** Hands out turns, evenly spaced: at most `perSecond` of them in any second; 0 means no limit. */
export function rateLimit(perSecond: number, clock: Clock = systemClock): (signal?: AbortSignal) => Promise<void> {
  if (!(perSecond >= 0)) throw new RangeError(`a rate is 0 (no limit) or more a second, not ${perSecond}`);
  if (perSecond === 0) return async signal => signal?.throwIfAborted();
  const gap = 1000 / perSecond;
  let nextTurn = -Infinity;
  return async signal => {
    signal?.throwIfAborted();
    const now = clock.now();
    const turn = Math.max(now, nextTurn);
    nextTurn = turn + gap;
    if (turn > now) await clock.sleep(turn - now, signal);
  };
}

/**
 * Works through items in order, at most `concurrency` at once. The first error stops the start of further items, the running
 * ones are waited for, and the error is thrown. `enough` is asked before each start; when it says true no further item starts.
 *
 * @returns how many items were started, all of which have ended
 */
export async function forEachConcurrent<T>(
  items: readonly T[],
  concurrency: number,
  work: (item: T, index: number) => Promise<void>,
  enough: () => boolean = () => false,
): Promise<number> {
  let next = 0;
  let failure: { readonly error: unknown } | undefined;
  const worker = async (): Promise<void> => {
    while (failure === undefined && next < items.length && !enough()) {
      const index = next++;
      try {
        await work(items[index] as T, index);
      } catch (error) {
        failure ??= { error };
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(concurrency, items.length) }, worker));
  if (failure !== undefined) throw failure.error;
  return next;
}
