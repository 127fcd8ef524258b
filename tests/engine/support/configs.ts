/**
 * The option sets of the reference engines' tests, under this engine's names,
 * and the limit on how long one test may take.
 *
 * @module
 */
import type { Options } from "../../../mod.ts";

/** Bun gives a test five seconds unless told otherwise; slow machines need more. */
export const LONG: { timeout: number } = { timeout: 120_000 };

/** Nothing is compacted unless a test asks for it, so tables can be counted. */
const QUIET = { strategy: "size-tiered", background: "off" } as const;

/** A write buffer of 4 KiB. */
export const DEFAULT_CONFIG: Options = {
  writeBufferSize: 4096,
  compaction: QUIET,
};

/** The smallest write buffer: every few writes fill it. */
export const SMALL_BUFFER: Options = {
  writeBufferSize: 128,
  compaction: QUIET,
};

/** A write buffer that the tests never fill. */
export const MEMTABLE_ONLY: Options = {
  writeBufferSize: 64 * 1024,
  compaction: QUIET,
};

/** Many small tables, compacted from two of a size on. */
export const COMPACTION_CONFIG: Options = {
  writeBufferSize: 256,
  durability: "buffered",
  compaction: {
    ...QUIET,
    bucketLow: 0.5,
    bucketHigh: 1.5,
    minTableSize: 50,
    minThreshold: 2,
    maxThreshold: 32,
    tombstoneRatio: 0.2,
    tombstoneInterval: 0,
    tombstoneBloomFallback: false,
    tombstoneRangeDrop: false,
  },
};

/** The same for the stress tests. */
export const COMPACTION_STRESS: Options = {
  writeBufferSize: 512,
  durability: "buffered",
  compaction: {
    ...QUIET,
    bucketLow: 0.5,
    bucketHigh: 1.5,
    minTableSize: 256,
    minThreshold: 2,
    maxThreshold: 32,
    tombstoneRatio: 0.15,
    tombstoneInterval: 0,
    tombstoneBloomFallback: true,
    tombstoneRangeDrop: true,
  },
};
