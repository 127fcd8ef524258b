/**
 * Size-tiered compaction: runs of like size are merged into a larger one, so
 * that each byte is rewritten about once each time that the tree has grown
 * `minThreshold`-fold.
 *
 * Buckets alone leave more and more runs as a tree grows: of each size up to
 * one less than are merged. Each costs a scan a block that it has to fetch,
 * so their number is bounded too, by the bytes of the tree.
 *
 * A run is a table of level 0, or a whole other level. What a merge leaves is
 * one table of level 0 as a rule; a large run is made of many tables, and has
 * a level to itself: a table's index and filter must fit into memory while it
 * is written. Tables that do not overlap, as those of keys in ascending order,
 * are one run as they are: they are moved there, not written again.
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
import { compareByKey, firstOverlap } from "../sstable/sorted_run.ts";
import { LEVEL_MAX } from "../version/state.ts";
import {
  bytesOf,
  countPressure,
  isClean,
  LAST_LEVEL,
  type Levels,
  type Pick,
  pickByTombstones,
  REST_BYTES_MOST,
  runsOf,
  type Strategy,
  uncleanRuns,
} from "./strategy.ts";

/** A run of more bytes is made of many tables; */
export const LARGE_RUN_BYTES: number = 256 * 1024 * 1024;
/** each of about this many. */
export const LARGE_RUN_TABLE_BYTES: number = 64 * 1024 * 1024;
/** Runs of fewer bytes are not counted: they are cheap to merge, and that many are left for a short time only. */
const COUNTED_RUN_BYTES = LARGE_RUN_TABLE_BYTES;
/** So many runs that count are let be in any tree, */
const RUNS_LET_BE = 3;
/** one more from so many bytes on, and one more each time that the tree is MORE_RUNS_GROWTH times as large: with three in all, those of 20 GB would be written half as often again. */
const MORE_RUNS_BYTES = 2 * 1024 * 1024 * 1024;
const MORE_RUNS_GROWTH = 4;

/** A merge beside another one reads at most this part of its bytes: one that takes nearly as long had better wait, and take more along. */
const BESIDE_SHARE = 1 / 4;

/** Tables of fewer bytes are merged even if they do not overlap: each is a file to keep open, with an index and a filter. */
const MOVED_TABLE_BYTES = 16 * 1024 * 1024;

/**
 * Of runs that differ in size, those are merged that come before one that has
 * more than 1 / GROWTH_SHARE of what they have together: a byte is rewritten
 * each time that its run grows by three quarters at least.
 */
const GROWTH_SHARE = 0.75;

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

/** The bucket that has most runs. */
function fullestBucket(
  levels: Levels,
  options: ResolvedCompaction,
): SizedRun[] {
  let fullest: SizedRun[] = [];
  for (const runs of bucketsOf(levels, options)) {
    if (runs.length > fullest.length) fullest = runs;
  }
  return fullest;
}

/** The runs that count, the smallest first, and from how many on some of them are merged. */
function countedRuns(
  levels: Levels,
  { minThreshold }: ResolvedCompaction,
): { readonly runs: SizedRun[]; readonly due: number } {
  const runs = sizedRuns(levels).filter(({ size }) =>
    size >= COUNTED_RUN_BYTES
  );
  const bytes = runs.reduce((sum, { size }) => sum + size, 0);
  let letBe = Math.max(RUNS_LET_BE, minThreshold - 1);
  for (let at = MORE_RUNS_BYTES; bytes >= at; at *= MORE_RUNS_GROWTH) letBe++;
  return { runs, due: letBe + 1 };
}

/** How many of `runs`, the smallest first, are worth merging into one; 0 if none are. */
function worthMerging(runs: readonly SizedRun[]): number {
  let count = 0;
  let below = 0;
  runs.forEach(({ size }, i) => {
    if (i > 0 && below >= size * GROWTH_SHARE) count = i + 1;
    below += size;
  });
  return count;
}

