/** Decodes JPEG files of 8 bits, grey or YCbCr, in one scan or many (ITU-T T.81), into small squares; see src/study/data/jpeg-decoder.ts. */
import { giveBack, heap, starved, startAnew, take, tooLarge } from './memory.ts';
import { AC_TABLE, DC_TABLE, H, ID, QUANTIZERS, SEEN, V, component, count, progressive, setFrame } from './frame.ts';
import { TABLE_SIZE, buildTable, startPlaces, tables, zigzag } from './huffman.ts';
import { startSegments, unstuff } from './bits.ts';
import { quantizers } from './transform.ts';
import { sequentialScan } from './sequential.ts';
import { matters, progressiveScan, showCoefficients } from './progressive.ts';
import { finish, plan, square } from './square.ts';

// What became of a picture: it is in the square, or is left to another decoder.
const DONE: i32 = 0;
const ODD: i32 = 1;
const DAMAGED: i32 = 2;
const LARGE: i32 = 3;

let file: usize = 0;
let fileEnd: usize = 0;
let profile: bool = false;

/** Where to put a file of so many bytes; 0 when it is too large. The memory may have grown. */
export function input(length: i32): usize {
  startAnew();
  startPlaces();
  file = take(length + 64);
  if (tooLarge) return 0;
  fileEnd = file + length;
  memory.fill(fileEnd, 0, 64);
  return file;
}
/** Where the square is, [size × size × 3] bytes. */
export function output(): usize { return square; }
/** Whether decoding ended because the machine has no more memory. */
export function outOfMemory(): bool { return starved; }
/** Whether the file has a colour profile. */
export function hasProfile(): bool { return profile; }

@inline function u16be(p: usize): i32 { return (<i32>load<u8>(p) << 8) | load<u8>(p, 1); }

/** Whether the picture is to be turned, or may be: what follows "Exif\0\0" (EXIF 2.3, tag 0x0112). */
function exifOdd(p: usize, end: usize): bool {
  if (p + 8 > end) return true;
  const little = load<u8>(p) == 0x49;
  const ifd = p + read32(p + 4, little);
  if (ifd < p || ifd + 2 > end) return true;
  const entries = read16(ifd, little);
  for (let i = 0; i < entries; i++) {
    const entry = ifd + 2 + i * 12;
    if (entry + 12 > end) return true;
    if (read16(entry, little) == 0x112) return read16(entry + 8, little) > 1 || read16(entry + 2, little) != 3;
  }
  return false;
}
function read16(p: usize, little: bool): i32 { return little ? load<u16>(p) : u16be(p); }
function read32(p: usize, little: bool): u32 { return little ? load<u32>(p) : bswap(load<u32>(p)); }

