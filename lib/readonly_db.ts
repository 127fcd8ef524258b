/**
 * The handle of a reader thread.
 *
 * @module
 */
import type { ResolvedCodecs } from "./options.ts";
import type { Scan } from "./read/scan.ts";
import { Reader } from "./reader.ts";
import type { SharedTree } from "./share/shared_tree.ts";
import { Snapshot } from "./snapshot.ts";
import type { ScanOptions } from "./types.ts";
import type { Input } from "./write/batch.ts";

/**
 * A database that another thread of the process has opened, to be read from
 * this one.
 *
 * Each call sees every write that was acknowledged before it began, in any
 * thread. Memtables are read where their owner writes them; nothing is copied
 * and no message is sent. Reads are synchronous and throw a {@linkcode
 * VarveError} as those of {@linkcode Db} do; after `close()` here, or of the
 * database by its owner, the code is `CLOSED`.
 *
 * @typeParam K Keys, as reads return them.
 * @typeParam V Values, as reads return them.
 */
export class ReadonlyDb<K = Uint8Array, V = Uint8Array> implements Disposable {
  readonly #tree: SharedTree;
  readonly #reader: Reader<K, V>;

  /**
   * Made by {@linkcode attach}.
   *
   * @internal
   */
  constructor(tree: SharedTree, codecs: ResolvedCodecs<K, V>) {
    this.#tree = tree;
    this.#reader = new Reader(tree, codecs.keys, codecs.values);
  }

  /** The value of a key; `undefined` if there is none. */
  get(key: Input<K>): V | undefined {
    this.#reader.checkOpen();
    return this.#reader.get(key);
  }

  /**
   * Copies the bytes of the value of a key to `target[offset...]`, if it has
   * room, and returns their length; `undefined` if there is none. See {@linkcode
   * Db.getInto}.
   */
  getInto(
    key: Input<K>,
    target: Uint8Array,
    offset: number = 0,
  ): number | undefined {
    this.#reader.checkOpen();
    return this.#reader.getInto(key, target, offset);
  }

  /**
   * The values of keys, in their order, all as of one moment.
   *
   * @throws `BUSY` if reader threads have 4096 snapshots and scans open.
   */
  getMany(keys: Iterable<Input<K>>): (V | undefined)[] {
    this.#reader.checkOpen();
    const all = this.#reader.listOf(keys);
    const pin = this.#tree.pin();
    try {
      return this.#reader.getMany(all, pin);
    } finally {
      this.#tree.unpin(pin);
    }
  }

  /** Whether a key has a value. */
  has(key: Input<K>): boolean {
    this.#reader.checkOpen();
    return this.#reader.has(key);
  }

  /**
   * A lazy walk over the entries as they are now; see {@linkcode Scan}.
   *
   * @throws `BUSY` if reader threads have 4096 snapshots and scans open.
   */
  scan(options?: ScanOptions<Input<K>>): Scan<K, V> {
    this.#reader.checkOpen();
    return this.#reader.scan(options as ScanOptions<never>);
  }

  /**
   * The database as it is now; see {@linkcode Snapshot}. It expires, as scans
   * do, when this thread gives no sign of life for the time that `db.share()`
   * was told, and throws `CLOSED` then.
   *
   * @throws `BUSY` if reader threads have 4096 snapshots and scans open.
   */
  snapshot(): Snapshot<K, V> {
    this.#reader.checkOpen();
    return new Snapshot(this.#reader);
  }

  /** Lets go of everything here; the database stays open. Twice is harmless. */
  close(): void {
    this.#tree.close();
  }

  /** Lets go of everything here: `using reader = await attach(handle)`. */
  [Symbol.dispose](): void {
    this.close();
  }
}
