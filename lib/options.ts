/**
 * Options: names, defaults, bounds, and the check of all three.
 *
 * @module
 */
import { bytes, type Codec } from "./codecs.ts";
import { VarveError } from "./errors.ts";
import type { Compression, Durability } from "./types.ts";

/** How the tree is kept in shape. All of it may be different at each open. */
export interface CompactionOptions {
  /**
   * Default `"size-tiered"`: each entry is written about once each time that
   * the tree has grown `minThreshold`-fold, and a lookup may ask several
   * tables. `"leveled"`: a lookup asks one table of each level, old versions
   * take about a tenth of the data, and each entry is written more often. See
   * docs/PERFORMANCE.md.
   */
  readonly strategy?: "size-tiered" | "leveled";
  /**
   * Where flushes and compactions run. Default `"worker"`: on a thread of
   * their own; where none can be started, inline, and `stats()` says so. When
   * hardly anything is written for half a second, or a few, that thread also
   * merges runs of up to 2 GiB together that are too few for `minThreshold`, so
   * that reads have fewer to look into.
   * `"inline"`: on the program's thread, in slices between its own work.
   * `"off"`: as `"inline"`; full memtables are still flushed, but only the
   * explicit calls compact.
   */
  readonly background?: "worker" | "inline" | "off";
  /**
   * How many sorted runs of like size make a minor compaction. Of runs of at
   * least 64 MiB, whatever their sizes, one less than that is let be, and three
   * if that is less; one more from 2 GiB on, and one more for each fourfold of
   * those. Leveled: how many tables of level 0, and of how many tables' size
   * the smallest level is. A whole number; default 4; 2 .. 64.
   */
  readonly minThreshold?: number;
  /** The most sorted runs that one minor compaction merges; leveled: the most tables of level 0. A whole number; default 32, or `minThreshold` if that is more; minThreshold .. 256. */
  readonly maxThreshold?: number;
  /** Runs are of like size down to this share of their average. Size-tiered only. Default 0.5; above 0, below 1. */
  readonly bucketLow?: number;
  /** Runs are of like size up to this multiple of their average. Size-tiered only. Default 1.5; above 1. */
  readonly bucketHigh?: number;
  /** Runs below this many bytes count as of like size. Size-tiered only. A whole number; default 50; 0 .. 1 GiB. */
  readonly minTableSize?: number;
  /** The share of tombstones among its entries from which a table is rewritten alone, if any of them can go. Default 0.3; above 0, at most 1. */
  readonly tombstoneRatio?: number;
  /** Seconds from its writing on for which a table is not rewritten for its tombstones. A whole number; default 0; 0 .. 604800, a week. */
  readonly tombstoneInterval?: number;
  /** Whether such a rewrite looks into tables whose filter does not rule a key out; otherwise the tombstone stays. Default true. */
  readonly tombstoneBloomFallback?: boolean;
  /** Whether such a rewrite drops range tombstones under which nothing older is left. Default true. */
  readonly tombstoneRangeDrop?: boolean;
}

/** How keys and values are made of bytes, and bytes of them. */
export interface Codecs<K = Uint8Array, V = Uint8Array> {
  /** The codec of keys. Default: bytes. It must be `ordered`. */
  readonly keys?: Codec<K>;
  /** The codec of values. Default: bytes. */
  readonly values?: Codec<V>;
}

/**
 * How a database is opened. Everything has a default. What is unknown, of a
 * wrong type or out of bounds is `INVALID_CONFIG`; bounds are inclusive unless
 * they say otherwise.
 */
export interface Options<K = Uint8Array, V = Uint8Array> extends Codecs<K, V> {
  /** When a write is acknowledged: after a sync of the log (`"sync"`, default), or once the operating system has it (`"buffered"`). One write may ask for the other. */
  readonly durability?: Durability;
  /** Whether a missing database is made; otherwise `open` is `NOT_FOUND`. Default true. */
  readonly createIfMissing?: boolean;
  /** Whether a database that exists is refused, with `EXISTS`. Default false. */
  readonly errorIfExists?: boolean;
  /** Bytes of memory of one memtable; one that is read takes up to 4 % more, for what makes lookups short. A larger write gets a memtable of its own. Tables of leveled compaction aim at this size too, but at 16 KiB at least and 64 MiB at most. A whole number; default 32 MiB; 128 .. 1 GiB. */
  readonly writeBufferSize?: number;
  /** Frozen memtables past which acknowledgements wait; a writer that does not await is refused with `BUSY` past twice as many. A whole number; default 2; 1 .. 16. */
  readonly maxFrozenMemtables?: number;
  /** Bytes that a data block aims at: what a lookup that misses the cache reads. A whole number; default 4096; 256 .. 1 MiB. */
  readonly blockSize?: number;
  /** Bytes of the cache of data blocks, everything counted. Where the runtime has no buffer so large, it is smaller: see `stats().cache.capacity`. A whole number; default 64 MiB; 0 (off) .. 64 GiB. */
  readonly blockCacheSize?: number;
  /** Bits of filter for each key of tables written from now on. A whole number; default 10 (about 1 % false positives); 0 (off) .. 32. */
  readonly bloomBitsPerKey?: number;
  /**
   * How data blocks of tables are compressed that are written from now on.
   * Tables that are there are read whatever this says, and written anew when
   * they are merged. Default `"none"`. `"zstd"`: JSON and text take a third to
   * a quarter of the room; a lookup that misses the cache takes 8 to 20 us
   * longer, a merge two to four times as long on its thread. With larger blocks
   * (`blockSize`) both are less. A block that would hardly become smaller is
   * left as it is. The log is not compressed.
   */
  readonly compression?: Compression;
  /** How the tree is kept in shape. */
  readonly compaction?: CompactionOptions;
  /** Where the worker's module is, for programs in which it is not found by itself: an absolute URL of `lib/worker.ts`, or of what a bundler made of it. */
  readonly workerUrl?: string | URL;
}

