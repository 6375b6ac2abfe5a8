/** Which checkpoint a cell goes on from where several places have one. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { checkpointPlaces, isCopy, noteCheckpoint } from '../../../src/runner/run/checkpoint-places.ts';
import type { Key } from '../../../src/runner/store/model.ts';
import type { Store } from '../../../src/runner/store/store.ts';
import { makeProject } from '../../rig/project.ts';

const key = 'a'.repeat(64) as Key;
const other = 'b'.repeat(64) as Key;
let store: Store;
beforeEach(() => {
  store = makeProject('').store();
  for (const each of [key, other]) store.database.prepare('INSERT INTO checkpoint (key, cell, updated_at) VALUES (?, ?, 0)').run(each, 'c');
});
afterEach(() => store.close());

const order = (): string[] => checkpointPlaces(store, key).map(({ place }) => place);

test('the furthest step first, then the latest; one without steps comes last, however late it is', () => {
  noteCheckpoint(store, key, { place: 'box', step: 5, at: 3 });
  noteCheckpoint(store, key, { place: 'lab', step: 9, at: 1 });
  noteCheckpoint(store, key, { place: 'old', step: null, at: 2 });
  noteCheckpoint(store, key, { place: 'new', step: null, at: 8 });
  noteCheckpoint(store, other, { place: 'else', step: 100, at: 9 });
  expect(order()).toEqual(['lab', 'box', 'new', 'old']);
  noteCheckpoint(store, key, { place: 'old', step: 9, at: 2 });
  expect(order()).toEqual(['old', 'lab', 'box', 'new']);
});

test('a copy is told by its step and time; what is done has none', () => {
  const made = { place: 'box', step: 5, at: 3 };
  noteCheckpoint(store, key, made);
  noteCheckpoint(store, key, { ...made, place: 'local' });
  noteCheckpoint(store, key, { place: 'lab', step: 5, at: 4 });
  const places = checkpointPlaces(store, key);
  expect(places.filter(each => isCopy(each, made)).map(({ place }) => place).toSorted()).toEqual(['box', 'local']);
  store.database.prepare('DELETE FROM checkpoint WHERE key = ?').run(key);
  expect(order()).toEqual([]);
});
