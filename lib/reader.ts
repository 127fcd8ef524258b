/**
 * Reads at a given sequence: what the handle and its snapshots share.
 *
 * @module
 */
import { type Codec, utf8 as utf8Codec } from "./codecs.ts";
import { type Cursor, PUT } from "./cursor.ts";
import { copyBytes, encodeUtf8Into } from "./encoding/bytes.ts";
import { VarveError } from "./errors.ts";
import type { Fragment } from "./memtable/range_tombstones.ts";
import { isEmptyRange, type LooseRange, resolveBounds } from "./read/bounds.ts";
import { MergingCursor } from "./read/merging_cursor.ts";
import { RangeCover } from "./read/range_cover.ts";
import { Scan, type ScanHost } from "./read/scan.ts";
import { releaseView, retainView, type View } from "./read/view.ts";
import { type Bounds, VisibleRows } from "./read/visible.ts";
import { TableCursor } from "./sstable/cursor.ts";
import { mayOverlap } from "./sstable/meta.ts";
import type { ScanOptions } from "./types.ts";
import {
  bytesOf,
  checkKey,
  checkValue,
  describe,
  invalid,
} from "./write/arguments.ts";
import { type Tree, valueOf } from "./write/tree.ts";

const NO_BYTES = new Uint8Array(0);

/** Whether a string can be encoded without asking the codec, which refuses lone surrogates. */
function isPlain(text: string, codec: unknown): boolean {
  return codec === undefined || text.isWellFormed();
}

/** Reads of one database. */
export class Reader<K, V> {
  /** The tree that is read. */
  readonly tree: Tree;
  /** The codec of keys; undefined for bytes. */
  readonly keys: Codec<K> | undefined;
  /** The codec of values; undefined for bytes. */
  readonly values: Codec<V> | undefined;
  /** Scans not yet closed. */
  openScans = 0;
  /** The length of the key that {@linkcode Reader.key} left in what it returned. */
  keyLength = 0;
  /** The same of {@linkcode Reader.value}. */
  valueLength = 0;
  private readonly scratch = new Uint8Array(1024);
  private readonly valueScratch = new Uint8Array(8192);
  /** Whether a codec of the program's own is called for keys or values: it may call the database, or use one buffer for all that it encodes. */
  readonly hasForeignCodec: boolean;
  private readonly host: ScanHost;

  /** Reads of `tree`. */
  constructor(
    tree: Tree,
    keys: Codec<K> | undefined,
    values: Codec<V> | undefined,
  ) {
    this.tree = tree;
    this.keys = keys;
    this.values = values;
    const isOurs = (codec: unknown) =>
      codec === undefined || codec === utf8Codec;
    this.hasForeignCodec = !isOurs(keys) || !isOurs(values);
    this.host = {
      checkOpen: () => this.checkOpen(),
      pause: () => tree.runtime.pause(),
      now: () => tree.runtime.monotonicClock(),
    };
  }

  /** Throws `CLOSED` if the database is closed. */
  checkOpen(): void {
    if (this.tree.isClosed) {
      throw new VarveError("CLOSED", "the database is closed");
    }
  }

  /** The bytes of a key, good until the next call, with their length in {@linkcode Reader.keyLength}. */
  key(key: unknown): Uint8Array {
    const isText = this.keys === undefined || this.keys === utf8Codec;
    if (isText && typeof key === "string" && isPlain(key, this.keys)) {
      const length = encodeUtf8Into(key, this.scratch, 0);
      if (length >= 0) {
        this.keyLength = length;
        return this.scratch;
      }
    }
    const bytes = checkKey(bytesOf(key, this.keys, "key"));
    this.keyLength = bytes.length;
    return bytes;
  }

  /** The bytes of a value, good until the next call, with their length in {@linkcode Reader.valueLength}. */
  value(value: unknown): Uint8Array {
    const isText = this.values === undefined || this.values === utf8Codec;
    if (isText && typeof value === "string" && isPlain(value, this.values)) {
      const length = encodeUtf8Into(value, this.valueScratch, 0);
      if (length >= 0) {
        this.valueLength = length;
        return this.valueScratch;
      }
    }
    const bytes = checkValue(bytesOf(value, this.values, "value"));
    this.valueLength = bytes.length;
    return bytes;
  }

  /** The value of a key at `sequence`. */
  get(key: unknown, sequence: number): V | undefined {
    const bytes = this.key(key);
    const value = this.find(bytes, this.keyLength, sequence);
    if (value === undefined) return undefined;
    // Without a codec, V is Uint8Array.
    return this.values === undefined ? value as V : this.values.decode(value);
  }

