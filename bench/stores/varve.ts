/**
 * Varve, with its defaults: as most programs use it, and with reads into memory
 * of the program's.
 *
 * @module
 */
import { Chunk, type Db, open as openDb, type Options } from "../../mod.ts";
import {
  boundOf,
  BUFFER_FOR_ALL_BYTES,
  type Into,
  type OpenSettings,
  type ScanRequest,
  type Store,
  type Visit,
  type VisitRow,
} from "./store.ts";

/** No value that is looked up in its own memory is longer. */
const VALUES_MAX = 64 * 1024;

/** Varve as a store of the workloads. */
export class VarveStore implements Store {
  readonly getsAsync = false;
  readonly scansAsync = false;
  readonly seesOwnWrites = true;
  readonly db: Db;
  #last: Promise<void> = Promise.resolve();

  constructor(db: Db) {
    this.db = db;
  }

  get(key: Uint8Array): Uint8Array | undefined {
    return this.db.get(key);
  }

  scan(request: ScanRequest, visit: VisitRow): void {
    const { limit, reverse = false } = request;
    const scan = this.db.scan({ ...boundOf(request), limit, reverse });
    for (const [key, value] of scan) {
      visit(key, value);
    }
  }

  put(key: Uint8Array, value: Uint8Array): void {
    this.#last = this.db.put(key, value);
  }

  delete(key: Uint8Array): void {
    this.#last = this.db.delete(key);
  }

  room(): Promise<void> {
    return this.#last;
  }

  acknowledged(): Promise<void> {
    return this.#last;
  }

  putAcknowledged(key: Uint8Array, value: Uint8Array): Promise<void> {
    return this.db.put(key, value);
  }

  batch(fill: (put: Visit) => void): Promise<void> {
    const batch = this.db.batch();
    fill((key, value) => {
      batch.put(key, value);
    });
    return this.db.write(batch);
  }

  deleteRange(start: Uint8Array, end: Uint8Array): Promise<void> {
    return this.db.deleteRange(start, end);
  }

  async settle(): Promise<void> {
    await this.db.flush();
    while (await this.db.minorCompact());
  }

  close(): Promise<void> {
    return this.db.close();
  }
}

/** Its lookups leave values in one memory, its scans fill one chunk. */
class VarveIntoStore extends VarveStore implements Store {
  readonly into: Into;
  readonly #chunk = new Chunk();

  constructor(db: Db) {
    super(db);
    const target = new Uint8Array(VALUES_MAX);
    this.into = { target, get: (key) => db.getInto(key, target) };
  }

  override scan(request: ScanRequest, visit: VisitRow): void {
    const { limit, reverse = false } = request;
    const scan = this.db.scan({ ...boundOf(request), limit, reverse });
    for (const chunk of scan.chunks(this.#chunk)) {
      const { bytes, places, length } = chunk;
      for (let at = 0; at < 4 * length; at += 4) {
        const valueStart = places[at + 2];
        const valueEnd = places[at + 3];
        visit(bytes, bytes, places[at], places[at + 1], valueStart, valueEnd);
      }
    }
  }
}

/** Opens the store with any of its options; writes are buffered unless they say otherwise. */
export async function openVarve(
  directory: string,
  options: Options = {},
): Promise<VarveStore> {
  return new VarveStore(
    await openDb(directory, { durability: "buffered", ...options }),
  );
}

/** Opens the store. */
export function open(settings: OpenSettings): Promise<VarveStore> {
  const { directory, durability, keepInLog } = settings;
  const more = keepInLog ? { writeBufferSize: BUFFER_FOR_ALL_BYTES } : {};
  return openVarve(directory, { durability, ...more });
}

/** Opens the store; it reads into memory of the program's. */
export async function openInto(settings: OpenSettings): Promise<Store> {
  return new VarveIntoStore((await open(settings)).db);
}
