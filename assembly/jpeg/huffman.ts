/** Huffman codes (ITU-T T.81, annexes C and F.2.2), in tables that tell code and value of most coefficients in one look. */
/** Bits that one look sees. */
export const LOOK: i32 = 11;
export const ENTRIES: i32 = 1 << LOOK;

/*
 * A table: for the next 11 bits, u32 [2048]: how many bits to consume (8 bits), by how much to go on in the block (8 bits) and the
 * value (16 bits), or 0 where 11 bits do not tell; for each length, i32 [18], the first code, in 16 bits, that is longer, and
 * the difference from a code to its place among the symbols; the symbols, u8 [256].
 */
export const LIMITS: usize = ENTRIES * 4;
export const DELTAS: usize = LIMITS + 18 * 4;
export const SYMBOLS: usize = DELTAS + 18 * 4;
export const TABLE_SIZE: usize = SYMBOLS + 256 + 16;

/** How a look says that nothing follows in this block, and in 2^n blocks at least (MANY + n; of progressive files alone). */
export const END: i32 = 128;
export const MANY: i32 = 200;

/** Four for means (DC), then four for the rest (AC). */
export const tables: usize = memory.data(8 * (2048 * 4 + 2 * 18 * 4 + 256 + 16), 16);

export const zigzag: usize = memory.data<u8>([
  0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28,
  35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
]);
/** Where coefficient k lies in its block, in bytes, u16 [320]; behind the block for what would be coefficient 64 or later. */
export const place: usize = memory.data(320 * 2, 16);

export function startPlaces(): void {
  for (let k = 0; k < 320; k++) store<u16>(place + (k << 1), k < 64 ? <u16>load<u8>(zigzag + k) << 1 : 128);
}

/** Makes a table of the counts of each length and the symbols, as a file has them; false when there can be no such code. */
export function buildTable(table: usize, counts: usize, symbols: usize, ac: bool): bool {
  memory.fill(table, 0, TABLE_SIZE);
  let code = 0;
  let index = 0;
  for (let length = 1; length <= 16; length++) {
    const n = <i32>load<u8>(counts + length - 1);
    store<i32>(table + DELTAS + (length << 2), index - code);
    for (let i = 0; i < n; i++, code++, index++) {
      const symbol = <i32>load<u8>(symbols + index);
      store<u8>(table + SYMBOLS + index, <u8>symbol);
      if (length <= LOOK) {
        const run = ac ? symbol >> 4 : 0;
        const size = ac ? symbol & 15 : symbol;
        const total = length + size;
        const firstEntry = code << (LOOK - length);
        const entries = 1 << (LOOK - length);
        if (firstEntry + entries > ENTRIES) return false;
        if (size == 0) {
          const advance = ac ? (run == 15 ? 16 : run == 0 ? END : MANY + run) : 1;
          for (let e = 0; e < entries; e++) store<u32>(table + ((firstEntry + e) << 2), length | (advance << 8));
        } else if (total <= LOOK) {
          for (let e = 0; e < entries; e++) {
            const raw = (e >> (LOOK - total)) & ((1 << size) - 1);
            const value = raw < (1 << (size - 1)) ? raw - (1 << size) + 1 : raw;
            store<u32>(table + ((firstEntry + e) << 2), total | ((run + 1) << 8) | (value << 16));
          }
        }
      }
    }
    if (code > 1 << length) return false;
    store<i32>(table + LIMITS + (length << 2), code << (16 - length));
    code <<= 1;
  }
  store<i32>(table + LIMITS + (17 << 2), i32.MAX_VALUE);
  return true;
}
