/** Numbers of keys: they sort as the keys do. */
import { test } from "node:test";
import { Block } from "../../../lib/sstable/block.ts";
import { BlockBuilder } from "../../../lib/sstable/block_builder.ts";
import { KeyCode } from "../../../lib/sstable/key_code.ts";
import {
  assert,
  assertEquals,
  assertGreater,
  assertLessOrEqual,
} from "../../assert.ts";
import { Random } from "../../engine/support/random.ts";
import { toBytes } from "../support/entries.ts";
import { around, longestKey, randomKey, smallKey } from "../support/keys.ts";

/** The codes for keys like `keys`, and how many bytes these share. */
function codeOf(keys: readonly string[]): { code: KeyCode; shared: number } {
  const builder = new BlockBuilder(false);
  for (const key of keys) {
    const bytes = toBytes(key);
    builder.add(bytes, 0, bytes.length, 4, 0, toBytes("ab"), 0, 2, 0);
  }
  const bytes = new Uint8Array(builder.size);
  const block = new Block();
  assert(block.reset(bytes, 0, builder.finish(bytes, 0)));
  return { code: new KeyCode(block), shared: block.shared };
}

/** The codes of keys, sorted; those that lack the shared prefix are left out. */
function sortedCodes(keys: readonly string[]): number[] {
  const sorted = [...new Set(keys)].sort();
  const { code, shared } = codeOf(sorted);
  const prefix = sorted[0].slice(0, shared);
  const probes = sorted.flatMap((key) => [...around(key), key]).sort();
  return probes.filter((key) => key.startsWith(prefix)).map((key) => {
    const number = code.of(toBytes(`${key}junk`), shared, key.length);
    assert(number >= 1, key.slice(0, 80));
    assertLessOrEqual(number, code.largest, key.slice(0, 80));
    return number;
  });
}

test("codes never fall where keys rise, and stay whole", () => {
  let rises = 0;
  for (let seed = 0; seed <= 60; seed++) {
    const random = new Random(seed);
    const make = seed === 0 ? longestKey : [randomKey, smallKey][seed % 2];
    const count = make === longestKey ? 5 : 1 + random.below(200);
    const keys = Array.from({ length: count }, () => make(random));
    const codes = sortedCodes(keys);
    for (let i = 1; i < codes.length; i++) {
      assertLessOrEqual(codes[i - 1], codes[i], `seed ${seed}`);
      assert(Number.isSafeInteger(codes[i]), `seed ${seed}`);
      if (codes[i - 1] < codes[i]) rises++;
    }
  }
  assertGreater(rises, 3000);
});

test("decimal numbers that are evenly spread have codes that tell them all apart", () => {
  const keys = Array.from({ length: 3000 }, (_, i) => `row${i * 7 + 100000}`);
  const { code, shared } = codeOf(keys);
  const codes = keys.map((key) => code.of(toBytes(key), shared, key.length));
  assertEquals(new Set(codes).size, keys.length);
});

test("a code of one key, and of one that is empty", () => {
  for (const keys of [["k"], [""], ["", "a"]]) {
    const { code, shared } = codeOf(keys);
    assertGreater(code.largest, 0);
    for (const key of [...keys, ...around(keys[0])]) {
      assertGreater(code.of(toBytes(key), shared, key.length), 0);
    }
  }
});
