/**
 * Varve, with its defaults.
 *
 * @module
 */
import { type Db, open as openDb, type Options } from "../../mod.ts";
import {
  BUFFER_FOR_ALL_BYTES,
  type OpenSettings,
  type ScanRequest,
  type Store,
  type Visit,
} from "./store.ts";

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

  scan({ from, limit, reverse = false }: ScanRequest, visit: Visit): void {
    const bound = from === undefined
      ? {}
      : reverse
      ? { lte: from }
      : { gte: from };
    for (const [key, value] of this.db.scan({ ...bound, limit, reverse })) {
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
export function open(settings: OpenSettings): Promise<Store> {
  const { directory, durability, keepInLog } = settings;
  const more = keepInLog ? { writeBufferSize: BUFFER_FOR_ALL_BYTES } : {};
  return openVarve(directory, { durability, ...more });
}
