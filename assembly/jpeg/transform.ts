/** Inverse cosine transforms to 8, 4, 2 or 1 pixels of a side; fewer than 8 leave the higher frequencies out, which makes a picture smaller. */
import { FROM_X, FROM_Y, PLANE, QUANTIZERS, SIDE, STRIDE, TO_X, TO_Y } from './frame.ts';

/** Quantizers in natural order, i16 [4 × 64]. */
export const quantizers: usize = memory.data(4 * 128, 16);
const scratch: usize = memory.data(128, 16);

/**
 * One dimension of the accurate integer transform (Loeffler, Ligtenberg and Moschytz 1989, as libjpeg's jidctint.c has it: constants
 * times 2^13) of the eight columns in `scratch`.
 */
function pass(round: i32, shift: i32): void {
  const in0 = v128.load(scratch), in1 = v128.load(scratch, 16), in2 = v128.load(scratch, 32), in3 = v128.load(scratch, 48);
  const in4 = v128.load(scratch, 64), in5 = v128.load(scratch, 80), in6 = v128.load(scratch, 96), in7 = v128.load(scratch, 112);
  const z3 = i16x8.add(in7, in3), z4 = i16x8.add(in5, in1);
  const rounding = i32x4.splat(round);
  const kA = i32x4.splat(pair(8192, 8192)), kB = i32x4.splat(pair(8192, -8192));
  const kC = i32x4.splat(pair(4433, 4433 - 15137)), kD = i32x4.splat(pair(4433 + 6270, 4433));
  const kE = i32x4.splat(pair(9633 - 16069, 9633)), kF = i32x4.splat(pair(9633, 9633 - 3196));
  const kG = i32x4.splat(pair(2446 - 7373, -7373)), kH = i32x4.splat(pair(-7373, 12299 - 7373));
  const kI = i32x4.splat(pair(16819 - 20995, -20995)), kJ = i32x4.splat(pair(-20995, 25172 - 20995));
  let a = i16x8.shuffle(in0, in4, 0, 8, 1, 9, 2, 10, 3, 11);
  let b = i16x8.shuffle(in2, in6, 0, 8, 1, 9, 2, 10, 3, 11);
  let z = i16x8.shuffle(z3, z4, 0, 8, 1, 9, 2, 10, 3, 11);
  let c = i16x8.shuffle(in7, in1, 0, 8, 1, 9, 2, 10, 3, 11);
  let d = i16x8.shuffle(in5, in3, 0, 8, 1, 9, 2, 10, 3, 11);
  let t0 = i32x4.add(i32x4.dot_i16x8_s(a, kA), rounding), t1 = i32x4.add(i32x4.dot_i16x8_s(a, kB), rounding);
  let t2 = i32x4.dot_i16x8_s(b, kC), t3 = i32x4.dot_i16x8_s(b, kD);
  let t10 = i32x4.add(t0, t3), t13 = i32x4.sub(t0, t3), t11 = i32x4.add(t1, t2), t12 = i32x4.sub(t1, t2);
  let y3 = i32x4.dot_i16x8_s(z, kE), y4 = i32x4.dot_i16x8_s(z, kF);
  let o0 = i32x4.add(i32x4.dot_i16x8_s(c, kG), y3), o3 = i32x4.add(i32x4.dot_i16x8_s(c, kH), y4);
  let o1 = i32x4.add(i32x4.dot_i16x8_s(d, kI), y4), o2 = i32x4.add(i32x4.dot_i16x8_s(d, kJ), y3);
  const l0 = i32x4.shr_s(i32x4.add(t10, o3), shift), l7 = i32x4.shr_s(i32x4.sub(t10, o3), shift);
  const l1 = i32x4.shr_s(i32x4.add(t11, o2), shift), l6 = i32x4.shr_s(i32x4.sub(t11, o2), shift);
  const l2 = i32x4.shr_s(i32x4.add(t12, o1), shift), l5 = i32x4.shr_s(i32x4.sub(t12, o1), shift);
  const l3 = i32x4.shr_s(i32x4.add(t13, o0), shift), l4 = i32x4.shr_s(i32x4.sub(t13, o0), shift);
  a = i16x8.shuffle(in0, in4, 4, 12, 5, 13, 6, 14, 7, 15);
  b = i16x8.shuffle(in2, in6, 4, 12, 5, 13, 6, 14, 7, 15);
  z = i16x8.shuffle(z3, z4, 4, 12, 5, 13, 6, 14, 7, 15);
  c = i16x8.shuffle(in7, in1, 4, 12, 5, 13, 6, 14, 7, 15);
  d = i16x8.shuffle(in5, in3, 4, 12, 5, 13, 6, 14, 7, 15);
  t0 = i32x4.add(i32x4.dot_i16x8_s(a, kA), rounding); t1 = i32x4.add(i32x4.dot_i16x8_s(a, kB), rounding);
  t2 = i32x4.dot_i16x8_s(b, kC); t3 = i32x4.dot_i16x8_s(b, kD);
  t10 = i32x4.add(t0, t3); t13 = i32x4.sub(t0, t3); t11 = i32x4.add(t1, t2); t12 = i32x4.sub(t1, t2);
  y3 = i32x4.dot_i16x8_s(z, kE); y4 = i32x4.dot_i16x8_s(z, kF);
  o0 = i32x4.add(i32x4.dot_i16x8_s(c, kG), y3); o3 = i32x4.add(i32x4.dot_i16x8_s(c, kH), y4);
  o1 = i32x4.add(i32x4.dot_i16x8_s(d, kI), y4); o2 = i32x4.add(i32x4.dot_i16x8_s(d, kJ), y3);
  v128.store(scratch, i16x8.narrow_i32x4_s(l0, i32x4.shr_s(i32x4.add(t10, o3), shift)));
  v128.store(scratch, i16x8.narrow_i32x4_s(l7, i32x4.shr_s(i32x4.sub(t10, o3), shift)), 112);
  v128.store(scratch, i16x8.narrow_i32x4_s(l1, i32x4.shr_s(i32x4.add(t11, o2), shift)), 16);
  v128.store(scratch, i16x8.narrow_i32x4_s(l6, i32x4.shr_s(i32x4.sub(t11, o2), shift)), 96);
  v128.store(scratch, i16x8.narrow_i32x4_s(l2, i32x4.shr_s(i32x4.add(t12, o1), shift)), 32);
  v128.store(scratch, i16x8.narrow_i32x4_s(l5, i32x4.shr_s(i32x4.sub(t12, o1), shift)), 80);
  v128.store(scratch, i16x8.narrow_i32x4_s(l3, i32x4.shr_s(i32x4.add(t13, o0), shift)), 48);
  v128.store(scratch, i16x8.narrow_i32x4_s(l4, i32x4.shr_s(i32x4.sub(t13, o0), shift)), 64);
}
@inline function pair(low: i32, high: i32): i32 { return (low & 0xffff) | (high << 16); }

