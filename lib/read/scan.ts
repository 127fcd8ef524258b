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
import { VarveError } from "../errors.ts";
import type { Runtime } from "../runtime/runtime.ts";
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

/** Milliseconds after which `for await` gives way to the event loop. */
const TURN_MILLISECONDS = 4;

/**
 * The rows of one walk. Iterate over it once, with `for` or `for await`; the
 * latter gives way to the event loop every few milliseconds.
 */
export class ScanIterator<T> implements IterableIterator<T>, AsyncIterable<T> {
  readonly #core: ScanCore<unknown, unknown>;
  #left: number;

  /**
   * Made by {@linkcode Scan}.
   *
   * @internal
   */
  constructor(core: ScanCore<unknown, unknown>) {
    this.#core = core;
    this.#left = core.limit;
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
    const core = this.#core;
    if (this.#left > 0 && core.next()) {
      this.#left--;
      // The type says what the walk was made for.
      return { done: false, value: core.take() as T };
    }
    core.close();
    this.#left = 0;
    return { done: true, value: undefined };
  }

  /** Ends the walk; called by a loop that is left early. */
  return(): IteratorResult<T> {
    this.#core.close();
    this.#left = 0;
    return { done: true, value: undefined };
  }

  /** Ends the walk. */
  [Symbol.dispose](): void {
    this.#core.close();
  }

  /** The rows, giving way to the event loop every few milliseconds. */
  [Symbol.asyncIterator](): AsyncGenerator<T, void, void> {
    const walk = this.#walkInTurns();
    // A generator that was never started does not run its `finally`.
    const end = walk.return.bind(walk);
    walk.return = (value) => {
      this.#core.close();
      return end(value);
    };
    return walk;
  }

  async *#walkInTurns(): AsyncGenerator<T, void, void> {
    const { runtime } = this.#core.host;
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
      this.#core.close();
    }
  }
}

function closedScan(): VarveError {
  return new VarveError("CLOSED", "the scan was closed");
}

/** What the three kinds of walks share. */
export class ScanCore<K, V> {
  readonly host: ScanHost;
  readonly limit: number;
  private readonly source: ScanSource<K, V>;
  private readonly rows: Rows;
  private readonly isDecoded: boolean;
  private parts: RowParts = "entries";
  private isUsed = false;
  private isClosed = false;

  constructor(host: ScanHost, source: ScanSource<K, V>) {
    this.host = host;
    this.limit = source.limit;
    this.source = source;
    this.rows = source.rows;
    this.isDecoded = source.keys !== undefined || source.values !== undefined;
  }

  /** Moves to the next row; returns whether there is one. */
  next(): boolean {
    this.host.checkOpen();
    if (this.isClosed) throw closedScan();
    try {
      return this.rows.next();
    } catch (error) {
      this.close();
      throw error;
    }
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

  #walk<T>(parts: RowParts): ScanIterator<T> {
    this.#core.use(parts);
    return new ScanIterator(
      this.#core as unknown as ScanCore<unknown, unknown>,
    );
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
