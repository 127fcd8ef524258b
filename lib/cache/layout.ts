/**
 * The block cache's memory: one SharedArrayBuffer, the same for every thread.
 *
 * ```
 * header      16 words: version, bits of the number of shards, segments of a
 *             shard, bytes of a segment, bits of the number of buckets of a
 *             shard, bits of that of its ghosts, holders so far
 * shards      16 words each: lock, incarnation, clock, whether it was full,
 *             open segment of each queue + 1 (words 6 and 7), how many new
 *             blocks are passed by for one that is taken, and those left
 * generations one word for each segment; see below
 * fills       one word for each segment: bytes used
 * stamps      one word for each segment: the shard's clock when it was opened
 * ghosts      words, by shard: fingerprints of blocks that left probation
 * buckets     16 words each, by shard: 7 tags, 7 places (0 for none), 7 bytes
 *             of how often each was hit, a byte unused
 * segments    by shard: records
 *
 * place       segment in the shard << 16 | offset in the segment / 64, plus 1
 *
 * record      4 words: table number (low, high), ordinal, length; the block;
 *             up to a multiple of 64 bytes
 *
 * generation  counter << 12 | incarnation of the shard & 255 << 4 | state
 *             (0 free, 1 lost, 2 probation, 3 main, 4 and 5 these two, open)
 * ```
 *
 * All zero, but for the header, is an empty cache: memory that is never used
 * is never touched.
 *
 * Invariants:
 * - A block lies in an open segment before its place is published.
 * - No bucket names a place of a segment when it is opened; its generation
 *   changes then, and only then are its bytes overwritten.
 * - Only who holds the shard's lock changes anything but counts of hits.
 * - A generation comes round after 2^20 uses of its segment. Within a lookup
 *   it tells them all apart; what is remembered for longer is looked at again.
 *
 * @module
 */

/** Words of the header, of a shard, and of a bucket. */
export const LINE_WORDS = 16;
/** Bits of that. */
export const LINE_BITS = 4;
/** Bytes that records are a multiple of. */
export const UNIT_BYTES = 64;
/** Bytes of a record before the block. */
export const RECORD_HEADER_BYTES = 16;
/** Entries of a bucket. */
export const WAYS = 7;
/** Word of a bucket's first place. */
export const PLACES = 7;
/** Byte of a bucket's first count of hits. */
export const HITS = 56;

const VERSION = 1;
const SHARDS_MAX = 512;
const SEGMENTS_PER_SHARD = 32;
const SEGMENT_BYTES_MAX = 2 * 1024 * 1024;
const SEGMENT_BYTES_USUAL = 256 * 1024;
/** From here on segments are as large as they may be, lest there be too many. */
const LARGE_CAPACITY = 4 * 1024 * 1024 * 1024;

/** Bits of the number of all buckets, so that their words are numbered by small integers. */
const BUCKET_BITS_MAX = 26;

/** Word of the header that counts holders. */
export const HOLDERS = 6;

/** The numbers from which every position follows. */
export interface Shape {
  /** Bits of the number of shards. */
  readonly shardBits: number;
  /** Segments of a shard. */
  readonly segments: number;
  /** Bytes of a segment. */
  readonly segmentBytes: number;
  /** Bits of the number of buckets of a shard. */
  readonly bucketBits: number;
  /** Bits of the number of ghosts of a shard. */
  readonly ghostBits: number;
}

function alignedDown(bytes: number): number {
  return Math.floor(bytes / UNIT_BYTES) * UNIT_BYTES;
}

/** Bytes of a block's record. */
export function recordBytes(blockBytes: number): number {
  return Math.ceil((RECORD_HEADER_BYTES + blockBytes) / UNIT_BYTES) *
    UNIT_BYTES;
}

function shapeOf(
  shardBits: number,
  segments: number,
  segmentBytes: number,
  blockSize: number,
): Shape {
  const blocks = segments * segmentBytes / recordBytes(blockSize);
  return {
    shardBits,
    segments,
    segmentBytes,
    // One or two blocks in a bucket on average, so that hardly one overflows.
    bucketBits: Math.min(
      BUCKET_BITS_MAX - shardBits,
      Math.max(0, Math.ceil(Math.log2(blocks / 2))),
    ),
    ghostBits: Math.max(0, Math.floor(Math.log2(blocks))),
  };
}

