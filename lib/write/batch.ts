/**
 * Batches: operations that are applied all or not at all.
 *
 * @module
 */
import type { Codec } from "../codecs.ts";
import { copyBytes, EMPTY } from "../encoding/bytes.ts";
import type { Bytes } from "../types.ts";
import { bytesOf, checkKey, checkRange, checkValue } from "./arguments.ts";

/** One operation, as bytes that nobody else can change. */
export interface EncodedOperation {
  /** 0 put, 1 delete, 2 deleteRange. */
  readonly kind: 0 | 1 | 2;
  /** The key, or the first key of the range. */
  readonly key: Uint8Array;
  /** The value, or the end of the range (empty: no end). */
  readonly value: Uint8Array;
}

/** What a key or value of type `T` may be given as: a string may stand for bytes. */
export type Input<T> = T extends Uint8Array ? Bytes : T;

function ownCopy(bytes: Uint8Array): Uint8Array {
  return copyBytes(bytes, 0, bytes.length);
}

/** The operations of a batch. Not a public method: what it hands out is not a copy. */
export let operationsOf: (
  batch: Batch<unknown, unknown>,
) => readonly EncodedOperation[];

/**
 * Operations that are written together, in the order of the calls.
 *
 * Inputs are copied when they are given. A batch can be written more than
 * once and changed in between. Its codecs are those of the database that made
 * it; one made with `new Batch()` takes bytes and strings.
 *
 * @example
 * ```ts
 * import { Batch, open } from "@varve/db";
 *
 * await using db = await open("./accounts");
 * const batch = new Batch().put("alice", "70").put("bob", "130");
 * await db.write(batch); // both, or neither
 * ```
 */
export class Batch<K = Uint8Array, V = Uint8Array> {
  #operations: EncodedOperation[] = [];
  readonly #keys: Codec<K> | undefined;
  readonly #values: Codec<V> | undefined;

  /**
   * Makes an empty batch.
   *
   * @param keys The codec of keys; left out for bytes.
   * @param values The codec of values; left out for bytes.
   */
  constructor(keys?: Codec<K>, values?: Codec<V>) {
    this.#keys = keys;
    this.#values = values;
  }

  /** How many operations it holds. */
  get size(): number {
    return this.#operations.length;
  }

  /**
   * Sets a value.
   *
   * @throws `INVALID_ARGUMENT` for a key or value that is too long or of another type.
   */
  put(key: Input<K>, value: Input<V>): this {
    // Each is copied before the next is encoded: codecs may share a buffer.
    const keyBytes = ownCopy(checkKey(bytesOf(key, this.#keys, "key")));
    const bytes = checkValue(bytesOf(value, this.#values, "value"));
    this.#operations.push({ kind: 0, key: keyBytes, value: ownCopy(bytes) });
    return this;
  }

  /** Removes a key. */
  delete(key: Input<K>): this {
    const keyBytes = checkKey(bytesOf(key, this.#keys, "key"));
    this.#operations.push({ kind: 1, key: ownCopy(keyBytes), value: EMPTY });
    return this;
  }

  /** Removes the keys in [start, end). */
  deleteRange(start: Input<K>, end: Input<K>): this {
    const first = ownCopy(checkKey(bytesOf(start, this.#keys, "start")));
    const last = checkKey(bytesOf(end, this.#keys, "end"));
    checkRange(first, last);
    this.#operations.push({ kind: 2, key: first, value: ownCopy(last) });
    return this;
  }

  /** Forgets every operation. */
  clear(): this {
    this.#operations = [];
    return this;
  }

  static {
    operationsOf = (batch) => batch.#operations;
  }
}
