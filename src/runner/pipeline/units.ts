/** Sizes and times as people write them; used by the pipeline file and by options of the command line. */

const byteFactors: Readonly<Record<string, number>> = {
  '': 1, B: 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40,
};

const secondFactors: Readonly<Record<string, number>> = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1000, ms: 1 };

export const byteExample = 'a size such as 20G, 512M or a number of bytes';
export const durationExample = 'a time such as 6h, 30s, 1h30m or a number of seconds';

/**
 * `20G`, `512M`, `1.5GiB`, `100 kB`, or a number of bytes → bytes. Units are powers of 1024, whatever their spelling,
 * as in `ulimit` and Slurm. Null when it is no size.
 */
export function parseBytes(value: string | number): number | null {
  if (typeof value === 'number') return Number.isFinite(value) && value >= 0 ? Math.round(value) : null;
  const match = /^\s*(\d+(?:\.\d+)?)\s*([kKMGTB]?)(?:i?B)?\s*$/.exec(value);
  if (!match) return null;
  const factor = byteFactors[match[2]!.toUpperCase()];
  return factor === undefined ? null : Math.round(Number(match[1]) * factor);
}

/** `6h`, `30s`, `1h30m`, `250ms`, `2d`, or a number of seconds → milliseconds. Null when it is no time. */
export function parseDuration(value: string | number): number | null {
  if (typeof value === 'number') return Number.isFinite(value) && value >= 0 ? Math.round(value * 1000) : null;
  const text = value.trim();
  if (/^\d+(\.\d+)?$/.test(text)) return Math.round(Number(text) * 1000);
  if (!/^(\d+(\.\d+)?\s*(d|h|ms|m|s)\s*)+$/.test(text)) return null;
  let total = 0;
  for (const match of text.matchAll(/(\d+(?:\.\d+)?)\s*(d|h|ms|m|s)/g)) total += Number(match[1]) * secondFactors[match[2]!]!;
  return Math.round(total);
}
