/** A checkpoint goes where its cell goes: to this machine from the host that has it, and from here to the next. */
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Cell } from '../pipeline/model.ts';
import type { Key } from '../store/model.ts';
import { whileLocked } from '../store/while-locked.ts';
import { checkpointPlaces, isCopy, noteCheckpoint } from './checkpoint-places.ts';
import type { CheckpointPlace } from './checkpoint-places.ts';
import { placeOf } from './places.ts';
import type { RunContext } from './run-context.ts';

/** How getting a checkpoint from a host came out. */
export type CheckpointFetched =
  | { readonly came: true }
  /** Null: there is none (any more). */
  | { readonly came: false; readonly why: string | null };

/** Brings the checkpoint of a key from a host into a folder here, in place of what is there. `most`: bytes; null: as the hosts file says. */
export type FetchCheckpoint = (host: string, key: Key, folder: string, most: number | null, signal: AbortSignal) => Promise<CheckpointFetched>;

/** The folder here that survives attempts with this key. */
export function checkpointFolder(context: RunContext, key: Key, cell: Cell): string {
  // The row first: a folder without one belongs to a cell that is done, and goes.
  context.store.database
    .prepare('INSERT INTO checkpoint (key, cell, updated_at) VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE SET updated_at = excluded.updated_at')
    .run(key, cell.id, Date.now());
  const folder = join(context.store.cache, 'checkpoints', key);
  mkdirSync(folder, { recursive: true });
  return folder;
}

/** Where the cell runs is a checkpoint of this step from now on; of the one before where none is known. What cannot be written down costs no attempt. */
export async function noteBegun({ store, whenLocked }: RunContext, cell: Cell, key: Key, known: Pick<CheckpointPlace, 'step'> | null): Promise<void> {
  const place = placeOf(cell);
  const note = (): void => {
    const before = checkpointPlaces(store, key).find(other => other.place === place);
    noteCheckpoint(store, key, { place, step: known?.step ?? before?.step ?? null, at: Date.now() });
  };
  await whileLocked(note, whenLocked).catch(() => undefined);
}

/** A cell that fails should not be long in saying so. */
const keepMs = 60_000;

const shown = ({ step }: CheckpointPlace): string => (step === null ? 'its checkpoint' : `its checkpoint of step ${step}`);

/**
 * Before an attempt: what has come furthest is brought to where the cell runs. Nothing is done while that is there already.
 * Returns the checkpoint in `folder` where that has to go along to the cell's host, else null.
 */
export async function moveCheckpoint(context: RunContext, cell: Cell, key: Key, folder: string): Promise<CheckpointPlace | null> {
  const { store, emit } = context;
  const place = placeOf(cell);
  const notice = (text: string): void => emit({ event: 'notice', level: 'warning', text: `${cell.id}: ${text}`, cell: cell.id });
  const places = checkpointPlaces(store, key);
  for (const best of places) {
    const copies = places.filter(other => isCopy(other, best)).map(other => other.place);
    if (copies.includes(place)) return null;
    if (copies.includes('local')) {
      // Begun here, and stopped before there was one.
      if (readdirSync(folder).length === 0) continue;
    } else {
      const fetched = await context.fetchCheckpoint(best.place, key, folder, null, context.signal);
      if (!fetched.came) {
        if (fetched.why !== null) notice(`${shown(best)} stays on ${best.place}: ${fetched.why}`);
        continue;
      }
      await whileLocked(() => noteCheckpoint(store, key, { ...best, place: 'local' }), context.whenLocked);
    }
    notice(`${shown(best)}, made on ${copies.find(name => name !== 'local') ?? 'this machine'}, goes along to ${place === 'local' ? 'this machine' : place}`);
    return place === 'local' ? null : best;
  }
  return null;
}

/** After an attempt on a host that failed for good: what is small comes here at once, as outputs do, since the host may be gone when it is wanted. */
export async function keepCheckpoint(context: RunContext, cell: Cell, key: Key): Promise<void> {
  const { store } = context;
  const place = placeOf(cell);
  const [best] = checkpointPlaces(store, key);
  if (place === 'local' || best?.place !== place) return;
  const most = context.executors(place).pullBytes ?? 0;
  const fetched = await context.fetchCheckpoint(place, key, checkpointFolder(context, key, cell), most, AbortSignal.any([context.signal, AbortSignal.timeout(keepMs)]));
  if (fetched.came) await whileLocked(() => noteCheckpoint(store, key, { ...best, place: 'local' }), context.whenLocked);
}
