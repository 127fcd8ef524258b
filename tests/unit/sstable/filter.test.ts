/** Filters: no false negatives ever, and as few false positives as the bits allow. */
import { test } from "node:test";
import { hashKey, keyHash } from "../../../lib/encoding/hash.ts";
import {
  type FilterBuilder,
  filterBuilder,
  isFilter,
  mayContain,
} from "../../../lib/sstable/filter.ts";
import {
  assert,
  assertEquals,
  assertExists,
  assertFalse,
  assertGreaterOrEqual,
  assertLessOrEqual,
} from "../../assert.ts";
import { LONG } from "../../engine/support/configs.ts";
import { toBytes } from "../support/entries.ts";

function hash(key: string): { line: number; bits: number } {
  hashKey(toBytes(key), 0, key.length);
  return { ...keyHash };
}

function build(
  bitsPerKey: number,
  keys: Iterable<string>,
  keysMax = Infinity,
): Uint8Array {
  const builder = filterBuilder(bitsPerKey, keysMax);
  for (const key of keys) {
    const { line, bits } = hash(key);
    builder.add(line, bits);
  }
  const filter = builder.finish();
  assertExists(filter);
  return filter;
}

function contains(filter: Uint8Array, key: string): boolean {
  const { line, bits } = hash(key);
  return mayContain(filter, line, bits);
}

/**
 * The rate of false positives that Putze, Sanders and Singler give for a
 * blocked Bloom filter: that of a small Bloom filter, over the Poisson
 * distribution of keys among its lines.
 */
function expectedRate(filter: Uint8Array, keys: number): number {
  const probes = filter[0];
  const lines = (filter.length - 1) / 64;
  const mean = keys / lines;
  let rate = 0;
  let chance = Math.exp(-mean);
  for (let load = 0; load < mean * 4 + 50; load++) {
    rate += chance * (1 - (1 - 1 / 512) ** (probes * load)) ** probes;
    chance *= mean / (load + 1);
  }
  return rate;
}

for (let bitsPerKey = 1; bitsPerKey <= 32; bitsPerKey++) {
  test(`a filter of ${bitsPerKey} bits for each key`, LONG, () => {
    const count = 5000;
    const keys = Array.from({ length: count }, (_, i) => `user/${i * 7}`);
    const filter = build(bitsPerKey, keys);
    assert(isFilter(filter));
    const missed = keys.filter((key) => !contains(filter, key));
    assertEquals(missed, [], "a false negative");
    // No more room than was asked for, by one line.
    assertLessOrEqual(filter.length, count * bitsPerKey / 8 + 65);
    const strangers = 40_000;
    let passed = 0;
    for (let i = 0; i < strangers; i++) {
      if (contains(filter, `stranger/${i}`)) passed++;
    }
    const expected = strangers * expectedRate(filter, count);
    // Five standard deviations, and an eighth for probes that are not
    // wholly independent of each other.
    const noise = 5 * Math.sqrt(expected) + 5;
    assertLessOrEqual(passed, expected * 1.125 + noise);
    assertGreaterOrEqual(passed, expected * 0.875 - noise);
  });
}

test("ten bits for each key let through about one stranger in a hundred", () => {
  const keys = Array.from({ length: 20_000 }, (_, i) => `k${i}`);
  const filter = build(10, keys);
  let passed = 0;
  for (let i = 0; i < 50_000; i++) if (contains(filter, `x${i}`)) passed++;
  assertLessOrEqual(passed / 50_000, 0.0125);
});

test("filters of few keys hold them too", () => {
  for (const bitsPerKey of [1, 10, 32]) {
    for (let count = 1; count <= 60; count++) {
      const keys = Array.from({ length: count }, (_, i) => `${i}`);
      const filter = build(bitsPerKey, keys);
      for (const key of keys) assert(contains(filter, key), `${count} ${key}`);
    }
  }
});

test("no bits, or no keys: no filter", () => {
  assertEquals(filterBuilder(10, Infinity).finish(), undefined);
  const none = filterBuilder(0, Infinity);
  for (let i = 0; i < 3000; i++) none.add(i, i);
  assertEquals(none.finish(), undefined);
});

test("a builder that uses what another has left builds the same, also while others are at work", () => {
  const some = (count: number, name: string) =>
    Array.from({ length: count }, (_, i) => `${name}${i}`);
  const alone = [some(5000, "a"), some(10, "b"), some(3000, "c")]
    .map((keys) => build(10, keys));
  const fill = (builder: FilterBuilder, keys: string[]) => {
    for (const key of keys) {
      const { line, bits } = hash(key);
      builder.add(line, bits);
    }
  };
  const first = filterBuilder(10, Infinity);
  fill(first, some(5000, "a"));
  assertEquals(first.finish(), alone[0]);
  const second = filterBuilder(10, Infinity);
  const third = filterBuilder(10, Infinity);
  fill(second, some(10, "b"));
  fill(third, some(3000, "c"));
  assertEquals(second.finish(), alone[1]);
  assertEquals(filterBuilder(10, Infinity).finish(), undefined);
  assertEquals(third.finish(), alone[2]);
});

test("isFilter() refuses what cannot be one", () => {
  const filter = build(10, ["a"]);
  assert(isFilter(filter));
  assertFalse(isFilter(filter.subarray(0, 64)));
  assertFalse(isFilter(filter.subarray(0, 1)));
  assertFalse(isFilter(new Uint8Array(0)));
  for (const probes of [0, 17, 255]) {
    const other = filter.slice();
    other[0] = probes;
    assertFalse(isFilter(other), `${probes} probes`);
  }
});

test(
  "a filter for many keys is made without keeping their hashes, and is halved if there were few",
  LONG,
  () => {
    const keysMax = 1_100_000;
    const keys = Array.from({ length: 40_000 }, (_, i) => `key ${i}`);
    const filter = build(10, keys, keysMax);
    assert(isFilter(filter));
    const bits = (filter.length - 1) * 8 / keys.length;
    assertGreaterOrEqual(bits, 10);
    assertLessOrEqual(bits, 20);
    for (const key of keys) assert(contains(filter, key), key);
    const strangers = 40_000;
    let passed = 0;
    for (let i = 0; i < strangers; i++) {
      if (contains(filter, `absent ${i}`)) passed++;
    }
    const expected = strangers * expectedRate(filter, keys.length);
    assertLessOrEqual(passed, expected * 1.125 + 5 * Math.sqrt(expected) + 5);
    // It is not halved without end.
    const few = build(10, keys.slice(0, 100), keysMax);
    for (const key of keys.slice(0, 100)) assert(contains(few, key), key);
  },
);
