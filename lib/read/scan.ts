/**
 * Scans: lazy walks over the visible rows, forwards or backwards.
 *
 * Invariants:
 * - A scan sees the moment of its creation.
 * - It is used once: exhausted, broken out of or disposed, it is closed, and
 *   lets go of the memtables and files that it kept alive.
 *
 * @module
 */
import type { Codec } from "../codecs.ts";
import { invalid, VarveError } from "../errors.ts";
import { RowBuffer } from "../row_buffer.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { Chunk, rowsOf, useCodecs } from "./chunk.ts";
import type { Rows } from "./source.ts";
import type { RowParts } from "./visible.ts";

/** What a scan needs of the database. Internal. */
export interface ScanHost {
  /** Throws `CLOSED` if the database is closed. */
  checkOpen(): void;
  /** Its clock, and its event loop. */
  readonly runtime: Pick<Runtime, "pause" | "monotonicClock">;
}

/** What a scan walks over. Internal. */
export interface ScanSource<K, V> {
  /** The rows. */
  readonly rows: Rows;
  /** Lets go of what the rows need. */
  readonly release: () => void;
  /** The most rows. */
  readonly limit: number;
  /** The codec of keys; undefined for bytes. */
  readonly keys: Codec<K> | undefined;
  /** The codec of values; undefined for bytes. */
  readonly values: Codec<V> | undefined;
}

/** What an iterator walks over. Internal. */
export interface Walk<T> {
  /** The database. */
  readonly host: ScanHost;
  /** Goes on; returns whether there is anything. */
  next(): boolean;
  /** What it has gone on to. */
  take(): T;
  /** Ends the walk. Twice is harmless. */
  close(): void;
}

/** Milliseconds after which `for await` gives way to the event loop. */
const TURN_MILLISECONDS = 4;

/**
 * The rows of one walk, or chunks of them. Iterate over it once, with `for` or
 * `for await`; the latter gives way to the event loop every few milliseconds.
 */
export class ScanIterator<T> implements IterableIterator<T>, AsyncIterable<T> {
  readonly #walk: Walk<T>;
  #isDone = false;

  /**
   * Made by {@linkcode Scan}.
   *
   * @internal
   */
  constructor(walk: Walk<T>) {
    this.#walk = walk;
  }

  /** Itself. */
  [Symbol.iterator](): this {
    return this;
  }

  /**
   * The next row.
   *
   * @throws `CLOSED` when the database or the scan was closed meanwhile, `CORRUPTION` or
   * `IO` when a table cannot be read.
   */
  next(): IteratorResult<T> {
    const walk = this.#walk;
    if (!this.#isDone && walk.next()) {
      return { done: false, value: walk.take() };
    }
    return this.return();
  }

  /** Ends the walk; called by a loop that is left early. */
  return(): IteratorResult<T> {
    this.#walk.close();
    this.#isDone = true;
    return { done: true, value: undefined };
  }

  /** Ends the walk. */
  [Symbol.dispose](): void {
    this.#walk.close();
  }

  /** The rows, giving way to the event loop every few milliseconds. */
  [Symbol.asyncIterator](): AsyncGenerator<T, void, void> {
    const walk = this.#walkInTurns();
    // A generator that was never started does not run its `finally`.
    const end = walk.return.bind(walk);
    walk.return = (value) => {
      this.#walk.close();
      return end(value);
    };
    return walk;
  }

  async *#walkInTurns(): AsyncGenerator<T, void, void> {
    const { runtime } = this.#walk.host;
    try {
      let turnStarted = runtime.monotonicClock();
      for (;;) {
        const { done, value } = this.next();
        if (done) return;
        yield value;
        const now = runtime.monotonicClock();
        if (now - turnStarted < TURN_MILLISECONDS) continue;
        await runtime.pause();
        turnStarted = runtime.monotonicClock();
      }
    } finally {
      this.#walk.close();
    }
  }
}

function closedScan(): VarveError {
  return new VarveError("CLOSED", "the scan was closed");
}

