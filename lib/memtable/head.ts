/**
 * Eight bytes of a key as one number, to be searched where such numbers lie
 * together.
 *
 * Numbers sort as the bytes do, save that close ones may be rounded to the same
 * number: what is equal here is told apart by its bytes.
 *
 * @module
 */
import { HIGH_UNIT } from "./arena.ts";

/** The number of a hint's two words. */
export function headOf(high: number, low: number): number {
  return high * HIGH_UNIT + low;
}

/** How many of the first `count` of ascending heads are below one. */
export function countBelow(
  heads: Float64Array,
  count: number,
  head: number,
): number {
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (heads[middle] < head) low = middle + 1;
    else high = middle;
  }
  return low;
}
