/** Byte-pair merging of one word, by rank and then from left to right. */

/** Beyond this length a heap beats scanning: a run of a million letters must not take hours. */
const scanLimit = 200;

/**
 * The tokens of a word after all merges.
 * @param tokens one token a byte; overwritten.
 * @param merged the token a pair merges into, or −1; a smaller token merges earlier.
 */
export function mergeBytes(tokens: Int32Array, merged: (left: number, right: number) => number): Int32Array {
  return tokens.length <= scanLimit ? mergeByScan(tokens, merged) : mergeByHeap(tokens, merged);
}

function mergeByScan(tokens: Int32Array, merged: (left: number, right: number) => number): Int32Array {
  let length = tokens.length;
  while (length > 1) {
    let best = -1;
    for (let i = 0; i + 1 < length; i += 1) {
      const token = merged(tokens[i]!, tokens[i + 1]!);
      if (token >= 0 && (best < 0 || token < best)) best = token;
    }
    if (best < 0) break;
    let kept = 0;
    for (let i = 0; i < length; kept += 1) {
      const joins = i + 1 < length && merged(tokens[i]!, tokens[i + 1]!) === best;
      tokens[kept] = joins ? best : tokens[i]!;
      i += joins ? 2 : 1;
    }
    length = kept;
  }
  return tokens.slice(0, length);
}

/**
 * The same in O(n log n). A merge can only make pairs of a higher rank than its own, so taking single merges in the order
 * (rank, place) gives what whole passes give.
 */
function mergeByHeap(tokens: Int32Array, merged: (left: number, right: number) => number): Int32Array {
  const length = tokens.length;
  const next = Int32Array.from({ length }, (_, i) => i + 1);
  const previous = Int32Array.from({ length }, (_, i) => i - 1);
  const heap: number[] = []; // token × length + place, so that numbers order as (rank, place) does
  const offer = (place: number): void => {
    if (place < 0 || next[place]! >= length) return;
    const token = merged(tokens[place]!, tokens[next[place]!]!);
    if (token >= 0) push(heap, token * length + place);
  };
  for (let i = 0; i < length; i += 1) offer(i);
  while (heap.length > 0) {
    const item = pop(heap);
    const place = item % length;
    const token = (item - place) / length;
    const right = next[place]!;
    // Out of date: the left or right part has been merged since.
    if (tokens[place]! < 0 || right >= length || merged(tokens[place]!, tokens[right]!) !== token) continue;
    tokens[place] = token;
    tokens[right] = -1;
    next[place] = next[right]!;
    if (next[place]! < length) previous[next[place]!] = place;
    offer(previous[place]!);
    offer(place);
  }
  return tokens.filter((token) => token >= 0);
}

function push(heap: number[], item: number): void {
  let at = heap.push(item) - 1;
  while (at > 0) {
    const parent = (at - 1) >> 1;
    if (heap[parent]! <= item) break;
    heap[at] = heap[parent]!;
    at = parent;
  }
  heap[at] = item;
}

function pop(heap: number[]): number {
  const top = heap[0]!;
  const last = heap.pop()!;
  if (heap.length === 0) return top;
  let at = 0;
  for (;;) {
    let child = 2 * at + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && heap[child + 1]! < heap[child]!) child += 1;
    if (heap[child]! >= last) break;
    heap[at] = heap[child]!;
    at = child;
  }
  heap[at] = last;
  return top;
}
