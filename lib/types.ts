/**
 * The plain types of the public contract.
 *
 * @module
 */

/** Bytes, or a string that stands for its UTF-8 bytes. */
export type Bytes = Uint8Array | string;

/** `"sync"`: acknowledged after the log was synced. `"buffered"`: acknowledged once the operating system has it. */
export type Durability = "sync" | "buffered";

/** How data blocks of tables are compressed: `"none"`, or `"zstd"` (Zstandard, RFC 8878). */
export type Compression = "none" | "zstd";

/**
 * Bounds of keys. A range without any bound holds every key; `prefix`
 * together with bounds means both.
 */
export interface KeyRange<K = Bytes> {
  /** Keys greater than this. Not with `gte`. */
  readonly gt?: K;
  /** Keys greater than or equal to this. Not with `gt`. */
  readonly gte?: K;
  /** Keys less than this. Not with `lte`. */
  readonly lt?: K;
  /** Keys less than or equal to this. Not with `lt`. */
  readonly lte?: K;
  /** Keys whose bytes begin with these. */
  readonly prefix?: Bytes;
}

/** What a scan walks over. */
export interface ScanOptions<K = Bytes> extends KeyRange<K> {
  /** From the last key to the first. Default false. */
  readonly reverse?: boolean;
  /** The most entries to yield: a whole number >= 0, or Infinity (default). */
  readonly limit?: number;
}

/** How one write is acknowledged. Any other name is `INVALID_ARGUMENT`. */
export interface WriteOptions {
  /** Overrides the database's `durability` for this write. */
  readonly durability?: Durability;
}

/** One operation of a batch that is given as plain data. */
export type Operation<K = Bytes, V = Bytes> =
  | {
    /** Sets a value. */
    readonly type: "put";
    /** The key. */
    readonly key: K;
    /** The value. */
    readonly value: V;
  }
  | {
    /** Removes a key. */
    readonly type: "delete";
    /** The key. */
    readonly key: K;
  }
  | {
    /** Removes the keys in [start, end). */
    readonly type: "deleteRange";
    /** The first key removed. */
    readonly start: K;
    /** The first key after the range. */
    readonly end: K;
  };

/** One level of the tree. Bytes are of files; entries count tombstones too. */
export interface LevelStats {
  /** How many tables the level has. */
  readonly tables: number;
  /** Bytes of its files. */
  readonly bytes: number;
  /** Its point entries, tombstones counted. */
  readonly entries: number;
  /** Its point tombstones. */
  readonly tombstones: number;
  /** Its range tombstones, as fragments. */
  readonly rangeTombstones: number;
}

/** Runs, bytes and time of flushes or of compactions since the database was opened. */
export interface JobStats {
  /** How many ran to the end. */
  readonly runs: number;
  /** Bytes of tables (or memtables) read. */
  readonly bytesRead: number;
  /** Bytes of tables written. */
  readonly bytesWritten: number;
  /** Seconds spent working, on whichever thread, pauses left out. */
  readonly seconds: number;
}

