/**
 * Range tombstones, fragmented.
 *
 * Invariants:
 * - Fragments are sorted by start and do not overlap, so a binary search
 *   finds the one that covers a key, however many deletes there were.
 * - A fragment has the sequences of the deletes that cover it, ascending: of
 *   all, or of those that some reader can tell apart.
 * - An end that is empty stands for "no end": every key from the start on.
 *   (A range that ends at the empty key would hold no key at all.)
 * - Fragments never change, nor do lists of them that were handed out.
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
  readonly sequences: readonly number[];
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
const CHUNK = 128;

/** Fragments in their order, in lists that each have some: adding one to many copies one such list, and not all. */
export type FragmentChunks = readonly (readonly Fragment[])[];

/** How many of `chunks` start at or before `key[start, stop)`. */
export function countChunksStartingAtOrBefore(
  chunks: FragmentChunks,
  key: Uint8Array,
  start: number,
  stop: number,
): number {
  let low = 0;
  let high = chunks.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const first = chunks[middle][0].start;
    if (compareRanges(first, 0, first.length, key, start, stop) <= 0) {
      low = middle + 1;
    } else high = middle;
  }
  return low;
}

/** A set of range tombstones that grows. */
export class RangeTombstones {
  private parts: Fragment[][] = [];
  /** Those of `parts` that were not handed out: they may still change. */
  private readonly own: Set<Fragment[]> = new Set();
  /** Whether {@linkcode RangeTombstones.chunks} has handed `parts` out. */
  private isHandedOut = false;
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
    const chunks = this.parts;
    const count = countChunksStartingAtOrBefore(chunks, key, start, stop);
    return count === 0
      ? 0
      : coveringSequence(chunks[count - 1], key, start, stop, sequence);
  }

  /** The fragments as of now, in one list. Costs their number after a change, nothing otherwise. */
  list(): readonly Fragment[] {
    return this.flat ??= this.parts.flat();
  }

  /** The fragments as of now. */
  chunks(): FragmentChunks {
    this.isHandedOut = true;
    this.own.clear();
    return this.parts;
  }

  /**
   * Adds the delete of [start, end). The bytes are kept, not copied.
   *
   * Costs a binary search and the number of fragments that it overlaps.
   *
   * @param snapshots Who may still read at an older sequence, ascending: what
   * none of them sees is left out, and neighbours that become equal are one
   * fragment. Without it, everything is kept.
   */
  add(
    start: Uint8Array,
    end: Uint8Array,
    sequence: number,
    snapshots?: readonly number[],
  ): void {
    const chunks = this.parts;
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
    const isInOne = stop === first + 1;
    if (isInOne && this.insert(chunks[first], start, end, sequence)) return;
    const old = isInOne
      ? chunks[first] ?? []
      : chunks.slice(first, stop).flat();
    const overlaid = overlay(old, start, end, sequence, snapshots);
    this.size += overlaid.length - old.length;
    this.replace(first, stop, overlaid);
  }

  /** Adds a delete to `chunk` where it lies, if that may change and the delete has nothing to do with the others; returns whether it did. */
  private insert(
    chunk: Fragment[] | undefined,
    start: Uint8Array,
    end: Uint8Array,
    sequence: number,
  ): boolean {
    if (chunk === undefined || !this.own.has(chunk)) return false;
    if (chunk.length >= CHUNK) return false;
    const at = firstEndingAfter(chunk.length, (i) => chunk[i], start);
    const isApart = at === chunk.length ||
      !isBeforeEnd(chunk[at].start, 0, chunk[at].start.length, end);
    // Deletes of one sequence may be one fragment.
    const isAlone = chunk[at - 1]?.sequences.at(-1) !== sequence &&
      chunk[at]?.sequences.at(-1) !== sequence;
    if (!isApart || !isAlone) return false;
    chunk.splice(at, 0, { start, end, sequences: [sequence] });
    this.size++;
    this.flat = undefined;
    return true;
  }

  /** Puts fragments in the place of the chunks [first, stop). */
  private replace(first: number, stop: number, fragments: Fragment[]): void {
    this.flat = undefined;
    for (let i = first; i < stop; i++) this.own.delete(this.parts[i]);
    const pieces = inChunks(fragments);
    for (const piece of pieces) this.own.add(piece);
    if (stop === first + 1 && pieces.length === 1) {
      if (this.isHandedOut) this.parts = this.parts.slice();
      this.parts[first] = fragments;
    } else {
      // Not spliced: there may be more pieces than a call takes arguments.
      this.parts = [
        ...this.parts.slice(0, first),
        ...pieces,
        ...this.parts.slice(stop),
      ];
    }
    this.isHandedOut = false;
  }
}

