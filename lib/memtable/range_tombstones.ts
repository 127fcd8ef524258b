/**
 * Range tombstones, fragmented.
 *
 * Invariants:
 * - Fragments are sorted by start and do not overlap, so a binary search
 *   finds the one that covers a key, however many deletes there were.
 * - A fragment has the sequences of all deletes that cover it, ascending.
 * - An end that is empty stands for "no end": every key from the start on.
 *   (A range that ends at the empty key would hold no key at all.)
 * - The list handed out by {@linkcode RangeTombstones.list} never changes its
 *   bounds; deletes that come later may only append sequences newer than
 *   every reader of it.
 *
 * @module
 */
import { compareBytes, compareRanges } from "../encoding/bytes.ts";

/** A stretch of keys, [start, end), that one or more range deletes cover. */
export interface Fragment {
  /** The first key covered. */
  readonly start: Uint8Array;
  /** The first key after; empty for "no end". */
  readonly end: Uint8Array;
  /** Sequences of the deletes, ascending. */
  readonly sequences: number[];
}

/** Compares two ends of ranges, where an empty one is the greatest. */
export function compareEnds(a: Uint8Array, b: Uint8Array): number {
  if (a.length === 0 || b.length === 0) {
    return (a.length === 0 ? 1 : 0) - (b.length === 0 ? 1 : 0);
  }
  return compareBytes(a, b);
}

/** Whether `key[start, stop)` lies before the end of a range. */
export function isBeforeEnd(
  key: Uint8Array,
  start: number,
  stop: number,
  end: Uint8Array,
): boolean {
  return end.length === 0 ||
    compareRanges(key, start, stop, end, 0, end.length) < 0;
}

/** The newest of a fragment's deletes that a reader at `sequence` sees; 0 if none. */
export function visibleSequence(fragment: Fragment, sequence: number): number {
  const sequences = fragment.sequences;
  for (let i = sequences.length - 1; i >= 0; i--) {
    if (sequences[i] <= sequence) return sequences[i];
  }
  return 0;
}

/** How many of `fragments` start at or before `key[start, stop)`. */
export function countStartingAtOrBefore(
  fragments: readonly Fragment[],
  key: Uint8Array,
  start: number,
  stop: number,
): number {
  let low = 0;
  let high = fragments.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const candidate = fragments[middle].start;
    if (compareRanges(candidate, 0, candidate.length, key, start, stop) <= 0) {
      low = middle + 1;
    } else high = middle;
  }
  return low;
}

/** The newest delete that covers `key[start, stop)` for a reader at `sequence`; 0 if none. */
export function coveringSequence(
  fragments: readonly Fragment[],
  key: Uint8Array,
  start: number,
  stop: number,
  sequence: number,
): number {
  const count = countStartingAtOrBefore(fragments, key, start, stop);
  if (count === 0) return 0;
  const fragment = fragments[count - 1];
  return isBeforeEnd(key, start, stop, fragment.end)
    ? visibleSequence(fragment, sequence)
    : 0;
}

function insertSequence(sequences: number[], sequence: number): void {
  let at = sequences.length;
  while (at > 0 && sequences[at - 1] > sequence) at--;
  if (at > 0 && sequences[at - 1] === sequence) return;
  sequences.splice(at, 0, sequence);
}

/** A set of range tombstones that grows. */
export class RangeTombstones {
  private fragments: Fragment[] = [];
  private shared = false;
  /** The highest sequence in the set; 0 if it is empty. */
  newest = 0;

  /** How many fragments there are. */
  get size(): number {
    return this.fragments.length;
  }

  /** The newest delete that covers a key; see {@linkcode coveringSequence}. */
  covering(
    key: Uint8Array,
    start: number,
    stop: number,
    sequence: number,
  ): number {
    return coveringSequence(this.fragments, key, start, stop, sequence);
  }

  /** The fragments as of now. */
  list(): readonly Fragment[] {
    this.shared = true;
    return this.fragments;
  }

  /**
   * Adds the delete of [start, end). The bytes are kept, not copied.
   *
   * Costs a binary search and the number of fragments that it overlaps.
   */
  add(start: Uint8Array, end: Uint8Array, sequence: number): void {
    if (this.shared) {
      this.fragments = this.fragments.slice();
      this.shared = false;
    }
    if (sequence > this.newest) this.newest = sequence;
    const first = this.firstEndingAfter(start);
    const pieces: Fragment[] = [];
    let at = first;
    let from = start;
    let done = false;
    while (!done && at < this.fragments.length) {
      const old = this.fragments[at];
      if (!isBeforeEnd(old.start, 0, old.start.length, end)) break;
      at++;
      if (compareBytes(from, old.start) < 0) {
        pieces.push({ start: from, end: old.start, sequences: [sequence] });
        from = old.start;
      } else if (compareBytes(old.start, from) < 0) {
        pieces.push({
          start: old.start,
          end: from,
          sequences: old.sequences.slice(),
        });
      }
      const order = compareEnds(old.end, end);
      const stop = order <= 0 ? old.end : end;
      const sequences = old.sequences.slice();
      insertSequence(sequences, sequence);
      pieces.push({ start: from, end: stop, sequences });
      if (order > 0) {
        pieces.push({ start: end, end: old.end, sequences: old.sequences });
      }
      from = stop;
      done = order >= 0;
    }
    if (!done) pieces.push({ start: from, end, sequences: [sequence] });
    this.replace(first, at - first, pieces);
  }

  /** `splice` without spreading a list that may be too long for a call. */
  private replace(at: number, count: number, pieces: Fragment[]): void {
    if (pieces.length < 1000) {
      this.fragments.splice(at, count, ...pieces);
    } else {
      this.fragments = this.fragments.slice(0, at).concat(
        pieces,
        this.fragments.slice(at + count),
      );
    }
  }

  private firstEndingAfter(key: Uint8Array): number {
    let low = 0;
    let high = this.fragments.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (isBeforeEnd(key, 0, key.length, this.fragments[middle].end)) {
        high = middle;
      } else low = middle + 1;
    }
    return low;
  }
}
