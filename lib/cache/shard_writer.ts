/**
 * Puts blocks into a shard of the block cache and decides which ones go.
 *
 * Source of the replacement: S3-FIFO (Yang et al., "FIFO Queues are All You
 * Need for Cache Eviction", SOSP 2023), by segments of a log as in Segcache
 * (Yang et al., NSDI 2021). New blocks go through a small queue on probation.
 * Those that were hit there move on to the main queue; the others leave a
 * fingerprint, a ghost, by which they go straight to the main queue when they
 * come again. The main queue keeps what was hit since it was last looked at.
 * Until it has been full once, blocks go to it directly.
 *
 * Where few blocks are hit on probation, data is much larger than the cache,
 * or asked for once: then most new blocks only leave a ghost. To copy one in,
 * and another out, costs as much as to read it again.
 *
 * A queue is a list of segments. When the oldest one of the main queue is
 * taken, its survivors move together in place, at most half of a segment, so
 * that one insert moves little and always finds room.
 *
 * Invariants, beside those of layout.ts:
 * - Every change of a generation names the one that was seen before, with the
 *   incarnation in which the lock was taken. `invalidate` changes all of them
 *   and the incarnation. A holder that was given up and goes on all the same
 *   can only write into segments that it had opened: those are lost for good.
 * - The rest of what it may still write only costs blocks: tags and places
 *   are checked against records, and fills are of segments that are lost.
 *
 * @module
 */
import {
  type CacheMemory,
  hashBlock,
  HITS,
  LINE_WORDS,
  PLACES,
  RECORD_HEADER_BYTES,
  recordBytes,
  seedOf,
  type Shape,
  type TableBlocks,
  tagOf,
  UNIT_BYTES,
  WAYS,
} from "./layout.ts";

// Words of a shard.
const LOCK = 0;
const INCARNATION = 1;
const CLOCK = 2;
const WAS_FULL = 3;
const OPEN = 4;
const PASSED_BY = 8;
const LEFT_TO_PASS = 9;

// States of a segment; an open one is 2 more than a closed one of its queue.
const FREE = 0;
const LOST = 1;
const PROBATION = 2;
const MAIN = 3;
const OPENED = 2;
const STATE = 15;

/** A segment of this state or a higher one has blocks. */
export const READABLE: number = PROBATION;

/** No entry of a bucket: all are taken. */
const NONE_FREE = -1;
/** No entry of a bucket: one of them names the block already. */
const HELD = -2;

type Queue = typeof PROBATION | typeof MAIN;

/** Of a segment's blocks less than one in so many were hit on probation: hardly any new one is worth its place, */
const FEW_HIT = 8;
/** until one in so many is. Those that are still taken stay longer, and so are hit more often. */
const MANY_HIT = 2;
/** Meanwhile so many new blocks only leave a ghost, for one that is taken. */
const PASSED_BY_FEW_HIT = 7;

/** One share of this many is on probation. */
const PROBATION_SHARE = 8;

/** The state of a segment, of its generation. */
export function stateOf(generation: number): number {
  return generation & STATE;
}

/** The writing side of one thread. It holds the lock of one shard at a time. */
export class ShardWriter {
  private readonly memory: CacheMemory;
  private readonly shape: Shape;
  private readonly words: Int32Array;
  private readonly holder: number;
  private readonly dead = new Set<number>();
  /** Whether this holder was taken for dead in the middle: it puts in nothing more, lest it be given up again and again. */
  private isGivenUp = false;
  // Of the shard whose lock is held.
  private shard = 0;
  private base = 0;
  private firstSegment = 0;
  private firstBucket = 0;
  private incarnation = 0;
  // What the last survey found.
  private free = -1;
  private usable = 0;
  /** The segment whose blocks are looked at one after the other. */
  private draining = -1;
  private readonly counts = [0, 0, 0, 0];
  private readonly oldest = [-1, -1, -1, -1];
  /** Survivors of a segment: offset, bucket entry, bytes of each. */
  private readonly survivors: Int32Array;

