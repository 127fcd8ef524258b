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
import { EMPTY } from "./encoding/bytes.ts";

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
  /** No entry under this cursor has a higher sequence. */
  newest = MAX_SEQUENCE;

  /** Moves to the first entry. */
  abstract seekToFirst(): void;
  /** Moves to the last entry. */
  abstract seekToLast(): void;
  /** Moves to the first entry whose user key is at or after `key[0, length)`. */
  abstract seek(key: Uint8Array, length: number): void;
  /** Moves to the last entry whose user key is before `key[0, length)`. */
  abstract seekBefore(key: Uint8Array, length: number): void;
  /** Moves to the next entry; the cursor must be valid. */
  abstract next(): void;
  /** Moves to the previous entry; the cursor must be valid. */
  abstract previous(): void;
  /** Lets go of what the cursor holds. It is not used afterwards. */
  close(): void {
    this.valid = false;
  }
}

/** Where a lookup leaves what it found, reused so that lookups allocate nothing. */
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

  /** Forgets the last lookup. */
  reset(): void {
    this.sequence = 0;
    this.kind = TOMBSTONE;
    this.value = EMPTY;
  }

  /** Takes a point entry, if it is newer than what is held. */
  offer(
    sequence: number,
    kind: EntryKind,
    value: Uint8Array,
    start: number,
    end: number,
  ): void {
    if (sequence <= this.sequence) return;
    this.sequence = sequence;
    this.kind = kind;
    this.value = value;
    this.start = start;
    this.end = end;
  }

  /** Takes a covering range tombstone, if it is newer than what is held. */
  offerTombstone(sequence: number): void {
    if (sequence <= this.sequence) return;
    this.sequence = sequence;
    this.kind = TOMBSTONE;
    this.value = EMPTY;
  }
}
