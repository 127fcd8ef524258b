/**
 * lmdb: its own queue of asynchronous writes, batched by the turn of the event
 * loop, and synchronous reads. Where nothing is to be synced, `noSync`; after a
 * power cut the file may then be damaged. Not `useWritemap`: fills would be
 * faster, but lmdb 3.5.6 aborts in deleterandom with it (an assertion of
 * `mdb_freelist_save`), and its authors advise against it.
 *
 * A put is accepted, and read only once the commit is through. Two windows of
 * writes are under way at a time, so that the thread that commits has always
 * something to do.
 *
 * @module
 */
import { loadPeer } from "./load.ts";
import type {
  OpenSettings,
  ScanRequest,
  Store,
  Visit,
  VisitRow,
} from "./store.ts";

interface Range {
  readonly start?: Uint8Array;
  readonly end?: Uint8Array;
  readonly limit?: number;
  readonly reverse?: boolean;
}

interface Entry {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

interface Lmdb {
  put(key: Uint8Array, value: Uint8Array): Promise<boolean>;
  remove(key: Uint8Array): Promise<boolean>;
  removeSync(key: Uint8Array): boolean;
  getBinary(key: Uint8Array): Uint8Array | undefined;
  getBinaryFast(key: Uint8Array): Uint8Array | undefined;
  getRange(range: Range): Iterable<Entry>;
  getKeys(range: Range): Iterable<Uint8Array>;
  batch(work: () => void): Promise<boolean>;
  transactionSync(work: () => void): void;
  readonly committed: Promise<boolean>;
  readonly flushed: Promise<boolean>;
  close(): Promise<void>;
}

interface Package {
  open(options: Record<string, unknown>): Lmdb;
}

class LmdbStore implements Store {
  readonly getsAsync = false;
  readonly scansAsync = false;
  readonly seesOwnWrites = false;
  readonly #db: Lmdb;
  #last: Promise<unknown> = Promise.resolve();
  #windowBefore: Promise<unknown> = Promise.resolve();

  constructor(db: Lmdb) {
    this.#db = db;
  }

  protected get db(): Lmdb {
    return this.#db;
  }

  get(key: Uint8Array): Uint8Array | undefined {
    return this.#db.getBinary(key);
  }

  scan({ from, limit, reverse = false }: ScanRequest, visit: VisitRow): void {
    const start = from === undefined ? {} : { start: from };
    const range = {
      ...start,
      ...(limit === undefined ? {} : { limit }),
      reverse,
    };
    for (const { key, value } of this.#db.getRange(range)) visit(key, value);
  }

  put(key: Uint8Array, value: Uint8Array): void {
    this.#last = this.#db.put(key, value);
  }

  delete(key: Uint8Array): void {
    this.#last = this.#db.remove(key);
  }

  async room(): Promise<void> {
    const before = this.#windowBefore;
    this.#windowBefore = this.#last;
    await before;
  }

  async acknowledged(): Promise<void> {
    await this.#last;
  }

  async putAcknowledged(key: Uint8Array, value: Uint8Array): Promise<void> {
    await this.#db.put(key, value);
  }

  async batch(fill: (put: Visit) => void): Promise<void> {
    await this.#db.batch(() => {
      fill((key, value) => {
        this.#db.put(key, value);
      });
    });
  }

  deleteRange(start: Uint8Array, end: Uint8Array): void {
    this.#db.transactionSync(() => {
      for (const key of this.#db.getKeys({ start, end })) {
        this.#db.removeSync(key);
      }
    });
  }

  async settle(): Promise<void> {
    await this.#db.flushed;
  }

  async close(): Promise<void> {
    await this.#db.flushed;
    await this.#db.close();
  }
}

/** Its reads give views of one buffer, which the next read overwrites. */
class LmdbViewStore extends LmdbStore {
  override get(key: Uint8Array): Uint8Array | undefined {
    return this.db.getBinaryFast(key);
  }
}

const UNSYNCED = {
  noSync: true,
  noMemInit: true,
  mapSize: 4 * 1024 ** 3, // So that the map does not grow while it is used.
};

function openDb({ directory, durability }: OpenSettings): Lmdb {
  return loadPeer<Package>("lmdb").open({
    path: directory,
    noSubdir: false,
    keyEncoding: "binary",
    encoding: "binary",
    ...(durability === "sync" ? {} : UNSYNCED),
  });
}

/** Opens the store; what it reads is the caller's to keep. */
export function open(settings: OpenSettings): Promise<Store> {
  return Promise.resolve(new LmdbStore(openDb(settings)));
}

/** Opens the store with its unsafe reads. */
export function openView(settings: OpenSettings): Promise<Store> {
  return Promise.resolve(new LmdbViewStore(openDb(settings)));
}