@inline function transposeScratch(): void {
  const r0 = v128.load(scratch), r1 = v128.load(scratch, 16), r2 = v128.load(scratch, 32), r3 = v128.load(scratch, 48);
  const r4 = v128.load(scratch, 64), r5 = v128.load(scratch, 80), r6 = v128.load(scratch, 96), r7 = v128.load(scratch, 112);
  const a0 = i16x8.shuffle(r0, r1, 0, 8, 1, 9, 2, 10, 3, 11), a1 = i16x8.shuffle(r0, r1, 4, 12, 5, 13, 6, 14, 7, 15);
  const a2 = i16x8.shuffle(r2, r3, 0, 8, 1, 9, 2, 10, 3, 11), a3 = i16x8.shuffle(r2, r3, 4, 12, 5, 13, 6, 14, 7, 15);
  const a4 = i16x8.shuffle(r4, r5, 0, 8, 1, 9, 2, 10, 3, 11), a5 = i16x8.shuffle(r4, r5, 4, 12, 5, 13, 6, 14, 7, 15);
  const a6 = i16x8.shuffle(r6, r7, 0, 8, 1, 9, 2, 10, 3, 11), a7 = i16x8.shuffle(r6, r7, 4, 12, 5, 13, 6, 14, 7, 15);
  const b0 = i32x4.shuffle(a0, a2, 0, 4, 1, 5), b1 = i32x4.shuffle(a0, a2, 2, 6, 3, 7);
  const b2 = i32x4.shuffle(a1, a3, 0, 4, 1, 5), b3 = i32x4.shuffle(a1, a3, 2, 6, 3, 7);
  const b4 = i32x4.shuffle(a4, a6, 0, 4, 1, 5), b5 = i32x4.shuffle(a4, a6, 2, 6, 3, 7);
  const b6 = i32x4.shuffle(a5, a7, 0, 4, 1, 5), b7 = i32x4.shuffle(a5, a7, 2, 6, 3, 7);
  v128.store(scratch, i64x2.shuffle(b0, b4, 0, 2)); v128.store(scratch, i64x2.shuffle(b0, b4, 1, 3), 16);
  v128.store(scratch, i64x2.shuffle(b1, b5, 0, 2), 32); v128.store(scratch, i64x2.shuffle(b1, b5, 1, 3), 48);
  v128.store(scratch, i64x2.shuffle(b2, b6, 0, 2), 64); v128.store(scratch, i64x2.shuffle(b2, b6, 1, 3), 80);
  v128.store(scratch, i64x2.shuffle(b3, b7, 0, 2), 96); v128.store(scratch, i64x2.shuffle(b3, b7, 1, 3), 112);
}

