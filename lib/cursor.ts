/**
 * Entries in order: what memtables, tables and merges of them look like to
 * whoever walks over them.
 *
 * Order: user key ascending, then sequence descending, so that the first
 * entry met of a key is its newest.
 *
 * A cursor exposes its entry as ranges of buffers that it owns. They are good
 * until the cursor moves; whoever keeps something copies it. Nothing is
 * allocated per entry.
 *
 * @module
 */
import { compareRanges, copyBytes, EMPTY } from "./encoding/bytes.ts";
import type { RowBuffer } from "./row_buffer.ts";

/** What an entry does to its key. Values are part of the formats. */
export type EntryKind = 0 | 1;
/** The entry holds a value. */
export const PUT: EntryKind = 0;
/** The entry is a point tombstone. */
export const TOMBSTONE: EntryKind = 1;

/** Greater than every sequence number that is ever given. */
export const MAX_SEQUENCE: number = 0xffff_ffff_ffff;

/** A position among sorted entries. */
export abstract class Cursor {
  /** Whether the cursor stands on an entry. The other fields mean something only then. */
  valid = false;
  /** The buffer that holds the user key, contiguous. */
  key: Uint8Array = EMPTY;
  /** The memory of `key` as words, all of it, where its owner has it so: copies are cheaper then. */
  keyWords: Int32Array | undefined;
  /** The memory of `key` once more, all of it, where its owner has it so. */
  keyView: DataView | undefined;
  /** Where the user key starts. */
  keyStart = 0;
  /** Where the user key ends. */
  keyEnd = 0;
  /** The entry's sequence number. */
  sequence = 0;
  /** Put or tombstone. */
  kind: EntryKind = PUT;
  /** The buffer that holds the value. */
  value: Uint8Array = EMPTY;
  /** Where the value starts. */
  valueStart = 0;
  /** Where the value ends. */
  valueEnd = 0;
  /** The memory of `value` as words, all of it, where its owner has it so: copies are cheaper then. */
  words: Int32Array | undefined;
  /** The memory of `value` once more, all of it, where its owner has it so. */
  view: DataView | undefined;
  /** No entry under this cursor has a higher sequence. */
  newest = MAX_SEQUENCE;
  /** Whether it is known that no two entries under this cursor have the same key. */
  isUnique = false;

  /** Moves to the first entry. */
  abstract seekToFirst(): void;
  /** Moves to the last entry. */
  abstract seekToLast(): void;
  /** Moves to the first entry whose user key is at or after `key[0, length)`. */
  abstract seek(key: Uint8Array, length: number): void;
  /** Moves to the last entry whose user key is before `key[0, length)`. */
  abstract seekBefore(key: Uint8Array, length: number): void;
  /**
   * Goes on to the first entry at or after `key[0, length)`, or backwards to
   * the last before it, which is known to lie ahead.
   */
  skip(key: Uint8Array, length: number, backwards: boolean): void {
    if (backwards) this.seekBefore(key, length);
    else this.seek(key, length);
  }
  /** Moves to the next entry; the cursor must be valid. */
  abstract next(): void;
  /** Moves to the previous entry; the cursor must be valid. */
  abstract previous(): void;
  /**
   * How many entries from this one on, itself counted, are known to lie before
   * `stop[0, length)`, or backwards at or after it; 0 only if this one does
   * not. So many need no look at their keys.
   */
  run(stop: Uint8Array, length: number, backwards: boolean): number {
    const { key, keyStart, keyEnd } = this;
    const isBefore = compareRanges(key, keyStart, keyEnd, stop, 0, length) < 0;
    return isBefore !== backwards ? 1 : 0;
  }
  /**
   * Goes on by as many entries as can be taken at once, at most `most`, and
   * adds those that are values to `rows`; they are known to be rows then. Stands
   * on the last of them.
   *
   * @returns How many were passed; 0 if they are to be taken one by one.
   */
  takeRun(_rows: RowBuffer, _most: number, _backwards: boolean): number {
    return 0;
  }
  /**
   * Goes on past versions of the key that are newer than `sequence`: one step
   * at least, and never past an older one or past the first entry of the next
   * key. 0 asks for the next key. A cursor that may have many versions of a
   * key does so without a look at each; the others take the one step.
   */
  passVersions(_sequence: number): void {
    this.next();
  }
  /**
   * The cursor stands on a version that a reader at `sequence` sees, and is
   * walked backwards: goes on to the newest such version of the key, or stays
   * if it can do so only step by step.
   */
  riseTo(_sequence: number): void {}
  /**
   * Goes back towards the last entry of the key before: one step at least,
   * and, where a key may have many versions, without a look at each.
   */
  previousKey(): void {
    this.previous();
  }
  /** Lets go of what the cursor holds. It is not used afterwards. */
  close(): void {
    this.valid = false;
  }
}

