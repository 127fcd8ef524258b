/**
 * Batches: operations that are applied all or not at all.
 *
 * @module
 */
import type { Codec } from "../codecs.ts";
import { encodeUtf8Into } from "../encoding/bytes.ts";
import type { Bytes } from "../types.ts";
import { bytesOf, checkKey, checkRange, checkValue } from "./arguments.ts";

/** One operation, as bytes that stay as they are while it is written. */
export interface EncodedOperation {
  /** 0 put, 1 delete, 2 deleteRange. */
  readonly kind: 0 | 1 | 2;
  /** The key, or the first key of the range. */
  readonly key: Uint8Array;
  /** The value, or the end of the range (empty: no end). */
  readonly value: Uint8Array;
}

/** What a key or value of type `T` may be given as: a string may stand for bytes. */
export type Input<T> = T | (T extends Uint8Array ? Bytes : never);

/** The operations of a batch. Not a public method: what it hands out is not a copy. */
export let operationsOf: <K, V>(
  batch: Batch<K, V>,
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
  /** Keys and values of all operations, one behind the other. */
  #bytes: Uint8Array = new Uint8Array(256);
  #length = 0;
  /** For each operation its kind, the end of its key and the end of its value. */
  #marks: number[] = [];
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
    return this.#marks.length / 3;
  }

  /**
   * Sets a value.
   *
   * @throws `INVALID_ARGUMENT` for a key or value that is too long or of another type.
   */
  put(key: Input<K>, value: Input<V>): this {
    const start = this.#length;
    try {
      const keyEnd = this.#append(key, this.#keys, "key", checkKey);
      const end = this.#append(value, this.#values, "value", checkValue);
      this.#marks.push(0, keyEnd, end);
    } catch (error) {
      this.#length = start;
      throw error;
    }
    return this;
  }

  /** Removes a key. */
  delete(key: Input<K>): this {
    const end = this.#append(key, this.#keys, "key", checkKey);
    this.#marks.push(1, end, end);
    return this;
  }

  /** Removes the keys in [start, end). */
  deleteRange(start: Input<K>, end: Input<K>): this {
    const at = this.#length;
    try {
      const middle = this.#append(start, this.#keys, "start", checkKey);
      const stop = this.#append(end, this.#keys, "end", checkKey);
      const bytes = this.#bytes;
      checkRange(bytes.subarray(at, middle), bytes.subarray(middle, stop));
      this.#marks.push(2, middle, stop);
    } catch (error) {
      this.#length = at;
      throw error;
    }
    return this;
  }

  /** Forgets every operation. */
  clear(): this {
    this.#length = 0;
    this.#marks = [];
    return this;
  }

  /** Copies the bytes of an input behind what is there; returns their end. */
  #append(
    value: unknown,
    codec: Codec<K> | Codec<V> | undefined,
    what: string,
    check: (bytes: Uint8Array) => Uint8Array,
  ): number {
    if (typeof value === "string" && codec === undefined) {
      const end = encodeUtf8Into(value, this.#bytes, this.#length);
      if (end >= 0 && end - this.#length <= SURELY_SHORT) {
        return this.#length = end;
      }
    }
    const bytes = check(bytesOf(value, codec as Codec<unknown>, what));
    const end = this.#length + bytes.length;
    if (end > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(end, this.#bytes.length * 2));
      grown.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = grown;
    }
    this.#bytes.set(bytes, this.#length);
    return this.#length = end;
  }

  static {
    operationsOf = (batch) => {
      const bytes = batch.#bytes;
      const marks = batch.#marks;
      const operations: EncodedOperation[] = [];
      let start = 0;
      for (let i = 0; i < marks.length; i += 3) {
        const keyEnd = marks[i + 1];
        operations.push({
          kind: marks[i] as EncodedOperation["kind"],
          key: bytes.subarray(start, keyEnd),
          value: bytes.subarray(keyEnd, start = marks[i + 2]),
        });
      }
      return operations;
    };
  }
}

/** No key or value of as many bytes is too long: no need to check. */
const SURELY_SHORT = 1024;
