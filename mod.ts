/**
 * Varve: an embedded, persistent, ordered key-value store for Deno, Bun and
 * Node. A log-structured merge tree with snapshots, range deletes that are one
 * record, atomic batches and durability by choice; no native code, no dependency.
 *
 * @example
 * ```ts
 * import { open } from "@varve/db";
 *
 * await using db = await open("./data");
 * await db.put("city/1", "Aarhus");
 * await db.put("city/2", "Bergen");
 * for (const [key, value] of db.scan({ prefix: "city/" })) {
 *   console.log(key, value);
 * }
 * ```
 *
 * @module
 */
export { attach } from "./lib/attach.ts";
export { open } from "./lib/open.ts";
export { Db } from "./lib/db.ts";
export { ReadonlyDb } from "./lib/readonly_db.ts";
export type { ShareHandle, ShareOptions } from "./lib/share/handle.ts";
export { Snapshot } from "./lib/snapshot.ts";
export { Chunk } from "./lib/read/chunk.ts";
export { Scan, ScanIterator } from "./lib/read/scan.ts";
export { Batch, type Input } from "./lib/write/batch.ts";
export { bytes, type Codec, json, utf8 } from "./lib/codecs.ts";
export { type ErrorCode, VarveError } from "./lib/errors.ts";
export type { Codecs, CompactionOptions, Options } from "./lib/options.ts";
export type {
  Bytes,
  CompactionEvent,
  Compression,
  Durability,
  ErrorEvent,
  FlushEvent,
  JobStats,
  KeyRange,
  LevelStats,
  Operation,
  ScanOptions,
  StallEvent,
  Stats,
  TreeEvent,
  WorkerEvent,
  WriteOptions,
} from "./lib/types.ts";
