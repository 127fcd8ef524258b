/**
 * Range tombstones that lookups are made in: the fragments, with the start of
 * each as an integer.
 *
 * A search among fragments alone goes to an object and an array for each that
 * it compares. The integers lie together: they are the first four bytes that
 * the starts do not all share, and only starts that agree in them are compared
 * as bytes.
 *
 * @module
 */
import { compareRanges, sharedPrefixLength } from "../encoding/bytes.ts";
import { hintWord } from "./arena.ts";
import {
  type Fragment,
  isBeforeEnd,
  visibleSequence,
} from "./range_tombstones.ts";

/** Lookups in fragments that do not change. */
export class FragmentSearch {
  private readonly fragments: readonly Fragment[];
  private readonly prefix: Uint8Array;
  private readonly prefixLength: number;
  private readonly heads: Int32Array;

  /** Lookups in `fragments`, of which there is one at least. */
  constructor(fragments: readonly Fragment[]) {
    const first = fragments[0].start;
    const last = fragments[fragments.length - 1].start;
    const shared = sharedPrefixLength(
      first,
      0,
      first.length,
      last,
      0,
      last.length,
    );
    this.fragments = fragments;
    this.prefix = first;
    this.prefixLength = shared;
    this.heads = new Int32Array(fragments.length);
    for (let i = 0; i < fragments.length; i++) {
      const { start } = fragments[i];
      this.heads[i] = hintWord(start, shared, start.length);
    }
  }

  /** The newest delete that covers `key[0, keyLength)` for a reader at `sequence`; 0 if none. */
  covering(key: Uint8Array, keyLength: number, sequence: number): number {
    const count = this.countStartingAtOrBefore(key, keyLength);
    if (count === 0) return 0;
    const fragment = this.fragments[count - 1];
    return isBeforeEnd(key, 0, keyLength, fragment.end)
      ? visibleSequence(fragment, sequence)
      : 0;
  }

  private countStartingAtOrBefore(key: Uint8Array, keyLength: number): number {
    const { heads, prefix, prefixLength } = this;
    const length = keyLength < prefixLength ? keyLength : prefixLength;
    const order = compareRanges(prefix, 0, prefixLength, key, 0, length);
    if (order !== 0) return order < 0 ? heads.length : 0;
    const head = hintWord(key, prefixLength, keyLength);
    let low = 0;
    let high = heads.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (heads[middle] < head) low = middle + 1;
      else high = middle;
    }
    if (low === heads.length || heads[low] !== head) return low;
    for (high = heads.length; low < high;) {
      const middle = (low + high) >>> 1;
      const isBehind = heads[middle] > head ||
        !this.startsAtOrBefore(middle, key, keyLength);
      if (isBehind) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  private startsAtOrBefore(
    index: number,
    key: Uint8Array,
    keyLength: number,
  ): boolean {
    const { start } = this.fragments[index];
    return compareRanges(start, 0, start.length, key, 0, keyLength) <= 0;
  }
}
