/**
 * What a reader at one sequence sees of merged entries: for each key the
 * newest entry that is not too new, if it is a value that no visible range
 * tombstone hides.
 *
 * Rows are handed out as copies that are the caller's to keep, or added to a
 * buffer.
 *
 * @module
 */
import { type Cursor, PUT } from "../cursor.ts";
import { compareRanges, copyInto, keySuccessor } from "../encoding/bytes.ts";
import { KeyBuffer } from "../encoding/key_buffer.ts";
import type { RowBuffer } from "../row_buffer.ts";
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
/** Among several sources, a run that is shorter was hardly worth the look, */
const SHORT_RUN = 4;
/** and the next look is so many entries away. */
const LOOK_EVERY = 16;

/** What most keys fit in. */
const LAST_KEY_ROOM = 256;
/** A buffer for keys that a walk has left: a new one costs as much as some rows. */
let spareKey: KeyBuffer | undefined;
/** No key. */
const NO_KEY = new KeyBuffer(0);

/** Where a run ends that another source bounds. Used at once. */
let stopKey = new Uint8Array(256);

/** Makes {@linkcode stopKey} the first key that is not before the source's, or backwards the first behind it; returns its length. */
function setStop({ key, keyStart, keyEnd }: Cursor, reverse: boolean): number {
  const length = keyEnd - keyStart;
  if (length >= stopKey.length) stopKey = new Uint8Array(length * 2);
  copyInto(stopKey, 0, key, keyStart, keyEnd);
  if (!reverse) return length;
  stopKey[length] = 0; // The successor of a key is that key and a zero.
  return length + 1;
}

/** Whether a source's key is out of bounds, in the direction of the walk. */
function isBehind(
  { key, keyStart, keyEnd }: Cursor,
  bound: Uint8Array,
  reverse: boolean,
): boolean {
  const order = compareRanges(key, keyStart, keyEnd, bound, 0, bound.length);
  return reverse ? order < 0 : order >= 0;
}

/** Where a walk stands: behind a key, or before it. */
export class Place {
  /** Whether all of the key's entries are passed. */
  isBehind = false;
  private readonly key = new KeyBuffer(64);

  /** Stands at a key, which is copied. */
  set(key: Uint8Array, start: number, end: number): void {
    this.key.set(key, start, end);
  }

  /** The part of `bounds` that is still to come. */
  rest({ start, end }: Bounds, reverse: boolean): Bounds {
    const { bytes, length } = this.key;
    if (length < 0) return { start, end };
    const key = bytes.slice(0, length);
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
  /** Where rows go instead of {@linkcode key} and {@linkcode value}. */
  private buffer: RowBuffer | undefined;
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
  /** The one source that is left, if all that it still has is a run. */
  private plain: Cursor | undefined;
  /** The source in front while it is in a run; it stands on an entry that was dealt with. */
  private runner: Cursor | undefined;
  /** Entries of the run behind that one. */
  private runLeft = 0;
  /** Entries to be passed before a run is looked for again. */
  private untilLook = 0;
  private last = NO_KEY;
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
    return this.runner !== undefined && this.nextOfRun(this.runner) ||
      this.nextBehindRun();
  }

  /**
   * Adds the next rows to a buffer, until it is full or has `most`.
   *
   * @returns Whether there may be more.
   */
  fill(buffer: RowBuffer, most: number): boolean {
    this.buffer = buffer;
    try {
      while (buffer.count < most && !buffer.isFull) {
        if (this.takeRun(buffer, most - buffer.count)) continue;
        if (!this.next()) return false;
      }
      return true;
    } finally {
      this.buffer = undefined;
    }
  }

  /** Adds rows of a run to the buffer, if there are such that can be taken at once; returns whether there were. */
  private takeRun(buffer: RowBuffer, most: number): boolean {
    const { plain, runner, reverse } = this;
    if (plain !== undefined) {
      const bound = reverse ? this.bounds.start : this.bounds.end;
      // The entry that it stands on is dealt with.
      const ahead = bound === undefined
        ? most
        : plain.run(bound, bound.length, reverse) - 1;
      return ahead > 0 &&
        plain.takeRun(buffer, Math.min(ahead, most), reverse) > 0;
    }
    if (runner === undefined || this.runLeft === 0) return false;
    const taken = runner.takeRun(
      buffer,
      Math.min(this.runLeft, most),
      reverse,
    );
    this.runLeft -= taken;
    return taken > 0;
  }

  /** Moves to the next row of the only source that is left, which stands on an entry that was dealt with. */
  private nextPlain(plain: Cursor): boolean {
    const { reverse } = this;
    const bound = reverse ? this.bounds.start : this.bounds.end;
    for (;;) {
      if (reverse) plain.previous();
      else plain.next();
      if (
        !plain.valid || bound !== undefined && isBehind(plain, bound, reverse)
      ) {
        this.plain = undefined;
        this.merge.dropTop();
        return false;
      }
      if (plain.kind === PUT) {
        this.take(plain);
        return true;
      }
    }
  }

  /** Moves to the next row of the run; returns whether there is one. */
  private nextOfRun(runner: Cursor): boolean {
    while (this.runLeft > 0) {
      this.runLeft--;
      if (this.reverse) runner.previous();
      else runner.next();
      if (runner.kind === PUT) {
        this.take(runner);
        return true;
      }
    }
    return false;
  }

