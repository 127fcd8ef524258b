/**
 * Size-tiered compaction: runs of like size are merged into a larger one, so
 * that each byte is rewritten about once each time that the tree has grown
 * `minThreshold`-fold.
 *
 * A run is a table of level 0, or a whole other level. What a merge leaves is
 * one table of level 0 as a rule; a large run is made of many tables, and has
 * a level to itself: a table's index and filter must fit into memory while it
 * is written.
 *
 * Source: the bucketing of Apache Cassandra's SizeTieredCompactionStrategy.
 * Ages do not matter here: lookups go by sequence, not by the order of tables.
 *
 * Pure.
 *
 * @module
 */
import type { ResolvedCompaction } from "../options.ts";
import type { TableMeta } from "../sstable/meta.ts";
import { LEVEL_MAX } from "../version/state.ts";
import {
  bytesOf,
  countPressure,
  LAST_LEVEL,
  type Levels,
  type MergePick,
  pickByTombstones,
  runsOf,
  type Strategy,
  uncleanRuns,
} from "./strategy.ts";

/** A run of more bytes is made of many tables; */
export const LARGE_RUN_BYTES: number = 256 * 1024 * 1024;
/** each of about this many. */
export const LARGE_RUN_TABLE_BYTES: number = 64 * 1024 * 1024;
/** So many of them are merged at most, though of small ones more may be let be: a lookup of cold data has to look into each. */
const LARGE_RUNS = 3;

/**
 * At rest the smallest runs are merged that have at most
 * {@linkcode LARGE_RUN_BYTES} together, down to one that has no more than
 * 1 / REST_SHARE of what those below it have: a byte is rewritten each time
 * that its run grows by three quarters at least.
 */
const REST_SHARE = 0.75;

/** A sorted run and its bytes. */
export interface SizedRun {
  /** Its tables, by key. */
  readonly tables: readonly TableMeta[];
  /** Their bytes. */
  readonly size: number;
}

/** The runs of a tree, the smallest first. */
function sizedRuns(levels: Levels): SizedRun[] {
  return runsOf(levels)
    .map((tables) => ({ tables, size: bytesOf(tables) }))
    .sort((a, b) => a.size - b.size || a.tables[0].number - b.tables[0].number);
}

/** Groups runs of like size: the small ones together, the others by the average of their bucket. */
export function bucketsOf(
  levels: Levels,
  options: ResolvedCompaction,
): SizedRun[][] {
  const small: SizedRun[] = [];
  const buckets = [small];
  let current: SizedRun[] = [];
  let bytes = 0;
  for (const run of sizedRuns(levels)) {
    if (run.size < options.minTableSize) {
      small.push(run);
      continue;
    }
    const average = bytes / current.length;
    const joins = current.length > 0 &&
      run.size >= average * options.bucketLow &&
      run.size <= average * options.bucketHigh;
    if (!joins) {
      current = [];
      bytes = 0;
      buckets.push(current);
    }
    current.push(run);
    bytes += run.size;
  }
  return buckets;
}

/** How many runs like that of `size` bytes are merged. */
function dueAt(size: number, { minThreshold }: ResolvedCompaction): number {
  return size > LARGE_RUN_BYTES
    ? Math.min(minThreshold, LARGE_RUNS)
    : minThreshold;
}

/** The bucket that has most runs for what is due, and how many are due in it. */
function fullestBucket(
  levels: Levels,
  options: ResolvedCompaction,
): { readonly runs: SizedRun[]; readonly due: number } {
  let fullest: { runs: SizedRun[]; due: number } = { runs: [], due: 1 };
  for (const runs of bucketsOf(levels, options)) {
    if (runs.length === 0) continue;
    const due = dueAt(runs[0].size, options);
    if (runs.length * fullest.due > fullest.runs.length * due) {
      fullest = { runs, due };
    }
  }
  return fullest;
}

function intoOne(
  runs: readonly (readonly TableMeta[])[],
  levels: Levels,
): MergePick {
  const merged = runs.flat();
  const isLarge = bytesOf(merged) > LARGE_RUN_BYTES;
  const level = isLarge ? freeLevel(new Set(merged), levels) : 0;
  return {
    type: "merge",
    runs,
    level,
    outputSize: level === 0 ? Infinity : LARGE_RUN_TABLE_BYTES,
    grandparents: [],
  };
}

/** A level >= 1 that is empty without the tables that are merged: the deepest that is in use as a rule, or the first below those; 0 if there is none. */
function freeLevel(merged: ReadonlySet<TableMeta>, levels: Levels): number {
  const isFree = (level: number) =>
    (levels[level] ?? []).every((table) => merged.has(table));
  for (let level = LAST_LEVEL; level > 0; level--) {
    if (isFree(level)) return level;
  }
  for (let level = LAST_LEVEL + 1; level <= LEVEL_MAX; level++) {
    if (isFree(level)) return level;
  }
  return 0;
}

/** The size-tiered strategy. */
export const sizeTiered: Strategy = {
  pickMinor(levels, options) {
    const { runs, due } = fullestBucket(levels, options);
    if (runs.length < due) return undefined;
    const merged = runs.slice(0, options.maxThreshold);
    return intoOne(merged.map(({ tables }) => tables), levels);
  },

  pickAtRest(levels, { maxThreshold }) {
    const runs = sizedRuns(levels).slice(0, maxThreshold);
    let count = 0;
    let below = 0;
    runs.forEach(({ size }, i) => {
      const isInReach = below + size <= LARGE_RUN_BYTES;
      if (i > 0 && isInReach && below >= size * REST_SHARE) count = i + 1;
      below += size;
    });
    if (count === 0) return undefined;
    return intoOne(runs.slice(0, count).map(({ tables }) => tables), levels);
  },

  pickTombstone: pickByTombstones,

  pickMajor(levels) {
    const runs = uncleanRuns(levels);
    return runs === undefined ? undefined : intoOne(runs, levels);
  },

  pressure(levels, options) {
    const { runs, due } = fullestBucket(levels, options);
    return countPressure(runs.length, due);
  },
};