/** `coef` are [64] i16 in natural order; dst is column after column. */
function idct8(coef: usize, q: usize, dst: usize, stride: usize): void {
  for (let i: usize = 0; i < 128; i += 16) v128.store(scratch + i, i16x8.mul(v128.load(coef + i), v128.load(q + i)));
  pass(1 << 10, 11);
  transposeScratch();
  pass(1 << 17, 18);
  const flip = i8x16.splat(-128);
  for (let i: usize = 0; i < 128; i += 32) {
    const v = v128.xor(i8x16.narrow_i16x8_s(v128.load(scratch + i), v128.load(scratch + i, 16)), flip);
    v128.store64_lane(dst, v, 0);
    v128.store64_lane(dst + stride, v, 1);
    dst += stride << 1;
  }
}

/** The transform of 4 × 4 of the lowest frequencies. */
function idct4(coef: usize, q: usize, dst: usize, stride: usize): void {
  const half = i32x4.splat(4433), more = i32x4.splat(6270), less = i32x4.splat(15137);
  let r0 = i32x4.extmul_low_i16x8_s(v128.load(coef), v128.load(q));
  let r1 = i32x4.extmul_low_i16x8_s(v128.load(coef, 16), v128.load(q, 16));
  let r2 = i32x4.extmul_low_i16x8_s(v128.load(coef, 32), v128.load(q, 32));
  let r3 = i32x4.extmul_low_i16x8_s(v128.load(coef, 48), v128.load(q, 48));
  for (let turn = 0; turn < 2; turn++) {
    const e0 = i32x4.shl(i32x4.add(r0, r2), 13), e2 = i32x4.shl(i32x4.sub(r0, r2), 13);
    const z = i32x4.mul(i32x4.add(r1, r3), half);
    const o0 = i32x4.add(z, i32x4.mul(r1, more)), o2 = i32x4.sub(z, i32x4.mul(r3, less));
    const round = i32x4.splat(turn == 0 ? 1 << 10 : 1 << 17);
    const shift = turn == 0 ? 11 : 18;
    const s0 = i32x4.shr_s(i32x4.add(i32x4.add(e0, o0), round), shift), s3 = i32x4.shr_s(i32x4.add(i32x4.sub(e0, o0), round), shift);
    const s1 = i32x4.shr_s(i32x4.add(i32x4.add(e2, o2), round), shift), s2 = i32x4.shr_s(i32x4.add(i32x4.sub(e2, o2), round), shift);
    if (turn == 0) {
      const a = i32x4.shuffle(s0, s1, 0, 4, 1, 5), b = i32x4.shuffle(s0, s1, 2, 6, 3, 7);
      const c = i32x4.shuffle(s2, s3, 0, 4, 1, 5), d = i32x4.shuffle(s2, s3, 2, 6, 3, 7);
      r0 = i64x2.shuffle(a, c, 0, 2); r1 = i64x2.shuffle(a, c, 1, 3); r2 = i64x2.shuffle(b, d, 0, 2); r3 = i64x2.shuffle(b, d, 1, 3);
    } else { r0 = s0; r1 = s1; r2 = s2; r3 = s3; }
  }
  const v = v128.xor(i8x16.narrow_i16x8_s(i16x8.narrow_i32x4_s(r0, r1), i16x8.narrow_i32x4_s(r2, r3)), i8x16.splat(-128));
  v128.store32_lane(dst, v, 0);
  v128.store32_lane(dst + stride, v, 1);
  v128.store32_lane(dst + (stride << 1), v, 2);
  v128.store32_lane(dst + stride * 3, v, 3);
}

