/**
 * What a job keeps of merged entries.
 *
 * Snapshots cut the sequences into stripes: two sequences are in one stripe
 * if no snapshot tells them apart. Of each key, the newest entry of each
 * stripe is kept; entries that a range tombstone of their own stripe hides
 * are not. Tombstones below every snapshot go when the elision says that
 * nothing older remains under them.
 *
 * Pure: no I/O of its own, nothing asynchronous.
 *
 * @module
 */
import { type Cursor, MAX_SEQUENCE, TOMBSTONE } from "../cursor.ts";
import { compareRanges } from "../encoding/bytes.ts";
import { KeyBuffer } from "../encoding/key_buffer.ts";
import {
  appendFragment,
  type Fragment,
  RangeTombstones,
} from "../memtable/range_tombstones.ts";
import type { MergingCursor } from "../read/merging_cursor.ts";
import { RangeCover } from "../read/range_cover.ts";
import type { TombstoneElision } from "./elision.ts";

/** How many of the ascending `snapshots` do not see `sequence`: the number of its stripe. */
export function stripeOf(
  snapshots: readonly number[],
  sequence: number,
): number {
  let low = 0;
  let high = snapshots.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (snapshots[middle] < sequence) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The kept entries of a merge. */
export class MergeStream {
  /** Entries left out so far. */
  dropped = 0;
  /** Whether the entry handed out last is the first of its key that is kept. */
  startsKey = false;
  private readonly merge: MergingCursor;
  private readonly snapshots: readonly number[];
  private readonly elision: TombstoneElision;
  /** For each stripe the range tombstones as a reader at its end sees them. */
  private readonly covers: readonly RangeCover[];
  private readonly last = new KeyBuffer(64);
  private lastStripe = 0;
  private standsOnKept = false;
  private keptOfKey = false;

  /**
   * The kept entries of `merge`, from its first entry on.
   *
   * @param fragments All range tombstones of the job, fragmented together.
   * @param snapshots Sequences of the open snapshots, ascending.
   */
  constructor(
    merge: MergingCursor,
    fragments: readonly Fragment[],
    snapshots: readonly number[],
    elision: TombstoneElision,
  ) {
    this.merge = merge;
    this.snapshots = snapshots;
    this.elision = elision;
    const ends = fragments.length === 0 ? [] : [...snapshots, MAX_SEQUENCE];
    this.covers = ends.map((end) =>
      new RangeCover([[fragments]], end, "ascending")
    );
    merge.seekToFirst();
  }

  /**
   * The next kept entry; `undefined` at the end.
   *
   * @param steps The most entries to look at; past it, `null` is returned and
   * the caller asks again.
   */
  next(steps: number): Cursor | undefined | null {
    if (this.standsOnKept) {
      this.standsOnKept = false;
      this.merge.advance();
    }
    for (let left = steps; left > 0; left--) {
      const top = this.merge.top;
      if (top === undefined) return undefined;
      if (this.keeps(top)) {
        this.standsOnKept = true;
        this.startsKey = !this.keptOfKey;
        this.keptOfKey = true;
        return top;
      }
      this.dropped++;
      this.merge.advance();
    }
    return null;
  }

  private keeps(entry: Cursor): boolean {
    const { key, keyStart, keyEnd, sequence } = entry;
    const { last } = this;
    const stripe = stripeOf(this.snapshots, sequence);
    const order = last.length < 0
      ? 1
      : compareRanges(key, keyStart, keyEnd, last.bytes, 0, last.length);
    // mutant merge-keeps-versions: an older version stays for the snapshots between
    if (order === 0 && stripe === this.lastStripe) return false;
    if (order !== 0) {
      last.set(key, keyStart, keyEnd, entry.keyView);
      this.keptOfKey = false;
    }
    this.lastStripe = stripe;
    if (this.covers.length > 0) {
      // mutant merge-keeps-under-ranges: what a newer range delete hides stays for the snapshots between
      const newest = this.covers[stripe].newest(key, keyStart, keyEnd);
      if (newest > sequence) return false;
    }
    // mutant merge-keeps-tombstones-of-snapshots: what it hides may stay for an older snapshot
    return entry.kind !== TOMBSTONE || stripe > 0 ||
      // mutant merge-keeps-tombstones: otherwise every deleted key may be back
      !this.elision.nothingOlder(key, keyStart, keyEnd, sequence);
  }
}

/** All range tombstones of many sources, fragmented together. */
export function mergeFragments(
  lists: readonly (readonly Fragment[])[],
): readonly Fragment[] {
  const filled = lists.filter((list) => list.length > 0);
  if (filled.length <= 1) return filled[0] ?? [];
  const merged = new RangeTombstones();
  for (const list of filled) {
    for (const { start, end, sequences } of list) {
      for (const sequence of sequences) merged.add(start, end, sequence);
    }
  }
  return merged.list();
}

/** What a job keeps of its range tombstones: for each fragment the newest of each stripe, less those under which nothing older remains. */
export function keptFragments(
  fragments: readonly Fragment[],
  snapshots: readonly number[],
  elision: TombstoneElision,
): Fragment[] {
  const kept: Fragment[] = [];
  for (const { start, end, sequences } of fragments) {
    const newest = sequences.filter((sequence, i) =>
      i === sequences.length - 1 ||
      // mutant merge-keeps-range-versions: an older range delete stays for the snapshots between
      stripeOf(snapshots, sequences[i + 1]) !== stripeOf(snapshots, sequence)
    ).filter((sequence) =>
      // mutant merge-keeps-ranges-of-snapshots: what it hides may stay for an older snapshot
      stripeOf(snapshots, sequence) > 0 ||
      // mutant merge-keeps-ranges: otherwise every deleted range may be back
      !elision.nothingOlderInRange(start, end, sequence)
    );
    if (newest.length > 0) {
      appendFragment(kept, { start, end, sequences: newest });
    }
  }
  return kept;
}
