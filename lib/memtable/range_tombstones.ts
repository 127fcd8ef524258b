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
  let count = sequences.length;
  if (sequences[count - 1] <= sequence) return sequences[count - 1];
  let low = 0;
  while (low < count) {
    const middle = (low + count) >>> 1;
    if (sequences[middle] <= sequence) low = middle + 1;
    else count = middle;
  }
  return low === 0 ? 0 : sequences[low - 1];
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

/** The most fragments of one chunk. */
const CHUNK = 256;

/**
 * A set of range tombstones that grows.
 *
 * The fragments lie in chunks, so that adding one to many moves a few hundred
 * references and not all.
 */
export class RangeTombstones {
  private readonly chunks: Fragment[][] = [];
  private flat: readonly Fragment[] | undefined;
  /** How many fragments there are. */
  size = 0;

  /** The newest delete that covers a key; see {@linkcode coveringSequence}. */
  covering(
    key: Uint8Array,
    start: number,
    stop: number,
    sequence: number,
  ): number {
    const { chunks } = this;
    let low = 0;
    let high = chunks.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const first = chunks[middle][0].start;
      if (compareRanges(first, 0, first.length, key, start, stop) <= 0) {
        low = middle + 1;
      } else high = middle;
    }
    return low === 0
      ? 0
      : coveringSequence(chunks[low - 1], key, start, stop, sequence);
  }

  /** The fragments as of now. Costs their number after a change, nothing otherwise. */
  list(): readonly Fragment[] {
    return this.flat ??= this.chunks.flat();
  }

  /**
   * Adds the delete of [start, end). The bytes are kept, not copied.
   *
   * Costs a binary search and the number of fragments that it overlaps.
   */
  add(start: Uint8Array, end: Uint8Array, sequence: number): void {
    const { chunks } = this;
    const first = Math.min(
      firstEndingAfter(chunks.length, (i) => chunks[i].at(-1), start),
      Math.max(0, chunks.length - 1),
    );
    let stop = first + 1;
    while (stop < chunks.length) {
      const { start: next } = chunks[stop][0];
      if (!isBeforeEnd(next, 0, next.length, end)) break;
      stop++;
    }
    const old = chunks.slice(first, stop).flat();
    const overlaid = overlay(old, start, end, sequence);
    if (overlaid === old) return;
    this.flat = undefined;
    this.size += overlaid.length - old.length;
    const pieces: Fragment[][] = [];
    const most = overlaid.length <= CHUNK ? CHUNK : CHUNK / 2;
    for (let at = 0; at < overlaid.length; at += most) {
      pieces.push(overlaid.slice(at, at + most));
    }
    chunks.splice(first, stop - first, ...pieces);
  }
}

/** The index of the first fragment that ends after `key`; `count` if none does. */
function firstEndingAfter(
  count: number,
  fragmentAt: (index: number) => Fragment | undefined,
  key: Uint8Array,
): number {
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const end = fragmentAt(middle)?.end;
    if (end !== undefined && isBeforeEnd(key, 0, key.length, end)) {
      high = middle;
    } else low = middle + 1;
  }
  return low;
}

/**
 * `fragments` with the delete of [start, end) added.
 *
 * @returns The same array if only sequences of its fragments grew.
 */
function overlay(
  fragments: Fragment[],
  start: Uint8Array,
  end: Uint8Array,
  sequence: number,
): Fragment[] {
  const first = firstEndingAfter(fragments.length, (i) => fragments[i], start);
  const pieces: Fragment[] = [];
  let at = first;
  let from = start;
  let isDone = false;
  let hasChanged = false;
  while (!isDone && at < fragments.length) {
    const old = fragments[at];
    if (!isBeforeEnd(old.start, 0, old.start.length, end)) break;
    at++;
    const before = compareBytes(from, old.start);
    if (before < 0) {
      pieces.push({ start: from, end: old.start, sequences: [sequence] });
      from = old.start;
      hasChanged = true;
    } else if (before > 0) {
      pieces.push({
        start: old.start,
        end: from,
        sequences: old.sequences.slice(),
      });
    }
    const order = compareEnds(old.end, end);
    if (before <= 0 && order <= 0) {
      // Covered whole: the same bounds, one sequence more.
      insertSequence(old.sequences, sequence);
      pieces.push(old);
    } else {
      const sequences = old.sequences.slice();
      insertSequence(sequences, sequence);
      pieces.push({ start: from, end: order <= 0 ? old.end : end, sequences });
      hasChanged = true;
    }
    if (order > 0) {
      pieces.push({ start: end, end: old.end, sequences: old.sequences });
    }
    from = order <= 0 ? old.end : end;
    isDone = order >= 0;
  }
  if (!isDone) {
    pieces.push({ start: from, end, sequences: [sequence] });
    hasChanged = true;
  }
  if (!hasChanged) return fragments;
  return fragments.slice(0, first).concat(pieces, fragments.slice(at));
}