/** What all walks of a scan share, and those over its rows. */
class ScanCore<K, V> implements Walk<unknown> {
  readonly host: ScanHost;
  /** Where the rows are from. */
  readonly source: ScanSource<K, V>;
  private readonly rows: Rows;
  private readonly isDecoded: boolean;
  /** The most rows that may still come. */
  private left: number;
  private parts: RowParts = "entries";
  private isUsed = false;
  private isClosed = false;

  constructor(host: ScanHost, source: ScanSource<K, V>) {
    this.host = host;
    this.source = source;
    this.left = source.limit;
    this.rows = source.rows;
    this.isDecoded = source.keys !== undefined || source.values !== undefined;
  }

  /** Moves to the next row; returns whether there is one. */
  next(): boolean {
    if (this.left <= 0) return false;
    this.checkOpen();
    try {
      const isRow = this.rows.next();
      this.left--;
      return isRow;
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Puts the next rows in the place of those of a buffer; returns whether there may be more. */
  fill(buffer: RowBuffer): boolean {
    if (this.left > 0) this.checkOpen();
    buffer.clear();
    if (this.left <= 0) return false;
    try {
      const mayBeMore = this.rows.fill(buffer, this.left);
      this.left -= buffer.count;
      return mayBeMore && this.left > 0;
    } catch (error) {
      buffer.clear();
      this.close();
      throw error;
    }
  }

  private checkOpen(): void {
    this.host.checkOpen();
    if (this.isClosed) throw closedScan();
  }

  /** Starts the one walk. */
  use(parts: RowParts): void {
    this.host.checkOpen();
    if (this.isUsed || this.isClosed) {
      throw new VarveError("CLOSED", "a scan is used once; make another");
    }
    this.isUsed = true;
    this.parts = parts;
    this.rows.want(parts);
  }

  /** What the walk hands out of the row at hand. */
  take(): unknown {
    if (this.isDecoded) return this.decode();
    const { rows, parts } = this;
    if (parts === "entries") return [rows.key, rows.value];
    return parts === "keys" ? rows.key : rows.value;
  }

  private decode(): unknown {
    const { parts, rows, source: { keys, values } } = this;
    try {
      if (parts === "keys") return decoded(keys, rows.key);
      if (parts === "values") return decoded(values, rows.value);
      return [decoded(keys, rows.key), decoded(values, rows.value)];
    } catch (error) {
      this.close(); // A loop does not call return() after this.
      throw error;
    }
  }

  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.source.release();
  }
}

/** What the chunks of a walk are copied from has room for so many bytes. */
const BUFFER_BYTES = 64 * 1024;
/** A buffer of this size that no walk uses. */
let spareBuffer: RowBuffer | undefined;

const hasGrown = ({ bytes }: RowBuffer): boolean => bytes.length > BUFFER_BYTES;

/** The rows of a scan by the chunk. */
class ChunkWalk<K, V> implements Walk<Chunk<K, V>> {
  readonly host: ScanHost;
  private readonly core: ScanCore<K, V>;
  /** The chunk to be filled, if the program gave one. */
  private readonly given: Chunk<K, V> | undefined;
  private buffer: RowBuffer | undefined;
  private mayBeMore = true;

  constructor(core: ScanCore<K, V>, given: Chunk<K, V> | undefined) {
    this.host = core.host;
    this.core = core;
    this.given = given;
    if (given === undefined) {
      this.buffer = spareBuffer ?? new RowBuffer(BUFFER_BYTES);
      spareBuffer = undefined;
    } else {
      this.buffer = rowsOf(given);
      useCodecs(given, core.source);
    }
  }

  next(): boolean {
    const { buffer } = this;
    if (!this.mayBeMore) return false;
    if (buffer === undefined) throw closedScan();
    this.mayBeMore = this.core.fill(buffer);
    return buffer.count > 0;
  }

  take(): Chunk<K, V> {
    const { given, buffer } = this;
    if (given !== undefined) return given;
    if (buffer === undefined) throw closedScan();
    const chunk = new Chunk<K, V>(0);
    rowsOf(chunk).copyFrom(buffer);
    useCodecs(chunk, this.core.source);
    // A row that was too long says nothing of the rows behind it.
    if (hasGrown(buffer)) this.buffer = new RowBuffer(BUFFER_BYTES);
    return chunk;
  }