/** Fragments in lists of no more than a chunk has: those of many have room for more. */
function inChunks(fragments: Fragment[]): Fragment[][] {
  if (fragments.length <= CHUNK) return [fragments];
  const pieces: Fragment[][] = [];
  for (let at = 0; at < fragments.length; at += CHUNK / 2) {
    pieces.push(fragments.slice(at, at + CHUNK / 2));
  }
  return pieces;
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

/** `sequences` with one more, less those that no reader can tell from a newer one. */
function withSequence(
  sequences: readonly number[],
  sequence: number,
  snapshots: readonly number[] | undefined,
): number[] {
  if (snapshots?.length === 0) { // Nobody tells them apart; as below, but quick.
    return [Math.max(sequence, sequences[sequences.length - 1])];
  }
  const all = sequences.slice();
  insertSequence(all, sequence);
  if (snapshots === undefined) return all;
  return all.filter((older, i) => {
    const newer = all[i + 1];
    return newer === undefined ||
      // mutant memtable-keeps-range-versions: an older range delete stays for the snapshots between
      snapshots.some((reader) => older <= reader && reader < newer);
  });
}

/** Whether `b` goes on where `a` ends, with the same deletes. */
function continues(a: Fragment, b: Fragment): boolean {
  return a.end.length > 0 && a.sequences.length === b.sequences.length &&
    a.sequences.every((sequence, i) => sequence === b.sequences[i]) &&
    compareBytes(a.end, b.start) === 0;
}

/** Puts a fragment behind sorted ones, as one with the last if it continues it. */
export function appendFragment(fragments: Fragment[], next: Fragment): void {
  const last = fragments.at(-1);
  if (last !== undefined && continues(last, next)) {
    const { start, sequences } = last;
    fragments[fragments.length - 1] = { start, end: next.end, sequences };
  } else fragments.push(next);
}

/** `fragments` with the delete of [start, end) added; only what overlaps it, and the neighbours of that, is looked at. */
function overlay(
  fragments: readonly Fragment[],
  start: Uint8Array,
  end: Uint8Array,
  sequence: number,
  snapshots: readonly number[] | undefined,
): Fragment[] {
  const first = firstEndingAfter(fragments.length, (i) => fragments[i], start);
  // With the neighbour before: what follows may continue it.
  const unchanged = Math.max(0, first - 1);
  const result = fragments.slice(unchanged, first);
  const put = (
    from: Uint8Array,
    to: Uint8Array,
    sequences: readonly number[],
  ) => appendFragment(result, { start: from, end: to, sequences });
  let at = first;
  let from = start;
  let isDone = false;
  while (!isDone && at < fragments.length) {
    const old = fragments[at];
    if (!isBeforeEnd(old.start, 0, old.start.length, end)) break;
    at++;
    const before = compareBytes(from, old.start);
    if (before < 0) {
      put(from, old.start, [sequence]);
      from = old.start;
    } else if (before > 0) put(old.start, from, old.sequences);
    const order = compareEnds(old.end, end);
    const stop = order <= 0 ? old.end : end;
    put(from, stop, withSequence(old.sequences, sequence, snapshots));
    if (order > 0) put(end, old.end, old.sequences);
    from = stop;
    isDone = order >= 0;
  }
  if (!isDone) put(from, end, [sequence]);
  if (at < fragments.length) appendFragment(result, fragments[at++]);
  return fragments.slice(0, unchanged).concat(result, fragments.slice(at));
}