/** Decodes the file that lies at `input` into a square; fit: 0 crop, 1 pad, 2 squeeze. */
export function decode(size: i32, fit: i32): i32 {
  profile = false;
  setFrame(0, 0, 0, 0, 0, false);
  let jfif = false, adobe = -1, haveTables = 0, haveQuant = 0, interval = 0;
  let planned = false;
  let scans = 0;
  let p = file;
  if (fileEnd - file < 4 || u16be(p) != 0xffd8) return ODD;
  p += 2;
  while (true) {
    if (p + 2 > fileEnd) return DAMAGED;
    if (load<u8>(p) != 0xff) return ODD;
    const mark = <i32>load<u8>(p, 1);
    if (mark == 0xff) { p += 1; continue; }
    if (mark == 0xd9) break;
    if (p + 4 > fileEnd) return DAMAGED;
    const length = u16be(p + 2);
    const body = p + 4, end = p + 2 + length;
    if (length < 2 || end > fileEnd) return DAMAGED;
    if (mark == 0xdb) {
      if (planned) return ODD; // scans may have meant the ones before
      let q = body;
      while (q < end) {
        const head = <i32>load<u8>(q++);
        if (head > 3) return ODD; // 16 bits
        if (q + 64 > end) return DAMAGED;
        for (let k = 0; k < 64; k++) store<i16>(quantizers + (head << 7) + (<usize>load<u8>(zigzag + k) << 1), <i16>load<u8>(q + k));
        haveQuant |= 1 << head;
        q += 64;
      }
    } else if (mark == 0xc4) {
      let q = body;
      while (q < end) {
        if (q + 17 > end) return DAMAGED;
        const head = <i32>load<u8>(q);
        if ((head & 15) > 3 || head > 0x1f) return ODD;
        let n = 0;
        for (let k = 1; k <= 16; k++) n += load<u8>(q + k);
        if (n > 256 || q + 17 + n > end) return DAMAGED;
        const index = (head >> 4) * 4 + (head & 15);
        if (!buildTable(tables + <usize>index * TABLE_SIZE, q + 1, q + 17, head >= 16)) return DAMAGED;
        haveTables |= 1 << index;
        q += 17 + n;
      }
    } else if (mark == 0xc0 || mark == 0xc1 || mark == 0xc2) {
      if (count != 0 || length < 8) return ODD;
      if (load<u8>(body) != 8) return ODD;
      const rows = u16be(body + 1), columns = u16be(body + 3);
      const n = <i32>load<u8>(body, 5);
      if ((n != 1 && n != 3) || rows == 0 || columns == 0 || length != 8 + 3 * n) return ODD;
      let across = 1, down = 1;
      for (let i = 0; i < n; i++) {
        const c = component(i), q = body + 6 + i * 3;
        store<i32>(c + ID, load<u8>(q));
        const h = n == 1 ? 1 : load<u8>(q, 1) >> 4, v = n == 1 ? 1 : load<u8>(q, 1) & 15;
        if (h < 1 || h > 2 || v < 1 || v > 2) return ODD;
        store<i32>(c + H, h); store<i32>(c + V, v);
        across = max(across, h); down = max(down, v);
        if (load<u8>(q, 2) > 3) return DAMAGED;
        store<i32>(c + QUANTIZERS, load<u8>(q, 2));
        store<i32>(c + SEEN, 0);
      }
      if (n == 3 && (load<i32>(component(0) + H) != across || load<i32>(component(0) + V) != down)) return ODD;
      setFrame(columns, rows, n, across, down, mark == 0xc2);
    } else if (mark == 0xdd) {
      if (length != 4) return DAMAGED;
      interval = u16be(body);
    } else if (mark == 0xda) {
      if (count == 0) return DAMAGED;
      const n = <i32>load<u8>(body);
      if (n < 1 || n > count || length != 6 + 2 * n) return DAMAGED;
      if (!planned) {
        // Which colours these are, libjpeg guesses in this way, too.
        if (count == 3 && !jfif && (adobe == 0 || (adobe < 0 && load<i32>(component(0) + ID) != 1))) return ODD;
        startSegments();
        if (!plan(size, fit)) return LARGE;
        planned = true;
      }
      let order: u32 = 0;
      const from = <i32>load<u8>(body + 1 + 2 * n), to = <i32>load<u8>(body + 2 + 2 * n);
      const high = <i32>load<u8>(body + 3 + 2 * n) >> 4, low = <i32>load<u8>(body + 3 + 2 * n) & 15;
      for (let i = 0; i < n; i++) {
        const id = <i32>load<u8>(body + 1 + i * 2), which = <i32>load<u8>(body + 2 + i * 2);
        let j = 0;
        while (j < count && load<i32>(component(j) + ID) != id) j++;
        if (j == count) return DAMAGED;
        order |= j << (i << 3);
        const dc = which >> 4, ac = which & 15;
        if (dc > 3 || ac > 3) return DAMAGED;
        if (from == 0 && high == 0 && (haveTables & (1 << dc)) == 0) return DAMAGED;
        if (to > 0 && (haveTables & (16 << ac)) == 0) return DAMAGED;
        if ((haveQuant & (1 << load<i32>(component(j) + QUANTIZERS))) == 0) return DAMAGED;
        store<u32>(component(j) + DC_TABLE, <u32>(tables + <usize>dc * TABLE_SIZE));
        store<u32>(component(j) + AC_TABLE, <u32>(tables + <usize>(4 + ac) * TABLE_SIZE));
        store<i32>(component(j) + SEEN, load<i32>(component(j) + SEEN) | (from == 0 ? 1 : 2));
      }
      if (++scans > 200) return ODD;
      const was = heap;
      const next = unstuff(end, fileEnd);
      if (tooLarge) return LARGE;
      if (next == 0) return DAMAGED;
      if (!progressive) {
        if (n != count || scans > 1 || from != 0 || to != 63 || high != 0 || low != 0 || order != (count == 1 ? 0 : 0x020100)) return ODD;
        if (!sequentialScan(interval)) return DAMAGED;
      } else {
        if (to > 63 || from > to || low > 13 || (from == 0) != (to == 0) || (from > 0 && n != 1)) return ODD;
        if (matters(order & 255, from) && !progressiveScan(interval, n, order, from, to, high, low)) return DAMAGED;
      }
      giveBack(was);
      p = next;
      continue;
    } else if (mark == 0xe0) {
      if (length >= 7 && load<u32>(body) == 0x4649464a) jfif = true;
    } else if (mark == 0xe1) {
      if (length >= 8 && load<u32>(body) == 0x66697845 && load<u16>(body, 4) == 0 && exifOdd(body + 6, end)) return ODD;
    } else if (mark == 0xe2) {
      if (length >= 16 && load<u64>(body) == 0x464f52505f434349) profile = true;
    } else if (mark == 0xee) {
      if (length >= 14 && load<u32>(body) == 0x626f6441) adobe = load<u8>(body, 11);
    } else if (mark < 0xe0 && mark != 0xfe) return ODD;
    p = end;
  }
  if (scans == 0) return DAMAGED;
  if (progressive) {
    for (let i = 0; i < count; i++) if ((load<i32>(component(i) + SEEN) & 1) == 0) return DAMAGED;
    showCoefficients();
  }
  return finish(size) ? DONE : LARGE;
}
