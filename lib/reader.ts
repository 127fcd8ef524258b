/**
 * Reads as programs ask for them: what handles and snapshots share.
 *
 * @module
 */
import { type Codec, utf8 as utf8Codec } from "./codecs.ts";
import { copyBytes, EMPTY, encodeUtf8Into } from "./encoding/bytes.ts";
import { describe, invalid } from "./errors.ts";
import { type LooseRange, resolveBounds } from "./read/bounds.ts";
import { Scan } from "./read/scan.ts";
import type { Pin, ReadSource } from "./read/source.ts";
import { Target } from "./read/target.ts";
import type { Bounds } from "./read/visible.ts";
import type { ScanOptions } from "./types.ts";
import { bytesOf, checkKey, checkValue } from "./write/arguments.ts";

/** Whether a string can be encoded without asking the codec, which refuses lone surrogates. */
function isPlain(text: string, codec: unknown): boolean {
  return codec === undefined || text.isWellFormed();
}

/** Reads of one database. */
export class Reader<K, V> {
  /** What is read. */
  readonly source: ReadSource;
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
  private readonly target = new Target();
  private readonly valueScratch = new Uint8Array(8192);
  /** Whether a codec of the program's own is called for keys or values: it may call the database, or use one buffer for all that it encodes. */
  readonly hasForeignCodec: boolean;
  private readonly encodeBound: (bound: unknown) => Uint8Array;
  private readonly encodePrefix: (prefix: unknown) => Uint8Array;

  /** Reads of `source`. */
  constructor(
    source: ReadSource,
    keys: Codec<K> | undefined,
    values: Codec<V> | undefined,
  ) {
    this.source = source;
    this.keys = keys;
    this.values = values;
    const isOurs = (codec: unknown) =>
      codec === undefined || codec === utf8Codec;
    this.hasForeignCodec = !isOurs(keys) || !isOurs(values);
    // Bounds are not kept for long: their copies share memory as results do.
    const copy = (bytes: Uint8Array) =>
      source.results.copyTwo(bytes, 0, bytes.length, EMPTY, 0, 0);
    this.encodeBound = (bound) => {
      if (bound === null) throw invalid("a bound is null; leave it out");
      return copy(checkKey(bytesOf(bound, keys, "a bound")));
    };
    this.encodePrefix = (prefix) =>
      copy(checkKey(bytesOf(prefix, undefined, "prefix")));
  }

  /** Throws `CLOSED` if the database is closed. */
  checkOpen(): void {
    this.source.checkOpen();
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

  /** The bytes of a key, good as long as the program does not run: a codec of its own may use one buffer for all that it encodes. */
  keyBytes(key: unknown, what: string): Uint8Array {
    const bytes = checkKey(bytesOf(key, this.keys, what));
    return this.hasForeignCodec ? copyBytes(bytes, 0, bytes.length) : bytes;
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

  /** The value of a key at the moment of `pin`, or now. */
  get(key: unknown, pin?: Pin): V | undefined {
    const bytes = this.key(key);
    const value = this.source.value(bytes, this.keyLength, pin);
    if (value === undefined) return undefined;
    // Without a codec, V is Uint8Array.
    return this.values === undefined ? value as V : this.values.decode(value);
  }

  /** Copies the bytes of the value of a key at the moment of `pin`, or now, to `target[offset...]`, if it has room; returns its length. */
  getInto(
    key: unknown,
    target: unknown,
    offset: unknown,
    pin?: Pin,
  ): number | undefined {
    const bytes = this.key(key); // First: a codec may call this anew.
    const place = this.target;
    place.aim(target, offset);
    const length = this.source.valueInto(bytes, this.keyLength, pin, place);
    place.leave();
    return length < 0 ? undefined : length;
  }

  /** The keys that a program gave. */
  listOf(keys: unknown): unknown[] {
    const isIterable = typeof keys === "object" && keys !== null &&
      Symbol.iterator in keys;
    if (!isIterable) throw invalid("getMany takes an iterable of keys");
    return [...keys as Iterable<unknown>];
  }

  /** The values of keys at the moment of `pin`, or now. */
  getMany(keys: readonly unknown[], pin?: Pin): (V | undefined)[] {
    return keys.map((key) => this.get(key, pin));
  }

  /** Whether a key has a value at the moment of `pin`, or now. */
  has(key: unknown, pin?: Pin): boolean {
    const bytes = this.key(key);
    return this.source.has(bytes, this.keyLength, pin);
  }

  /** The bounds of a range, as copies. */
  bounds(range: LooseRange): Bounds {
    return resolveBounds(range, this.encodeBound, this.encodePrefix);
  }

  /** A scan of the moment of `pin`, or of now. */
  scan(options: ScanOptions<never> | undefined, pin?: Pin): Scan<K, V> {
    const checked = checkScanOptions(options);
    const { reverse = false, limit = Infinity } = checked;
    const rows = this.source.rows(this.bounds(checked), reverse, pin);
    this.openScans++;
    return new Scan(this.source, {
      rows,
      limit,
      keys: this.keys,
      values: this.values,
      release: () => {
        this.openScans--;
        rows.close();
      },
    });
  }
}

const RANGE_NAMES = ["gt", "gte", "lt", "lte", "prefix"];
const SCAN_NAMES = [...RANGE_NAMES, "reverse", "limit"];

function checkNames(options: object, names: readonly string[]): void {
  for (const name of Object.keys(options)) {
    if (names.includes(name)) continue;
    throw invalid(`${name} is no bound or option; ${names} are accepted`);
  }
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
