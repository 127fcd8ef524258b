/**
 * Range tombstones that lookups are made in: the fragments, with both bounds of
 * each as numbers.
 *
 * A search among fragments alone goes to an object and an array for each that
 * it compares, which no cache of the processor has if there are many. The
 * numbers lie together: they are the eight bytes behind what the starts all
 * share, and only bounds that agree in them with the key are compared as bytes.
 *
 * @module
 */
import { compareRanges, sharedPrefixLength } from "../encoding/bytes.ts";
import { hintWord } from "./arena.ts";
import { countBelow, headOf } from "./head.ts";
import {
  type Fragment,
  isBeforeEnd,
  visibleSequence,
} from "./range_tombstones.ts";

/** Bytes of memory for each fragment. */
export const SEARCH_BYTES: number = 16;

/** The head of `key[at, end)`, with zeros behind the end. */
function headFrom(key: Uint8Array, at: number, end: number): number {
  return headOf(hintWord(key, at, end), hintWord(key, at + 4, end));
}

/** Lookups in fragments that do not change. */
export class FragmentSearch {
  private readonly fragments: readonly Fragment[];
  private readonly prefix: Uint8Array;
  private readonly prefixLength: number;
  /** The heads of the starts. */
  private readonly heads: Float64Array;
  /** Those of the ends; Infinity for one that lies behind all keys with the prefix. */
  private readonly endHeads: Float64Array;

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
    this.heads = new Float64Array(fragments.length);
    this.endHeads = new Float64Array(fragments.length);
    for (let i = 0; i < fragments.length; i++) {
      const { start, end } = fragments[i];
      this.heads[i] = headFrom(start, shared, start.length);
      this.endHeads[i] = this.hasPrefix(end)
        ? headFrom(end, shared, end.length)
        : Infinity;
    }
  }

  private hasPrefix(end: Uint8Array): boolean {
    const { prefix, prefixLength } = this;
    const shared = sharedPrefixLength(
      prefix,
      0,
      prefixLength,
      end,
      0,
      end.length,
    );
    return end.length > 0 && shared === prefixLength;
  }

  /** The newest delete that covers `key[0, keyLength)` for a reader at `sequence`; 0 if none. */
  covering(key: Uint8Array, keyLength: number, sequence: number): number {
    const { prefix, prefixLength } = this;
    const length = keyLength < prefixLength ? keyLength : prefixLength;
    const order = compareRanges(prefix, 0, prefixLength, key, 0, length);
    if (order > 0) return 0;
    const isBehind = order < 0; // All starts, and all ends that have the prefix.
    const head = isBehind ? Infinity : headFrom(key, prefixLength, keyLength);
    const index = isBehind
      ? this.heads.length - 1
      : this.countStartingAtOrBefore(key, keyLength, head) - 1;
    if (index < 0) return 0;
    const endHead = this.endHeads[index];
    if (head > endHead) return 0;
    const fragment = this.fragments[index];
    return head < endHead || isBeforeEnd(key, 0, keyLength, fragment.end)
      ? visibleSequence(fragment, sequence)
      : 0;
  }

  private countStartingAtOrBefore(
    key: Uint8Array,
    keyLength: number,
    head: number,
  ): number {
    const { heads } = this;
    let low = countBelow(heads, heads.length, head);
    if (low === heads.length || heads[low] !== head) return low;
    for (let high = heads.length; low < high;) {
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
