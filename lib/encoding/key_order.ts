/**
 * Sorting many keys that lie in one buffer.
 *
 * A radix sort: by the first eight bytes that the keys do not all share, with a
 * pass for each of them from the last to the first (the LSD radix sort of
 * H. H. Seward, 1954), then each run of keys that share these by the next
 * eight. No comparison is called but for short runs. Keys are read once for
 * each eight bytes, the first time in the order in which they lie.
 *
 * @module
 */
import { compareRanges, sharedPrefixLength } from "./bytes.ts";

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
  /** How many there are. */
  readonly count: number;
}

/**
 * The numbers of the keys, 0 to `count - 1`, in the order of their bytes;
 * those of equal keys ascend. O(n) for keys that differ early.
 */
export function orderOfKeys(keys: KeyPlaces): Uint32Array {
  const sort = new KeySort(keys);
  if (keys.count > 1) sort.sort(sharedBy(keys));
  return sort.order;
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

/** A sort under way. Runs are parts of all the arrays at the same places. */
class KeySort {
  /** The numbers of the keys. */
  readonly order: Uint32Array;
  /** The eight bytes that a run is sorted by, key by key in that order. */
  private readonly highs: Uint32Array;
  private readonly lows: Uint32Array;
  /** Where a pass puts a run together. */
  private readonly nextOrder: Uint32Array;
  private readonly nextHighs: Uint32Array;
  private readonly nextLows: Uint32Array;
  private readonly counts = new Uint32Array(256);
  /** Runs that are yet to be sorted. */
  private readonly waiting: Run[] = [];
  private readonly keys: KeyPlaces;

  constructor(keys: KeyPlaces) {
    this.keys = keys;
    this.order = new Uint32Array(keys.count);
    for (let i = 0; i < keys.count; i++) this.order[i] = i;
    const length = keys.count > SHORT_RUN ? keys.count : 0;
    this.highs = new Uint32Array(length);
    this.lows = new Uint32Array(length);
    this.nextOrder = new Uint32Array(length);
    this.nextHighs = new Uint32Array(length);
    this.nextLows = new Uint32Array(length);
  }

  /** Sorts all keys, which are the same before `depth`. Runs wait in a list: keys that share 64 KiB would be 8,192 calls deep. */
  sort(depth: number): void {
    const { waiting } = this;
    waiting.push({ from: 0, to: this.order.length, depth });
    for (let run = waiting.pop(); run !== undefined; run = waiting.pop()) {
      this.sortRun(run);
    }
  }

  /** Sorts `order[from, to)`, but for runs of it that then wait: keys that are the same before `depth`, but that one may end there where the other goes on with zeros. */
  private sortRun({ from, to, depth }: Run): void {
    if (to - from <= SHORT_RUN) return this.insert(from, to, depth);
    const { highs, lows } = this;
    const isLast = this.takeDigits(from, to, depth);
    for (let shift = 0; shift < 32; shift += 8) {
      this.pass(from, to, lows, shift);
    }
    for (let shift = 0; shift < 32; shift += 8) {
      this.pass(from, to, highs, shift);
    }
    if (isLast) return;
    for (let run = from, i = from + 1; i <= to; i++) {
      if (i < to && highs[i] === highs[run] && lows[i] === lows[run]) continue;
      if (i - run > 1) {
        this.waiting.push({ from: run, to: i, depth: depth + 8 });
      }
      run = i;
    }
  }

  /** Takes the next bytes of each key, or its length if none goes on; returns whether none does. */
  private takeDigits(from: number, to: number, depth: number): boolean {
    const { order, highs, lows } = this;
    const { bytes, starts, lengths } = this.keys;
    let longest = 0;
    for (let i = from; i < to; i++) {
      const length = lengths[order[i]];
      if (length > longest) longest = length;
    }
    const isLast = longest <= depth;
    for (let i = from; i < to; i++) {
      const key = order[i];
      const end = starts[key] + lengths[key];
      const at = starts[key] + depth;
      highs[i] = isLast ? 0 : digitAt(bytes, at, end);
      lows[i] = isLast ? lengths[key] : digitAt(bytes, at + 4, end);
    }
    return isLast;
  }

  /** Sorts a run by one byte of its digits; what is equal in it stays in its order. */
  private pass(
    from: number,
    to: number,
    digits: Uint32Array,
    shift: number,
  ): void {
    const { order, highs, lows, nextOrder, nextHighs, nextLows } = this;
    const counts = this.counts.fill(0);
    for (let i = from; i < to; i++) counts[digits[i] >>> shift & 0xff]++;
    if (counts[digits[from] >>> shift & 0xff] === to - from) return;
    let next = from;
    for (let byte = 0; byte < 256; byte++) {
      const count = counts[byte];
      counts[byte] = next;
      next += count;
    }
    for (let i = from; i < to; i++) {
      const at = counts[digits[i] >>> shift & 0xff]++;
      nextOrder[at] = order[i];
      nextHighs[at] = highs[i];
      nextLows[at] = lows[i];
    }
    order.set(nextOrder.subarray(from, to), from);
    highs.set(nextHighs.subarray(from, to), from);
    lows.set(nextLows.subarray(from, to), from);
  }

  /** Sorts a short run by comparison; equal keys stay in their order. */
  private insert(from: number, to: number, depth: number): void {
    const { order } = this;
    const { bytes, starts, lengths } = this.keys;
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
}

/** Keys that follow one another, and are the same before `depth`. */
interface Run {
  readonly from: number;
  readonly to: number;
  readonly depth: number;
}

/** Four bytes of a key as a number, zeros behind its end. */
function digitAt(bytes: Uint8Array, at: number, end: number): number {
  if (at + 4 <= end) {
    return (bytes[at] << 24 | bytes[at + 1] << 16 | bytes[at + 2] << 8 |
      bytes[at + 3]) >>> 0;
  }
  let digit = 0;
  for (let shift = 24; at < end; at++, shift -= 8) digit |= bytes[at] << shift;
  return digit >>> 0;
}
