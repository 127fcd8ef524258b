/**
 * RocksDB in C++ through `@nxtedition/rocksdb`: its synchronous calls, writes
 * gathered in batches, range deletes by `clear`. Without compression, with the
 * write buffer and cache of Varve's defaults.
 *
 * @module
 */
import { GroupCommit } from "./group_commit.ts";
import { loadPeer, type StoreClass } from "./load.ts";
import {
  boundOf,
  BUFFER_FOR_ALL_BYTES,
  CACHE_BYTES,
  type OpenSettings,
  type ScanRequest,
  type Store,
  type Visit,
  type VisitRow,
  WRITE_BUFFER_BYTES,
} from "./store.ts";

// Names with an underscore are the binding's own synchronous calls.
interface ChainedBatch {
  _put(key: Uint8Array, value: Uint8Array): void;
  _del(key: Uint8Array): void;
  _writeSync(options: { sync: boolean }): void;
  _closeSync(): void;
}

interface Iterator {
  _nextvSync(size: number): { rows: Uint8Array[]; finished: boolean };
  _closeSync(): void;
}

interface RocksLevel {
  open(): Promise<void>;
  _chainedBatch(): ChainedBatch;
  _getManySync(
    keys: Uint8Array[],
    options: Record<string, unknown>,
  ): (Uint8Array | null | undefined)[];
  _iterator(options: Record<string, unknown>): Iterator;
  clear(range: { gte: Uint8Array; lt: Uint8Array }): Promise<void>;
  close(): Promise<void>;
}

interface Package {
  RocksLevel: StoreClass<RocksLevel>;
}

const CHUNK = 1000;
const GET_OPTIONS = { valueEncoding: "buffer", fillCache: true };

class RocksDbStore extends GroupCommit implements Store {
  readonly getsAsync = false;
  readonly scansAsync = false;
  readonly seesOwnWrites = false;
  readonly #db: RocksLevel;
  readonly #options: { sync: boolean };
  #gathered: ChainedBatch | undefined;

  constructor(db: RocksLevel, sync: boolean) {
    super();
    this.#db = db;
    this.#options = { sync };
  }

  get(key: Uint8Array): Uint8Array | undefined {
    return this.#db._getManySync([key], GET_OPTIONS)[0] ?? undefined;
  }

  scan(request: ScanRequest, visit: VisitRow): void {
    const { limit = Infinity, reverse = false } = request;
    const iterator = this.#db._iterator({
      ...boundOf(request),
      limit: limit === Infinity ? -1 : limit,
      reverse,
      keys: true,
      values: true,
      keyEncoding: "buffer",
      valueEncoding: "buffer",
      fillCache: true,
      highWaterMarkBytes: 1024 * 1024,
    });
    const size = Math.min(limit, CHUNK);
    for (;;) {
      const { rows, finished } = iterator._nextvSync(size);
      for (let i = 0; i + 1 < rows.length; i += 2) visit(rows[i], rows[i + 1]);
      if (finished || rows.length >= 2 * limit) break;
    }
    iterator._closeSync();
  }

  #batchToFill(): ChainedBatch {
    return this.#gathered ??= this.#db._chainedBatch();
  }

  put(key: Uint8Array, value: Uint8Array): void {
    this.#batchToFill()._put(key, value);
  }

  delete(key: Uint8Array): void {
    this.#batchToFill()._del(key);
  }

  room(): void {
    this.acknowledged();
  }

  acknowledged(): void {
    const batch = this.#gathered;
    if (batch === undefined) return;
    this.#gathered = undefined;
    batch._writeSync(this.#options);
    batch._closeSync();
  }

  batch(fill: (put: Visit) => void): void {
    fill((key, value) => this.put(key, value));
    this.acknowledged();
  }

  deleteRange(start: Uint8Array, end: Uint8Array): Promise<void> {
    return this.#db.clear({ gte: start, lt: end });
  }

  // It flushes and compacts by itself; the binding has no call for either.
  async settle(): Promise<void> {}

  close(): Promise<void> {
    return this.#db.close();
  }
}

/** Opens the store. */
export async function open(settings: OpenSettings): Promise<Store> {
  const { directory, durability, keepInLog } = settings;
  const { RocksLevel } = loadPeer<Package>("@nxtedition/rocksdb");
  const buffer = keepInLog ? BUFFER_FOR_ALL_BYTES : WRITE_BUFFER_BYTES;
  const db = new RocksLevel(directory, {
    keyEncoding: "buffer",
    valueEncoding: "buffer",
    compaction: "level",
    compression: false,
    walCompression: false,
    cacheSize: CACHE_BYTES,
    memtableMemoryBudget: buffer * 4, // the binding gives a quarter to each
  });
  await db.open();
  return new RocksDbStore(db, durability === "sync");
}
