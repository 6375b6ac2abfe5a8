/** Which places have a checkpoint of a key. Several may: the one that has come furthest is gone on from. */
import type { Key } from '../store/model.ts';
import type { Store } from '../store/store.ts';

export interface CheckpointPlace {
  /** `local`, or a host of the hosts file. */
  readonly place: string;
  /** The last step that the attempt there has told; null when it told none. */
  readonly step: number | null;
  /** When that attempt was last heard of, in milliseconds since 1970. A copy elsewhere has the step and time of its original. */
  readonly at: number;
}

/** The one that has come furthest first; without steps, or with the same one, the latest. */
export function checkpointPlaces({ database }: Store, key: Key): CheckpointPlace[] {
  return database.prepare<[string], CheckpointPlace>('SELECT place, step, at FROM checkpoint_place WHERE key = ? ORDER BY step DESC NULLS LAST, at DESC').all(key);
}

export const isCopy = (a: CheckpointPlace, b: CheckpointPlace): boolean => a.step === b.step && a.at === b.at;

/** A row of `checkpoint` is there: these go with it. */
export function noteCheckpoint({ database }: Store, key: Key, { place, step, at }: CheckpointPlace): void {
  database
    .prepare('INSERT INTO checkpoint_place (key, place, step, at) VALUES (?, ?, ?, ?) ON CONFLICT (key, place) DO UPDATE SET step = excluded.step, at = excluded.at')
    .run(key, place, step, at);
}