/** Whose bytes a lookup may use in place, and must ask about afterwards. */
export interface Lender {
  /** Whether everything that was read of a segment until now is of that generation. */
  isStill(segment: number, generation: number): boolean;
}

/**
 * Where a lookup leaves what it found, reused so that lookups allocate nothing.
 *
 * The value may lie in memory that others overwrite. Whoever uses an answer
 * asks {@linkcode Found.holds} after copying the value, and looks the key up
 * again if it says no.
 */
export class Found {
  /** The sequence of the newest visible entry or tombstone so far; 0 if none. */
  sequence = 0;
  /** Whether that was a value or a tombstone, of a point or a range. */
  kind: EntryKind = TOMBSTONE;
  /** The buffer that holds the value. */
  value: Uint8Array = EMPTY;
  /** Where the value starts. */
  start = 0;
  /** Where the value ends. */
  end = 0;
  /** The memory of `value` as words, where its owner has it so: copies are cheaper then. */
  words: Int32Array | undefined;
  /**
   * Whether values are copied before anything else is read. Set to look a key
   * up again: what a lookup reads behind the value that it found may push that
   * out of a small cache, each time anew.
   */
  isCareful = false;
  private lender: Lender | undefined;
  private segment = 0;
  private generation = 0;
  private isLost = false;

  /** Forgets the last lookup. */
  reset(): void {
    this.sequence = 0;
    this.kind = TOMBSTONE;
    this.value = EMPTY;
    this.words = undefined;
    this.lender = undefined;
    this.isLost = false;
  }

  /** Whether the answer is true, and the value was copied whole if it was copied. */
  holds(): boolean {
    const lender = this.lender;
    return !this.isLost && (lender === undefined ||
      lender.isStill(this.segment, this.generation));
  }

  /** Before anything is decided by what was found so far: whether that holds; if it does not, the answer never will. */
  holdsSoFar(): boolean {
    if (this.holds()) return true;
    this.isLost = true;
    return false;
  }

  /** Says that what was offered last was read from a lender's memory, which `words` are too. */
  lend(
    lender: Lender,
    segment: number,
    generation: number,
    words: Int32Array,
  ): void {
    this.words = words;
    this.lender = lender;
    this.segment = segment;
    this.generation = generation;
    if (this.isCareful) this.own();
  }

  /** Copies the value, if it is still whole. */
  private own(): void {
    const copy = copyBytes(this.value, this.start, this.end);
    if (!this.holds()) return;
    this.value = copy;
    this.words = undefined;
    this.start = 0;
    this.end = copy.length;
    this.lender = undefined;
  }

  /** Takes a point entry, if it is newer than what is held. */
  offer(
    sequence: number,
    kind: EntryKind,
    value: Uint8Array,
    start: number,
    end: number,
    words?: Int32Array,
  ): void {
    if (sequence <= this.sequence) return;
    this.sequence = sequence;
    this.kind = kind;
    this.value = value;
    this.start = start;
    this.end = end;
    this.words = words;
    this.lender = undefined;
  }

  /** Takes a covering range tombstone, if it is newer than what is held. */
  offerTombstone(sequence: number): void {
    if (sequence <= this.sequence) return;
    this.sequence = sequence;
    this.kind = TOMBSTONE;
    this.value = EMPTY;
    this.lender = undefined;
  }
}
