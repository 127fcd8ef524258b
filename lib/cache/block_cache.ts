/**
 * Data blocks in memory, up to a number of bytes, for several threads at once.
 *
 * Everything lies in one SharedArrayBuffer (layout.ts); a thread attaches to
 * it by making a {@linkcode BlockCache} over it. Who puts blocks in holds the
 * lock of a shard (shard_writer.ts); if another one has it, the block is left
 * out. Readers take no lock: they use the block where it lies, and ask
 * afterwards whether it was still there ({@linkcode BlockCache.isStill}).
 * What was read before that is believed only then.
 *
 * Invariants:
 * - The memory is never larger than the capacity.
 * - A block's key, (table number, ordinal), never means two contents.
 *
 * @module
 */
import type { Lender } from "../cursor.ts";
import { EMPTY } from "../encoding/bytes.ts";
import { READS_MAY_BE_LATE } from "../runtime/memory_order.ts";
import { SpareMemory } from "../runtime/spare_memory.ts";
import {
  CacheMemory,
  chooseShape,
  empty,
  hashBlock,
  hasShape,
  HOLDERS,
  LINE_BITS,
  LINE_WORDS,
  PLACES,
  RECORD_HEADER_BYTES,
  recordBytes,
  SEEN_WORDS,
  type TableBlocks,
  tagOf,
  WAYS,
  writeHeader,
} from "./layout.ts";
import {
  hitsAt,
  isRecordOf,
  offsetOf,
  READABLE,
  segmentOf,
  ShardWriter,
  stateOf,
} from "./shard_writer.ts";

/** Hits are counted up to here: more would not change who stays, and each count is a write that other threads see. */
const HITS_MAX = 3;

/** What reads are ordered with, where the processor does not do so by itself. */
const fence = new Int32Array(new SharedArrayBuffer(4));

/** The memory of caches that have ended. */
const spareCaches = new SpareMemory();

/** Memory for `capacity` bytes, or for as many of them as there is; `undefined` for nothing. */
function allocate(
  capacity: number,
  blockSize: number,
): SharedArrayBuffer | undefined {
  for (let bytes = capacity;; bytes = Math.floor(bytes / 2)) {
    const shape = chooseShape(bytes, blockSize);
    if (shape === undefined) return undefined;
    const spare = spareCaches.take(bytes, (memory) => hasShape(memory, shape));
    if (spare !== undefined) {
      empty(spare);
      return spare;
    }
    try {
      const memory = new SharedArrayBuffer(bytes);
      writeHeader(memory, shape);
      return memory;
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
    }
  }
}

/** The cache that all tables of a database share; one object for each thread. */
export class BlockCache implements Lender {
  /** What other threads attach to; `undefined` if the cache is off. */
  readonly memory: SharedArrayBuffer | undefined;
  /** Bytes allowed. Less than was asked for where the runtime does not have so much for one buffer. */
  readonly capacity: number;
  /** The number by which other threads give this one up; see {@linkcode BlockCache.abandon}. */
  readonly holder: number;
  /** Blocks found by this thread. */
  hits = 0;
  /** Blocks that this thread looked for and did not find. */
  misses = 0;

  /** After {@linkcode BlockCache.find}: where the block is. */
  source: Uint8Array = EMPTY;
  /** The same memory as words. */
  words: Int32Array = new Int32Array(0);
  /** Where it starts. */
  start = 0;
  /** How long it is. */
  length = 0;
  /** Its segment. */
  segment = 0;
  /** The segment's generation. */
  generation = 0;
  private entry = 0;

  private readonly views: CacheMemory | undefined;
  private readonly writer: ShardWriter | undefined;
  private readonly control: Int32Array;
  private readonly octets: Uint8Array;
  private readonly shardBytes: readonly Uint8Array[];
  private readonly shardRecords: readonly Int32Array[];
  private readonly shardMask: number = 0;
  private readonly bucketBits: number = 0;
  private readonly bucketMask: number = 0;
  private readonly buckets: number = 0;
  private readonly generations: number = 0;
  private readonly segments: number = 0;
  private readonly segmentBytes: number = 0;

