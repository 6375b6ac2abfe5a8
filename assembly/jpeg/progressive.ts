/** Pictures in many scans, each of which adds to their coefficients (ITU-T T.81, annex G). */
import { ACROSS, AC_TABLE, COEFFICIENTS, DC_TABLE, DOWN, FROM_X, FROM_Y, H, LAST_DC, SIDE, STORED_ACROSS, TO_X, TO_Y, V, component, count, divideUp, height, hmax, vmax, width } from './frame.ts';
import { END, LOOK, MANY, place } from './huffman.ts';
import { bits, consume, difference, good, have, nextSegment, noSegmentLeft, receive, refill, slowSymbol, within } from './bits.ts';
import { show } from './transform.ts';

/** Blocks to come that the scan says nothing of. */
let eobrun: i32 = 0;

/** Blocks without more, this one among them: 2^n and what n bits say. */
@inline function startRun(n: i32): void {
  eobrun = 1 << n;
  if (n > 0) {
    eobrun += <i32>(bits >> (64 - n));
    consume(n);
  }
}

/** Adds to a block what the scan says of it; false when it is damaged. */
function progressiveBlock(c: usize, coef: usize, from: i32, to: i32, high: i32, low: i32): bool {
  refill();
  if (from == 0) {
    if (high != 0) {
      if (<i64>bits < 0) store<i16>(coef, <i16>(<i32>load<i16>(coef) | (1 << low)));
      consume(1);
      return true;
    }
    const value = load<i32>(c + LAST_DC) + difference(load<u32>(c + DC_TABLE));
    if (!good) return false;
    store<i32>(c + LAST_DC, value);
    store<i16>(coef, <i16>(value << low));
    return true;
  }
  const table = <usize>load<u32>(c + AC_TABLE);
  if (high == 0) {
    if (eobrun > 0) { eobrun--; return true; }
    for (let k = from; k <= to; k++) {
      refill();
      const entry = load<u32>(table + (<usize>(bits >> (64 - LOOK)) << 2));
      if (entry != 0) {
        consume(entry & 255);
        const advance = <i32>((entry >> 8) & 255);
        if (advance == END) return true;
        if (advance > MANY) {
          startRun(advance - MANY);
          eobrun--;
          return true;
        }
        k += advance - 1;
        if (k > to) return false;
        store<i16>(coef + load<u16>(place + (k << 1)), <i16>((<i32>entry >> 16) << low));
        continue;
      }
      const symbol = slowSymbol(table);
      if (symbol < 0) return false;
      const run = symbol >> 4, size = symbol & 15;
      if (size == 0) {
        if (run < 15) {
          startRun(run);
          eobrun--;
          return true;
        }
        k += 15;
      } else {
        k += run;
        if (k > to) return false;
        store<i16>(coef + load<u16>(place + (k << 1)), <i16>(receive(size) << low));
      }
    }
    return true;
  }
  // One more bit of each coefficient that is known, and new ones among them (G.1.2.3).
  const plus: i32 = 1 << low;
  let k = from;
  if (eobrun == 0) {
    for (; k <= to; k++) {
      refill();
      let run: i32, value: i32;
      const entry = load<u32>(table + (<usize>(bits >> (64 - LOOK)) << 2));
      if (entry != 0) {
        consume(entry & 255);
        const advance = <i32>((entry >> 8) & 255);
        if (advance >= END) {
          startRun(advance == END ? 0 : advance - MANY);
          break;
        }
        run = advance - 1;
        value = <i32>entry >> 16;
      } else {
        const symbol = slowSymbol(table);
        if (symbol < 0) return false;
        run = symbol >> 4;
        value = receive(symbol & 15);
        if ((symbol & 15) == 0 && run < 15) {
          startRun(run);
          break;
        }
      }
      if (value < -1 || value > 1) return false;
      for (; k <= to; k++) {
        const p = coef + load<u16>(place + (k << 1));
        const old = <i32>load<i16>(p);
        if (old != 0) { correct(p, old, plus); }
        else { if (run == 0) { if (value != 0) store<i16>(p, <i16>(value * plus)); break; } run--; }
      }
    }
  }
  if (eobrun > 0) {
    for (; k <= to; k++) {
      const p = coef + load<u16>(place + (k << 1));
      const old = <i32>load<i16>(p);
      if (old != 0) correct(p, old, plus);
    }
    eobrun--;
  }
  return true;
}
/** Another bit of a coefficient that is known already. */
@inline function correct(p: usize, old: i32, plus: i32): void {
  if (have == 0) refill();
  if (<i64>bits < 0 && (old & plus) == 0) store<i16>(p, <i16>(old > 0 ? old + plus : old - plus));
  consume(1);
}

/**
 * One scan of the n components that `order` has, 8 bits each; false when it is damaged. from, to, high, low: coefficients and bits
 * that it refines (Ss, Se, Ah, Al).
 */
export function progressiveScan(interval: i32, n: i32, order: u32, from: i32, to: i32, high: i32, low: i32): bool {
  const single = n == 1;
  const c0 = component(order & 255);
  const columns = single ? load<i32>(c0 + ACROSS) : divideUp(width, hmax << 3), rows = single ? load<i32>(c0 + DOWN) : divideUp(height, vmax << 3);
  let left = interval > 0 ? interval : i32.MAX_VALUE;
  if (!nextSegment()) return false;
  eobrun = 0;
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++) {
      if (left == 0) {
        if (!within() || !nextSegment()) return false;
        eobrun = 0;
        left = interval;
      }
      left--;
      for (let i = 0; i < n; i++) {
        const c = component((order >> (i << 3)) & 255);
        const h = single ? 1 : load<i32>(c + H), v = single ? 1 : load<i32>(c + V);
        for (let j = 0; j < v; j++) for (let k = 0; k < h; k++) {
          const coef = <usize>load<u32>(c + COEFFICIENTS) + (<usize>((y * v + j) * load<i32>(c + STORED_ACROSS) + x * h + k) << 7);
          if (!progressiveBlock(c, coef, from, to, high, low)) return false;
        }
      }
    }
    if (!within()) return false;
  }
  return within() && noSegmentLeft();
}

/** What all scans came to. */
export function showCoefficients(): void {
  for (let i = 0; i < count; i++) {
    const c = component(i);
    const pbw = load<i32>(c + STORED_ACROSS);
    for (let by = load<i32>(c + FROM_Y); by < load<i32>(c + TO_Y); by++) for (let bx = load<i32>(c + FROM_X); bx < load<i32>(c + TO_X); bx++) {
      const coef = <usize>load<u32>(c + COEFFICIENTS) + (<usize>(by * pbw + bx) << 7);
      show(c, coef, bx, by, false);
    }
  }
}

/**
 * Whether a scan of coefficients from this one on matters at a component's size: not when blocks become their means. Otherwise all do,
 * since those that refine are read by what is known so far.
 */
export function matters(i: i32, from: i32): bool {
  return from == 0 || load<i32>(component(i) + SIDE) > 1;
}
