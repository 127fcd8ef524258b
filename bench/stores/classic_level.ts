/**
 * classic-level, which is LevelDB in C++: `getSync`, iterators by `nextv`,
 * writes gathered in batches. Without compression, with the write buffer and
 * cache of Varve's defaults.
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

/** Copies what it is given, in native memory. */
interface ChainedBatch {
  put(key: Uint8Array, value: Uint8Array): ChainedBatch;
  del(key: Uint8Array): ChainedBatch;
  write(options: { sync: boolean }): Promise<void>;
}

interface Iterator {
  nextv(size: number): Promise<[Uint8Array, Uint8Array][]>;
  close(): Promise<void>;
}

interface ClassicLevel {
  open(): Promise<void>;
  getSync(key: Uint8Array): Uint8Array | undefined;
  batch(): ChainedBatch;
  clear(range: { gte: Uint8Array; lt: Uint8Array }): Promise<void>;
  iterator(options: Record<string, unknown>): Iterator;
  compactRange(start: Uint8Array, end: Uint8Array): Promise<void>;
  close(): Promise<void>;
}

interface Package {
  ClassicLevel: StoreClass<ClassicLevel>;
}

/** Entries that one call brings over. */
const CHUNK = 1000;
const CHUNK_BYTES = 1024 * 1024;

class ClassicLevelStore extends GroupCommit implements Store {
  readonly getsAsync = false;
  readonly scansAsync = true;
  readonly seesOwnWrites = false;
  readonly #db: ClassicLevel;
  readonly #options: { sync: boolean };
  #gathered: ChainedBatch | undefined;
  #windowBefore: Promise<void> = Promise.resolve();

  constructor(db: ClassicLevel, sync: boolean) {
    super();
    this.#db = db;
    this.#options = { sync };
  }

  get(key: Uint8Array): Uint8Array | undefined {
    return this.#db.getSync(key);
  }

  async scan(request: ScanRequest, visit: VisitRow): Promise<void> {
    const { limit = Infinity, reverse = false } = request;
    const iterator = this.#db.iterator({
      ...boundOf(request),
      limit,
      reverse,
      highWaterMarkBytes: CHUNK_BYTES,
    });
    const size = Math.min(limit, CHUNK);
    for (let left = limit; left > 0;) {
      const entries = await iterator.nextv(size);
      if (entries.length === 0) break;
      for (const [key, value] of entries) visit(key, value);
      left -= entries.length;
    }
    await iterator.close();
  }

  put(key: Uint8Array, value: Uint8Array): void {
    this.#gathered ??= this.#db.batch();
    this.#gathered.put(key, value);
  }

  delete(key: Uint8Array): void {
    this.#gathered ??= this.#db.batch();
    this.#gathered.del(key);
  }

  /** Hands the window over behind the one before it: of two that are under way at once, either may come first. */
  async room(): Promise<void> {
    await this.#windowBefore;
    this.#windowBefore = this.#write();
  }

  async acknowledged(): Promise<void> {
    await this.#windowBefore;
    await this.#write();
  }

  async #write(): Promise<void> {
    const batch = this.#gathered;
    this.#gathered = undefined;
    await batch?.write(this.#options);
  }

  batch(fill: (put: Visit) => void): Promise<void> {
    fill((key, value) => this.put(key, value));
    return this.acknowledged();
  }

  deleteRange(start: Uint8Array, end: Uint8Array): Promise<void> {
    return this.#db.clear({ gte: start, lt: end });
  }

  // Its compactions run by themselves; a range of nothing flushes the memtable.
  async settle(): Promise<void> {
    await this.#db.compactRange(new Uint8Array([0]), new Uint8Array([0]));
  }

  close(): Promise<void> {
    return this.#db.close();
  }
}

/** Opens the store. */
export async function open(settings: OpenSettings): Promise<Store> {
  const { directory, durability, keepInLog } = settings;
  const { ClassicLevel } = loadPeer<Package>("classic-level");
  const db = new ClassicLevel(directory, {
    keyEncoding: "view",
    valueEncoding: "view",
    compression: false,
    cacheSize: CACHE_BYTES,
    writeBufferSize: keepInLog ? BUFFER_FOR_ALL_BYTES : WRITE_BUFFER_BYTES,
  });
  await db.open();
  return new ClassicLevelStore(db, durability === "sync");
}
