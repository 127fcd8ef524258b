/**
 * What a lookup in a table is made of: hash and filter, block seek, a block
 * found in the cache.
 *
 * @module
 */
import { BlockCache } from "../../lib/cache/block_cache.ts";
import { TableBlocks } from "../../lib/cache/layout.ts";
import { fingerprintOf, hashKey, keyHash } from "../../lib/encoding/hash.ts";
import { BlockEntry, openBlock } from "../../lib/sstable/block.ts";
import { BlockBuilder } from "../../lib/sstable/block_builder.ts";
import { filterBuilder, mayContain } from "../../lib/sstable/filter.ts";
import {
  anyOf,
  bench,
  ENTRIES,
  expect,
  group,
  keys,
  missing,
  value,
} from "./suite.ts";

const BLOCK_BYTES = 4096;
const BITS_PER_KEY = 10;
const CACHED_BLOCKS = 1000;

/** The key's fingerprint, hashing included. */
function fingerprint(key: Uint8Array): number {
  hashKey(key, 0, key.length);
  return fingerprintOf(keyHash.bits);
}

/** A block of as many of the first entries as fit; how many they are. */
function makeBlock(
  bytes: number,
): { bytes: Uint8Array; words: Int32Array; count: number } {
  const builder = new BlockBuilder(true);
  for (let i = 0; builder.size < bytes; i++) {
    const key = keys[i] ?? value;
    const end = value.length;
    builder.add(key, 0, key.length, 0, i + 1, value, 0, end, fingerprint(key));
  }
  const { count } = builder;
  const words = new Int32Array(Math.ceil(builder.size / 4));
  const into = new Uint8Array(words.buffer);
  return { bytes: into.subarray(0, builder.finish(into, 0)), words, count };
}

function makeFilter(): Uint8Array {
  const builder = filterBuilder(BITS_PER_KEY, ENTRIES);
  for (const key of keys) {
    hashKey(key, 0, key.length);
    builder.add(keyHash.line, keyHash.bits);
  }
  return builder.finish() ?? value;
}

function defineBlock(): void {
  for (const size of [BLOCK_BYTES, 4 * BLOCK_BYTES]) {
    const { bytes, words, count } = makeBlock(size);
    const entry = new BlockEntry();
    const block = openBlock(bytes, 0, bytes.length, "micro", 0);
    const find = (key: Uint8Array) => block.find(key, key.length);
    expect(find(keys[7] ?? value) === 7, "a key of the block");
    bench(
      `seek in a block of ${size}`,
      () => find(keys[anyOf(count)] ?? value),
    );
    const lookUp = (key: Uint8Array) =>
      block.lookUp(key, key.length, fingerprint(key), entry, words);
    expect(lookUp(keys[7] ?? value) === 7, "a key by its fingerprint");
    bench(
      `look up in a block of ${size}, with the hash`,
      () => lookUp(keys[anyOf(count)] ?? value),
    );
  }
  bench("build a block of 4096", () => makeBlock(BLOCK_BYTES).count);
}

function defineFilter(): void {
  const filter = makeFilter();
  const ask = (key: Uint8Array) => {
    hashKey(key, 0, key.length);
    return mayContain(filter, keyHash.line, keyHash.bits);
  };
  expect(keys.every(ask), "keys of the filter");
  const passed = missing.filter(ask).length;
  expect(passed < ENTRIES / 20, "keys not in the filter");
  bench("hash and filter, present", () => ask(keys[anyOf(ENTRIES)] ?? value));
  bench(
    "hash and filter, missing",
    () => ask(missing[anyOf(ENTRIES)] ?? value),
  );
}

function defineCache(): void {
  const cache = new BlockCache(4 * CACHED_BLOCKS * BLOCK_BYTES);
  const seen = new TableBlocks(1);
  seen.note(CACHED_BLOCKS);
  const unseen = new TableBlocks(1); // The same table, found by its hash.
  const { bytes } = makeBlock(BLOCK_BYTES);
  for (let i = 0; i < CACHED_BLOCKS; i++) {
    cache.insert(seen, i, bytes, 0, bytes.length);
  }
  const find = (table: TableBlocks) => {
    const holds = cache.find(table, anyOf(CACHED_BLOCKS), true) &&
      cache.isStill(cache.segment, cache.generation);
    expect(holds, "a cached block");
    return cache.start;
  };
  bench("cache hit, place known", () => find(seen));
  bench("cache hit, by hash", () => find(unseen));
}

/** Defines the benchmarks. */
export function defineTable(): void {
  group("table", () => {
    defineBlock();
    defineFilter();
    defineCache();
  });
}
