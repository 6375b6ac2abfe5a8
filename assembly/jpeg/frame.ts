/** The picture that is being decoded (ITU-T T.81, annex B.2.2), and its planes. */

export let width: i32 = 0;
export let height: i32 = 0;
/** Of its components: 1 (grey) or 3 (YCbCr). */
export let count: i32 = 0;
/** The largest sampling factors. */
export let hmax: i32 = 0;
export let vmax: i32 = 0;
export let progressive: bool = false;

export function setFrame(w: i32, h: i32, components: i32, across: i32, down: i32, inScans: bool): void {
  width = w;
  height = h;
  count = components;
  hmax = across;
  vmax = down;
  progressive = inScans;
}

const components: usize = memory.data(3 * 128, 16);
/** Where the fields of a component are, all of 32 bits. */
@inline export function component(i: i32): usize { return components + (<usize>i << 7); }

export const ID: usize = 0;
/** Sampling factors, and the number of its table of quantizers. */
export const H: usize = 4;
export const V: usize = 8;
export const QUANTIZERS: usize = 12;
/** Pixels of a side that a block becomes: 8, 4, 2 or 1. */
export const SIDE: usize = 16;
/** Blocks across and down that hold pixels, and those that are stored (whole MCUs). */
export const ACROSS: usize = 20;
export const DOWN: usize = 24;
export const STORED_ACROSS: usize = 28;
export const STORED_DOWN: usize = 32;
/** Pixels, column after column of `STRIDE` bytes; so many across and down are of the picture. */
export const PLANE: usize = 36;
export const STRIDE: usize = 40;
export const PIXELS_ACROSS: usize = 44;
export const PIXELS_DOWN: usize = 48;
/** Coefficients [down × across × 64] i16 of progressive files. */
export const COEFFICIENTS: usize = 52;
/** Tables of the scan at hand, and the last mean. */
export const DC_TABLE: usize = 56;
export const AC_TABLE: usize = 60;
export const LAST_DC: usize = 64;
/** The blocks that can be seen: from, before. */
export const FROM_X: usize = 68;
export const TO_X: usize = 72;
export const FROM_Y: usize = 76;
export const TO_Y: usize = 80;
/** The resized plane, rows first. */
export const RESULT: usize = 84;
/** Whether scans had its means (1) and the rest (2). */
export const SEEN: usize = 88;

@inline export function divideUp(a: i32, b: i32): i32 { return (a + b - 1) / b; }
/** To whole vectors of 16 bytes. */
@inline export function vectors(n: i32): i32 { return (n + 15) & ~15; }
