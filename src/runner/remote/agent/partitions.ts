/** What the partition that a job goes to has: what it has not, Slurm would refuse, or let wait for ever. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface PartitionFacts {
  /** The longest that a job there may take; null: there is no limit, or none is known. */
  readonly longestMinutes: number | null;
  /** Whether some node there has GPUs; true where nothing is known. */
  readonly gpus: boolean;
}

export const anyPartition: PartitionFacts = { longestMinutes: null, gpus: true };

/** Lines such as `gpu*|1-00:00:00|gpu:a100:4(S:0-1)`; the star marks the partition that is used where none is named. */
export function partitionFacts(sinfo: string, options: readonly string[]): PartitionFacts {
  const asked = partitionsOf(options);
  const lines = sinfo.split('\n').map(line => line.trim().split('|')).filter(([name = '']) => (asked === null ? name.endsWith('*') : asked.includes(name.replace(/\*$/, ''))));
  if (lines.length === 0) return anyPartition;
  const limits = lines.map(([, limit = '']) => minutesOf(limit));
  // Of several the job may get each, and at most what the most generous one allows.
  return { longestMinutes: limits.includes(null) ? null : Math.max(...limits.map(limit => limit ?? 0)), gpus: lines.some(([, , gres = '']) => /(^|,)gpu(:|$)/.test(gres)) };
}

/** The last one named counts, as for sbatch. */
function partitionsOf(options: readonly string[]): readonly string[] | null {
  const named = options.flatMap((option, index) => /^(?:--partition=|-p(?=.))(.*)$/.exec(option)?.[1] ?? (option === '-p' || option === '--partition' ? (options[index + 1] ?? []) : []));
  return named.at(-1)?.split(',') ?? null;
}

/** `5:00`, `1:30:00`, `2-00:00:00` as Slurm writes them; null: without end. */
function minutesOf(limit: string): number | null {
  const match = /^(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+)$/.exec(limit);
  if (match === null) return null;
  const [, days = '0', hours = '0', minutes = '0'] = match;
  return (Number(days) * 24 + Number(hours)) * 60 + Number(minutes);
}

/** Asked once for each set of options. */
export class Partitions {
  readonly #known = new Map<string, Promise<PartitionFacts>>();

  of(options: readonly string[]): Promise<PartitionFacts> {
    const key = JSON.stringify(options);
    let facts = this.#known.get(key);
    if (facts === undefined) {
      facts = run('sinfo', ['-h', '-o', '%P|%l|%G']).then(({ stdout }) => partitionFacts(stdout, options), () => {
        this.#known.delete(key);
        return anyPartition;
      });
      this.#known.set(key, facts);
    }
    return facts;
  }
}
