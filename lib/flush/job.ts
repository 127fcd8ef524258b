/**
 * The flush: one frozen memtable becomes one table.
 *
 * Versions that no snapshot tells apart are left out; every tombstone is
 * kept, for what it hides is in older tables.
 *
 * @module
 */
import { keepTombstones } from "../compaction/elision.ts";
import {
  type Job,
  type JobOutput,
  mergeIntoTables,
} from "../compaction/job.ts";
import type { Cursor } from "../cursor.ts";
import type { Fragment } from "../memtable/range_tombstones.ts";
import type { TableMeta } from "../sstable/meta.ts";

/** A memtable, as far as a flush reads it. */
export interface FlushSource {
  /** The lowest sequence in it. */
  readonly oldest: number;
  /** Point entries, every version counted. */
  readonly entries: number;
  /** A cursor over the point entries. */
  cursor(): Cursor;
  /** The range tombstones. */
  fragments(): readonly Fragment[];
}

/** The job that writes `memtable` to a table; its result is empty if nothing was left to write. */
export function makeFlushJob(
  memtable: FlushSource,
  snapshots: readonly number[],
  output: JobOutput,
): Job<TableMeta[]> {
  return mergeIntoTables(
    {
      openCursors: () => [memtable.cursor()],
      fragments: () => [memtable.fragments()],
      oldest: memtable.oldest,
      entries: memtable.entries,
    },
    { snapshots, elision: keepTombstones },
    output,
  );
}
