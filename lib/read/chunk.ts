/**
 * Many rows of a scan at once.
 *
 * @module
 */
import type { Codec } from "../codecs.ts";
import { describe, invalid } from "../errors.ts";
import { BYTES_MAX, PLACES_PER_ROW, RowBuffer } from "../row_buffer.ts";

/** What a chunk has room for if nothing is said, in bytes. */
const DEFAULT_BYTES = 64 * 1024;

/** How the halves of rows are made into what the program asked for. */
export interface ChunkCodecs {
  /** The codec of keys; undefined for bytes. */
  readonly keys: Codec<unknown> | undefined;
  /** The codec of values; undefined for bytes. */
  readonly values: Codec<unknown> | undefined;
}

const NO_CODECS: ChunkCodecs = { keys: undefined, values: undefined };

/** The rows of a chunk, to be filled. Not a public method. */
export let rowsOf: <K, V>(chunk: Chunk<K, V>) => RowBuffer;
/** Gives a chunk its codecs. Not a public method. */
export let useCodecs: <K, V>(chunk: Chunk<K, V>, codecs: ChunkCodecs) => void;

/**
 * Rows of a scan, side by side in one memory; see {@linkcode Scan.chunks}.
 *
 * A row has no objects of its own. Either ask for a half of it, as {@linkcode
 * Chunk.key} and {@linkcode Chunk.value} give it, or read the bytes where they
 * lie, which costs nothing for each row.
 *
 * One that a program makes and passes to {@linkcode Scan.chunks} is filled
 * again and again, in the same memory.
 *
 * @typeParam K Keys, as reads return them.
 * @typeParam V Values, as reads return them.
 *
 * @example
 * ```ts
 * import { open } from "@varve/db";
 *
 * await using db = await open("./measurements");
 * let total = 0;
 * for (const chunk of db.scan({ prefix: "room/" }).chunks()) {
 *   const { bytes, places } = chunk;
 *   for (let row = 0; row < chunk.length; row++) {
 *     total += bytes[places[4 * row + 2]]; // the first byte of the value
 *   }
 * }
 * console.log(total);
 * ```
 */
export class Chunk<K = Uint8Array, V = Uint8Array> {
  readonly #rows: RowBuffer;
  #codecs: ChunkCodecs = NO_CODECS;

  /**
   * Makes an empty chunk, to be filled by scans one after the other.
   *
   * @param bytes What it has room for: a whole number from 0 to 1 GiB, 64 KiB
   * by default. It becomes larger when a row needs more, and stays so: up to
   * eight times the largest row.
   * @throws `INVALID_ARGUMENT` for another number.
   */
  constructor(bytes: number = DEFAULT_BYTES) {
    if (!Number.isInteger(bytes) || bytes < 0 || bytes > BYTES_MAX) {
      throw invalid(
        `a chunk of ${describe(bytes)} bytes; 0 to ${BYTES_MAX} are accepted`,
      );
    }
    this.#rows = new RowBuffer(bytes);
  }

  /** The number of rows: at least 1 in a chunk of a scan, at most 1024. */
  get length(): number {
    return this.#rows.count;
  }

  /**
   * The memory that the rows lie in. What lies between them is not specified.
   * A chunk that is filled again may get another one.
   */
  get bytes(): Uint8Array<ArrayBuffer> {
    return this.#rows.bytes;
  }

  /**
   * Where in {@linkcode Chunk.bytes} the rows lie: four numbers for each,
   * where its key starts and ends and where its value starts and ends. What
   * follows those of the last row is not specified.
   */
  get places(): Int32Array<ArrayBuffer> {
    return this.#rows.places;
  }

  /**
   * The key of a row: a view of {@linkcode Chunk.bytes}, or what the codec
   * makes of it.
   *
   * @param row From 0 to before {@linkcode Chunk.length}.
   * @throws `INVALID_ARGUMENT` if there is no such row.
   */
  key(row: number): K {
    return this.#half(row, 0, this.#codecs.keys) as K;
  }

  /** The same of the value of a row. */
  value(row: number): V {
    return this.#half(row, 2, this.#codecs.values) as V;
  }

  #half(row: number, half: 0 | 2, codec: Codec<unknown> | undefined): unknown {
    const { bytes, places, count } = this.#rows;
    if (!(Number.isInteger(row) && row >= 0 && row < count)) {
      throw invalid(`row ${describe(row)} of a chunk of ${count}`);
    }
    const at = row * PLACES_PER_ROW + half;
    const part = bytes.subarray(places[at], places[at + 1]);
    return codec === undefined ? part : codec.decode(part);
  }

  static {
    rowsOf = (chunk) => chunk.#rows;
    useCodecs = (chunk, codecs) => {
      chunk.#codecs = codecs;
    };
  }
}