  /** Writes as `holder`, a number that no other thread has. */
  constructor(memory: CacheMemory, holder: number) {
    this.memory = memory;
    this.shape = memory.shape;
    this.words = memory.words;
    this.holder = holder;
    this.survivors = new Int32Array(
      3 * this.shape.segmentBytes / UNIT_BYTES,
    );
  }

  /** Puts a block into a shard, unless it is there, or the shard is being written to. */
  insert(
    shard: number,
    hash: number,
    table: TableBlocks,
    ordinal: number,
    source: Uint8Array,
    start: number,
    length: number,
  ): boolean {
    if (this.isGivenUp || !this.lock(shard)) return false;
    const tag = tagOf(hash, ordinal);
    const entry = this.entryFor(hash, tag, table, ordinal);
    const isPut = entry !== HELD &&
      this.append(hash, tag, entry, table, ordinal, source, start, length);
    this.unlock();
    return isPut;
  }

  // The lock.

  private lock(shard: number): boolean {
    const words = this.words;
    this.select(shard);
    const incarnation = Atomics.load(words, this.base + INCARNATION);
    const lock = this.base + LOCK;
    const before = Atomics.compareExchange(words, lock, 0, this.holder);
    if (before === this.holder) {
      // An insert of this thread ended in an exception.
      if (!this.cleanUp(before)) this.isGivenUp = true;
      return false;
    }
    if (before !== 0) {
      // It may have gone on for a while after it was given up.
      if (this.dead.has(before)) this.giveUp(shard, before);
      return false;
    }
    if (Atomics.load(words, this.base + INCARNATION) !== incarnation) {
      this.unlock();
      return false;
    }
    // mutant incarnation-of-the-lock: read again, it may be that of the next one, to whom the lock was given meanwhile
    this.incarnation = incarnation & 255;
    return true;
  }

  private unlock(): void {
    const lock = this.base + LOCK;
    const before = Atomics.compareExchange(this.words, lock, this.holder, 0);
    if (before !== this.holder) this.isGivenUp = true;
  }

  private select(shard: number): void {
    this.shard = shard;
    this.base = LINE_WORDS * (1 + shard);
    this.firstSegment = shard * this.shape.segments;
    this.firstBucket = this.memory.buckets +
      (shard << this.shape.bucketBits) * LINE_WORDS;
  }

  /**
   * Gives up a holder: each shard whose lock it has, now or when this thread
   * next wants it, is emptied, and what it was writing to is lost for good.
   */
  abandon(holder: number): void {
    this.dead.add(holder);
    for (let shard = 0; shard < this.memory.shards; shard++) {
      this.giveUp(shard, holder);
    }
  }

  /** Gives a holder up, if it has this shard's lock. */
  private giveUp(shard: number, holder: number): void {
    this.select(shard);
    this.cleanUp(holder);
  }

  /**
   * Takes the lock over from a holder that has it, which may be this thread,
   * after an insert that ended in an exception; then empties the shard.
   * Meanwhile the lock has a number that nobody gives up, so that no other
   * thread has a part in this; should this one end here, the shard takes no
   * more blocks. Returns whether the holder had the lock.
   */
  private cleanUp(holder: number): boolean {
    const { words, holder: own } = this;
    const lock = this.base + LOCK;
    // mutant lock-that-cleans-up: a thread that is given up meanwhile frees what the next one writes to
    const before = Atomics.compareExchange(words, lock, holder, -own);
    if (before !== holder) return false;
    this.invalidate(holder === own);
    Atomics.store(words, lock, 0);
    return true;
  }

