/**
 * Gathers the statistics of an open database as plain data.
 *
 * @module
 */
import { compareBytes } from "./encoding/bytes.ts";
import type { LaneCounters } from "./compaction/maintenance.ts";
import { type Levels, runsOf } from "./compaction/strategy.ts";
import type { TableMeta } from "./sstable/meta.ts";
import { compareByKey, endsBefore } from "./sstable/sorted_run.ts";
import type { Table, TableContext } from "./sstable/table.ts";
import type { JobStats, LevelStats, Stats } from "./types.ts";
import type { Tree } from "./write/tree.ts";

function sum<T>(items: readonly T[], of: (item: T) => number): number {
  let total = 0;
  for (const item of items) total += of(item);
  return total;
}

function levelStats(tables: readonly Table[]): LevelStats {
  const of = (field: (meta: TableMeta) => number) =>
    sum(tables, (table) => field(table.meta));
  return {
    tables: tables.length,
    bytes: of((meta) => meta.size),
    entries: of((meta) => meta.entries),
    tombstones: of((meta) => meta.tombstones),
    rangeTombstones: of((meta) => meta.rangeTombstones),
  };
}

function jobStats(counters: LaneCounters): JobStats {
  const { runs, bytesRead, bytesWritten, seconds } = counters;
  return { runs, bytesRead, bytesWritten, seconds };
}

/**
 * Bytes of a table less its share of older versions and, of the rest, of
 * tombstones. An entry may be both: it is taken that as many of the older
 * versions are tombstones as of the others.
 */
function liveBytes({ size, entries, tombstones, olderVersions }: TableMeta) {
  return entries === 0
    ? 0
    : size * (1 - olderVersions / entries) * (1 - tombstones / entries);
}

/**
 * Bytes of tables for each byte that is live, roughly: sorted runs (tables of
 * level 0, other levels) whose key ranges overlap are taken to hold the same
 * keys, so that only the largest of them is live, less its tombstones and
 * older versions.
 */
function spaceAmplification(levels: Levels): number {
  const tables = runsOf(levels).flatMap((run, index) =>
    run.map((meta) => ({ meta, index }))
  ).sort((a, b) => compareByKey(a.meta, b.meta));
  let live = 0;
  let ofRuns = new Map<number, number>();
  let end: TableMeta | undefined;
  for (const { meta, index } of tables) {
    const isApart = end !== undefined && endsBefore(end, meta.smallest);
    if (isApart) {
      live += largest(ofRuns);
      ofRuns = new Map();
    }
    ofRuns.set(index, (ofRuns.get(index) ?? 0) + liveBytes(meta));
    const reachesFurther = end === undefined || isApart || meta.unbounded ||
      !end.unbounded && compareBytes(end.largest, meta.largest) < 0;
    if (reachesFurther) end = meta;
  }
  live += largest(ofRuns);
  const bytes = sum(tables, ({ meta }) => meta.size);
  return bytes === 0 ? 1 : bytes / Math.max(1, live);
}

/** The largest value. A loop: there may be more than a call takes arguments. */
function largest(values: ReadonlyMap<number, number>): number {
  let most = 0;
  for (const value of values.values()) most = Math.max(most, value);
  return most;
}

function describe(failure: unknown): string | undefined {
  if (failure === undefined) return undefined;
  return failure instanceof Error ? failure.message : String(failure);
}

/** What an open database tells of itself. */
export function makeStats(
  tree: Tree,
  context: TableContext,
  openScans: number,
): Stats {
  const { versions, maintenance, commits, options, backpressure } = tree;
  const { cache, counters, memory } = context;
  const version = versions.current;
  const metas = version.tables.map((table) => table.meta);
  const memtables = [tree.activeMemtable, ...tree.frozen];
  const written = tree.finishedLogBytes + tree.logBytes +
    maintenance.flushes.bytesWritten + maintenance.compactions.bytesWritten;
  const { background } = options.compaction;
  return {
    frozenCount: tree.frozen.length,
    tableCount: metas.length,
    totalTableBytes: sum(metas, (meta) => meta.size),
    tableSizes: metas.map((meta) => meta.size),
    levels: version.levels.map(levelStats),
    memtable: {
      bytes: sum(memtables, (memtable) => memtable.bytes),
      entries: sum(memtables, (memtable) => memtable.entries),
      tombstones: sum(memtables, (memtable) => memtable.tombstones),
      rangeTombstones: sum(memtables, (memtable) => memtable.rangeTombstones),
    },
    lastSequence: tree.lastSequence,
    wal: {
      files: versions.logs.length,
      bytes: versions.sealedLogBytes + tree.logBytes,
      syncs: commits.syncs,
      commits: commits.commits,
      commitsPerSync: commits.syncs === 0 ? 0 : commits.commits / commits.syncs,
      lostTailBytes: tree.lostTailBytes,
    },
    cache: {
      hits: cache.hits,
      misses: cache.misses,
      bytes: cache.bytes,
      capacity: cache.capacity,
      indexBytes: memory.bytes,
    },
    bloom: {
      checks: counters.bloomChecks,
      skips: counters.bloomSkips,
      falsePositives: counters.falsePositives,
    },
    blockReads: counters.blockReads,
    flush: jobStats(maintenance.flushes),
    compaction: jobStats(maintenance.compactions),
    writeAmplification: tree.userBytes === 0 ? 0 : written / tree.userBytes,
    spaceAmplification: spaceAmplification(version.metas),
    stalls: {
      count: backpressure.count,
      seconds: backpressure.seconds,
      refused: backpressure.refused,
    },
    background: background === "off" ? "off" : maintenance.place,
    workerRestarts: maintenance.workerRestarts,
    openSnapshots: tree.snapshotCount,
    openScans,
    lastError: describe(tree.health.failure ?? maintenance.lastError),
  };
}
