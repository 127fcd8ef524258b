/**
 * What the tree knows of a table without opening its file.
 *
 * @module
 */
import { compareBytes, compareRanges } from "../encoding/bytes.ts";
import { isBeforeEnd } from "../memtable/range_tombstones.ts";

/** A table as the manifest names it. Immutable. */
export interface TableMeta {
  /** Its file number. */
  readonly number: number;
  /** Bytes of its file. */
  readonly size: number;
  /** Point entries, tombstones counted. */
  readonly entries: number;
  /** Point tombstones. */
  readonly tombstones: number;
  /** Entries that are older versions of the key of the entry before. */
  readonly olderVersions: number;
  /** Fragments of range tombstones. */
  readonly rangeTombstones: number;
  /** The lowest sequence in it. */
  readonly oldest: number;
  /** The highest sequence in it. */
  readonly newest: number;
  /** When it was written, milliseconds since 1970. */
  readonly created: number;
  /** No key, and no start of a range tombstone, is before this. */
  readonly smallest: Uint8Array;
  /** No key, and no end of a range tombstone, is after this. Empty with `unbounded`. */
  readonly largest: Uint8Array;
  /** Whether a range tombstone has no end. */
  readonly unbounded: boolean;
}

/** Whether the table may say something of `key[0, keyLength)`. */
export function mayHold(
  table: TableMeta,
  key: Uint8Array,
  keyLength: number,
): boolean {
  const { smallest, largest } = table;
  return compareRanges(key, 0, keyLength, smallest, 0, smallest.length) >= 0 &&
    (table.unbounded ||
      compareRanges(key, 0, keyLength, largest, 0, largest.length) <= 0);
}

/** Whether the table may say something of a key in [start, end); an empty end is no end. */
export function mayOverlap(
  table: TableMeta,
  start: Uint8Array,
  end: Uint8Array,
): boolean {
  const { smallest, largest, unbounded } = table;
  return (unbounded || compareBytes(largest, start) >= 0) &&
    isBeforeEnd(smallest, 0, smallest.length, end);
}

/** Tombstones of both kinds for each record of both kinds. */
export function tombstoneRatio(table: TableMeta): number {
  const records = table.entries + table.rangeTombstones;
  return records === 0
    ? 0
    : (table.tombstones + table.rangeTombstones) / records;
}
