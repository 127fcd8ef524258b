/**
 * The handle: checks arguments, applies codecs, delegates to the tree.
 *
 * @module
 */
import { EMPTY } from "./encoding/bytes.ts";
import { invalid } from "./errors.ts";
import type { Configuration } from "./options.ts";
import { isEmptyRange, type LooseRange } from "./read/bounds.ts";
import type { Scan } from "./read/scan.ts";
import { checkRangeNames, Reader } from "./reader.ts";
import type { Lock } from "./runtime/runtime.ts";
import { Snapshot } from "./snapshot.ts";
import type { TableContext } from "./sstable/table.ts";
import {
  leaseSecondsOf,
  type ShareHandle,
  type ShareOptions,
} from "./share/handle.ts";
import { makeStats } from "./stats.ts";
import { TreeSource } from "./tree_source.ts";
import type {
  Durability,
  KeyRange,
  Operation,
  ScanOptions,
  Stats,
  WriteOptions,
} from "./types.ts";
import { checkRange, durabilityOf } from "./write/arguments.ts";
import { Batch, encodedOf, type Input } from "./write/batch.ts";
import type { Tree } from "./write/tree.ts";

type PlainOperation<K, V> = Operation<Input<K>, Input<V>> | undefined;

/**
 * An open database.
 *
 * Reads are synchronous and never yield to the event loop. Writes are visible
 * to reads at once; their promise is the acknowledgement, as strong as the
 * write's durability. Bad arguments and closed handles make reads throw and
 * writes reject with a {@linkcode VarveError}.
 *
 * @typeParam K Keys, as reads return them.
 * @typeParam V Values, as reads return them.
 *
 * @example
 * ```ts
 * import { json, open, utf8 } from "@varve/db";
 *
 * await using db = await open("./users", {
 *   keys: utf8,
 *   values: json<{ name: string }>(),
 * });
 * await db.put("user/1", { name: "Ada" });
 * for (const [key, user] of db.scan({ prefix: "user/" })) {
 *   console.log(key, user.name);
 * }
 * ```
 */
export class Db<K = Uint8Array, V = Uint8Array> implements AsyncDisposable {
  readonly #tree: Tree;
  readonly #reader: Reader<K, V>;
  readonly #context: TableContext;
  readonly #lock: Lock;
  readonly #durability: Durability;
  #closing: Promise<void> | undefined;