/** The runs that may be merged at rest, the smallest first, and their bytes. */
function runsInReach(
  levels: Levels,
  { maxThreshold }: ResolvedCompaction,
): { readonly runs: SizedRun[]; readonly bytes: number } {
  const runs: SizedRun[] = [];
  let bytes = 0;
  for (const run of sizedRuns(levels).slice(0, maxThreshold)) {
    if (bytes + run.size > REST_BYTES_MOST) break;
    runs.push(run);
    bytes += run.size;
  }
  return { runs, bytes };
}

/** Whether tables are one run as they are, with nothing in them that merging would leave out. */
function areOneRun(tables: readonly TableMeta[]): boolean {
  return tables.every((t) => isClean(t) && t.size >= MOVED_TABLE_BYTES) &&
    firstOverlap(tables.toSorted(compareByKey)) === undefined;
}

/** The runs that are to be merged next, if any are due. */
function dueRuns(
  levels: Levels,
  options: ResolvedCompaction,
): (readonly TableMeta[])[] | undefined {
  let picked = fullestBucket(levels, options);
  if (picked.length < options.minThreshold) {
    const { runs, due } = countedRuns(levels, options);
    if (runs.length < due) return undefined;
    picked = runs.slice(0, Math.max(2, worthMerging(runs)));
  }
  return picked.slice(0, options.maxThreshold).map(({ tables }) => tables);
}

/** Makes one run of several; not at the level `taken`, which waits for other tables. */
function intoOne(
  runs: readonly (readonly TableMeta[])[],
  levels: Levels,
  taken: number = 0,
): Pick {
  const merged = runs.flat();
  const isLarge = bytesOf(merged) > LARGE_RUN_BYTES;
  const areOne = areOneRun(merged);
  const level = isLarge || areOne
    ? freeLevel(new Set(merged), levels, taken)
    : 0;
  if (level > 0 && areOne) {
    const tables = merged.filter((table) => !levels[level]?.includes(table));
    return { type: "move", tables, level };
  }
  return {
    type: "merge",
    runs,
    level,
    outputSize: level === 0 ? Infinity : LARGE_RUN_TABLE_BYTES,
    grandparents: [],
  };
}

/** A level >= 1 other than `taken` that is empty without the tables that are merged: the deepest that is in use as a rule, or the first below those; 0 if there is none. */
function freeLevel(
  merged: ReadonlySet<TableMeta>,
  levels: Levels,
  taken: number,
): number {
  const isFree = (level: number) =>
    level !== taken &&
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
    const runs = dueRuns(levels, options);
    return runs && intoOne(runs, levels);
  },

  pickBeside(levels, underWay, options) {
    const numbers = new Set(underWay.runs.flat().map(({ number }) => number));
    const isBusy = ({ number }: TableMeta) => numbers.has(number);
    // mutant beside-other-tables: otherwise a table is picked that is being merged
    const others = levels.map((level) => level.filter((t) => !isBusy(t)));
    const runs = dueRuns(others, options);
    if (runs === undefined) return undefined;
    // Busy tables count where they are, and those that they become where they will be.
    const pick = intoOne(runs, levels, underWay.level);
    const most = BESIDE_SHARE * bytesOf(levels.flat().filter(isBusy));
    return pick.type === "move" || bytesOf(runs.flat()) <= most
      ? pick
      : undefined;
  },

  pickAtRest(levels, options, credit) {
    const { runs, bytes } = runsInReach(levels, options);
    const count = bytes <= credit ? runs.length : worthMerging(runs);
    if (count < 2) return undefined;
    return intoOne(runs.slice(0, count).map(({ tables }) => tables), levels);
  },

  pickTombstone: pickByTombstones,

  pickMajor(levels) {
    const runs = uncleanRuns(levels);
    return runs === undefined ? undefined : intoOne(runs, levels);
  },

  pressure(levels, options) {
    const bucket = fullestBucket(levels, options);
    const { runs, due } = countedRuns(levels, options);
    return Math.max(
      countPressure(bucket.length, options.minThreshold),
      countPressure(runs.length, due),
    );
  },
};