/**
 * The shape of a cache of at most `capacity` bytes, everything counted.
 *
 * Segments hold 16 blocks or more where there is room for a few segments, and
 * blocks of up to 256 KiB from a capacity of 2 MiB on.
 *
 * @param blockSize The bytes that blocks aim at.
 * @returns `undefined` if there is room for nothing.
 */
export function chooseShape(
  capacity: number,
  blockSize: number,
): Shape | undefined {
  const wanted = Math.min(
    SEGMENT_BYTES_MAX,
    capacity >= LARGE_CAPACITY
      ? SEGMENT_BYTES_MAX
      : Math.max(SEGMENT_BYTES_USUAL, blockSize * 16),
  );
  const share = capacity / (capacity < SEGMENT_BYTES_USUAL ? 4 : 8);
  const segmentBytes = alignedDown(Math.min(wanted, share));
  if (segmentBytes < 2 * UNIT_BYTES) return undefined;
  const total = Math.floor(capacity / segmentBytes);
  const shards = Math.min(SHARDS_MAX, Math.max(1, total / SEGMENTS_PER_SHARD));
  const shardBits = Math.floor(Math.log2(shards));
  for (let segments = total >>> shardBits; segments >= 2; segments--) {
    const shape = shapeOf(shardBits, segments, segmentBytes, blockSize);
    if (totalBytes(shape) <= capacity) return shape;
  }
  return undefined;
}

function totalBytes(shape: Shape): number {
  const shards = 2 ** shape.shardBits;
  return dataStart(shape) + shards * shape.segments * shape.segmentBytes;
}

/** Where the segments start, in bytes. */
function dataStart(shape: Shape): number {
  return (bucketsStart(shape) +
    2 ** (shape.shardBits + shape.bucketBits) * LINE_WORDS) * 4;
}

/** Where the buckets start, in words. */
function bucketsStart(shape: Shape): number {
  const shards = 2 ** shape.shardBits;
  const words = LINE_WORDS * (1 + shards) + 3 * shards * shape.segments +
    2 ** (shape.shardBits + shape.ghostBits);
  return Math.ceil(words / LINE_WORDS) * LINE_WORDS;
}

/** Writes the header of an empty cache. */
export function writeHeader(memory: SharedArrayBuffer, shape: Shape): void {
  const { shardBits, segments, segmentBytes, bucketBits, ghostBits } = shape;
  new Int32Array(memory, 0, LINE_WORDS).set([
    VERSION,
    shardBits,
    segments,
    segmentBytes,
    bucketBits,
    ghostBits,
  ]);
}

function readHeader(memory: SharedArrayBuffer): Shape | undefined {
  if (memory.byteLength < LINE_WORDS * 4) return undefined;
  const [version, shardBits, segments, segmentBytes, bucketBits, ghostBits] =
    new Int32Array(memory, 0, LINE_WORDS);
  if (version !== VERSION) return undefined;
  return { shardBits, segments, segmentBytes, bucketBits, ghostBits };
}

/** Whether memory has the header of that shape. */
export function hasShape(memory: SharedArrayBuffer, shape: Shape): boolean {
  const own = readHeader(memory);
  return own !== undefined && own.shardBits === shape.shardBits &&
    own.segments === shape.segments &&
    own.segmentBytes === shape.segmentBytes &&
    own.bucketBits === shape.bucketBits && own.ghostBits === shape.ghostBits;
}

/**
 * Empties a cache that nobody uses. Its header stays: a thread that comes too
 * late to the cache that the memory was before looks at it and counts itself
 * as a holder, before it finds the database closed.
 */
export function empty(memory: SharedArrayBuffer): void {
  const shape = readHeader(memory);
  if (shape === undefined) throw new TypeError("no memory of a block cache");
  new Int32Array(memory, 0, dataStart(shape) / 4).fill(0, LINE_WORDS);
}