/** Compaction options with every default filled in. */
export type ResolvedCompaction = Required<CompactionOptions>;

/** Options with every default filled in; codecs are kept apart. */
export interface ResolvedOptions {
  /** See {@linkcode Options}. */
  readonly durability: Durability;
  /** See {@linkcode Options}. */
  readonly createIfMissing: boolean;
  /** See {@linkcode Options}. */
  readonly errorIfExists: boolean;
  /** See {@linkcode Options}. */
  readonly writeBufferSize: number;
  /** See {@linkcode Options}. */
  readonly maxFrozenMemtables: number;
  /** See {@linkcode Options}. */
  readonly blockSize: number;
  /** See {@linkcode Options}. */
  readonly blockCacheSize: number;
  /** See {@linkcode Options}. */
  readonly bloomBitsPerKey: number;
  /** See {@linkcode Options}. */
  readonly compression: Compression;
  /** See {@linkcode CompactionOptions}. */
  readonly compaction: ResolvedCompaction;
  /** See {@linkcode Options}. */
  readonly workerUrl: string | undefined;
}

/** The longest key, in bytes. */
export const MAX_KEY_LENGTH = 64 * 1024;
/** The longest value, in bytes. */
export const MAX_VALUE_LENGTH = 256 * 1024 * 1024;

const KIB = 1024;
const MIB = 1024 * KIB;
const GIB = 1024 * MIB;

function refuse(name: string, value: unknown, accepted: string): never {
  const shown = typeof value === "string"
    ? JSON.stringify(value)
    : typeof value === "object" && value !== null
    ? Array.isArray(value) ? "an array" : "an object"
    : String(value);
  throw new VarveError(
    "INVALID_CONFIG",
    `option ${name} is ${shown}; accepted: ${accepted}`,
  );
}

/** Reads the options of one object and refuses names that it does not know. */
class Reader {
  private readonly source: Record<string, unknown>;
  private readonly path: string;
  private readonly unread: Set<string>;

  constructor(source: unknown, path: string) {
    if (source !== undefined && (typeof source !== "object" || !source)) {
      refuse(path || "options", source, "an object");
    }
    this.source = (source ?? {}) as Record<string, unknown>;
    this.path = path;
    this.unread = new Set(Object.keys(this.source));
  }

  take(name: string): unknown {
    this.unread.delete(name);
    return this.source[name];
  }

  boolean(name: string, fallback: boolean): boolean {
    const value = this.take(name);
    if (value === undefined) return fallback;
    if (typeof value !== "boolean") {
      refuse(this.path + name, value, "true or false");
    }
    return value;
  }

  choice<T extends string>(name: string, choices: readonly T[]): T {
    const value = this.take(name);
    if (value === undefined) return choices[0];
    const found = choices.find((choice) => choice === value);
    if (found === undefined) {
      refuse(this.path + name, value, choices.map((c) => `"${c}"`).join(", "));
    }
    return found;
  }

  whole(name: string, fallback: number, low: number, high: number): number {
    const value = this.take(name);
    if (value === undefined) return fallback;
    if (
      typeof value !== "number" || !Number.isInteger(value) || value < low ||
      value > high
    ) {
      refuse(this.path + name, value, `a whole number, ${low} .. ${high}`);
    }
    return value;
  }

  /** A number with low < value < high, or <= high where `closed`. */
  between(
    name: string,
    fallback: number,
    low: number,
    high: number,
    closed: boolean,
  ): number {
    const value = this.take(name);
    if (value === undefined) return fallback;
    const fits = typeof value === "number" && value > low &&
      (closed ? value <= high : value < high);
    if (!fits) {
      refuse(
        this.path + name,
        value,
        `a number above ${low} and ${closed ? "at most" : "below"} ${high}`,
      );
    }
    return value as number;
  }