  private find(
    key: Uint8Array,
    keyLength: number,
    sequence: number,
  ): Uint8Array | undefined {
    for (;;) {
      const found = this.tree.find(key, keyLength, sequence);
      const value = valueOf(found, this.tree.results);
      if (found.holds()) return value;
    }
  }

  /** The keys that a program gave. */
  listOf(keys: unknown): unknown[] {
    const isIterable = typeof keys === "object" && keys !== null &&
      Symbol.iterator in keys;
    if (!isIterable) throw invalid("getMany takes an iterable of keys");
    return [...keys as Iterable<unknown>];
  }

  /** The values of keys at `sequence`. */
  getMany(keys: readonly unknown[], sequence: number): (V | undefined)[] {
    return keys.map((key) => this.get(key, sequence));
  }

  /** Whether a key has a value at `sequence`. */
  has(key: unknown, sequence: number): boolean {
    const bytes = this.key(key);
    for (;;) {
      const found = this.tree.find(bytes, this.keyLength, sequence);
      const isThere = found.sequence > 0 && found.kind === PUT;
      if (found.holds()) return isThere;
    }
  }

  /** The bounds of a range, as copies. */
  bounds(range: LooseRange): Bounds {
    return resolveBounds(
      range,
      (bound) => {
        if (bound === null) throw invalid("a bound is null; leave it out");
        const bytes = checkKey(bytesOf(bound, this.keys, "a bound"));
        return copyBytes(bytes, 0, bytes.length);
      },
      (prefix) => {
        const bytes = checkKey(bytesOf(prefix, undefined, "prefix"));
        return copyBytes(bytes, 0, bytes.length);
      },
    );
  }

  /** A scan at `sequence`. */
  scan(options: ScanOptions<never> | undefined, sequence: number): Scan<K, V> {
    const { reverse = false, limit = Infinity, ...range } = checkScanOptions(
      options,
    );
    const bounds = this.bounds(range);
    const view = this.tree.view();
    retainView(view);
    try {
      const rows = this.rows(view, bounds, sequence, reverse);
      this.openScans++;
      return new Scan(this.host, {
        rows,
        limit,
        keys: this.keys,
        values: this.values,
        release: () => {
          this.openScans--;
          rows.close();
          releaseView(view);
        },
      });
    } catch (error) {
      releaseView(view);
      throw error;
    }
  }

  private rows(
    view: View,
    bounds: Bounds,
    sequence: number,
    reverse: boolean,
  ): VisibleRows {
    const cursors: Cursor[] = [];
    const fragments: (readonly Fragment[])[] = [];
    if (!isEmptyRange(bounds)) {
      for (const memtable of view.memtables) {
        if (memtable.entries > 0) cursors.push(memtable.cursor());
        if (memtable.rangeTombstones > 0) fragments.push(memtable.fragments());
      }
      const { start = NO_BYTES, end = NO_BYTES } = bounds;
      for (const table of view.version.tables) {
        if (!mayOverlap(table.meta, start, end)) continue;
        if (table.meta.entries > 0) cursors.push(new TableCursor(table, false));
        if (table.meta.rangeTombstones > 0) fragments.push(table.fragments());
      }
    }
    return new VisibleRows(
      new MergingCursor(cursors, reverse),
      new RangeCover(fragments, sequence),
      sequence,
      bounds,
      reverse,
      this.tree.results,
    );
  }
}

const RANGE_NAMES = ["gt", "gte", "lt", "lte", "prefix"];
const SCAN_NAMES = [...RANGE_NAMES, "reverse", "limit"];

function checkNames(options: object, names: readonly string[]): void {
  const unknown = Object.keys(options).find((name) => !names.includes(name));
  if (unknown === undefined) return;
  throw invalid(`${unknown} is no bound or option; ${names} are accepted`);
}

/** Throws unless a range has only names that are known: one misspelt would mean every key. */
export function checkRangeNames(range: object): void {
  checkNames(range, RANGE_NAMES);
}

function checkScanOptions(options: unknown): ScanOptions<never> {
  if (options === undefined) return {};
  if (typeof options !== "object" || options === null) {
    throw invalid(`scan options are ${describe(options)}, not an object`);
  }
  checkNames(options, SCAN_NAMES);
  const { limit, reverse } = options as ScanOptions<never>;
  const isLimit = limit === undefined || limit === Infinity ||
    Number.isInteger(limit) && limit >= 0;
  if (!isLimit) {
    throw invalid(
      `limit is ${
        describe(limit)
      }; a whole number >= 0 or Infinity is accepted`,
    );
  }
  if (reverse !== undefined && typeof reverse !== "boolean") {
    throw invalid(`reverse is ${describe(reverse)}, not true or false`);
  }
  return options;
}
