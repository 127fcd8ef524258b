/**
 * Tables that an edit may just remove, unread: range tombstones hide all that
 * they hold from every reader.
 *
 * A table goes if its whole range of keys lies under range tombstones, side
 * by side, of tables, each newer than everything in it, and no snapshot is
 * old enough to see past them and young enough to see the table. What hides
 * the table stays for as long as anything older is under it, as always, and
 * is in a table: one in a memtable might be lost in a crash, the removal not.
 *
 * Two tables cannot hide each other: either would have to be the newer one.
 * If one of a chain goes with the one that hides it, what hides the latter
 * hides both.
 *
 * Pure.
 *
 * @module
 */
import {
  countStartingAtOrBefore,
  type Fragment,
  isBeforeEnd,
} from "../memtable/range_tombstones.ts";
import { compareBytes } from "../encoding/bytes.ts";
import type { TableMeta } from "../sstable/meta.ts";
import { mergeFragments, stripeOf } from "./merge_stream.ts";
import type { Levels } from "./strategy.ts";

/**
 * The tables that may go.
 *
 * No compaction may be under way: it might drop a tombstone that hides one.
 *
 * @param fragmentsOf The range tombstones of a table; asked of those that have some.
 * @param snapshots Sequences of the open snapshots, ascending.
 */
export function findCovered(
  levels: Levels,
  fragmentsOf: (table: TableMeta) => readonly Fragment[],
  snapshots: readonly number[],
): TableMeta[] {
  const tables = levels.flat();
  const lists = tables.filter((table) => table.rangeTombstones > 0)
    .map(fragmentsOf);
  // A table's own are never newer than all of it, so they may stay in.
  const fragments = mergeFragments(lists);
  return fragments.length === 0
    ? []
    : tables.filter((table) => isCovered(table, fragments, snapshots));
}

function isCovered(
  table: TableMeta,
  fragments: readonly Fragment[],
  snapshots: readonly number[],
): boolean {
  const { smallest, largest, unbounded, oldest, newest } = table;
  const count = countStartingAtOrBefore(
    fragments,
    smallest,
    0,
    smallest.length,
  );
  if (count === 0) return false;
  let reached = smallest;
  for (let at = count - 1; at < fragments.length; at++) {
    const { start, end, sequences } = fragments[at];
    if (at >= count && compareBytes(start, reached) !== 0) return false;
    if (!isBeforeEnd(reached, 0, reached.length, end)) return false;
    // The oldest that hides the table is seen by the most snapshots.
    const hiding = sequences.find((sequence) => sequence > newest);
    if (hiding === undefined) return false;
    // Not one snapshot in [oldest, hiding): it would see the table, but not what hides it.
    if (stripeOf(snapshots, hiding) !== stripeOf(snapshots, oldest)) {
      return false;
    }
    if (end.length === 0) return true;
    if (!unbounded && isBeforeEnd(largest, 0, largest.length, end)) return true;
    reached = end;
  }
  return false;
}