  url(name: string): string | undefined {
    const value = this.take(name);
    if (value === undefined) return undefined;
    const isUrl = value instanceof URL ||
      typeof value === "string" && URL.canParse(value);
    if (!isUrl) refuse(this.path + name, value, "an absolute URL");
    return String(value);
  }

  end(): void {
    for (const name of this.unread) {
      refuse(this.path + name, this.source[name], "no such option");
    }
  }
}

function resolveCompaction(source: unknown): ResolvedCompaction {
  const reader = new Reader(source, "compaction.");
  const minThreshold = reader.whole("minThreshold", 4, 2, 64);
  const resolved: ResolvedCompaction = {
    strategy: reader.choice("strategy", ["size-tiered", "leveled"]),
    background: reader.choice("background", ["worker", "inline", "off"]),
    minThreshold,
    maxThreshold: reader.whole(
      "maxThreshold",
      Math.max(32, minThreshold),
      minThreshold,
      256,
    ),
    bucketLow: reader.between("bucketLow", 0.5, 0, 1, false),
    bucketHigh: reader.between("bucketHigh", 1.5, 1, Infinity, false),
    minTableSize: reader.whole("minTableSize", 50, 0, GIB),
    tombstoneRatio: reader.between("tombstoneRatio", 0.3, 0, 1, true),
    tombstoneInterval: reader.whole("tombstoneInterval", 0, 0, 604800),
    tombstoneBloomFallback: reader.boolean("tombstoneBloomFallback", true),
    tombstoneRangeDrop: reader.boolean("tombstoneRangeDrop", true),
  };
  reader.end();
  return resolved;
}

function checkCodec(name: string, codec: unknown): void {
  const fits = typeof codec === "object" && codec !== null &&
    typeof (codec as Codec<unknown>).encode === "function" &&
    typeof (codec as Codec<unknown>).decode === "function";
  if (!fits) refuse(name, codec, "an object with encode() and decode()");
}

/** Options checked and filled in. */
export interface Configuration<K, V> extends ResolvedCodecs<K, V> {
  /** The engine's options. */
  readonly options: ResolvedOptions;
}

/** The codecs, checked. */
export interface ResolvedCodecs<K, V> {
  /** The codec of keys; `undefined` for bytes. */
  readonly keys: Codec<K> | undefined;
  /** The codec of values; `undefined` for bytes. */
  readonly values: Codec<V> | undefined;
}

function takeCodecs<K, V>(reader: Reader): ResolvedCodecs<K, V> {
  const keys = reader.take("keys") as Codec<K> | undefined;
  const values = reader.take("values") as Codec<V> | undefined;
  if (keys !== undefined) {
    checkCodec("keys", keys);
    if (keys.ordered !== true) {
      refuse(
        "keys",
        keys,
        "a codec that keeps order and says `ordered: true`",
      );
    }
  }
  if (values !== undefined) checkCodec("values", values);
  const isBytes = (codec: unknown) => codec === bytes;
  return {
    keys: isBytes(keys) ? undefined : keys,
    values: isBytes(values) ? undefined : values,
  };
}

/** Checks codecs alone; see {@linkcode resolveOptions}. */
export function resolveCodecs<K, V>(
  source: Codecs<K, V> | undefined,
): ResolvedCodecs<K, V> {
  const reader = new Reader(source, "");
  const codecs = takeCodecs<K, V>(reader);
  reader.end();
  return codecs;
}

/**
 * Checks options and fills in defaults.
 *
 * @throws `INVALID_CONFIG`, naming the option, the value and what is accepted.
 */
export function resolveOptions<K, V>(
  source: Options<K, V> | undefined,
): Configuration<K, V> {
  const reader = new Reader(source, "");
  const codecs = takeCodecs<K, V>(reader);
  const options: ResolvedOptions = {
    durability: reader.choice("durability", ["sync", "buffered"]),
    createIfMissing: reader.boolean("createIfMissing", true),
    errorIfExists: reader.boolean("errorIfExists", false),
    writeBufferSize: reader.whole("writeBufferSize", 32 * MIB, 128, GIB),
    maxFrozenMemtables: reader.whole("maxFrozenMemtables", 2, 1, 16),
    blockSize: reader.whole("blockSize", 4 * KIB, 256, MIB),
    blockCacheSize: reader.whole("blockCacheSize", 64 * MIB, 0, 64 * GIB),
    bloomBitsPerKey: reader.whole("bloomBitsPerKey", 10, 0, 32),
    compression: reader.choice("compression", ["none", "zstd"]),
    compaction: resolveCompaction(reader.take("compaction")),
    workerUrl: reader.url("workerUrl"),
  };
  reader.end();
  return { options, ...codecs };
}
