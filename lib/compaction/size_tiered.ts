/**
 * Size-tiered compaction: tables of like size are merged into a larger one, so
 * that each byte is rewritten about once each time that the tree has grown
 * `minThreshold`-fold.
 *
 * Source: the bucketing of Apache Cassandra's SizeTieredCompactionStrategy.
 * Ages do not matter here: lookups go by sequence, not by the order of tables.
 *
 * Pure.
 *
 * @module
 */
import type { ResolvedCompaction } from "../options.ts";
import { type TableMeta, tombstoneRatio } from "../sstable/meta.ts";
import type { Strategy } from "./strategy.ts";

/** Groups tables of like size: the small ones together, the others by the average of their bucket. */
export function bucketsOf(
  tables: readonly TableMeta[],
  options: ResolvedCompaction,
): TableMeta[][] {
  const small: TableMeta[] = [];
  const buckets = [small];
  let current: TableMeta[] = [];
  let bytes = 0;
  const sorted = [...tables].sort((a, b) =>
    a.size - b.size || a.number - b.number
  );
  for (const table of sorted) {
    if (table.size < options.minTableSize) {
      small.push(table);
      continue;
    }
    const average = bytes / current.length;
    const joins = current.length > 0 &&
      table.size >= average * options.bucketLow &&
      table.size <= average * options.bucketHigh;
    if (!joins) {
      current = [];
      bytes = 0;
      buckets.push(current);
    }
    current.push(table);
    bytes += table.size;
  }
  return buckets;
}

/** The size-tiered strategy. */
export const sizeTiered: Strategy = {
  pickMinor(tables, options) {
    let fullest: TableMeta[] = [];
    for (const bucket of bucketsOf(tables, options)) {
      if (bucket.length > fullest.length) fullest = bucket;
    }
    return fullest.length >= options.minThreshold
      ? fullest.slice(0, options.maxThreshold)
      : undefined;
  },

  pickTombstone(tables, options, now) {
    const oldest = now - options.tombstoneInterval * 1000;
    return tables.filter((table) =>
      table.tombstones + table.rangeTombstones > 0 &&
      tombstoneRatio(table) >= options.tombstoneRatio &&
      table.created <= oldest
    ).sort((a, b) =>
      tombstoneRatio(b) - tombstoneRatio(a) || a.number - b.number
    );
  },

  pickMajor(tables) {
    if (tables.length === 0) return undefined;
    const [first] = tables;
    const isClean = tables.length === 1 && first.tombstones === 0 &&
      first.rangeTombstones === 0 && first.olderVersions === 0;
    return isClean ? undefined : [...tables];
  },
};