/** What a database tells of itself. Counters run since it was opened. */
export interface Stats {
  /** Frozen memtables that wait for their flush. */
  readonly frozenCount: number;
  /** Tables in the tree. */
  readonly tableCount: number;
  /** Bytes of all tables. */
  readonly totalTableBytes: number;
  /** Bytes of each table, newest first. */
  readonly tableSizes: number[];
  /** The levels: level 0, where flushes go, first. Size-tiered compaction uses the others for runs of many tables: of more than 256 MiB, or of keys that came in order. */
  readonly levels: LevelStats[];
  /** The memtables, active and frozen together. */
  readonly memtable: {
    /** Bytes of arena in use. */
    readonly bytes: number;
    /** Point entries, every version and tombstone counted. */
    readonly entries: number;
    /** Point tombstones. */
    readonly tombstones: number;
    /** Range deletes. */
    readonly rangeTombstones: number;
  };
  /** The highest sequence number given to a write. */
  readonly lastSequence: number;
  /** The write-ahead logs. */
  readonly wal: {
    /** Logs that a recovery would replay. */
    readonly files: number;
    /** Their bytes. */
    readonly bytes: number;
    /** Syncs of logs. */
    readonly syncs: number;
    /** Writes acknowledged. */
    readonly commits: number;
    /** Commits for each sync; 0 while there was none. */
    readonly commitsPerSync: number;
    /** Bytes of unsynced tail that the last recovery cut off. */
    readonly lostTailBytes: number;
  };
  /** The block cache. */
  readonly cache: {
    /** Blocks found in it. */
    readonly hits: number;
    /** Blocks read from files for lookups. */
    readonly misses: number;
    /** Bytes held. */
    readonly bytes: number;
    /** Bytes allowed: `blockCacheSize`, or less where the runtime does not have so much for one buffer. */
    readonly capacity: number;
    /** Bytes of filters, indexes and range tombstones held beside it: up to 256 MiB, or `blockCacheSize` if that is more. Reader threads have their own. */
    readonly indexBytes: number;
  };
  /** The filters of tables. */
  readonly bloom: {
    /** Lookups that asked a filter. */
    readonly checks: number;
    /** Lookups that a filter spared a table. */
    readonly skips: number;
    /** Lookups that a filter let through to a table without the key. */
    readonly falsePositives: number;
  };
  /** Data blocks read from files, by lookups, scans and jobs. */
  readonly blockReads: number;
  /** Memtables written to tables. */
  readonly flush: JobStats;
  /** Tables merged. */
  readonly compaction: JobStats;
  /** Bytes written to logs and tables for each byte of keys and values written; 0 before the first write. */
  readonly writeAmplification: number;
  /** Bytes of all tables for each byte that one sorted run of them would take, a rough estimate: runs (tables of level 0, other levels) whose key ranges overlap are taken to hold the same keys, and tombstones and older versions to be all that is dead. 1 when empty. */
  readonly spaceAmplification: number;
  /** Writes whose acknowledgement was delayed because flushes or compactions had to catch up. */
  readonly stalls: {
    /** How many. */
    readonly count: number;
    /** Seconds in which any of them waited. */
    readonly seconds: number;
    /** Writes refused with `BUSY`. */
    readonly refused: number;
  };
  /** Where flushes and compactions run; `"inline"` too when no worker can be started. */
  readonly background: "worker" | "inline" | "off";
  /** Workers started in the place of one that died. */
  readonly workerRestarts: number;
  /** Snapshots not yet closed; of reader threads, their scans of now as well. */
  readonly openSnapshots: number;
  /** Scans not yet closed. */
  readonly openScans: number;
  /** Why the database is read-only, or why the last background job failed; `undefined` if nothing did. */
  readonly lastError: string | undefined;
}

/** A memtable became a table. */
export interface FlushEvent {
  /** Which event. */
  readonly type: "flush";
  /** Point entries of the memtable. */
  readonly entries: number;
  /** Bytes of the memtable. */
  readonly bytesRead: number;
  /** Bytes of the table. */
  readonly bytesWritten: number;
  /** Seconds of work. */
  readonly seconds: number;
}

/** Tables were merged, or dropped because range tombstones hide all of them. */
export interface CompactionEvent {
  /** Which event. */
  readonly type: "compaction";
  /** The level of the tables written. */
  readonly level: number;
  /** Tables replaced. */
  readonly tablesRead: number;
  /** Tables written; 0 if nothing was left, or if they were dropped. */
  readonly tablesWritten: number;
  /** Bytes of the tables replaced; 0 if they were dropped unread. */
  readonly bytesRead: number;
  /** Bytes of the tables written. */
  readonly bytesWritten: number;
  /** Seconds of work. */
  readonly seconds: number;
}

/** Writes began or ceased to be delayed. */
export interface StallEvent {
  /** Which event. */
  readonly type: "stall";
  /** Whether it begins. */
  readonly begins: boolean;
  /** What is waited for. */
  readonly reason: "flush" | "compaction";
  /** At the end, seconds that it lasted; 0 at the beginning. */
  readonly seconds: number;
}

/** The worker died. Nothing is lost: its task is done again. */
export interface WorkerEvent {
  /** Which event. */
  readonly type: "worker";
  /** Whether another is started; otherwise tasks are done inline from now on. */
  readonly isReplaced: boolean;
  /** Why it died, as far as is known. */
  readonly reason: string;
}

/** A flush or compaction in the background failed. It will be tried again. */
export interface ErrorEvent {
  /** Which event. */
  readonly type: "error";
  /** What failed. */
  readonly task: "flush" | "compaction";
  /** Why. */
  readonly error: unknown;
}

/** What `db.events` tells of, in the `detail` of a `CustomEvent` of the same type. */
export type TreeEvent =
  | FlushEvent
  | CompactionEvent
  | StallEvent
  | WorkerEvent
  | ErrorEvent;
