/** Reads bits (ITU-T T.81, F.2.2.5) of bytes that lie backwards, so that one load of 64 bits has the next ones on top. */
import { take, tooLarge } from './memory.ts';
import { LAST_DC, component, count } from './frame.ts';
import { DELTAS, LIMITS, LOOK, SYMBOLS } from './huffman.ts';

/** The address of the next byte, going down. */
export let at: usize = 0;
/** The next bits, on top, and how many of them are there for sure. */
export let bits: u64 = 0;
export let have: i32 = 0;
/** The bytes from here down belong to no part of the scan, or to the next one. */
let stop: usize = 0;
/** Where each part between restart markers begins and ends, u32 pairs. */
let segments: usize = 0;
let segmentCount: i32 = 0;
let segment: i32 = 0;
const mostSegments: i32 = 2000;
/** Bytes of zeros between parts. */
const gap: i32 = 32;

/** For loops that keep the reader in variables of their own. */
@inline export function setReader(next: usize, top: u64, sure: i32): void {
  at = next;
  bits = top;
  have = sure;
}

/** To be called once a picture. */
export function startSegments(): void {
  segments = take((mostSegments + 8) * 8);
}

/** Sees to 33 bits or more. */
@inline export function refill(): void {
  if (have <= 32) {
    // bytes at..at-7 hold the next ones, first on top
    bits |= load<u64>(at - 7) >> have;
    const more = (63 - have) >> 3;
    at -= more;
    have += more << 3;
  }
}
@inline export function consume(n: i32): void { bits <<= n; have -= n; }

/** A symbol by its canonical code; -1 when there is none. */
export function slowSymbol(table: usize): i32 {
  const top = <i32>(bits >> 48);
  let length = 1;
  while (top >= load<i32>(table + LIMITS + (length << 2))) length++;
  if (length > 16) return -1;
  consume(length);
  return load<u8>(table + SYMBOLS + (((top >> (16 - length)) + load<i32>(table + DELTAS + (length << 2))) & 255));
}
@inline export function receive(size: i32): i32 {
  if (size == 0) return 0;
  const raw = <i32>(bits >> (64 - size));
  consume(size);
  return raw < (1 << (size - 1)) ? raw - (1 << size) + 1 : raw;
}

/** Whether the last difference had a code. */
export let good: bool = true;
/** By how much a block's mean differs from the last one's. */
export function difference(table: usize): i32 {
  const entry = load<u32>(table + (<usize>(bits >> (64 - LOOK)) << 2));
  good = true;
  if (entry != 0) {
    consume(entry & 255);
    return <i32>entry >> 16;
  }
  const size = slowSymbol(table);
  good = size >= 0 && size <= 15;
  return good ? receive(size) : 0;
}

/** To the next part of the scan; false when there is none. */
export function nextSegment(): bool {
  if (segment >= segmentCount) return false;
  const entry = segments + (<usize>segment << 3);
  at = load<u32>(entry) - 1;
  stop = load<u32>(entry + 4);
  segment++;
  bits = 0;
  have = 0;
  for (let c = 0; c < count; c++) store<i32>(component(c) + LAST_DC, 0);
  return true;
}
/** Whether no more was read than the segment holds. */
@inline export function within(): bool { return <isize>(at + 1) + <isize>(have >> 3) >= <isize>stop; }
export function noSegmentLeft(): bool { return segment == segmentCount; }

/**
 * Copies the bytes of a scan, from p on, without what is stuffed between them (F.1.2.3), backwards. Returns the address of the marker
 * behind them; 0 when there is none before the file's end, when restart markers are missing, or when it is too much.
 */
export function unstuff(p: usize, end: usize): usize {
  const room = <usize>(end - p) + (mostSegments + 8) * gap;
  let to = take(room) + room;
  if (tooLarge) return 0;
  segment = 0;
  segmentCount = 0;
  let expect = 0xd0;
  store<u32>(segments, <u32>to);
  const reverse = i8x16(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
  const ones = i8x16.splat(-1);
  while (true) {
    const v = v128.load(p);
    const found = i8x16.bitmask(i8x16.eq(v, ones));
    v128.store(to - 16, i8x16.swizzle(v, reverse));
    if (found == 0) { p += 16; to -= 16; if (p >= end) return 0; continue; }
    const before = ctz(found);
    p += before;
    to -= before;
    if (p + 1 >= end) return 0;
    const mark = <i32>load<u8>(p, 1);
    if (mark == 0) { p += 2; to -= 1; }
    else if (mark == 0xff) p += 1;
    else {
      store<u32>(segments + (<usize>segmentCount << 3) + 4, <u32>to);
      if (++segmentCount > mostSegments) return 0;
      // zeros behind each segment
      for (let z = 1; z <= 4; z++) store<u64>(to - (z << 3), 0);
      if (mark < 0xd0 || mark > 0xd7) return p;
      if (mark != expect) return 0;
      expect = mark == 0xd7 ? 0xd0 : mark + 1;
      to -= gap;
      p += 2;
      store<u32>(segments + (<usize>segmentCount << 3), <u32>to);
    }
  }
}
