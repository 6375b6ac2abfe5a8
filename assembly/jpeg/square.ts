/** From planes to a square of colours. */
import { take, tooLarge } from './memory.ts';
import { ACROSS, COEFFICIENTS, DOWN, FROM_X, FROM_Y, H, PIXELS_ACROSS, PIXELS_DOWN, PLANE, RESULT, SIDE, STORED_ACROSS, STORED_DOWN, STRIDE, TO_X, TO_Y, V, component, count, divideUp, height, hmax, progressive, vectors, vmax, width } from './frame.ts';
import { resample, transpose, weigh } from './resample.ts';

/** The size of the whole picture resized; what is cut from it, or stays black before it; the size of what is seen. */
let rw: i32 = 0, rh: i32 = 0, offX: i32 = 0, offY: i32 = 0, ow: i32 = 0, oh: i32 = 0;
/** Pixels of the file a pixel of the square. */
let scaleX: f64 = 0, scaleY: f64 = 0;
/** Blocks are made smaller as long as a plane stays this many times as large as the square: the rest is for the resizing. */
const greyOver: f64 = 2;
const colourOver: f64 = 1;
/** Keeps sizes in bytes within 32 bits. */
const mostPixels: f64 = 50e6;
/** [size × size × 3] bytes. */
export let square: usize = 0;

/** Where the picture goes, and how small its blocks may become; false when it is too much. fit: 0 crop, 1 pad, 2 squeeze. */
export function plan(size: i32, fit: i32): bool {
  if (<f64>width * height > mostPixels) return false;
  if (fit == 2) { rw = size; rh = size; }
  else {
    const side = fit == 0 ? min(width, height) : max(width, height);
    rw = width == side ? size : max(1, <i32>floor<f64>(<f64>width * size / side + 0.5));
    rh = height == side ? size : max(1, <i32>floor<f64>(<f64>height * size / side + 0.5));
  }
  ow = min(rw, size);
  oh = min(rh, size);
  offX = rw > size ? (rw - size + 1) >> 1 : (size - rw) >> 1;
  offY = rh > size ? (rh - size + 1) >> 1 : (size - rh) >> 1;
  scaleX = <f64>width / rw;
  scaleY = <f64>height / rh;
  const cropX = rw > size ? <f64>offX * scaleX : 0, cropY = rh > size ? <f64>offY * scaleY : 0;
  for (let i = 0; i < count; i++) {
    const c = component(i);
    const h = load<i32>(c + H), v = load<i32>(c + V);
    const over = i == 0 ? greyOver : colourOver;
    const perX = scaleX * h / hmax, perY = scaleY * v / vmax; // inputs at 8/8 an output
    const per = min(perX, perY);
    let n = 8;
    while (n > 1 && per * (n >> 1) >= 8 * over) n >>= 1;
    store<i32>(c + SIDE, n);
    const bw = divideUp(divideUp(width * h, hmax), 8), bh = divideUp(divideUp(height * v, vmax), 8);
    store<i32>(c + ACROSS, bw); store<i32>(c + DOWN, bh);
    const pbw = divideUp(width, hmax << 3) * h, pbh = divideUp(height, vmax << 3) * v;
    store<i32>(c + STORED_ACROSS, pbw); store<i32>(c + STORED_DOWN, pbh);
    store<i32>(c + PIXELS_ACROSS, divideUp(width * h * n, hmax << 3)); store<i32>(c + PIXELS_DOWN, divideUp(height * v * n, vmax << 3));
    const marginX = 2 * max(perX * n / 8, 1) + 2, marginY = 2 * max(perY * n / 8, 1) + 2;
    const x0 = (cropX * h / hmax * n / 8 - marginX) / n, x1 = ((cropX + scaleX * ow) * h / hmax * n / 8 + marginX) / n;
    const y0 = (cropY * v / vmax * n / 8 - marginY) / n, y1 = ((cropY + scaleY * oh) * v / vmax * n / 8 + marginY) / n;
    store<i32>(c + FROM_X, max(0, <i32>floor(x0))); store<i32>(c + TO_X, min(bw, <i32>ceil(x1)));
    store<i32>(c + FROM_Y, max(0, <i32>floor(y0))); store<i32>(c + TO_Y, min(bh, <i32>ceil(y1)));
    const stride = vectors(pbh * n) + 16;
    store<i32>(c + STRIDE, stride);
    store<u32>(c + PLANE, <u32>take(<usize>(pbw * n + 16) * stride));
    if (progressive) {
      const bytes = <usize>pbw * pbh * 128;
      const coef = take(bytes);
      store<u32>(c + COEFFICIENTS, <u32>coef);
      if (tooLarge) return false;
      memory.fill(coef, 0, bytes);
    }
  }
  return !tooLarge;
}

