/** The block cache: its bound, and who stays. */
import { test } from "node:test";
import { BlockCache, CachedBlocks } from "../../../lib/cache/block_cache.ts";
import { Block } from "../../../lib/sstable/block.ts";
import { BlockBuilder } from "../../../lib/sstable/block_builder.ts";
import {
  assert,
  assertEquals,
  assertGreater,
  assertGreaterOrEqual,
  assertLessOrEqual,
  assertStrictEquals,
} from "../../assert.ts";
import { Random } from "../../engine/support/random.ts";
import { toBytes } from "../support/entries.ts";

/** What one block of `BLOCK_BYTES` may cost, objects around it included. */
const BLOCK_BYTES = 4096;
const COST_MAX = BLOCK_BYTES + 512;

function makeBlock(name: string): Block {
  const builder = new BlockBuilder();
  const key = toBytes(name);
  builder.add(key, 0, key.length, 0, 0, key, 0, 0);
  const bytes = new Uint8Array(100);
  return new Block(bytes, 0, builder.finish(bytes, 0), name, 0);
}

const BLOCK = makeBlock("block");

/** A lookup as tables make it: from the cache, else read and offered to it. Returns whether it was there. */
function touch(
  blocks: CachedBlocks,
  ordinal: number,
  bytes = BLOCK_BYTES,
): boolean {
  if (blocks.get(ordinal) !== undefined) return true;
  blocks.put(ordinal, BLOCK, bytes);
  return false;
}

test("a block that was put is found again, in its own place only", () => {
  const cache = new BlockCache(1 << 20);
  const [one, two] = [new CachedBlocks(cache), new CachedBlocks(cache)];
  const block = makeBlock("a");
  one.put(5, block, 100);
  assertStrictEquals(one.get(5), block);
  assertEquals(one.get(4), undefined);
  assertEquals(one.get(6), undefined);
  assertEquals(one.get(500), undefined);
  assertEquals(two.get(5), undefined);
  assertEquals(cache.hits, 1);
  assertGreaterOrEqual(cache.bytes, 100);
});

test("a block that is there is not put twice", () => {
  const cache = new BlockCache(1 << 20);
  const blocks = new CachedBlocks(cache);
  const first = makeBlock("a");
  blocks.put(0, first, 100);
  const { bytes } = cache;
  blocks.put(0, makeBlock("b"), 100);
  assertEquals(cache.bytes, bytes);
  assertStrictEquals(blocks.get(0), first);
});

test("a capacity of 0 keeps nothing, and a block larger than all of it is not kept", () => {
  const none = new BlockCache(0);
  const blocks = new CachedBlocks(none);
  blocks.put(0, BLOCK, 0);
  blocks.put(1, BLOCK, 100);
  assertEquals([none.bytes, blocks.get(0), blocks.get(1)], [
    0,
    undefined,
    undefined,
  ]);
  const small = new BlockCache(10_000);
  const others = new CachedBlocks(small);
  others.put(0, BLOCK, 1000);
  others.put(1, BLOCK, 10_001);
  assertEquals(others.get(1), undefined);
  assert(others.get(0) !== undefined, "it pushed out another in vain");
});

test("clear() gives all of a table's bytes back, and no other's", () => {
  const cache = new BlockCache(1 << 20);
  const [one, two] = [new CachedBlocks(cache), new CachedBlocks(cache)];
  for (let i = 0; i < 10; i++) {
    one.put(i, BLOCK, 1000);
    two.put(i, BLOCK, 500);
  }
  const both = cache.bytes;
  one.clear();
  for (let i = 0; i < 10; i++) {
    assertEquals(one.get(i), undefined);
    assert(two.get(i) !== undefined);
  }
  assertGreaterOrEqual(both - cache.bytes, 10_000);
  two.clear();
  assertEquals(cache.bytes, 0);
  one.put(0, BLOCK, 1000);
  assert(one.get(0) !== undefined);
});

test("at random: never above the capacity, and what is found is what was put", () => {
  for (let seed = 1; seed <= 20; seed++) {
    const random = new Random(seed);
    const capacity = 1000 + random.below(100_000);
    const cache = new BlockCache(capacity);
    const tables = Array.from({ length: 4 }, () => ({
      blocks: new CachedBlocks(cache),
      put: new Map<number, Block>(),
    }));
    let evicted = 0;
    for (let step = 0; step < 2000; step++) {
      const { blocks, put } = random.pick(tables);
      const ordinal = random.below(60);
      const message = `seed ${seed}, step ${step}`;
      if (random.chance(1)) {
        blocks.clear();
        put.clear();
      } else if (random.chance(50)) {
        const found = blocks.get(ordinal);
        if (found !== undefined) {
          assertStrictEquals(found, put.get(ordinal), message);
        } else if (put.delete(ordinal)) evicted++;
      } else if (blocks.get(ordinal) === undefined) {
        const block = makeBlock(`${step}`);
        blocks.put(ordinal, block, random.below(8000));
        put.set(ordinal, block);
      }
      assertLessOrEqual(cache.bytes, capacity, message);
      assertGreaterOrEqual(cache.bytes, 0, message);
    }
    assertGreater(evicted, 0, `seed ${seed}`);
    for (const { blocks } of tables) blocks.clear();
    assertEquals(cache.bytes, 0, `seed ${seed}`);
  }
});

test("what fits stays: a working set within the capacity is read once", () => {
  const cache = new BlockCache(64 * COST_MAX);
  const blocks = new CachedBlocks(cache);
  for (let i = 0; i < 64; i++) touch(blocks, i);
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < 64; i++) assert(touch(blocks, i), `${i}`);
  }
});

test("hot blocks stay while cold ones stream through", () => {
  const cache = new BlockCache(64 * COST_MAX);
  const [hot, cold] = [new CachedBlocks(cache), new CachedBlocks(cache)];
  for (let i = 0; i < 32; i++) touch(hot, i);
  let misses = 0;
  for (let i = 0; i < 5000; i++) {
    touch(cold, i);
    if (!touch(hot, i % 32)) misses++;
  }
  // One visit to each hot block between two turns of the hand.
  assertLessOrEqual(misses, 50);
});

test("the cache follows a working set that moves", () => {
  const cache = new BlockCache(64 * COST_MAX);
  const [old, young] = [new CachedBlocks(cache), new CachedBlocks(cache)];
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < 64; i++) touch(old, i);
  }
  // Nobody asks for the old blocks any more; the new ones need half the room.
  let hits = 0;
  for (let round = 0; round < 10; round++) {
    hits = 0;
    for (let i = 0; i < 32; i++) if (touch(young, i)) hits++;
  }
  assertEquals(hits, 32, "of 32 blocks, in the tenth round over them");
});

test("cold blocks leave in about the order of their arrival", () => {
  const cache = new BlockCache(64 * COST_MAX);
  const blocks = new CachedBlocks(cache);
  for (let i = 0; i < 1000; i++) touch(blocks, i);
  // The last ones are there, the first ones are not.
  const recent = Array.from({ length: 32 }, (_, i) => 999 - i);
  assertEquals(recent.filter((i) => blocks.get(i) === undefined), []);
  const first = Array.from({ length: 800 }, (_, i) => i);
  assertEquals(first.filter((i) => blocks.get(i) !== undefined), []);
});
