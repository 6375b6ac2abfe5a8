/** Memory: what lives for one picture is taken from the heap's end, and all of it given back when the next one comes. */

/** More than this is left to the caller. */
const most: usize = 96 << 20;

export let heap: usize = 0;
export let tooLarge: bool = false;
/** Whether the machine has no more to give. */
export let starved: bool = false;

/** So many bytes at a multiple of 16, and 64 more behind them that whole vectors may touch; sets `tooLarge` where that is too much. */
export function take(bytes: usize): usize {
  const from = (heap + 15) & ~15;
  if (bytes > most || from + bytes + 64 > most) {
    tooLarge = true;
    return from;
  }
  heap = from + bytes + 64;
  const need = <i32>((heap + 0xffff) >>> 16);
  if (need > memory.size() && memory.grow(need - memory.size()) < 0) {
    starved = true;
    unreachable();
  }
  return from;
}

/** All that was taken since `heap` was `from`. */
export function giveBack(from: usize): void {
  heap = from;
}

/** Forgets the last picture. */
export function startAnew(): void {
  heap = (__heap_base + 15) & ~15;
  tooLarge = false;
  starved = false;
}