  /**
   * Drops every block of the shard, under its lock. What is being written to is
   * lost, unless its writer can write no more. The buckets are cleared last:
   * what a writer that goes on names afterwards is lost.
   */
  private invalidate(hasEnded: boolean): void {
    const words = this.words;
    const { segments, bucketBits } = this.shape;
    const last = Atomics.add(words, this.base + INCARNATION, 1);
    this.incarnation = (last + 1) & 255;
    for (let segment = 0; segment < segments; segment++) {
      for (;;) {
        const before = this.generation(segment);
        const state = stateOf(before);
        const isLost = state === LOST || !hasEnded && state > MAIN;
        const after = this.next(before, isLost ? LOST : FREE);
        if (this.change(segment, before, after)) break;
      }
    }
    for (let bucket = 0; bucket < 1 << bucketBits; bucket++) {
      const places = this.firstBucket + bucket * LINE_WORDS + PLACES;
      for (let i = 0; i < WAYS; i++) Atomics.store(words, places + i, 0);
    }
    words[this.base + WAS_FULL] = 0;
    words[this.base + PASSED_BY] = 0;
    words[this.base + LEFT_TO_PASS] = 0;
  }

  // Generations.

  private generation(segment: number): number {
    return Atomics.load(
      this.words,
      this.memory.generations + this.firstSegment + segment,
    );
  }

  /** The generation after, in the incarnation of the lock. */
  private next(generation: number, state: number): number {
    return ((generation & ~0xfff) + 0x1000) | (this.incarnation << 4) | state;
  }

  /** Changes a generation; false if it is not the one that is named. */
  private change(segment: number, before: number, after: number): boolean {
    const at = this.memory.generations + this.firstSegment + segment;
    const found = Atomics.compareExchange(this.words, at, before, after);
    // What is written next must not show before the change: on ARM it might,
    // were it not for this read.
    return found === before && Atomics.load(this.words, at) === after;
  }

  /** Whether a generation is of the incarnation in which the lock was taken. */
  private isOurs(generation: number): boolean {
    return ((generation >>> 4) & 255) === this.incarnation;
  }

  // Segments.

  private fillOf(segment: number): number {
    return this.words[this.memory.fills + this.firstSegment + segment];
  }

  private setFill(segment: number, bytes: number): void {
    this.words[this.memory.fills + this.firstSegment + segment] = bytes;
  }

  /** The open segment of a queue, or -1. */
  private openSegment(queue: Queue): number {
    const hint = this.words[this.base + OPEN + queue] - 1;
    const { segments } = this.shape;
    if (hint < 0 || hint >= segments) return -1;
    if (this.isOpen(hint, queue)) return hint;
    for (let i = 0; i < segments; i++) if (this.isOpen(i, queue)) return i;
    return -1;
  }

  private isOpen(segment: number, queue: Queue): boolean {
    const generation = this.generation(segment);
    return stateOf(generation) === queue + OPENED && this.isOurs(generation);
  }

  /** Opens a segment that no bucket names; returns it, or -1 if this holder was given up. */
  private open(segment: number, queue: Queue): number {
    const before = this.generation(segment);
    if (!this.isOurs(before)) return -1;
    const after = this.next(before, queue + OPENED);
    if (!this.change(segment, before, after)) return -1;
    const words = this.words;
    words[this.memory.stamps + this.firstSegment + segment] =
      ++words[this.base + CLOCK];
    words[this.base + OPEN + queue] = segment + 1;
    this.setFill(segment, 0);
    return segment;
  }

  /** Looks at the shard's segments. */
  private survey(): void {
    this.free = -1;
    this.usable = 0;
    this.counts.fill(0);
    this.oldest.fill(-1);
    const ages = [0, 0, 0, 0];
    const clock = this.words[this.base + CLOCK];
    for (let segment = 0; segment < this.shape.segments; segment++) {
      const state = stateOf(this.generation(segment));
      if (state === LOST) continue;
      this.usable++;
      if (state === FREE) {
        this.free = segment;
        continue;
      }
      const queue = state > MAIN ? state - OPENED : state;
      this.counts[queue]++;
      const stamp = this.words[
        this.memory.stamps + this.firstSegment + segment
      ];
      const age = (clock - stamp) >>> 0;
      if (state === queue && (this.oldest[queue] < 0 || age > ages[queue])) {
        this.oldest[queue] = segment;
        ages[queue] = age;
      }
    }
  }

  // Room.