@inline function clamp(v: i32): u8 { return <u8>(v < 0 ? 0 : v > 255 ? 255 : v); }

function idct2(coef: usize, q: usize, dst: usize, stride: usize): void {
  const c0 = <i32>load<i16>(coef) * load<i16>(q) + (128 << 3) + 4, cx = <i32>load<i16>(coef, 2) * load<i16>(q, 2);
  const cy = <i32>load<i16>(coef, 16) * load<i16>(q, 16), cxy = <i32>load<i16>(coef, 18) * load<i16>(q, 18);
  store<u8>(dst, clamp((c0 + cx + cy + cxy) >> 3));
  store<u8>(dst, clamp((c0 + cx - cy - cxy) >> 3), 1);
  store<u8>(dst + stride, clamp((c0 - cx + cy - cxy) >> 3));
  store<u8>(dst + stride, clamp((c0 - cx - cy + cxy) >> 3), 1);
}

/** A block that has a mean alone. */
function flat(dc: i32, q: usize, n: i32, dst: usize, stride: usize): void {
  const value = clamp(((dc * load<i16>(q) + 4) >> 3) + 128);
  const many = <u64>value * 0x0101010101010101;
  if (n == 8) for (let i = 0; i < 8; i++) { store<u64>(dst, many); dst += stride; }
  else if (n == 4) for (let i = 0; i < 4; i++) { store<u32>(dst, <u32>many); dst += stride; }
  else if (n == 2) { store<u16>(dst, <u16>many); store<u16>(dst + stride, <u16>many); }
  else store<u8>(dst, value);
}

/** Puts a block into its component's plane. */
@inline export function show(c: usize, coef: usize, bx: i32, by: i32, only: bool): void {
  const n = load<i32>(c + SIDE);
  const stride = <usize>load<i32>(c + STRIDE);
  const dst = <usize>load<u32>(c + PLANE) + <usize>(bx * n) * stride + <usize>(by * n);
  const q = quantizers + (<usize>load<i32>(c + QUANTIZERS) << 7);
  if (only || n == 1) flat(load<i16>(coef), q, n, dst, stride);
  else if (n == 8) idct8(coef, q, dst, stride);
  else if (n == 4) idct4(coef, q, dst, stride);
  else idct2(coef, q, dst, stride);
}
/** Whether a block is of the part that can be seen. */
@inline export function isSeen(c: usize, bx: i32, by: i32): bool {
  return bx >= load<i32>(c + FROM_X) && bx < load<i32>(c + TO_X) && by >= load<i32>(c + FROM_Y) && by < load<i32>(c + TO_Y);
}
