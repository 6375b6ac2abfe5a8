/** The longest that a partition lets a job take: a task of several cells must not ask for more, or it would wait for ever. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** One line a partition, `gpu*|1-00:00:00`; the star marks the one that is used where none is named. */
export function longestMinutes(sinfo: string, options: readonly string[]): number | null {
  const asked = partitionsOf(options);
  const limits = sinfo.split('\n').flatMap(line => {
    const [name = '', limit = ''] = line.trim().split('|');
    return (asked === null ? name.endsWith('*') : asked.includes(name.replace(/\*$/, ''))) ? [minutesOf(limit)] : [];
  });
  // Of several the job may get each, and at most what the most generous one allows.
  return limits.length === 0 || limits.includes(null) ? null : Math.max(...limits.map(limit => limit ?? 0));
}

/** The last one named counts, as for sbatch. */
function partitionsOf(options: readonly string[]): readonly string[] | null {
  const named = options.flatMap((option, index) => /^(?:--partition=|-p(?=.))(.*)$/.exec(option)?.[1] ?? (option === '-p' || option === '--partition' ? (options[index + 1] ?? []) : []));
  return named.at(-1)?.split(',') ?? null;
}

/** `30`, `5:00`, `1:30:00`, `2-00:00:00` as Slurm writes them; null: without end. */
function minutesOf(limit: string): number | null {
  const match = /^(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+)$/.exec(limit);
  if (match === null) return null;
  const [, days = '0', hours = '0', minutes = '0'] = match;
  return (Number(days) * 24 + Number(hours)) * 60 + Number(minutes);
}

/** Asked once for each set of options; null where it cannot be told. */
export class PartitionLimits {
  readonly #known = new Map<string, Promise<number | null>>();

  of(options: readonly string[]): Promise<number | null> {
    const key = JSON.stringify(options);
    let limit = this.#known.get(key);
    if (limit === undefined) {
      limit = run('sinfo', ['-h', '-o', '%P|%l']).then(({ stdout }) => longestMinutes(stdout, options), () => {
        this.#known.delete(key);
        return null;
      });
      this.#known.set(key, limit);
    }
    return limit;
  }
}