  /** A segment of a queue with room for `size` bytes, or -1; blocks are dropped for it only if they may be. */
  private room(queue: Queue, size: number, mayDrop: boolean): number {
    const open = this.openSegment(queue);
    if (open >= 0) {
      if (this.fillOf(open) + size <= this.shape.segmentBytes) return open;
      const before = this.generation(open);
      const closed = (before & ~STATE) | queue;
      if (!this.isOurs(before) || !this.change(open, before, closed)) return -1;
    }
    this.survey();
    if (this.usable < 2) return -1;
    const share = Math.max(1, Math.floor(this.usable / PROBATION_SHARE));
    const quota = queue === MAIN ? this.usable - share : share;
    if (this.free >= 0 && this.counts[queue] < quota) {
      return this.open(this.free, queue);
    }
    if (!mayDrop) return -1;
    return queue === MAIN ? this.roomInMain(size) : this.roomOnProbation();
  }

  private roomInMain(size: number): number {
    const oldest = this.oldest[MAIN];
    if (oldest >= 0) return this.compact(oldest, size);
    // Only where segments were lost: what is on probation makes way.
    const other = this.oldest[PROBATION];
    return other >= 0 && other !== this.draining ? this.clear(other, MAIN) : -1;
  }

  private roomOnProbation(): number {
    const oldest = this.oldest[PROBATION];
    if (oldest >= 0) return this.drain(oldest);
    const other = this.oldest[MAIN];
    return other >= 0 ? this.clear(other, PROBATION) : -1;
  }

  /** Drops every block of a segment and opens it. */
  private clear(segment: number, queue: Queue): number {
    const end = this.fillOf(segment);
    for (let at = 0; at < end; at += this.sizeAt(segment, at)) {
      const entry = this.entryAt(segment, at);
      if (entry >= 0) Atomics.store(this.words, entry + PLACES, 0);
    }
    return this.open(segment, queue);
  }

  /** Ends the probation of a segment's blocks; opens it again, empty. */
  private drain(segment: number): number {
    this.draining = segment;
    const end = this.fillOf(segment);
    let blocks = 0;
    let hit = 0;
    for (let at = 0; at < end; at += this.sizeAt(segment, at)) {
      const entry = this.entryAt(segment, at);
      if (entry < 0) continue;
      blocks++;
      if (this.hitsOf(entry) > 0) {
        hit++;
        this.promote(segment, at, entry);
      } else {
        this.addGhost(this.hashAt(segment, at));
        Atomics.store(this.words, entry + PLACES, 0);
      }
    }
    this.draining = -1;
    this.learn(blocks, hit);
    return this.open(segment, PROBATION);
  }

  /** Decides by what was hit on probation how many new blocks are to be passed by. */
  private learn(blocks: number, hit: number): void {
    const words = this.words;
    const at = this.base + PASSED_BY;
    const enough = words[at] === 0 ? FEW_HIT : MANY_HIT;
    words[at] = hit * enough < blocks ? PASSED_BY_FEW_HIT : 0;
  }

  /** Whether a new block is only to leave a ghost. */
  private passesBy(): boolean {
    const words = this.words;
    const left = this.base + LEFT_TO_PASS;
    const passes = words[left] > 0;
    words[left] = passes ? words[left] - 1 : words[this.base + PASSED_BY];
    return passes;
  }

  private promote(segment: number, at: number, entry: number): void {
    const size = this.sizeAt(segment, at);
    const target = this.room(MAIN, size, true);
    if (target < 0) {
      Atomics.store(this.words, entry + PLACES, 0);
      return;
    }
    const { segmentBytes } = this.shape;
    const from = segment * segmentBytes + at;
    const fill = this.fillOf(target);
    this.memory.bytes[this.shard].copyWithin(
      target * segmentBytes + fill,
      from,
      from + size,
    );
    this.setFill(target, fill + size);
    this.clearHits(entry, 0);
    Atomics.store(this.words, entry + PLACES, placeOf(target, fill));
  }

