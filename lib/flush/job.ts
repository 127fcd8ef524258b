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
import type { Memtable } from "../memtable/memtable.ts";
import type { TableMeta } from "../sstable/meta.ts";

/** The job that writes `memtable` to a table. */
export function* makeFlushJob(
  memtable: Memtable,
  snapshots: readonly number[],
  output: JobOutput,
): Job<TableMeta | undefined> {
  const [table] = yield* mergeIntoTables(
    {
      openCursors: () => [memtable.cursor()],
      fragments: () => [memtable.fragments()],
      oldest: memtable.oldest,
    },
    { snapshots, elision: keepTombstones },
    output,
  );
  return table;
}
