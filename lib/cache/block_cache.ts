/**
 * Data blocks in memory, up to a number of bytes.
 *
 * Source of the replacement: CLOCK (F. J. Corbató, "A Paging Experiment with
 * the Multics System", 1968): a hit sets a bit, the hand clears bits and takes
 * the first block whose bit is clear.
 *
 * A table finds its blocks by their place in its index, without hashing: each
 * table has a {@linkcode CachedBlocks}. The cache only decides who stays.
 *
 * Invariant: bytes held never exceed the capacity.
 *
 * @module
 */
import type { Block } from "../sstable/block.ts";

/** What a block costs beside its bytes: the objects around it. */
const OVERHEAD = 160;

interface Slot {
  readonly owner: CachedBlocks;
  readonly ordinal: number;
  readonly block: Block;
  readonly bytes: number;
  recent: boolean;
  place: number;
}

/** The cached blocks of one table. */
export class CachedBlocks {
  private readonly cache: BlockCache;
  /** By place in the index; the cache fills and empties it. */
  readonly slots: (Slot | undefined)[] = [];

  /** No block is cached yet. */
  constructor(cache: BlockCache) {
    this.cache = cache;
  }

  /** The block at `ordinal`, if it is cached. */
  get(ordinal: number): Block | undefined {
    const slot = this.slots[ordinal];
    if (slot === undefined) return undefined;
    slot.recent = true;
    this.cache.hits++;
    return slot.block;
  }

  /** Offers a block of `bytes` bytes to the cache. */
  put(ordinal: number, block: Block, bytes: number): void {
    this.cache.insert(this, ordinal, block, bytes);
  }

  /** Drops every block of the table. */
  clear(): void {
    for (const slot of this.slots) {
      if (slot !== undefined) this.cache.drop(slot);
    }
    this.slots.length = 0;
  }
}

/** The cache that all tables share. */
export class BlockCache {
  /** Bytes allowed. */
  readonly capacity: number;
  /** Blocks found. */
  hits = 0;
  /** Blocks looked for by lookups and not found. */
  misses = 0;
  /** Bytes held. */
  bytes = 0;
  private readonly ring: (Slot | undefined)[] = [];
  /** Places of the ring without a slot; the last one was left last. */
  private readonly free: number[] = [];
  private hand = 0;

  /** An empty cache of `capacity` bytes; 0 keeps nothing. */
  constructor(capacity: number) {
    this.capacity = capacity;
  }

  /** See {@linkcode CachedBlocks.put}. */
  insert(
    owner: CachedBlocks,
    ordinal: number,
    block: Block,
    blockBytes: number,
  ): void {
    const bytes = blockBytes + OVERHEAD;
    if (bytes > this.capacity || owner.slots[ordinal] !== undefined) return;
    while (this.bytes + bytes > this.capacity) this.evict();
    while (owner.slots.length <= ordinal) owner.slots.push(undefined);
    const place = this.free.pop() ?? this.ring.length;
    const slot = { owner, ordinal, block, bytes, recent: false, place };
    owner.slots[ordinal] = slot;
    this.ring[place] = slot;
    this.bytes += bytes;
  }

  /** Drops one block. The next one to come takes its place, right behind the hand, and so is looked at last. */
  private evict(): void {
    for (;; this.hand++) {
      if (this.hand >= this.ring.length) this.hand = 0;
      const slot = this.ring[this.hand];
      if (slot === undefined) continue;
      if (!slot.recent) {
        this.drop(slot);
        this.hand++;
        return;
      }
      slot.recent = false;
    }
  }

  /** Takes one block out. */
  drop(slot: Slot): void {
    slot.owner.slots[slot.ordinal] = undefined;
    this.bytes -= slot.bytes;
    this.ring[slot.place] = undefined;
    this.free.push(slot.place);
  }
}