  /** Moves the blocks of a segment that were hit to its front, and opens it for `size` bytes more. */
  private compact(segment: number, size: number): number {
    const count = this.selectSurvivors(segment, size);
    if (this.open(segment, MAIN) < 0) return -1;
    const bytes = this.memory.bytes[this.shard];
    const start = segment * this.shape.segmentBytes;
    let fill = 0;
    for (let i = 0; i < count; i += 3) {
      const at = this.survivors[i];
      const entry = this.survivors[i + 1];
      const length = this.survivors[i + 2];
      bytes.copyWithin(start + fill, start + at, start + at + length);
      const place = placeOf(segment, fill);
      fill += length;
      this.setFill(segment, fill);
      Atomics.store(this.words, entry + PLACES, place);
    }
    return segment;
  }

  /** Takes a segment's blocks out of the buckets; lists those that stay. */
  private selectSurvivors(segment: number, size: number): number {
    const { segmentBytes } = this.shape;
    const most = Math.min(segmentBytes / 2, segmentBytes - size);
    const end = this.fillOf(segment);
    let count = 0;
    let kept = 0;
    for (let at = 0; at < end; at += this.sizeAt(segment, at)) {
      const entry = this.entryAt(segment, at);
      if (entry < 0) continue;
      Atomics.store(this.words, entry + PLACES, 0);
      const hits = this.hitsOf(entry);
      const length = this.sizeAt(segment, at);
      if (hits === 0 || kept + length > most) continue;
      this.clearHits(entry, hits - 1);
      this.survivors[count++] = at;
      this.survivors[count++] = entry;
      this.survivors[count++] = length;
      kept += length;
    }
    return count;
  }

  // Records.

  private recordAt(segment: number, at: number): number {
    return (segment * this.shape.segmentBytes + at) >>> 2;
  }

  /**
   * Bytes of a record. A thread that was given up may find anything there,
   * written by others meanwhile: then its walk ends.
   */
  private sizeAt(segment: number, at: number): number {
    const records = this.memory.records[this.shard];
    const length = records[this.recordAt(segment, at) + 3];
    return length > 0 ? recordBytes(length) : this.shape.segmentBytes;
  }

  private hashAt(segment: number, at: number): number {
    const records = this.memory.records[this.shard];
    const record = this.recordAt(segment, at);
    const seed = seedOf(records[record], records[record + 1]);
    return hashBlock(seed, records[record + 2]);
  }

  private append(
    hash: number,
    tag: number,
    entry: number,
    table: TableBlocks,
    ordinal: number,
    source: Uint8Array,
    start: number,
    length: number,
  ): boolean {
    const size = recordBytes(length);
    const segment = this.place(hash, size);
    if (segment < 0) return false;
    const fill = this.fillOf(segment);
    const record = this.recordAt(segment, fill);
    const records = this.memory.records[this.shard];
    records[record] = table.low;
    records[record + 1] = table.high;
    records[record + 2] = ordinal;
    records[record + 3] = length;
    this.memory.bytes[this.shard].set(
      source.subarray(start, start + length),
      record * 4 + RECORD_HEADER_BYTES,
    );
    this.setFill(segment, fill + size);
    this.publish(
      entry === NONE_FREE ? this.leastHit(hash) : entry,
      tag,
      placeOf(segment, fill),
    );
    return true;
  }

  /** A segment for a new block of `size` bytes, or -1. */
  private place(hash: number, size: number): number {
    const words = this.words;
    if (words[this.base + WAS_FULL] === 0) {
      const segment = this.room(MAIN, size, false);
      if (segment >= 0) return segment;
      words[this.base + WAS_FULL] = 1;
    }
    if (this.takeGhost(hash)) return this.room(MAIN, size, true);
    if (!this.passesBy()) return this.room(PROBATION, size, true);
    this.addGhost(hash);
    return -1;
  }

  // Buckets and ghosts.

  private bucketOf(hash: number): number {
    return this.firstBucket +
      (hash & ((1 << this.shape.bucketBits) - 1)) * LINE_WORDS;
  }