  /**
   * An empty cache of at most `capacity` bytes; 0 keeps nothing. Or the cache
   * in memory that another thread made: see {@linkcode BlockCache.attach}.
   *
   * @param blockSize The bytes that blocks aim at. Blocks that are larger than
   * a segment (256 KiB, or 16 such blocks, or an eighth of the capacity) are
   * not kept.
   */
  constructor(capacity: number | SharedArrayBuffer, blockSize: number = 4096) {
    const memory = typeof capacity === "number"
      ? allocate(capacity, blockSize)
      : capacity;
    this.memory = memory;
    const views = memory && new CacheMemory(memory);
    this.views = views;
    this.control = views?.words ?? new Int32Array(0);
    this.octets = views?.octets ?? EMPTY;
    this.shardBytes = views?.bytes ?? [];
    this.shardRecords = views?.records ?? [];
    this.capacity = memory?.byteLength ??
      (typeof capacity === "number" ? capacity : 0);
    this.holder = views === undefined
      ? 0
      : Atomics.add(this.control, HOLDERS, 1) + 1;
    if (views === undefined) return;
    this.writer = new ShardWriter(views, this.holder);
    this.shardMask = views.shards - 1;
    this.bucketBits = views.shape.bucketBits;
    this.bucketMask = (1 << this.bucketBits) - 1;
    this.buckets = views.buckets;
    this.generations = views.generations;
    this.segments = views.shape.segments;
    this.segmentBytes = views.shape.segmentBytes;
  }

  /** The cache in memory that another thread made. */
  static attach(memory: SharedArrayBuffer): BlockCache {
    return new BlockCache(memory);
  }

  private shardOf(hash: number): number {
    return (hash >>> 23) & this.shardMask;
  }

  /**
   * Looks for a block. Where it is, is left in the fields; its bytes may
   * change at any time, and are to be believed once {@linkcode
   * BlockCache.isStill} has said so after they were used.
   *
   * @param counts Whether this is a use that keeps the block in the cache.
   */
  find(table: TableBlocks, ordinal: number, counts: boolean): boolean {
    if (!this.enterSeen(table, ordinal) && !this.look(table, ordinal)) {
      return false;
    }
    this.hits++;
    if (counts) this.countHit(table.seen, ordinal * SEEN_WORDS + 3);
    return true;
  }

  /**
   * Counts a hit of the block just found, unless it is noted that there were
   * enough: they are forgotten only when its entry comes to name another place.
   */
  private countHit(seen: Int32Array, note: number): void {
    if (seen[note] < 0) return;
    const at = hitsAt(this.entry);
    const { octets } = this;
    if (octets[at] < HITS_MAX) octets[at]++;
    else if (note < seen.length) seen[note] = ~this.entry;
  }

  /**
   * Takes the block where this thread found it last, if it is still there.
   * That the record names it is looked at for the sake of a generation that
   * has come round since. This is no more than a guess before `isStill`.
   */
  private enterSeen(table: TableBlocks, ordinal: number): boolean {
    const { seen } = table;
    const at = ordinal * SEEN_WORDS;
    if (at >= seen.length) return false;
    const generation = seen[at + 2];
    if (generation === 0) return false;
    const place = seen[at];
    const note = seen[at + 3];
    const entry = note ^ (note >> 31); // ~note if it is negative
    const shard = (entry - this.buckets) >>> (this.bucketBits + LINE_BITS);
    const own = segmentOf(place);
    const segment = shard * this.segments + own;
    const now = this.control[this.generations + segment];
    // mutant generation-of-seen-blocks: memory that was used again holds another block
    if (((now ^ generation) >>> 4) !== 0) return false;
    const start = own * this.segmentBytes + offsetOf(place);
    const records = this.shardRecords[shard];
    if (!isRecordOf(records, start >>> 2, table, ordinal)) return false;
    this.source = this.shardBytes[shard];
    this.words = records;
    this.start = start + RECORD_HEADER_BYTES;
    this.length = seen[at + 1];
    this.segment = segment;
    this.generation = generation;
    this.entry = entry;
    return true;
  }

