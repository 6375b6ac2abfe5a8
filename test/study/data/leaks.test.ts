import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Fingerprint } from '../../../src/study/data/fingerprints.ts';
import { findLeaks, leftOutFor } from '../../../src/study/data/leaks.ts';
import type { LeakOptions } from '../../../src/study/data/leaks.ts';
import { hashIndex } from '../../../src/study/data/near-duplicates.ts';
import { perceptualHash } from '../../../src/study/data/perceptual-hash.ts';

const hex = (value: number): string => value.toString(16).padStart(64, '0');
const options: LeakOptions = { distance: 30, ids: [/synpic\d+/iu], own: 'drop' };
/** A row whose digest and hash are like those of no other, unless said. */
let next = 0;
function row(id: string, change: Partial<Fingerprint> = {}): Fingerprint {
  next += 1;
  // Every fourth bit of a running number: any two rows are far apart.
  const hash = Array.from({ length: 64 }, (_, at) => ((next * 2654435761 * (at + 1)) >>> 13) % 16).map(digit => digit.toString(16)).join('');
  return { id, source: 'train', group: id, split: 'train', sha256: hex(next), hash, ...change };
}
const turned = (hash: string | null, bits: number): string => [...(hash ?? '')].map((digit, at) => (at < bits ? (Number.parseInt(digit, 16) ^ 1).toString(16) : digit)).join('');

describe('perceptual hash', () => {
  const picture = (change: (value: number) => number): Uint8Array =>
    Uint8Array.from({ length: 4096 }, (_, at) => change(128 + 60 * Math.sin((at % 64) / 9) * Math.cos(Math.floor(at / 64) / 5) + ((at * 7919) % 23)));
  const distance = (a: string | null, b: string | null): number =>
    [...(a ?? '')].reduce((sum, digit, at) => sum + [0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4][Number.parseInt(digit, 16) ^ Number.parseInt(b?.[at] ?? '0', 16)]!, 0);
  it('stays near when brightness and contrast change, and goes far for a mirror image', () => {
    const hash = perceptualHash(picture(value => value));
    expect(hash).toMatch(/^[0-9a-f]{64}$/);
    expect(distance(hash, perceptualHash(picture(value => value * 0.7 + 40)))).toBeLessThan(30);
    expect(distance(hash, perceptualHash(picture(value => value).reverse()))).toBeGreaterThan(60);
  });
  it('is none for a flat image, and refuses another size', () => {
    expect(perceptualHash(new Uint8Array(4096).fill(7))).toBeNull();
    expect(() => perceptualHash(new Uint8Array(10))).toThrow(RangeError);
  });
});

it('the index finds exactly what a search through all finds, up to its largest distance', () => {
  const bits = fc.bigInt({ min: 0n, max: (1n << 256n) - 1n });
  const flips = fc.array(fc.integer({ min: 0, max: 255 }), { maxLength: 40 });
  fc.assert(fc.property(fc.array(fc.tuple(bits, flips), { minLength: 1, maxLength: 12 }), fc.integer({ min: 0, max: 31 }), (seeds, most) => {
    const values = seeds.flatMap(([value, at]) => [value, at.reduce((x, bit) => x ^ (1n << BigInt(bit)), value)]);
    const index = hashIndex(values.length);
    const text = (value: bigint): string => value.toString(16).padStart(64, '0');
    for (const value of values) index.add(text(value));
    for (const value of values) {
      const expected = values.flatMap((other, number) => {
        const distance = (value ^ other).toString(2).replaceAll('0', '').length;
        return distance <= most ? [{ number, distance }] : [];
      });
      expect(index.near(text(value), most)).toEqual(expected);
    }
  }), { numRuns: 60 });
  expect(() => hashIndex(1).near(hex(1), 32)).toThrow(/0 to 31 bits/);
});

describe('leaks', () => {
  it('are found by content, by id and by perceptual hash, the surest first, and not beyond the distance', () => {
    const training = [row('same'), row('MPX1007_synpic46719', { source: 'medpix' }), row('near'), row('far'), row('flat', { hash: null }), row('alone')];
    const [same, , near, far, flat] = training as [Fingerprint, Fingerprint, Fingerprint, Fingerprint, Fingerprint];
    const test = (id: string, change: Partial<Fingerprint>): Fingerprint => row(id, { source: 'vqa-rad', split: 'test', ...change });
    const { leaks, clusters } = findLeaks(training, [
      test('copy', { sha256: same.sha256, hash: same.hash }), test('synpic46719', {}), test('scaled', { hash: turned(near.hash, 12) }), test('nearer', { hash: turned(near.hash, 3) }),
      test('other', { hash: turned(far.hash, 31) }), test('black', { hash: null, sha256: flat.sha256 }), test('synpic4671', {}),
    ], options);
    expect(leaks.map(leak => [leak.row.id, leak.kind, leak.of.id, leak.distance, leak.others])).toEqual([
      ['same', 'identical', 'copy', null, 0], ['MPX1007_synpic46719', 'same id', 'synpic46719', null, 0], ['near', 'near duplicate', 'nearer', 3, 1], ['flat', 'identical', 'black', null, 0],
    ]);
    expect(leaks.map(leak => leftOutFor(leak).reason)).toEqual([
      'the same file as copy of vqa-rad (test)', 'names the same image as synpic46719 of vqa-rad (test)', 'a near-duplicate (3 of 256 bits) of nearer of vqa-rad (test), and of 1 more', 'the same file as black of vqa-rad (test)',
    ]);
    expect(clusters.map(cluster => cluster.map(member => member.id))).toEqual([['same', 'copy'], ['MPX1007_synpic46719', 'synpic46719'], ['near', 'scaled', 'nearer'], ['flat', 'black']]);
  });
  it('inside one set drop the row of the earlier split, or join the groups', () => {
    const first = row('a', { group: 'g1' });
    const training = [first, row('b', { group: 'g2', split: 'test', hash: turned(first.hash, 5) }), row('c', { group: 'g2', split: 'test' }), row('d', { group: 'g3' })];
    training.push(row('e', { group: 'g4', hash: training[3]!.hash }), row('f', { group: 'g4' }));
    // The set's own rows may be among the tests as well: they are themselves.
    const dropped = findLeaks(training, training, options);
    expect(dropped.leaks.map(leak => leftOutFor(leak))).toEqual([{ id: 'a', kind: 'leak', reason: 'a near-duplicate (5 of 256 bits) of b of its own test split' }]);
    // d and e are duplicates inside train: no leak, but new splits must keep all rows of their groups together.
    expect([...dropped.groups]).toEqual([['e', 'g3'], ['f', 'g3']]);
    const grouped = findLeaks(training, [], { ...options, own: 'group' });
    expect(grouped.leaks).toEqual([]);
    expect([...grouped.groups]).toEqual([['b', 'g1'], ['c', 'g1'], ['e', 'g3'], ['f', 'g3']]);
    expect(grouped.clusters.map(cluster => cluster.map(member => member.id))).toEqual([['a', 'b'], ['d', 'e']]);
  });
});
