/**
 * What a reader at one sequence sees of merged entries: for each key the
 * newest entry that is not too new, if it is a value that no visible range
 * tombstone hides.
 *
 * Rows are handed out as copies that are the caller's to keep.
 *
 * @module
 */
import { type Cursor, PUT } from "../cursor.ts";
import { compareRanges, copyInto, keySuccessor } from "../encoding/bytes.ts";
import type { Results } from "../runtime/results.ts";
import type { MergingCursor } from "./merging_cursor.ts";
import type { RangeCover } from "./range_cover.ts";
import type { Rows } from "./source.ts";

/** Which halves of a row are wanted. */
export type RowParts = "entries" | "keys" | "values";

/** Bounds as bytes: from `start` on, and before `end`; `undefined` for none. */
export interface Bounds {
  /** The first key. */
  readonly start: Uint8Array | undefined;
  /** The first key after. */
  readonly end: Uint8Array | undefined;
}

/** After this many hidden entries in a row, going straight to the end of the range tombstone pays. */
const HIDDEN_RUN = 4;

/** Where a walk stands: behind a key, or before it. */
export class Place {
  /** Whether all of the key's entries are passed. */
  isBehind = false;
  private key = new Uint8Array(64);
  private length = -1;

  /** Stands at a key, which is copied. */
  set(key: Uint8Array, start: number, end: number): void {
    this.length = end - start;
    if (this.length > this.key.length) {
      this.key = new Uint8Array(this.length * 2);
    }
    copyInto(this.key, 0, key, start, end);
  }

  /** The part of `bounds` that is still to come. */
  rest({ start, end }: Bounds, reverse: boolean): Bounds {
    if (this.length < 0) return { start, end };
    const key = this.key.slice(0, this.length);
    const edge = this.isBehind === reverse ? key : keySuccessor(key);
    return reverse ? { start, end: edge } : { start: edge, end };
  }
}

/** The visible rows of a merge, in its direction. */
export class VisibleRows implements Rows {
  /** The row's key; undefined while only values are wanted. */
  key: Uint8Array | undefined;
  /** The row's value; undefined while only keys are wanted. */
  value: Uint8Array | undefined;
  /** Whether the last call of {@linkcode next} found no row because it had used up its {@linkcode budget}. */
  isPaused = false;
  /** The most entries that one call of {@linkcode next} passes in search of a row; 0 for no bound. */
  budget = 0;
  /** Called by {@linkcode close}. */
  onClose: (() => void) | undefined;
  private left = 0;
  private readonly merge: MergingCursor;
  private readonly cover: RangeCover;
  private readonly sequence: number;
  private readonly bounds: Bounds;
  private readonly reverse: boolean;
  private readonly results: Results;
  private wantKeys = true;
  private wantValues = true;
  private started = false;
  /** The one source that is left, if all that it still has are keys of one entry each that the reader sees. */
  private plain: Cursor | undefined;
  private lastKey = new Uint8Array(64);
  private lastKeyLength = -1;
  private hidden = 0;

  /** The rows of `merge` that a reader at `sequence` sees between `bounds`. */
  constructor(
    merge: MergingCursor,
    cover: RangeCover,
    sequence: number,
    bounds: Bounds,
    reverse: boolean,
    results: Results,
  ) {
    this.merge = merge;
    this.cover = cover;
    this.sequence = sequence;
    this.bounds = bounds;
    this.reverse = reverse;
    this.results = results;
  }

  /** Which halves of rows the next calls make. */
  want(parts: RowParts): void {
    this.wantKeys = parts !== "values";
    this.wantValues = parts !== "keys";
  }

  /** Moves to the next row; returns whether there is one. */
  next(): boolean {
    if (this.plain !== undefined) return this.nextPlain(this.plain);
    if (!this.started) {
      this.started = true;
      this.start();
    }
    if (this.budget > 0) this.left = this.budget;
    return this.reverse ? this.nextBackwards() : this.nextForwards();
  }

  /** Lets go of the sources. */
  close(): void {
    this.merge.close();
    this.onClose?.();
  }

  /** Notes where the walk stands after a row, or after a pause. */
  notePlace(place: Place): void {
    const top = this.isPaused ? this.merge.top : undefined;
    place.isBehind = top === undefined ||
      this.isLastKey(top.key, top.keyStart, top.keyEnd);
    if (place.isBehind || top === undefined) {
      place.set(this.lastKey, 0, this.lastKeyLength);
    } else place.set(top.key, top.keyStart, top.keyEnd);
  }

  /** Whether this call has passed as many entries as it may. */
  private isSpent(): boolean {
    return this.isPaused = this.budget > 0 && --this.left < 0;
  }

  private start(): void {
    const { start, end } = this.bounds;
    if (this.reverse) {
      if (end === undefined) this.merge.seekToLast();
      else this.merge.seekBefore(end, end.length);
    } else if (start === undefined) this.merge.seekToFirst();
    else this.merge.seek(start, start.length);
  }

