/**
 * Sorted runs: tables by key that do not overlap, as in each level but level 0.
 *
 * Neighbours a, b of a run: everything that a holds, keys and range
 * tombstones, lies before the smallest key of b. A table's largest key may be
 * the (exclusive) end of a range tombstone; only then may it be b's smallest.
 *
 * @module
 */
import { compareBytes, compareRanges } from "../encoding/bytes.ts";
import type { TableMeta } from "./meta.ts";

/** Whatever stands for a table. */
export interface HasMeta {
  /** What the manifest says of it. */
  readonly meta: TableMeta;
}

/** Negative, zero or positive as `a` belongs before, with or after `b` in a run. */
export function compareByKey(a: TableMeta, b: TableMeta): number {
  return compareBytes(a.smallest, b.smallest) || a.number - b.number;
}

/** Whether a table `b` may follow `a` in a run. */
export function mayFollow(a: TableMeta, b: TableMeta): boolean {
  if (a.unbounded) return false;
  const order = compareBytes(a.largest, b.smallest);
  if (order !== 0) return order < 0;
  return a.rangeTombstones > 0 && compareBytes(a.smallest, b.smallest) < 0;
}

/** The first table, of those sorted by {@linkcode compareByKey}, that overlaps the one after it. */
export function firstOverlap(
  tables: readonly TableMeta[],
): TableMeta | undefined {
  return tables.find((table, i) =>
    i + 1 < tables.length && !mayFollow(table, tables[i + 1])
  );
}

/** How many tables of a run start at or before `key[0, length)`. */
export function countTablesFrom(
  tables: readonly HasMeta[],
  key: Uint8Array,
  length: number,
): number {
  let low = 0;
  let high = tables.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const { smallest } = tables[middle].meta;
    if (compareRanges(smallest, 0, smallest.length, key, 0, length) <= 0) {
      low = middle + 1;
    } else high = middle;
  }
  return low;
}

/** How many tables of a run start before `key[0, length)`. */
export function countTablesBefore(
  tables: readonly HasMeta[],
  key: Uint8Array,
  length: number,
): number {
  const count = countTablesFrom(tables, key, length);
  if (count === 0) return 0;
  const { smallest } = tables[count - 1].meta;
  const isAt =
    compareRanges(smallest, 0, smallest.length, key, 0, length) === 0;
  return isAt ? count - 1 : count;
}

/** The tables of a run that may say something of a key in [start, end); an empty end is no end. */
export function tablesBetween<T extends HasMeta>(
  tables: readonly T[],
  start: Uint8Array,
  end: Uint8Array,
): readonly T[] {
  // Of two that touch at the start, only the second holds the key itself.
  let first = Math.max(0, countTablesFrom(tables, start, start.length) - 1);
  if (first < tables.length && endsBefore(tables[first].meta, start)) first++;
  const stop = end.length === 0
    ? tables.length
    : countTablesBefore(tables, end, end.length);
  return first === 0 && stop === tables.length
    ? tables
    : tables.slice(first, stop);
}

/** Whether a table ends before a key. */
export function endsBefore(table: TableMeta, key: Uint8Array): boolean {
  return !table.unbounded && compareBytes(table.largest, key) < 0;
}
