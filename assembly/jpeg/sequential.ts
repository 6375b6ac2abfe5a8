/** Pictures in one scan (ITU-T T.81, annex F.2). */
import { ACROSS, AC_TABLE, DC_TABLE, DOWN, H, LAST_DC, V, component, count, divideUp, height, hmax, vmax, width } from './frame.ts';
import { END, LOOK, MANY, place } from './huffman.ts';
import { at, bits, difference, good, have, nextSegment, noSegmentLeft, receive, refill, setReader, slowSymbol, within } from './bits.ts';
import { isSeen, show } from './transform.ts';

const block: usize = memory.data(144, 16);

/** Reads a block: 0 when it has a mean alone, 1 when it has more, -1 when it is damaged. Its loop is most of the time a picture takes. */
function readBlock(c: usize): i32 {
  refill();
  const value = load<i32>(c + LAST_DC) + difference(load<u32>(c + DC_TABLE));
  if (!good) return -1;
  store<i32>(c + LAST_DC, value);
  store<i16>(block, <i16>value);
  const ac = <usize>load<u32>(c + AC_TABLE);
  let k: i32 = 0;
  let b = bits, h = have, p = at;
  do {
    if (h <= 32) {
      b |= load<u64>(p - 7) >> h;
      const more = (63 - h) >> 3;
      p -= more;
      h += more << 3;
    }
    const entry = load<u32>(ac + (<usize>(b >> (64 - LOOK)) << 2));
    if (entry != 0) {
      const n = entry & 255;
      b <<= n;
      h -= n;
      k += (entry >> 8) & 255;
      store<i16>(block + load<u16>(place + (k << 1)), <i16>(<i32>entry >> 16));
    } else {
      setReader(p, b, h);
      const symbol = slowSymbol(ac);
      if (symbol < 0) return -1;
      const size = symbol & 15;
      if (size == 0) k += symbol == 0 ? END : symbol == 0xf0 ? 16 : MANY;
      else {
        k += (symbol >> 4) + 1;
        const v = receive(size);
        store<i16>(block + load<u16>(place + (k << 1)), <i16>v);
      }
      b = bits; h = have; p = at;
    }
  } while (k < 63);
  setReader(p, b, h);
  if (k > 63 && (k < END || k >= MANY)) return -1;
  return k == END ? 0 : 1;
}

function clearBlock(): void {
  const zero = i64x2.splat(0);
  for (let i: usize = 0; i < 128; i += 16) v128.store(block + i, zero);
}

/** All of a picture in one scan; false when it is damaged. `interval`: MCUs between restart markers, 0 where there are none. */
export function sequentialScan(interval: i32): bool {
  const across = divideUp(width, hmax << 3), down = divideUp(height, vmax << 3);
  const single = count == 1;
  const c0 = component(0);
  const columns = single ? load<i32>(c0 + ACROSS) : across, rows = single ? load<i32>(c0 + DOWN) : down;
  let left = interval > 0 ? interval : i32.MAX_VALUE;
  if (!nextSegment()) return false;
  clearBlock();
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++) {
      if (left == 0) {
        if (!within() || !nextSegment()) return false;
        left = interval;
      }
      left--;
      for (let i = 0; i < count; i++) {
        const c = component(i);
        const h = single ? 1 : load<i32>(c + H), v = single ? 1 : load<i32>(c + V);
        for (let j = 0; j < v; j++) for (let k = 0; k < h; k++) {
          const more = readBlock(c);
          if (more < 0) return false;
          const bx = x * h + k, by = y * v + j;
          if (isSeen(c, bx, by)) show(c, block, bx, by, more == 0);
          if (more != 0) clearBlock();
        }
      }
    }
    if (!within()) return false;
  }
  return within() && noSegmentLeft();
}
