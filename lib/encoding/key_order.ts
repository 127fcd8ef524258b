/**
 * Sorting many keys that lie in one buffer.
 *
 * A most-significant-digit radix sort whose digits are four bytes: each digit
 * is packed with the key's place into one number, so that the engine's own
 * sort of numbers does the work and no comparison is called back. Only runs of
 * keys that share a digit are looked at again, by the next four bytes.
 *
 * @module
 */
import { compareRanges, sharedPrefixLength } from "./bytes.ts";

/** The most keys that are sorted at once: a digit and a place fit in the 53 bits of a number. */
export const KEYS_MAX: number = 2 ** 21;

/** To multiply by it is exact, and faster than to divide. */
const PLACE_UNIT = 1 / KEYS_MAX;
/** Runs up to this long are sorted by comparison. */
const SHORT_RUN = 16;

/** Keys to be sorted: the places of `count` of them in `bytes`. */
export interface KeyPlaces {
  /** What the keys lie in. */
  readonly bytes: Uint8Array;
  /** Where each key starts. */
  readonly starts: Float64Array;
  /** The length of each. */
  readonly lengths: Uint32Array;
  /** How many there are; at most {@linkcode KEYS_MAX}. */
  readonly count: number;
}

/**
 * The numbers of the keys, 0 to `count - 1`, in the order of their bytes;
 * those of equal keys ascend. O(n log n) for keys that differ early.
 */
export function orderOfKeys(keys: KeyPlaces): Float64Array {
  const order = new Float64Array(keys.count);
  for (let i = 0; i < order.length; i++) order[i] = i;
  if (order.length > 1) sortRun(keys, order, 0, order.length, sharedBy(keys));
  return order;
}

/** How many leading bytes all the keys share. */
function sharedBy({ bytes, starts, lengths, count }: KeyPlaces): number {
  const [first] = starts;
  let shared = lengths[0];
  for (let i = 1; i < count && shared > 0; i++) {
    const start = starts[i];
    const end = start + Math.min(lengths[i], shared);
    shared = sharedPrefixLength(
      bytes,
      first,
      first + shared,
      bytes,
      start,
      end,
    );
  }
  return shared;
}

/** Sorts `order[from, to)`: keys that are the same before `depth`, but that one may end there where the other goes on with zeros. */
function sortRun(
  keys: KeyPlaces,
  order: Float64Array,
  from: number,
  to: number,
  depth: number,
): void {
  if (to - from <= SHORT_RUN) return insert(keys, order, from, to, depth);
  const { bytes, starts, lengths } = keys;
  let longest = 0;
  for (let i = from; i < to; i++) {
    const length = lengths[order[i]];
    if (length > longest) longest = length;
  }
  const isLast = longest <= depth;
  for (let i = from; i < to; i++) {
    const key = order[i];
    const start = starts[key];
    const digit = isLast
      ? lengths[key]
      : digitAt(bytes, start + depth, start + lengths[key]);
    order[i] = digit * KEYS_MAX + key;
  }
  order.subarray(from, to).sort();
  let run = from;
  let runDigit = Math.floor(order[from] * PLACE_UNIT);
  for (let i = from; i < to; i++) {
    const digit = Math.floor(order[i] * PLACE_UNIT);
    order[i] -= digit * KEYS_MAX;
    if (digit === runDigit) continue;
    if (!isLast && i - run > 1) sortRun(keys, order, run, i, depth + 4);
    run = i;
    runDigit = digit;
  }
  if (!isLast && to - run > 1) sortRun(keys, order, run, to, depth + 4);
}

/** Four bytes of a key as a number, zeros behind its end. */
function digitAt(bytes: Uint8Array, at: number, end: number): number {
  if (at + 4 <= end) {
    return bytes[at] * 0x100_0000 +
      (bytes[at + 1] << 16 | bytes[at + 2] << 8 | bytes[at + 3]);
  }
  let digit = 0;
  for (let unit = 0x100_0000; at < end; at++, unit /= 256) {
    digit += bytes[at] * unit;
  }
  return digit;
}

/** Sorts a short run by comparison; equal keys stay in their order. */
function insert(
  { bytes, starts, lengths }: KeyPlaces,
  order: Float64Array,
  from: number,
  to: number,
  depth: number,
): void {
  for (let i = from + 1; i < to; i++) {
    const key = order[i];
    const start = starts[key] + depth;
    const end = starts[key] + lengths[key];
    let at = i;
    for (; at > from; at--) {
      const before = order[at - 1];
      const comparison = compareRanges(
        bytes,
        starts[before] + depth,
        starts[before] + lengths[before],
        bytes,
        start,
        end,
      );
      if (comparison <= 0) break;
      order[at] = before;
    }
    order[at] = key;
  }
}