  /**
   * Made by {@linkcode open}.
   *
   * @internal
   */
  constructor(
    tree: Tree,
    context: TableContext,
    configuration: Configuration<K, V>,
    lock: Lock,
  ) {
    this.#tree = tree;
    this.#reader = new Reader(
      new TreeSource(tree),
      configuration.keys,
      configuration.values,
    );
    this.#context = context;
    this.#lock = lock;
    this.#durability = configuration.options.durability;
  }

  // Reads.

  /**
   * The value of a key.
   *
   * Cost: a search in each memtable, and in those tables whose range and
   * filter let the key through; one block read for each as a rule, none for
   * what is cached.
   *
   * @returns The value, the caller's to keep; `undefined` if there is none. On
   * V8 a small one may lie in a buffer with others: to hand its buffer to
   * another thread, take a `slice()` first.
   */
  get(key: Input<K>): V | undefined {
    this.#reader.checkOpen();
    return this.#reader.get(key);
  }

  /**
   * Copies the bytes of the value of a key, as they are stored, into memory of
   * the program's: no array is made.
   *
   * Cost: that of `get` without the array.
   *
   * @param target Where to. It may be used for other keys as well.
   * @param offset Where in `target`: a whole number from 0 to its length.
   * @returns The length of the value, in bytes; `undefined` if there is none.
   * A value that is longer than what `target` has behind `offset` is not
   * copied. Nothing before `offset` is touched; what `target` holds behind the
   * value, or behind `offset` if there is none, is not specified.
   * @throws `INVALID_ARGUMENT` for another target or offset, and what `get`
   * throws.
   *
   * @example
   * ```ts
   * import { open } from "@varve/db";
   *
   * await using db = await open("./sizes");
   * await db.put("a", "some value");
   * let target = new Uint8Array(4);
   * const length = db.getInto("a", target);
   * if (length !== undefined && length > target.length) {
   *   target = new Uint8Array(length);
   *   db.getInto("a", target);
   * }
   * ```
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
   * The values of keys, in their order, all as of one moment; `undefined` for
   * each that is not there.
   *
   * Cost: a {@linkcode Db.get} for each key. All keys are taken from the
   * iterable before the first is looked up.
   *
   * @throws What `get` throws; then no values are returned.
   */
  getMany(keys: Iterable<Input<K>>): (V | undefined)[] {
    this.#reader.checkOpen();
    // All keys first: what yields them may write.
    const all = this.#reader.listOf(keys);
    return this.#reader.getMany(all);
  }

  /** Whether a key has a value. Costs what `get` costs, less the copy. */
  has(key: Input<K>): boolean {
    this.#reader.checkOpen();
    return this.#reader.has(key);
  }

  /**
   * A lazy walk over the entries as they are now, in the order of their key
   * bytes; see {@linkcode Scan}.
   *
   * @throws `INVALID_ARGUMENT` for bounds that exclude each other (`gt` with
   * `gte`, `lt` with `lte`), a `null` bound or a bad limit.
   */
  scan(options?: ScanOptions<Input<K>>): Scan<K, V> {
    this.#reader.checkOpen();
    return this.#reader.scan(options as ScanOptions<never>);
  }

  /** The database as it is now, for as long as the snapshot is open; see {@linkcode Snapshot}. */
  snapshot(): Snapshot<K, V> {
    this.#reader.checkOpen();
    return new Snapshot(this.#reader);
  }

  /**
   * Makes the database readable by other workers of the process: post the
   * handle to them, as often as needed, and pass it to {@linkcode attach}
   * there. They see every write acknowledged before they look.
   *
   * The first call sets aside memory for the memtables to come, of which only
   * what is used becomes real. Before it, sharing costs nothing; afterwards a
   * store for each write. A write that takes more than the write buffer is
   * acknowledged when it is in a table.
   *
   * @param options See {@linkcode ShareOptions}; those of the first call count.
   * @throws `INVALID_ARGUMENT` for a bad option.
   */
  share(options?: ShareOptions): ShareHandle {
    this.#reader.checkOpen();
    return this.#tree.share(leaseSecondsOf(options), this.#context);
  }

  // Writes.

  #durabilityOf(options: WriteOptions | undefined): Durability {
    return options === undefined
      ? this.#durability
      : durabilityOf(options, this.#durability);
  }

  /**
   * Sets the value of a key.
   *
   * @param key At most 64 KiB; may be empty.
   * @param value At most 256 MiB; may be empty.
   * @returns The acknowledgement. It comes later when flushes or compactions
   * have fallen behind. A write that is refused, with `BUSY` if too much waits
   * for a flush, was not applied.
   */
  put(key: Input<K>, value: Input<V>, options?: WriteOptions): Promise<void> {
    try {
      const reader = this.#reader;
      reader.checkOpen();
      const durability = this.#durabilityOf(options);
      if (reader.hasForeignCodec) {
        const batch = this.batch().put(key, value);
        return this.#tree.writeBatch(encodedOf(batch), durability);
      }
      const valueBytes = reader.value(value);
      const keyBytes = reader.key(key);
      return this.#tree.writeEntry(
        0,
        keyBytes,
        reader.keyLength,
        valueBytes,
        reader.valueLength,
        durability,
      );
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** Removes a key; removing what is not there is no error. */
  delete(key: Input<K>, options?: WriteOptions): Promise<void> {
    try {
      const reader = this.#reader;
      reader.checkOpen();
      const durability = this.#durabilityOf(options);
      const bytes = reader.key(key);
      const length = reader.keyLength;
      return this.#tree.writeEntry(1, bytes, length, EMPTY, 0, durability);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * Removes every key in [start, end), with one record whatever it covers.
   *
   * @throws `INVALID_ARGUMENT` unless start is before end.
   */
  deleteRange(
    start: Input<K>,
    end: Input<K>,
    options?: WriteOptions,
  ): Promise<void> {
    try {
      const reader = this.#reader;
      reader.checkOpen();
      const durability = this.#durabilityOf(options);
      const first = reader.keyBytes(start, "start");
      const stop = reader.keyBytes(end, "end");
      checkRange(first, stop);
      return this.#tree.writeRange(first, stop, durability);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** Removes every key in a range given by bounds or prefix; without one, every key. One record. */
  clear(range?: KeyRange<Input<K>>, options?: WriteOptions): Promise<void> {
    try {
      this.#reader.checkOpen();
      const durability = this.#durabilityOf(options);
      if (range !== undefined && (typeof range !== "object" || !range)) {
        throw invalid("a range is an object with bounds or a prefix");
      }
      if (range !== undefined) checkRangeNames(range);
      const bounds = this.#reader.bounds((range ?? {}) as LooseRange);
      if (isEmptyRange(bounds)) return Promise.resolve();
      const { start = EMPTY, end = EMPTY } = bounds;
      return this.#tree.writeRange(start, end, durability);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * Applies operations, all or none, in their order.
   *
   * @param batch A {@linkcode Batch}, or operations as plain data.
   */
  write(
    batch: Batch<K, V> | Batch | Iterable<Operation<Input<K>, Input<V>>>,
    options?: WriteOptions,
  ): Promise<void> {
    try {
      this.#reader.checkOpen();
      const durability = this.#durabilityOf(options);
      const encoded = batch instanceof Batch
        ? encodedOf<unknown, unknown>(batch)
        : encodedOf(this.#batchOf(batch));
      if (encoded.count === 0) return Promise.resolve();
      return this.#tree.writeBatch(encoded, durability);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** A batch of operations that are given as plain data. */
  #batchOf(operations: unknown): Batch<K, V> {
    const isIterable = typeof operations === "object" && operations !== null &&
      Symbol.iterator in operations;
    if (!isIterable) {
      throw invalid("write takes a Batch or an iterable of operations");
    }
    const batch = this.batch();
    for (const operation of operations as Iterable<PlainOperation<K, V>>) {
      switch (operation?.type) {
        case "put":
          batch.put(operation.key, operation.value);
          break;
        case "delete":
          batch.delete(operation.key);
          break;
        case "deleteRange":
          batch.deleteRange(operation.start, operation.end);
          break;
        default:
          throw invalid(
            'an operation has the type "put", "delete" or "deleteRange"',
          );
      }
    }
    return batch;
  }

  // Maintenance.

  async #maintain<T>(call: () => Promise<T>): Promise<T> {
    this.#reader.checkOpen();
    const refusal = this.#tree.health.refusal();
    if (refusal !== undefined) throw refusal;
    return await call();
  }

  /**
   * Writes every memtable, the active one included, to a table; resolves to
   * how many were written.
   *
   * @throws `ABORTED` if the database is closed before that; `IO` if the disk
   * fails, which makes the handle read-only if it was a log, the manifest or
   * the sync of the directory, and is tried again later otherwise.
   */
  flush(): Promise<number> {
    return this.#maintain(() => this.#tree.flush());
  }

  /**
   * One round of routine merging; resolves to whether it did something. Behind
   * it there may be more to do: call it until it says false.
   *
   * Cost: reads and writes what it merges, with `"size-tiered"` some tables of
   * like size, with `"leveled"` one table and those below it.
   *
   * @throws `ABORTED` if the database is closed before that; `CORRUPTION` if a
   * table is damaged; `IO` if the disk fails, which makes the handle read-only
   * if it was the manifest or the sync of the directory. The tables that were
   * to be merged stay as they are.
   */
  minorCompact(): Promise<boolean> {
    return this.#maintain(() => this.#tree.maintenance.minorCompact());
  }

  /**
   * Rewrites the table with the most tombstones that can go; resolves to
   * whether there was one.
   *
   * Cost: reads and writes that table.
   *
   * @throws What {@linkcode Db.minorCompact} throws.
   */
  tombstoneCompact(): Promise<boolean> {
    return this.#maintain(() => this.#tree.maintenance.tombstoneCompact());
  }

  /**
   * Flushes, then merges all tables into one sorted run without tombstones;
   * resolves to whether there was anything to do. What an open snapshot needs
   * stays until a later call.
   *
   * Cost: reads and writes the whole database, and needs room on the disk for
   * a second one meanwhile; nothing if the tables are such a run as they are,
   * because keys came in order.
   *
   * @throws What {@linkcode Db.flush} and {@linkcode Db.minorCompact} throw.
   */
  majorCompact(): Promise<boolean> {
    return this.#maintain(async () => {
      await this.#tree.flush();
      return await this.#tree.maintenance.majorCompact();
    });
  }

  /**
   * Makes every write accepted so far durable, whatever its level; reader
   * threads see it then.
   *
   * Cost: one sync of the log, shared with the writes that wait for one; none
   * if nothing was written since the last.
   *
   * @throws `IO` if the disk fails, which makes the handle read-only.
   */
  sync(): Promise<void> {
    return this.#maintain(() => this.#tree.makeDurable());
  }

  /**
   * What the database tells of itself: plain data, cheap enough to poll.
   *
   * @throws `CLOSED` after `close()`.
   */
  stats(): Stats {
    this.#reader.checkOpen();
    return makeStats(this.#tree, this.#context, this.#reader.openScans);
  }

  /**
   * Closes the database: everything accepted is acknowledged and durable
   * afterwards, and the directory is free. Twice is harmless.
   */
  close(): Promise<void> {
    return this.#closing ??= this.#close();
  }

  async #close(): Promise<void> {
    try {
      await this.#tree.close();
      this.#tree.leaveMemory(this.#context.cache);
    } finally {
      this.#lock.release();
    }
  }

  /** Closes the database: `await using db = await open(path)`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /**
   * Tells what happens behind the program's back: events of type `flush`,
   * `compaction`, `stall`, `worker` and `error`, each a `CustomEvent` whose
   * `detail` is the {@linkcode TreeEvent} of that type.
   *
   * @example
   * ```ts
   * import { open, type StallEvent } from "@varve/db";
   *
   * await using db = await open("./data");
   * db.events.addEventListener("stall", (event) => {
   *   const { begins, reason } = (event as CustomEvent<StallEvent>).detail;
   *   console.log(begins ? `writes wait for a ${reason}` : "writes go on");
   * });
   * ```
   */
  get events(): EventTarget {
    return this.#tree.events;
  }

  /** An empty batch with the codecs of this database. */
  batch(): Batch<K, V> {
    return new Batch(this.#reader.keys, this.#reader.values);
  }
}