  private nextForwards(): boolean {
    const merge = this.merge;
    const end = this.bounds.end;
    for (let top = merge.top; top !== undefined; top = merge.top) {
      if (this.isSpent()) return false;
      const { key, keyStart, keyEnd } = top;
      if (
        end !== undefined &&
        compareRanges(key, keyStart, keyEnd, end, 0, end.length) >= 0
      ) return false;
      if (this.isLastKey(key, keyStart, keyEnd)) {
        merge.passVersions(0);
        continue;
      }
      if (top.sequence > this.sequence) {
        merge.passVersions(this.sequence);
        continue;
      }
      this.rememberKey(key, keyStart, keyEnd);
      const covered = this.covered(key, keyStart, keyEnd);
      if (covered > top.sequence) {
        this.passHidden(top.newest <= covered);
        continue;
      }
      this.hidden = 0;
      if (this.isPlain(top)) {
        this.plain = top;
        return this.nextPlain(top);
      }
      const isPut = top.kind === PUT;
      if (isPut) this.take(top);
      merge.advance();
      if (isPut) return true;
    }
    return false;
  }

  /**
   * Whether the entries from `top` on need no look but at their kind: no other
   * source has any left, no range tombstone counts, each is visible, and the
   * first of its key. A walk that may pause remembers its keys.
   */
  private isPlain(top: Cursor): boolean {
    return top.isUnique && top.newest <= this.sequence && this.merge.isAlone &&
      this.cover.isEmpty && this.budget === 0;
  }

  /** Moves to the next row of {@linkcode plain}, which stands on the next entry. */
  private nextPlain(plain: Cursor): boolean {
    const { reverse } = this;
    const bound = reverse ? this.bounds.start : this.bounds.end;
    while (plain.valid) {
      if (bound !== undefined) {
        const { key, keyStart, keyEnd } = plain;
        const order = compareRanges(
          key,
          keyStart,
          keyEnd,
          bound,
          0,
          bound.length,
        );
        if (reverse ? order < 0 : order >= 0) return false;
      }
      const isPut = plain.kind === PUT;
      if (isPut) this.take(plain);
      if (reverse) plain.previous();
      else plain.next();
      if (isPut) return true;
    }
    return false;
  }

  /** In reverse the versions of a key come oldest first: the last visible one counts. */
  private nextBackwards(): boolean {
    const merge = this.merge;
    const start = this.bounds.start;
    for (let top = merge.top; top !== undefined; top = merge.top) {
      if (this.isSpent()) return false;
      const { key, keyStart, keyEnd } = top;
      if (
        start !== undefined &&
        compareRanges(key, keyStart, keyEnd, start, 0, start.length) < 0
      ) return false;
      if (top.sequence > this.sequence) { // So are the other versions.
        merge.previousKey();
        continue;
      }
      const covered = this.covered(key, keyStart, keyEnd);
      if (covered > top.sequence && top.newest <= covered) {
        this.passHidden(true);
        continue;
      }
      this.hidden = 0;
      if (this.isPlain(top)) {
        this.plain = top;
        return this.nextPlain(top);
      }
      this.rememberKey(key, keyStart, keyEnd);
      if (this.takeNewestOfKey(covered)) return true;
    }
    return false;
  }

  /** Passes the versions of the remembered key, source by source; returns whether its newest visible one is a row. */
  private takeNewestOfKey(covered: number): boolean {
    const merge = this.merge;
    let newest = covered;
    let isRow = false;
    for (let top = merge.top; top !== undefined; top = merge.top) {
      if (!this.isLastKey(top.key, top.keyStart, top.keyEnd)) break;
      if (top.sequence <= this.sequence) {
        top.riseTo(this.sequence);
        if (top.sequence > newest) {
          newest = top.sequence;
          isRow = top.kind === PUT;
          if (isRow) this.take(top);
        }
      }
      merge.previousKey();
    }
    return isRow;
  }

  private covered(key: Uint8Array, start: number, end: number): number {
    return this.cover.isEmpty ? 0 : this.cover.newest(key, start, end);
  }

  /**
   * Goes past an entry that a range tombstone hides. Where all that its
   * source has is older than the tombstone, the rest of the tombstone's range
   * is skipped in that source.
   */
  private passHidden(olderSource: boolean): void {
    const fragment = this.cover.covering;
    if (
      !olderSource || fragment === undefined || ++this.hidden < HIDDEN_RUN
    ) {
      if (this.reverse) this.merge.previousKey();
      else this.merge.advance();
      return;
    }
    this.hidden = 0;
    const edge = this.reverse ? fragment.start : fragment.end;
    if (!this.reverse && edge.length === 0) this.merge.dropTop();
    else this.merge.skipTop(edge);
  }

  private isLastKey(key: Uint8Array, start: number, end: number): boolean {
    const length = end - start;
    if (length !== this.lastKeyLength) return false;
    const last = this.lastKey;
    // From the end: sorted neighbours differ there.
    for (let i = length - 1; i >= 0; i--) {
      if (last[i] !== key[start + i]) return false;
    }
    return true;
  }

  private rememberKey(key: Uint8Array, start: number, end: number): void {
    const length = end - start;
    if (length > this.lastKey.length) this.lastKey = new Uint8Array(length * 2);
    copyInto(this.lastKey, 0, key, start, end);
    this.lastKeyLength = length;
  }

  private take(top: Cursor): void {
    const results = this.results;
    if (this.wantKeys) {
      this.key = results.copy(top.key, top.keyStart, top.keyEnd);
    }
    if (this.wantValues) {
      this.value = results.copy(top.value, top.valueStart, top.valueEnd);
    }
  }
}
