/** Resizing by weighted sums, antialiased: the kernel grows with the scale, as Pillow and torchvision have it. */
import { take, tooLarge } from './memory.ts';

/** Keys 1981, with a = -1/2. */
@inline function cubic(x: f64): f64 {
  x = abs(x);
  return x < 1 ? (1.5 * x - 2.5) * x * x + 1 : x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0;
}

/**
 * Weights of `n` outputs, the first one's left edge at `start`, `scale` inputs each, of `size` inputs: how many taps (i32), each output's
 * first input (i32 [n]), and its weights in 1/16384 (i16 [n × taps]).
 */
export function weigh(n: i32, start: f64, scale: f64, size: i32): usize {
  const wide = max<f64>(scale, 1);
  const support = 2 * wide;
  const taps = min((<i32>ceil(support) * 2 + 2) & ~1, (size + 1) & ~1);
  const made = take(4 + (n << 2) + n * taps * 2);
  const row = take(taps << 3);
  if (tooLarge) return 0;
  store<i32>(made, taps);
  const firsts = made + 4, weights = firsts + (n << 2);
  const narrow = 1 / wide;
  for (let i = 0; i < n; i++) {
    const centre = start + (<f64>i + 0.5) * scale;
    const low = max<i32>(0, min<i32>(size - 1, <i32>(centre - support + 0.5))), high = min<i32>(size, <i32>(centre + support + 0.5));
    let total: f64 = 0;
    const m = min<i32>(taps, max<i32>(1, high - low));
    for (let t = 0; t < m; t++) {
      const w = m == 1 ? 1 : cubic((<f64>(low + t) - centre + 0.5) * narrow);
      store<f64>(row + (t << 3), w);
      total += w;
    }
    // the last taps may lie behind the last input: pull the window back
    const first = max<i32>(0, min<i32>(low, size - taps));
    store<i32>(firsts + (i << 2), first);
    const to = weights + i * taps * 2;
    memory.fill(to, 0, taps * 2);
    const share = 16384 / total;
    let sum = 0, best = 0, bestAt = 0;
    for (let t = 0; t < m; t++) {
      const w = <i32>nearest<f64>(load<f64>(row + (t << 3)) * share);
      sum += w;
      if (w > best) { best = w; bestAt = t; }
      store<i16>(to + ((t + low - first) << 1), <i16>w);
    }
    store<i16>(to + ((bestAt + low - first) << 1), <i16>(best + 16384 - sum));
  }
  return made;
}

/** n rows of `lanes` bytes each from weighted rows of src. */
export function resample(weighed: usize, src: usize, srcStride: usize, lanes: i32, n: i32, dst: usize, dstStride: usize): void {
  const taps = load<i32>(weighed), firsts = weighed + 4, weights = firsts + (n << 2);
  const round = i32x4.splat(8192);
  for (let i = 0; i < n; i++) {
    const from = src + <usize>load<i32>(firsts + (i << 2)) * srcStride;
    const w = weights + i * taps * 2;
    for (let x = 0; x < lanes; x += 16) {
      let a0 = round, a1 = round, a2 = round, a3 = round;
      let p = from + x;
      for (let t = 0; t < taps; t += 2) {
        const k = v128.load32_splat(w + (t << 1));
        const u = v128.load(p), v = v128.load(p + srcStride);
        p += srcStride << 1;
        const lo = i8x16.shuffle(u, v, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
        const hi = i8x16.shuffle(u, v, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
        a0 = i32x4.add(a0, i32x4.dot_i16x8_s(i16x8.extend_low_i8x16_u(lo), k));
        a1 = i32x4.add(a1, i32x4.dot_i16x8_s(i16x8.extend_high_i8x16_u(lo), k));
        a2 = i32x4.add(a2, i32x4.dot_i16x8_s(i16x8.extend_low_i8x16_u(hi), k));
        a3 = i32x4.add(a3, i32x4.dot_i16x8_s(i16x8.extend_high_i8x16_u(hi), k));
      }
      v128.store(dst + x, i8x16.narrow_i16x8_u(
        i16x8.narrow_i32x4_s(i32x4.shr_s(a0, 14), i32x4.shr_s(a1, 14)), i16x8.narrow_i32x4_s(i32x4.shr_s(a2, 14), i32x4.shr_s(a3, 14))));
    }
    dst += dstStride;
  }
}

/** [rows × columns] bytes to [columns × rows]; both strides multiples of 16 with room for whole 8 × 8 blocks. */
export function transpose(src: usize, srcStride: usize, rows: i32, columns: i32, dst: usize, dstStride: usize): void {
  for (let y = 0; y < rows; y += 8) for (let x = 0; x < columns; x += 8) {
    const p = src + <usize>y * srcStride + <usize>x;
    const zero = i64x2.splat(0);
    const r0 = v128.load64_lane(p, zero, 0), r1 = v128.load64_lane(p + srcStride, zero, 0), r2 = v128.load64_lane(p + srcStride * 2, zero, 0), r3 = v128.load64_lane(p + srcStride * 3, zero, 0);
    const r4 = v128.load64_lane(p + srcStride * 4, zero, 0), r5 = v128.load64_lane(p + srcStride * 5, zero, 0), r6 = v128.load64_lane(p + srcStride * 6, zero, 0), r7 = v128.load64_lane(p + srcStride * 7, zero, 0);
    const a = i8x16.shuffle(r0, r1, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    const b = i8x16.shuffle(r2, r3, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    const c = i8x16.shuffle(r4, r5, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    const d = i8x16.shuffle(r6, r7, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    const e = i16x8.shuffle(a, b, 0, 8, 1, 9, 2, 10, 3, 11), f = i16x8.shuffle(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
    const g = i16x8.shuffle(c, d, 0, 8, 1, 9, 2, 10, 3, 11), h = i16x8.shuffle(c, d, 4, 12, 5, 13, 6, 14, 7, 15);
    const s = i32x4.shuffle(e, g, 0, 4, 1, 5), t = i32x4.shuffle(e, g, 2, 6, 3, 7), u = i32x4.shuffle(f, h, 0, 4, 1, 5), v = i32x4.shuffle(f, h, 2, 6, 3, 7);
    let o = dst + <usize>x * dstStride + <usize>y;
    v128.store64_lane(o, s, 0); v128.store64_lane(o + dstStride, s, 1); o += dstStride << 1;
    v128.store64_lane(o, t, 0); v128.store64_lane(o + dstStride, t, 1); o += dstStride << 1;
    v128.store64_lane(o, u, 0); v128.store64_lane(o + dstStride, u, 1); o += dstStride << 1;
    v128.store64_lane(o, v, 0); v128.store64_lane(o + dstStride, v, 1);
  }
}
