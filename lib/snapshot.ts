/**
 * Snapshots: reads of one moment.
 *
 * @module
 */
import { VarveError } from "./errors.ts";
import type { Scan } from "./read/scan.ts";
import type { Pin } from "./read/source.ts";
import type { Reader } from "./reader.ts";
import type { ScanOptions } from "./types.ts";
import type { Input } from "./write/batch.ts";

/**
 * The database as it was when the snapshot was taken.
 *
 * Costs nothing to take; while it is open, compactions keep the versions that
 * it sees. Close it when done: `using snapshot = db.snapshot()`.
 *
 * @example
 * ```ts
 * import { open } from "@varve/db";
 *
 * await using db = await open("./stock");
 * await db.put("apples", "3");
 * using before = db.snapshot();
 * await db.put("apples", "2");
 * console.log(before.get("apples")); // still "3", as bytes
 * ```
 */
export class Snapshot<K = Uint8Array, V = Uint8Array> implements Disposable {
  readonly #reader: Reader<K, V>;
  readonly #pin: Pin;
  #isClosed = false;

  /**
   * Made by `db.snapshot()`.
   *
   * @internal
   */
  constructor(reader: Reader<K, V>) {
    this.#reader = reader;
    this.#pin = reader.source.pin();
  }

  #checkOpen(): void {
    this.#reader.checkOpen();
    if (this.#isClosed) {
      throw new VarveError("CLOSED", "the snapshot is closed");
    }
  }

  /** The value of a key; `undefined` if it had none. */
  get(key: Input<K>): V | undefined {
    this.#checkOpen();
    return this.#reader.get(key, this.#pin);
  }

  /**
   * Copies the bytes of the value of a key to `target[offset...]`, if it has
   * room, and returns their length; `undefined` if there was none. See {@linkcode
   * Db.getInto}.
   */
  getInto(
    key: Input<K>,
    target: Uint8Array,
    offset: number = 0,
  ): number | undefined {
    this.#checkOpen();
    return this.#reader.getInto(key, target, offset, this.#pin);
  }

  /** The values of keys, in their order. */
  getMany(keys: Iterable<Input<K>>): (V | undefined)[] {
    this.#checkOpen();
    return this.#reader.getMany(this.#reader.listOf(keys), this.#pin);
  }

  /** Whether a key had a value. */
  has(key: Input<K>): boolean {
    this.#checkOpen();
    return this.#reader.has(key, this.#pin);
  }

  /** A lazy walk over the entries. It may outlive the snapshot. */
  scan(options?: ScanOptions<Input<K>>): Scan<K, V> {
    this.#checkOpen();
    return this.#reader.scan(options as ScanOptions<never>, this.#pin);
  }

  /** Lets go of the moment. Twice is harmless. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#reader.source.unpin(this.#pin);
  }

  /** Lets go of the moment. */
  [Symbol.dispose](): void {
    this.close();
  }
}