/** Whether a value is the memory of a cache. */
export function isCacheMemory(value: unknown): value is SharedArrayBuffer {
  if (!(value instanceof SharedArrayBuffer)) return false;
  const shape = readHeader(value);
  return shape !== undefined && totalBytes(shape) <= value.byteLength;
}

/** A thread's views of a cache's memory. */
export class CacheMemory {
  /** What the numbers are. */
  readonly shape: Shape;
  /** How many shards there are. */
  readonly shards: number;
  /** Everything before the segments, as words. */
  readonly words: Int32Array;
  /** The same, as bytes. */
  readonly octets: Uint8Array;
  /** The segments of each shard, as bytes. */
  readonly bytes: readonly Uint8Array[];
  /** The same, as words. */
  readonly records: readonly Int32Array[];
  /** Word of the first generation. */
  readonly generations: number;
  /** Word of the first fill. */
  readonly fills: number;
  /** Word of the first stamp. */
  readonly stamps: number;
  /** Word of the first ghost. */
  readonly ghosts: number;
  /** Word of the first bucket. */
  readonly buckets: number;

  /** Views of memory that has its header. */
  constructor(memory: SharedArrayBuffer) {
    const shape = readHeader(memory);
    if (shape === undefined) throw new TypeError("no memory of a block cache");
    this.shape = shape;
    this.shards = 2 ** shape.shardBits;
    const segments = this.shards * shape.segments;
    const start = dataStart(shape);
    this.words = new Int32Array(memory, 0, start / 4);
    this.octets = new Uint8Array(memory, 0, start);
    this.generations = LINE_WORDS * (1 + this.shards);
    this.fills = this.generations + segments;
    this.stamps = this.fills + segments;
    this.ghosts = this.stamps + segments;
    this.buckets = bucketsStart(shape);
    const length = shape.segments * shape.segmentBytes;
    const starts = Array.from(
      { length: this.shards },
      (_, shard) => start + shard * length,
    );
    this.bytes = starts.map((at) => new Uint8Array(memory, at, length));
    this.records = starts.map((at) => new Int32Array(memory, at, length / 4));
  }
}

/** Reduces a block's key to the bits from which its bucket and tag are taken. */
export function hashBlock(seed: number, ordinal: number): number {
  let hash = Math.imul(seed ^ ordinal, 0x9e3779b1);
  hash = Math.imul(hash ^ (hash >>> 15), 0x85ebca77);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae3d);
  return hash ^ (hash >>> 16);
}

/** What a bucket tells blocks apart by; never 0. */
export function tagOf(hash: number, ordinal: number): number {
  return (Math.imul(hash, 0x27d4eb2f) + ordinal) | 1;
}

/** Words of {@linkcode TableBlocks.seen} for each block: place, length, generation (0 if it was not seen), bucket entry (~entry once no more hits need be counted). */
export const SEEN_WORDS = 4;

/** The blocks of one table, as one thread knows them. */
export class TableBlocks {
  /** The low 32 bits of the table's number. */
  readonly low: number;
  /** Its high bits. */
  readonly high: number;
  /** What {@linkcode hashBlock} starts from. */
  readonly seed: number;
  /** Where this thread found blocks last. That is still right if their segments' generations are the same, and the records there. */
  seen: Int32Array = new Int32Array(0);

  /** Of table `number`; numbers are never used again. */
  constructor(number: number) {
    this.low = number | 0;
    this.high = Math.floor(number / 0x1_0000_0000);
    this.seed = seedOf(this.low, this.high);
  }

  /** Makes room to note where `count` blocks are seen, or forgets it with 0; returns the bytes. */
  note(count: number): number {
    this.seen = new Int32Array(count * SEEN_WORDS);
    return this.seen.byteLength;
  }
}

/** What {@linkcode hashBlock} starts from, for a table. */
export function seedOf(low: number, high: number): number {
  const seed = Math.imul(low ^ Math.imul(high, 0x27d4eb2f), 0x165667b1);
  return seed ^ (seed >>> 15);
}