/** Resizes the planes and makes colours of them; false when it is too much. */
export function finish(size: i32): bool {
  const cropX = rw > size ? <f64>offX * scaleX : 0, cropY = rh > size ? <f64>offY * scaleY : 0;
  const S = vectors(ow) + 16;
  let across: usize = 0, down: usize = 0;
  for (let i = 0; i < count; i++) {
    const c = component(i);
    const n = <f64>load<i32>(c + SIDE);
    const fx = n * load<i32>(c + H) / (8 * hmax), fy = n * load<i32>(c + V) / (8 * vmax);
    const stride = <usize>load<i32>(c + STRIDE);
    const in0 = load<i32>(c + FROM_Y) * load<i32>(c + SIDE), in1 = min(load<i32>(c + PIXELS_DOWN), load<i32>(c + TO_Y) * load<i32>(c + SIDE));
    const lanes0 = in0 & ~15;
    const lanes = in1 - lanes0;
    // Both colours have the same weights as a rule.
    const last = component(i - 1);
    if (i < 2 || load<i32>(c + SIDE) != load<i32>(last + SIDE) || load<i32>(c + H) != load<i32>(last + H) || load<i32>(c + V) != load<i32>(last + V)) {
      across = weigh(ow, cropX * fx, scaleX * fx, load<i32>(c + PIXELS_ACROSS));
      down = weigh(oh, cropY * fy - lanes0, scaleY * fy, lanes);
    }
    const half = take(<usize>(vectors(ow) + 16) * (vectors(lanes) + 16));
    if (tooLarge) return false;
    resample(across, load<u32>(c + PLANE) + lanes0, stride, lanes, ow, half, vectors(lanes) + 16);
    const turned = take(<usize>(vectors(lanes) + 32) * S);
    const result = take(<usize>(oh + 1) * S);
    if (tooLarge) return false;
    transpose(half, vectors(lanes) + 16, ow, lanes, turned, S);
    resample(down, turned, S, ow, oh, result, S);
    store<u32>(c + RESULT, <u32>result);
  }
  square = take(<usize>size * size * 3 + 64);
  if (tooLarge) return false;
  if (ow < size || oh < size) memory.fill(square, 0, <usize>size * size * 3);
  const left = rw < size ? offX : 0, top = rh < size ? offY : 0;
  const line = take(S * 3 + 64);
  for (let y = 0; y < oh; y++) {
    const p = <usize>load<u32>(component(0) + RESULT) + y * S;
    const pb = count == 3 ? <usize>load<u32>(component(1) + RESULT) + y * S : 0, pr = count == 3 ? <usize>load<u32>(component(2) + RESULT) + y * S : 0;
    let to = line;
    for (let x = 0; x < ow; x += 16) {
      const v = v128.load(p + x);
      let r = v, g = v, b = v;
      if (count == 3) {
        const ccb = v128.load(pb + x), ccr = v128.load(pr + x);
        const mid = i16x8.splat(128);
        const yl = i16x8.extend_low_i8x16_u(v), yh = i16x8.extend_high_i8x16_u(v);
        const bl = i16x8.shl(i16x8.sub(i16x8.extend_low_i8x16_u(ccb), mid), 7), bh = i16x8.shl(i16x8.sub(i16x8.extend_high_i8x16_u(ccb), mid), 7);
        const rl = i16x8.shl(i16x8.sub(i16x8.extend_low_i8x16_u(ccr), mid), 7), rh2 = i16x8.shl(i16x8.sub(i16x8.extend_high_i8x16_u(ccr), mid), 7);
        r = i8x16.narrow_i16x8_u(i16x8.add(yl, red(rl)), i16x8.add(yh, red(rh2)));
        g = i8x16.narrow_i16x8_u(i16x8.sub(yl, green(bl, rl)), i16x8.sub(yh, green(bh, rh2)));
        b = i8x16.narrow_i16x8_u(i16x8.add(yl, blue(bl)), i16x8.add(yh, blue(bh)));
      }
      // interleave
      const t0 = i8x16.shuffle(r, g, 0, 16, 0, 1, 17, 0, 2, 18, 0, 3, 19, 0, 4, 20, 0, 5);
      const t1 = i8x16.shuffle(r, g, 21, 0, 6, 22, 0, 7, 23, 0, 8, 24, 0, 9, 25, 0, 10, 26);
      const t2 = i8x16.shuffle(r, g, 0, 11, 27, 0, 12, 28, 0, 13, 29, 0, 14, 30, 0, 15, 31, 0);
      v128.store(to, i8x16.shuffle(t0, b, 0, 1, 16, 3, 4, 17, 6, 7, 18, 9, 10, 19, 12, 13, 20, 15));
      v128.store(to, i8x16.shuffle(t1, b, 0, 21, 2, 3, 22, 5, 6, 23, 8, 9, 24, 11, 12, 25, 14, 15), 16);
      v128.store(to, i8x16.shuffle(t2, b, 26, 1, 2, 27, 4, 5, 28, 7, 8, 29, 10, 11, 30, 13, 14, 31), 32);
      to += 48;
    }
    memory.copy(square + <usize>((top + y) * size + left) * 3, line, ow * 3);
  }
  return true;
}

// YCbCr to RGB (ITU-T T.871): c is 128 times the difference from grey, factors are in 1/32768.
@inline function red(c: v128): v128 { return i16x8.shr_s(i16x8.add(i16x8.q15mulr_sat_s(c, i16x8.splat(22970)), i16x8.splat(32)), 6); }
@inline function blue(c: v128): v128 { return i16x8.shr_s(i16x8.add(i16x8.q15mulr_sat_s(c, i16x8.splat(29032)), i16x8.splat(32)), 6); }
@inline function green(b: v128, r: v128): v128 {
  return i16x8.shr_s(i16x8.add(i16x8.add(i16x8.q15mulr_sat_s(b, i16x8.splat(11277)), i16x8.q15mulr_sat_s(r, i16x8.splat(23401))), i16x8.splat(64)), 7);
}
