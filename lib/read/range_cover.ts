/**
 * Range tombstones of many sources, asked with keys that only go one way.
 *
 * Each source keeps a position that moves with the keys, so that a scan pays
 * for each fragment once, and not for each entry.
 *
 * @module
 */
import {
  countStartingAtOrBefore,
  type Fragment,
  isBeforeEnd,
  visibleSequence,
} from "../memtable/range_tombstones.ts";
import { compareRanges } from "../encoding/bytes.ts";

const NO_COUNTS = new Int32Array(0);

/** The range tombstones that a scan must respect. */
export class RangeCover {
  private readonly lists: (readonly Fragment[])[];
  /** For each list: how many fragments start at or before the last key; -1 before the first. */
  private readonly counts: Int32Array;
  private readonly sequence: number;
  /** Whether there is nothing to respect. */
  readonly isEmpty: boolean;
  /** The fragment of the last answer that was not 0. */
  covering: Fragment | undefined;

  /** The fragments of all sources, for a reader at `sequence`. */
  constructor(lists: (readonly Fragment[])[], sequence: number) {
    this.lists = lists.length === 0
      ? lists
      : lists.filter((list) => list.length > 0);
    this.counts = this.lists.length === 0
      ? NO_COUNTS
      : new Int32Array(this.lists.length).fill(-1);
    this.isEmpty = this.lists.length === 0;
    this.sequence = sequence;
  }

  /** The newest visible delete that covers `key[start, end)`; 0 if none. */
  newest(key: Uint8Array, start: number, end: number): number {
    let newest = 0;
    for (let i = 0; i < this.lists.length; i++) {
      const list = this.lists[i];
      const count = this.move(i, list, key, start, end);
      if (count === 0) continue;
      const fragment = list[count - 1];
      if (!isBeforeEnd(key, start, end, fragment.end)) continue;
      const sequence = visibleSequence(fragment, this.sequence);
      if (sequence > newest) {
        newest = sequence;
        this.covering = fragment;
      }
    }
    return newest;
  }

  private move(
    i: number,
    list: readonly Fragment[],
    key: Uint8Array,
    start: number,
    end: number,
  ): number {
    let count = this.counts[i];
    if (count < 0) count = countStartingAtOrBefore(list, key, start, end);
    else {
      let steps = 0;
      while (count < list.length && startsAt(list[count], key, start, end)) {
        count++;
        if (++steps === 8) {
          count = countStartingAtOrBefore(list, key, start, end);
        }
      }
      while (count > 0 && !startsAt(list[count - 1], key, start, end)) {
        count--;
        if (++steps === 8) {
          count = countStartingAtOrBefore(list, key, start, end);
        }
      }
    }
    this.counts[i] = count;
    return count;
  }
}

/** Whether a fragment starts at or before the key. */
function startsAt(
  fragment: Fragment,
  key: Uint8Array,
  start: number,
  end: number,
): boolean {
  const first = fragment.start;
  return compareRanges(first, 0, first.length, key, start, end) <= 0;
}