  /** Looks for a block in its bucket. */
  private look(table: TableBlocks, ordinal: number): boolean {
    if (this.views === undefined) return false;
    const words = this.control;
    const hash = hashBlock(table.seed, ordinal);
    const tag = tagOf(hash, ordinal);
    const shard = this.shardOf(hash);
    const bucket = this.buckets +
      ((shard << this.bucketBits) + (hash & this.bucketMask)) * LINE_WORDS;
    for (let entry = bucket; entry < bucket + WAYS; entry++) {
      if (words[entry] !== tag) continue;
      const place = words[entry + PLACES];
      if (place !== 0 && this.enter(shard, entry, place, table, ordinal)) {
        this.see(table.seen, ordinal * SEEN_WORDS, place);
        return true;
      }
    }
    return false;
  }

  /** Notes where a block is, if that is certain. */
  private see(seen: Int32Array, at: number, place: number): void {
    if (at >= seen.length) return;
    if (!this.isStill(this.segment, this.generation)) return;
    seen[at] = place;
    seen[at + 1] = this.length;
    seen[at + 2] = this.generation;
    seen[at + 3] = this.entry;
  }

  /** Takes the record at `place` for the block, if it is the block's. */
  private enter(
    shard: number,
    entry: number,
    place: number,
    table: TableBlocks,
    ordinal: number,
  ): boolean {
    const words = this.control;
    const own = segmentOf(place);
    const segment = shard * this.segments + own;
    const generation = Atomics.load(words, this.generations + segment);
    // A bucket names no place of an older generation: if it names this one
    // now, the record there is of this generation or of a later one. It may
    // have been named anew: nothing of it is read before that is known.
    if (
      Atomics.load(words, entry + PLACES) !== place ||
      stateOf(generation) < READABLE
    ) return false;
    const records = this.shardRecords[shard];
    const offset = offsetOf(place);
    const start = own * this.segmentBytes + offset;
    const record = start >>> 2;
    const length = records[record + 3];
    if (
      // mutant record-of-block: a tag that fits may be of another block
      !isRecordOf(records, record, table, ordinal) || length <= 0 ||
      offset + length > this.segmentBytes
    ) return false;
    this.source = this.shardBytes[shard];
    this.words = records;
    this.start = start + RECORD_HEADER_BYTES;
    this.length = length;
    this.segment = segment;
    this.generation = generation;
    this.entry = entry;
    return true;
  }

  /** Whether everything that was read of a segment until now is of that generation. */
  isStill(segment: number, generation: number): boolean {
    // On x64 an earlier read is never done later. Elsewhere it is not done
    // after a store that follows it, nor a load before a store that it follows.
    if (READS_MAY_BE_LATE) Atomics.store(fence, 0, 0);
    const now = Atomics.load(this.control, this.generations + segment);
    return ((now ^ generation) >>> 4) === 0; // A segment may have been closed.
  }

  /** Offers a block that was not found. It may be left out. */
  insert(
    table: TableBlocks,
    ordinal: number,
    source: Uint8Array,
    start: number,
    length: number,
  ): void {
    if (
      this.writer === undefined || recordBytes(length) > this.segmentBytes
    ) return;
    const hash = hashBlock(table.seed, ordinal);
    this.writer.insert(
      this.shardOf(hash),
      hash,
      table,
      ordinal,
      source,
      start,
      length,
    );
  }

  /**
   * Cleans up after a thread that died. If it was putting a block in, that
   * shard is emptied, and what it was writing to, a segment or two, is never
   * used again: should it only have been stopped, its bytes end there.
   *
   * @param holder The dead thread's {@linkcode BlockCache.holder}; 0 is nobody.
   */
  abandon(holder: number): void {
    if (holder !== 0) this.writer?.abandon(holder); // A lock of 0 is free.
  }

  /**
   * Leaves the memory to the next cache that this thread makes. Neither this
   * one nor any other over the same memory may be used any more.
   */
  end(): void {
    if (this.memory !== undefined) spareCaches.give(this.memory);
  }

  /** Bytes of the blocks held, with what each costs beside its own. */
  get bytes(): number {
    const { views, control } = this;
    if (views === undefined) return 0;
    let bytes = 0;
    for (let segment = 0; segment < views.shards * this.segments; segment++) {
      const generation = Atomics.load(control, views.generations + segment);
      if (stateOf(generation) >= READABLE) {
        bytes += control[views.fills + segment];
      }
    }
    return bytes;
  }
}