  /** A free entry of a block's bucket, {@linkcode NONE_FREE}, or {@linkcode HELD} if the bucket names the block. */
  private entryFor(
    hash: number,
    tag: number,
    table: TableBlocks,
    ordinal: number,
  ): number {
    const words = this.words;
    const bucket = this.bucketOf(hash);
    let free = NONE_FREE;
    for (let entry = bucket; entry < bucket + WAYS; entry++) {
      const place = words[entry + PLACES];
      if (place === 0) {
        if (free < 0) free = entry;
      } else if (words[entry] === tag && this.names(place, table, ordinal)) {
        return HELD;
      }
    }
    return free;
  }

  /** Whether a place has a block. */
  private names(place: number, table: TableBlocks, ordinal: number): boolean {
    const records = this.memory.records[this.shard];
    const record = this.recordAt(segmentOf(place), offsetOf(place));
    return this.isSound(place) && isRecordOf(records, record, table, ordinal);
  }

  /** Whether a place is of a segment that has blocks: a holder that was given up may name one that is lost. */
  private isSound(place: number): boolean {
    return stateOf(this.generation(segmentOf(place))) >= READABLE;
  }

  /** The entry of a bucket that names a record, or -1. */
  private entryAt(segment: number, at: number): number {
    const bucket = this.bucketOf(this.hashAt(segment, at));
    const place = placeOf(segment, at);
    for (let entry = bucket; entry < bucket + WAYS; entry++) {
      if (this.words[entry + PLACES] === place) return entry;
    }
    return -1;
  }

  /** The entry of a bucket that names nothing, or else the block that was hit least. */
  private leastHit(hash: number): number {
    const words = this.words;
    const bucket = this.bucketOf(hash);
    let best = bucket;
    let fewest = 256;
    for (let entry = bucket; entry < bucket + WAYS; entry++) {
      const old = words[entry + PLACES];
      const isFree = old === 0 || !this.isSound(old);
      const hits = isFree ? -1 : this.hitsOf(entry);
      if (hits < fewest) {
        best = entry;
        fewest = hits;
      }
    }
    return best;
  }

  /** Names a record in an entry of its bucket. */
  private publish(entry: number, tag: number, place: number): void {
    const words = this.words;
    Atomics.store(words, entry + PLACES, 0);
    Atomics.store(words, entry, tag);
    this.clearHits(entry, 0);
    Atomics.store(words, entry + PLACES, place);
  }

  private hitsOf(entry: number): number {
    return this.memory.octets[hitsAt(entry)];
  }

  private clearHits(entry: number, hits: number): void {
    this.memory.octets[hitsAt(entry)] = hits;
  }

  private ghostAt(hash: number): number {
    const { ghostBits } = this.shape;
    return this.memory.ghosts + (this.shard << ghostBits) +
      ((hash >>> 4) & ((1 << ghostBits) - 1));
  }

  private addGhost(hash: number): void {
    this.words[this.ghostAt(hash)] = hash | 1;
  }

  private takeGhost(hash: number): boolean {
    const at = this.ghostAt(hash);
    if (this.words[at] !== (hash | 1)) return false;
    this.words[at] = 0;
    return true;
  }
}

/** Whether the record at a word is that of a block. */
export function isRecordOf(
  records: Int32Array,
  record: number,
  table: TableBlocks,
  ordinal: number,
): boolean {
  return records[record] === table.low && records[record + 1] === table.high &&
    records[record + 2] === ordinal;
}

/** What a bucket calls a record of a shard. */
function placeOf(segment: number, at: number): number {
  return (segment << 16 | at / UNIT_BYTES) + 1;
}

/** The segment of a place. */
export function segmentOf(place: number): number {
  return (place - 1) >>> 16;
}

/** The offset of a place in its segment. */
export function offsetOf(place: number): number {
  return ((place - 1) & 0xffff) * UNIT_BYTES;
}

/** The byte that counts an entry's hits: the entries of a bucket begin at a multiple of 16 words. */
export function hitsAt(entry: number): number {
  const way = entry & (LINE_WORDS - 1);
  return (entry - way) * 4 + HITS + way;
}
