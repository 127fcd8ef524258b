/**
 * The shape of the tree under the index, for a person to read.
 *
 * @module
 */
import type { Stats } from "../../mod.ts";
import { count, duration, percent, say, size, table } from "./screen.ts";

/** Prints the levels of the tree. */
export function printLevels(stats: Stats): void {
  const rows = stats.levels.map((level, number) => [
    `level ${number}`,
    count(level.tables),
    size(level.bytes),
    count(level.entries),
    count(level.tombstones),
    count(level.rangeTombstones),
  ]).filter((row) => row[1] !== "0");
  rows.push([
    "in memory",
    "",
    size(stats.memtable.bytes),
    count(stats.memtable.entries),
    count(stats.memtable.tombstones),
    count(stats.memtable.rangeTombstones),
  ]);
  table(
    ["", "tables", "bytes", "entries", "tombstones", "range tombstones"],
    rows,
  );
}

/** Prints what the store did since it was opened. */
export function printWork(stats: Stats): void {
  const { cache, bloom, wal, flush, compaction, stalls } = stats;
  say();
  table(["since it was reopened", ""], [
    ["writes acknowledged", count(wal.commits)],
    ["syncs of the log", count(wal.syncs)],
    ["writes for each sync", wal.commitsPerSync.toFixed(1)],
    ["flushes", `${count(flush.runs)} in ${duration(flush.seconds)}`],
    [
      "compactions",
      `${count(compaction.runs)} in ${duration(compaction.seconds)}`,
    ],
    ["write amplification", stats.writeAmplification.toFixed(2)],
    ["space amplification", stats.spaceAmplification.toFixed(2)],
    [
      "block cache",
      `${size(cache.bytes)} of ${size(cache.capacity)}`,
    ],
    ["cache hit rate", percent(cache.hits, cache.hits + cache.misses)],
    [
      "tables spared by filters",
      `${count(bloom.skips)} of ${count(bloom.checks)}`,
    ],
    [
      "stalls",
      stalls.count === 0
        ? "none"
        : `${count(stalls.count)}, ${duration(stalls.seconds)}`,
    ],
  ]);
}