  /** Moves to the next row behind the run, if there was one; returns whether there is one. */
  private nextBehindRun(): boolean {
    for (;;) {
      if (this.runner !== undefined) {
        this.runner = undefined;
        this.merge.advance();
      } else if (!this.started) {
        this.started = true;
        this.start();
      }
      if (this.budget > 0) this.left = this.budget;
      const isRow = this.reverse ? this.nextBackwards() : this.nextForwards();
      if (isRow) return true;
      if (this.plain !== undefined) return this.nextPlain(this.plain);
      if (this.runner === undefined) return false;
      if (this.nextOfRun(this.runner)) return true;
    }
  }

  /** Lets go of the sources. */
  close(): void {
    this.plain = undefined;
    this.runner = undefined;
    this.merge.close();
    if (this.last !== NO_KEY) spareKey = this.last;
    this.last = NO_KEY;
    this.onClose?.();
  }

  /** Notes where the walk stands after a row, or after a pause. */
  notePlace(place: Place): void {
    const top = this.isPaused ? this.merge.top : undefined;
    place.isBehind = top === undefined ||
      this.isLastKey(top.key, top.keyStart, top.keyEnd);
    if (place.isBehind || top === undefined) {
      place.set(this.last.bytes, 0, this.last.length);
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
      if (this.startRun(top)) return this.takePut(top);
      this.rememberKey(top);
      const covered = this.covered(key, keyStart, keyEnd);
      if (covered > top.sequence) {
        this.passHidden(top.newest <= covered);
        continue;
      }
      this.hidden = 0;
      const isPut = top.kind === PUT;
      if (isPut) this.take(top);
      merge.passVersions(0);
      if (isPut) return true;
    }
    return false;
  }

  /**
   * Looks for a run from `top` on: entries before any of another source, in
   * bounds, with no range tombstone to count, each visible and the first of
   * its key. They need no look but at their kind. If no other source has any
   * left, that holds up to the bound. A walk that may pause remembers its keys.
   */
  private startRun(top: Cursor): boolean {
    const { merge, reverse, bounds } = this;
    const mayRun = top.isUnique && top.newest <= this.sequence &&
      this.cover.isEmpty && this.budget === 0;
    if (!mayRun) return false;
    if (this.untilLook > 0 && !merge.isAlone) {
      this.untilLook--;
      return false;
    }
    const other = merge.second;
    if (other === undefined) {
      this.plain = top;
      return true;
    }
    let stop = reverse ? bounds.start : bounds.end;
    let stopLength = stop === undefined ? 0 : stop.length;
    if (stop === undefined || !isBehind(other, stop, reverse)) {
      stopLength = setStop(other, reverse);
      stop = stopKey;
    }
    const length = top.run(stop, stopLength, reverse);
    if (length < SHORT_RUN) this.untilLook = LOOK_EVERY;
    if (length === 0) return false;
    this.runner = top;
    this.runLeft = length - 1;
    return true;
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
      if (this.startRun(top)) return this.takePut(top);
      const covered = this.covered(key, keyStart, keyEnd);
      if (covered > top.sequence && top.newest <= covered) {
        this.passHidden(true);
        continue;
      }
      this.hidden = 0;
      this.rememberKey(top);
      if (this.takeNewestOfKey(covered)) return true;
    }
    return false;
  }

  /** Passes the versions of the remembered key, source by source; returns whether its newest visible one is a row. */
  private takeNewestOfKey(covered: number): boolean {
    const { merge, buffer } = this;
    const count = buffer === undefined ? 0 : buffer.count;
    const used = buffer === undefined ? 0 : buffer.used;
    let newest = covered;
    let isRow = false;
    for (let top = merge.top; top !== undefined; top = merge.top) {
      if (!this.isLastKey(top.key, top.keyStart, top.keyEnd)) break;
      if (top.sequence <= this.sequence) {
        top.riseTo(this.sequence);
        if (top.sequence > newest) {
          newest = top.sequence;
          isRow = top.kind === PUT;
          buffer?.cut(count, used); // An older version may be there.
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
    const { bytes, length } = this.last;
    if (end - start !== length) return false;
    // From the end: sorted neighbours differ there.
    for (let i = length - 1; i >= 0; i--) {
      if (bytes[i] !== key[start + i]) return false;
    }
    return true;
  }

  private rememberKey({ key, keyStart, keyEnd, keyView }: Cursor): void {
    if (this.last === NO_KEY) {
      this.last = spareKey ?? new KeyBuffer(LAST_KEY_ROOM);
      spareKey = undefined;
    }
    this.last.set(key, keyStart, keyEnd, keyView);
  }

  /** Takes the entry if it is a row; returns whether it is. */
  private takePut(top: Cursor): boolean {
    const isPut = top.kind === PUT;
    if (isPut) this.take(top);
    return isPut;
  }

  private take(top: Cursor): void {
    const { results, buffer } = this;
    if (buffer !== undefined) {
      buffer.addEntry(top);
      return;
    }
    if (this.wantKeys) {
      const { key, keyStart, keyEnd, keyWords } = top;
      this.key = results.copy(key, keyStart, keyEnd, keyWords);
    }
    if (this.wantValues) {
      const { value, valueStart, valueEnd, words } = top;
      this.value = results.copy(value, valueStart, valueEnd, words);
    }
  }
}
