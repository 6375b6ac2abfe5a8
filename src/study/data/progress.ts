export interface DownloadProgress {
  /** Figures settled, of all that are listed (or of the limit). */
  readonly done: number;
  readonly total: number;
  /** Figures a second, over the last stretch. */
  readonly rate: number;
  readonly secondsLeft: number;
}

/** Rate over the last twenty seconds or so, told at most four times a second. */
export function progressOf(total: number, tell?: (progress: DownloadProgress) => void): { settled: () => void; finish: () => void } {
  let done = 0;
  let told = -Infinity;
  const marks: [number, number][] = [[performance.now(), 0]];
  const say = (now: number): void => {
    marks.push([now, done]);
    if (marks.length > 80) marks.shift();
    const [since, before] = marks[0] ?? [now, done];
    const rate = now > since ? ((done - before) * 1000) / (now - since) : 0;
    tell?.({ done: Math.min(done, total), total, rate, secondsLeft: rate > 0 ? Math.max(0, total - done) / rate : Infinity });
  };
  return {
    settled() {
      done += 1;
      const now = performance.now();
      if (now - told < 250) return;
      told = now;
      say(now);
    },
    finish: () => say(performance.now()),
  };
}
