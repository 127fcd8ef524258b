/**
 * Batches: operations that are applied all or not at all.
 *
 * @module
 */
import type { Codec } from "../codecs.ts";
import { PUT, TOMBSTONE } from "../cursor.ts";
import { encodeUtf8Into } from "../encoding/bytes.ts";
import { MAX_VARINT_LENGTH, putVarint } from "../encoding/varint.ts";
import { invalid } from "../errors.ts";
import { entryRoom, rangeRoom } from "../memtable/memtable.ts";
import type { Bytes } from "../types.ts";
import { LOG_DELETE_RANGE } from "../wal/format.ts";
import { bytesOf, checkKey, checkRange, checkValue } from "./arguments.ts";

/** The operations of a batch, good until it is changed. */
export interface EncodedBatch {
  /** The operations as the log has them, */
  readonly bytes: Uint8Array;
  /** up to here. */
  readonly length: number;
  /** How many there are. */
  readonly count: number;
  /** The most bytes of arena that they take. */
  readonly room: number;
}

/** What a key or value of type `T` may be given as: a string may stand for bytes. */
export type Input<T> = T | (T extends Uint8Array ? Bytes : never);

/** The operations of a batch. Not a public method: what it hands out is not a copy. */
export let encodedOf: <K, V>(batch: Batch<K, V>) => EncodedBatch;

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
  /** The operations as the log has them (wal/format.ts), one behind the other, */
  #bytes: Uint8Array = new Uint8Array(256);
  /** up to here; behind it the one that is being added, */
  #length = 0;
  /** up to here. */
  #at = 0;
  #count = 0;
  #room = 0;
  /** Where the bytes of the key or value start that {@linkcode Batch.#append} copied last. */
  #start = 0;
  /** Counts the calls that change the batch: a codec of the program's own may make some. */
  #changes = 0;
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
    return this.#count;
  }

  /**
   * Sets a value.
   *
   * @throws `INVALID_ARGUMENT` for a key or value that is too long or of another type.
   */
  put(key: Input<K>, value: Input<V>): this {
    this.#begin(PUT);
    const keyLength = this.#append(key, this.#keys, "key", checkKey);
    const length = this.#append(value, this.#values, "value", checkValue);
    return this.#end(entryRoom(keyLength, length));
  }

  /** Removes a key. */
  delete(key: Input<K>): this {
    this.#begin(TOMBSTONE);
    const keyLength = this.#append(key, this.#keys, "key", checkKey);
    return this.#end(entryRoom(keyLength, 0));
  }

  /** Removes the keys in [start, end). */
  deleteRange(start: Input<K>, end: Input<K>): this {
    this.#begin(LOG_DELETE_RANGE);
    const startLength = this.#append(start, this.#keys, "start", checkKey);
    const startAt = this.#start;
    const endLength = this.#append(end, this.#keys, "end", checkKey);
    const bytes = this.#bytes;
    checkRange(
      bytes.subarray(startAt, startAt + startLength),
      bytes.subarray(this.#start, this.#at),
    );
    return this.#end(rangeRoom(startLength, endLength));
  }

  /** Forgets every operation. */
  clear(): this {
    this.#changes++;
    this.#length = 0;
    this.#count = 0;
    this.#room = 0;
    return this;
  }

  /** Begins an operation. Until {@linkcode Batch.#end} it is not in the batch. */
  #begin(kind: number): void {
    this.#changes++;
    this.#at = this.#length;
    this.#reserve(1);
    this.#bytes[this.#at++] = kind;
  }

  #end(room: number): this {
    this.#length = this.#at;
    this.#count++;
    this.#room += room;
    return this;
  }

  /** Makes room for `count` more bytes. */
  #reserve(count: number): void {
    const needed = this.#at + count;
    if (needed <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
    grown.set(this.#bytes.subarray(0, this.#at));
    this.#bytes = grown;
  }

  /** Copies an input, behind its length, to the end of what is there; returns its length. */
  #append(
    input: unknown,
    codec: Codec<K> | Codec<V> | undefined,
    what: string,
    check: (bytes: Uint8Array) => Uint8Array,
  ): number {
    if (typeof input === "string" && codec === undefined) {
      const length = this.#appendText(input);
      if (length >= 0) return length;
    }
    const changes = this.#changes;
    const bytes = check(bytesOf(input, codec as Codec<unknown>, what));
    if (changes !== this.#changes) {
      throw invalid(`the codec changed the batch while it made ${what}`);
    }
    const { length } = bytes;
    this.#reserve(MAX_VARINT_LENGTH + length);
    const start = putVarint(this.#bytes, this.#at, length);
    this.#bytes.set(bytes, start);
    this.#start = start;
    this.#at = start + length;
    return length;
  }

  /** The same for a text of which it is known beforehand how many bytes its length takes; -1 for any other. */
  #appendText(text: string): number {
    const units = text.length;
    if (units > SURELY_SHORT) return -1;
    const lengthBytes = units > ONE_BYTE_LENGTH_MAX ? 2 : 1;
    this.#reserve(lengthBytes + units * 3);
    const start = this.#at + lengthBytes;
    const end = encodeUtf8Into(text, this.#bytes, start);
    const length = end - start;
    if (lengthBytes === 1 && length > ONE_BYTE_LENGTH_MAX) return -1;
    putVarint(this.#bytes, this.#at, length);
    this.#start = start;
    this.#at = end;
    return length;
  }

  static {
    encodedOf = (batch) => ({
      bytes: batch.#bytes,
      length: batch.#length,
      count: batch.#count,
      room: batch.#room,
    });
  }
}

/** No key or value of as many UTF-16 units is too long, and the length of its UTF-8 is a varint of two bytes at most. */
const SURELY_SHORT = 1024;
/** Up to here a varint has one byte. */
const ONE_BYTE_LENGTH_MAX = 0x7f;
