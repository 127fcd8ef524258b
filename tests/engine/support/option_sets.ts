/**
 * The option sets of the model test: each pushes the engine into a corner.
 * Where compactions run is left to the run; see `tests/open.ts`.
 *
 * @module
 */
import type { Options } from "../../../mod.ts";

/** By name. */
export const OPTION_SETS: Record<string, Options> = {
  "defaults": {},
  "tiny buffers": {
    writeBufferSize: 128,
    maxFrozenMemtables: 1,
    blockSize: 256,
    compaction: { minThreshold: 2 },
  },
  "small buffers, off": {
    writeBufferSize: 2048,
    blockSize: 256,
    compaction: { background: "off", minThreshold: 2 },
  },
  "no filter, no cache": {
    writeBufferSize: 1024,
    blockSize: 512,
    bloomBitsPerKey: 0,
    blockCacheSize: 0,
    compaction: { minThreshold: 2, maxThreshold: 3 },
  },
  "tiny cache, buffered": {
    durability: "buffered",
    writeBufferSize: 512,
    blockSize: 256,
    blockCacheSize: 1024,
    bloomBitsPerKey: 1,
    maxFrozenMemtables: 16,
    compaction: { minThreshold: 4, minTableSize: 4096 },
  },
  "leveled": {
    writeBufferSize: 512,
    blockSize: 256,
    compaction: {
      strategy: "leveled",
      minThreshold: 2,
      tombstoneRatio: 0.1,
    },
  },
  "compressed": {
    writeBufferSize: 1024,
    blockSize: 1024,
    blockCacheSize: 4096,
    compression: "zstd",
    compaction: { minThreshold: 2 },
  },
  "tombstones without shortcuts": {
    writeBufferSize: 1024,
    blockSize: 1024,
    compaction: {
      minThreshold: 2,
      tombstoneRatio: 0.05,
      tombstoneBloomFallback: false,
      tombstoneRangeDrop: false,
    },
  },
};