  close(): void {
    this.core.close();
    const { buffer } = this;
    this.buffer = undefined;
    const isSpare = buffer !== undefined && this.given === undefined &&
      !hasGrown(buffer);
    if (isSpare) spareBuffer = buffer;
  }
}

/**
 * A lazy walk over keys and values: `for (const [key, value] of db.scan())`.
 *
 * It sees the moment of its creation, whatever is written, flushed or
 * compacted meanwhile. It is used once, and closed when exhausted, broken out
 * of or disposed; until then it keeps what it reads from alive. One that is
 * made and not walked over should be disposed (`using`).
 *
 * Cost: a search in each memtable and table at the start, then each row in
 * time that does not depend on the size of the database.
 *
 * @example
 * ```ts
 * import { open } from "@varve/db";
 *
 * await using db = await open("./people");
 * for (const key of db.scan({ prefix: "name/", limit: 10 }).keys()) {
 *   console.log(new TextDecoder().decode(key));
 * }
 * ```
 */
export class Scan<K = Uint8Array, V = Uint8Array>
  implements Iterable<[K, V]>, AsyncIterable<[K, V]>, Disposable {
  readonly #core: ScanCore<K, V>;

  /**
   * Made by `db.scan()`.
   *
   * @internal
   */
  constructor(host: ScanHost, source: ScanSource<K, V>) {
    this.#core = new ScanCore(host, source);
  }

  /** Walks over keys and values. */
  [Symbol.iterator](): ScanIterator<[K, V]> {
    return this.#walk("entries");
  }

  /** Walks over keys only: values are not copied. */
  keys(): ScanIterator<K> {
    return this.#walk("keys");
  }

  /** Walks over values only: keys are not copied. */
  values(): ScanIterator<V> {
    return this.#walk("values");
  }

  /**
   * Walks over the rows by the chunk: for a walk that is long and only looks
   * at its rows. See {@linkcode Chunk}.
   *
   * @param reuse A chunk that is filled anew each time, so that no memory is
   * taken for each; its rows are good until the loop goes on. Without it, each
   * chunk has memory of its own, some 64 KiB, that is the caller's to keep.
   * @returns Chunks of 1 to 1024 rows. Cost: for rows of one table in a row, a
   * copy of its blocks and a small loop; else that of each row, less its arrays.
   * @throws `INVALID_ARGUMENT` for anything but a chunk, `CLOSED` if the scan
   * was used or closed.
   *
   * @example
   * ```ts
   * import { Chunk, open } from "@varve/db";
   *
   * await using db = await open("./measurements");
   * const chunk = new Chunk();
   * let bytes = 0;
   * for (const { places, length } of db.scan().chunks(chunk)) {
   *   for (let at = 0; at < 4 * length; at += 4) {
   *     bytes += places[at + 3] - places[at + 2]; // the length of a value
   *   }
   * }
   * console.log(bytes);
   * ```
   */
  chunks(reuse?: Chunk<K, V>): ScanIterator<Chunk<K, V>> {
    if (reuse !== undefined && !(reuse instanceof Chunk)) {
      throw invalid("what is to be filled again is no Chunk");
    }
    this.#core.use("entries");
    return new ScanIterator(new ChunkWalk(this.#core, reuse));
  }

  #walk<T>(parts: RowParts): ScanIterator<T> {
    this.#core.use(parts);
    // The parts say what it is of.
    return new ScanIterator(this.#core as Walk<unknown> as Walk<T>);
  }

  /** Walks over keys and values, giving way to the event loop every few milliseconds. */
  [Symbol.asyncIterator](): AsyncGenerator<[K, V], void, void> {
    return this[Symbol.iterator]()[Symbol.asyncIterator]();
  }

  /** Ends the scan. Twice is harmless. */
  close(): void {
    this.#core.close();
  }

  /** Ends the scan. */
  [Symbol.dispose](): void {
    this.#core.close();
  }
}

/** What is made of a half of a row: without a codec, the bytes themselves. */
function decoded<T>(
  codec: Codec<T> | undefined,
  bytes: Uint8Array | undefined,
): T | Uint8Array | undefined {
  return codec === undefined ? bytes : codec.decode(bytes as Uint8Array);
}
