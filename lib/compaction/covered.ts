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
  compareEnds,
  countChunksStartingAtOrBefore,
  countStartingAtOrBefore,
  type Fragment,
  type FragmentChunks,
  isBeforeEnd,
} from "../memtable/range_tombstones.ts";
import type { TableMeta } from "../sstable/meta.ts";
import { stripeOf } from "./merge_stream.ts";
import { type Levels, runsOf } from "./strategy.ts";

/**
 * The tables that may go. Costs some binary searches for each table.
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
  // A list for each table of a run, as they are: a copy of all of them would cost each flush its time.
  const runs = runsOf(levels).map((run) =>
    run.filter((table) => table.rangeTombstones > 0).map(fragmentsOf)
      .filter((list) => list.length > 0)
  ).filter((chunks) => chunks.length > 0);
  return runs.length === 0
    ? []
    : levels.flat().filter((table) => isCovered(table, runs, snapshots));
}

/** Whether range tombstones that hide the table lie side by side from its first key to its last. */
function isCovered(
  table: TableMeta,
  runs: readonly FragmentChunks[],
  snapshots: readonly number[],
): boolean {
  const { smallest, largest, unbounded } = table;
  // First of all the last key: range deletes that go up side by side mostly end before it.
  if (!unbounded && reachFrom(largest, table, runs, snapshots) === undefined) {
    return false;
  }
  for (let reached = smallest;;) {
    const end = reachFrom(reached, table, runs, snapshots);
    if (end === undefined) return false;
    if (end.length === 0) return true;
    // mutant covered-unbounded: a table without an end goes only under a tombstone without one
    // mutant covered-end: a table goes only if its last key is hidden, too
    if (!unbounded && isBeforeEnd(largest, 0, largest.length, end)) return true;
    reached = end;
  }
}

/** The furthest end of the range tombstones that hold `key` and hide the table; a table's own never do. */
function reachFrom(
  key: Uint8Array,
  table: TableMeta,
  runs: readonly FragmentChunks[],
  snapshots: readonly number[],
): Uint8Array | undefined {
  let furthest: Uint8Array | undefined;
  for (const chunks of runs) {
    const before = countChunksStartingAtOrBefore(chunks, key, 0, key.length);
    if (before === 0) continue;
    const list = chunks[before - 1];
    const count = countStartingAtOrBefore(list, key, 0, key.length);
    const { end, sequences } = list[count - 1];
    // mutant covered-reach: a tombstone that ends before a key does not hide it
    if (!isBeforeEnd(key, 0, key.length, end)) continue;
    // mutant covered-hides: a table goes only under newer tombstones
    if (!hides(sequences, table, snapshots)) continue;
    if (furthest === undefined || compareEnds(end, furthest) > 0) {
      furthest = end;
    }
  }
  return furthest;
}

/** Whether deletes of these sequences, ascending, hide all of a table from every reader that sees any of it. */
function hides(
  sequences: readonly number[],
  { oldest, newest }: TableMeta,
  snapshots: readonly number[],
): boolean {
  // The oldest that will do is seen by the most snapshots.
  // mutant covered-newer: a table stays if anything in it is newer
  const hiding = sequences.find((sequence) => sequence > newest);
  // Not one snapshot may be in [oldest, hiding): it would see the table, and not what hides it.
  return hiding !== undefined &&
    // mutant covered-snapshots: a table stays for a snapshot that sees it
    stripeOf(snapshots, hiding) === stripeOf(snapshots, oldest);
}
