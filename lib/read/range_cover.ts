/**
 * Range tombstones of many sources, asked with keys that only go one way.
 *
 * Each source keeps a position that moves with the keys, so that a scan pays
 * for each fragment once, and for an entry between two of them one comparison.
 *
 * @module
 */
import {
  countChunksStartingAtOrBefore,
  countStartingAtOrBefore,
  type Fragment,
  type FragmentChunks,
  isBeforeEnd,
  visibleSequence,
} from "../memtable/range_tombstones.ts";
import { compareRanges } from "../encoding/bytes.ts";

/** In which order keys come. */
export type KeyOrder = "ascending" | "descending" | "any";

/** Steps from fragment to fragment after which a search is cheaper. */
const STEPS_MAX = 8;

/** A place in the fragments of one source, which follows the keys. */
class FragmentPlace {
  private readonly chunks: FragmentChunks;
  private chunk: readonly Fragment[];
  private index = 0;
  /** How many fragments of the chunk start at or before the last key; -1 before the first. */
  private count = -1;
  /** Whether the last key was in none. */
  private isOutside = false;

  constructor(chunks: FragmentChunks) {
    this.chunks = chunks;
    this.chunk = chunks[0];
  }

  /** The fragment that the key is in. */
  covering(key: Uint8Array, start: number, end: number): Fragment | undefined {
    const fragment = this.at(key, start, end);
    this.isOutside = fragment === undefined ||
      !isBeforeEnd(key, start, end, fragment.end);
    return this.isOutside ? undefined : fragment;
  }

  /** Whether the last key was in no fragment, and this one, which does not come before it in `order`, has reached none. */
  isStillOutside(
    key: Uint8Array,
    start: number,
    end: number,
    order: KeyOrder,
  ): boolean {
    if (!this.isOutside || order === "any") return false;
    const { chunk, count, index } = this;
    if (order === "ascending") {
      return count < chunk.length
        ? !startsAt(chunk[count], key, start, end)
        : index + 1 === this.chunks.length;
    }
    return count > 0
      ? !isBeforeEnd(key, start, end, chunk[count - 1].end)
      : index === 0;
  }

  /** The last fragment that starts at or before the key. */
  private at(
    key: Uint8Array,
    start: number,
    end: number,
  ): Fragment | undefined {
    let { count } = this;
    const { chunk } = this;
    let steps = 0;
    if (count < 0) return this.search(key, start, end);
    while (count < chunk.length && startsAt(chunk[count], key, start, end)) {
      count++;
      if (++steps === STEPS_MAX) return this.search(key, start, end);
    }
    while (count > 0 && !startsAt(chunk[count - 1], key, start, end)) {
      count--;
      if (++steps === STEPS_MAX) return this.search(key, start, end);
    }
    const isOutside = count === 0
      ? this.index > 0
      : count === chunk.length && this.index + 1 < this.chunks.length &&
        startsAt(this.chunks[this.index + 1][0], key, start, end);
    if (isOutside) return this.search(key, start, end);
    this.count = count;
    return count === 0 ? undefined : chunk[count - 1];
  }

  private search(
    key: Uint8Array,
    start: number,
    end: number,
  ): Fragment | undefined {
    const { chunks } = this;
    const before = countChunksStartingAtOrBefore(chunks, key, start, end);
    this.index = Math.max(0, before - 1);
    const chunk = this.chunk = chunks[this.index];
    this.count = countStartingAtOrBefore(chunk, key, start, end);
    return this.count === 0 ? undefined : chunk[this.count - 1];
  }
}

const NO_PLACES: readonly FragmentPlace[] = [];

/** The range tombstones that a scan must respect. */
export class RangeCover {
  private readonly places: readonly FragmentPlace[];
  private readonly sequence: number;
  private readonly order: KeyOrder;
  /** Whether there is nothing to respect. */
  readonly isEmpty: boolean;
  /** The fragment of the last answer that was not 0. */
  covering: Fragment | undefined;

  /** The fragments of all sources, for a reader at `sequence` that asks with keys in some order. */
  constructor(
    sources: readonly FragmentChunks[],
    sequence: number,
    order: KeyOrder = "any",
  ) {
    // Only a source without any fragment has an empty chunk.
    this.places = sources.length === 0
      ? NO_PLACES
      : sources.filter((chunks) => (chunks[0]?.length ?? 0) > 0)
        .map((chunks) => new FragmentPlace(chunks));
    this.isEmpty = this.places.length === 0;
    this.sequence = sequence;
    this.order = order;
  }

  /** The newest visible delete that covers `key[start, end)`; 0 if none. */
  newest(key: Uint8Array, start: number, end: number): number {
    let newest = 0;
    const { places } = this;
    for (let i = 0; i < places.length; i++) {
      const place = places[i];
      if (place.isStillOutside(key, start, end, this.order)) continue;
      const fragment = place.covering(key, start, end);
      if (fragment === undefined) continue;
      const sequence = visibleSequence(fragment, this.sequence);
      if (sequence > newest) {
        newest = sequence;
        this.covering = fragment;
      }
    }
    return newest;
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
