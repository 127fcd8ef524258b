/** The index of a table against a linear search. */
import { test } from "node:test";
import { openBlock } from "../../../lib/sstable/block.ts";
import { BlockBuilder } from "../../../lib/sstable/block_builder.ts";
import { TableIndex } from "../../../lib/sstable/table_index.ts";
import { assertEquals } from "../../assert.ts";
import { Random } from "../../engine/support/random.ts";
import { toBytes } from "../support/entries.ts";
import { around, randomKey, smallKey } from "../support/keys.ts";

function indexOf(separators: readonly string[]): TableIndex {
  const builder = new BlockBuilder(false);
  for (const separator of separators) {
    const key = toBytes(separator);
    builder.add(key, 0, key.length, 4, 0, toBytes("ab"), 0, 2, 0);
  }
  const bytes = new Uint8Array(builder.size);
  const length = builder.finish(bytes, 0);
  return new TableIndex(openBlock(bytes, 0, length, "/db/t", 0));
}

function check(separators: readonly string[], probes: readonly string[]): void {
  const index = indexOf(separators);
  assertEquals(index.count, separators.length);
  const random = new Random(probes.length);
  for (let i = 0; i < probes.length; i++) {
    // Now the next one, now one that lies far off.
    const probe = i % 2 === 0 ? probes[i] : random.pick(probes);
    const at = separators.findIndex((separator) => separator >= probe);
    const expected = at < 0 ? separators.length : at;
    const key = toBytes(`${probe}junk`);
    // Without a hint or with one of a neighbour, and with its own.
    assertEquals(index.find(key, probe.length), expected, probe);
    assertEquals(index.find(key, probe.length), expected, probe);
  }
}

test("find(): the first separator at or after a key, at random", () => {
  for (let seed = 1; seed <= 60; seed++) {
    const random = new Random(seed);
    const make = seed % 2 === 0 ? randomKey : smallKey;
    const keys = new Set<string>();
    for (let i = 0; i < 1 + random.below(80); i++) keys.add(make(random));
    const separators = [...keys].sort();
    const probes = separators.flatMap((key) => [...around(key)]);
    check(separators, [...probes, "", "\x7f"]);
  }
});

test("find(): separators that agree in many bytes, or are prefixes of each other", () => {
  const long = Array.from({ length: 100 }, (_, i) => `abcdefgh${i + 100}`);
  const tails = ["abcd", "abcd\0", "abcd\0\0", "abcda", "abce"];
  const mixed = ["a", "a\0", "a\0\0\0\0", "a\0\0\0\0\0", ...long, "b"];
  for (const separators of [long, tails, mixed, ["x"], ["", "\0"]]) {
    check(separators, separators.flatMap((key) => [...around(key)]));
  }
});

test("find() where separators crowd in one part of the range, or lie beyond the values that a sample shows", () => {
  const crowd = Array.from({ length: 500 }, (_, i) => `m${i + 1000}`);
  const odd = Array.from({ length: 40 }, (_, i) => `m${i + 1100}\xff${i}`);
  const separators = ["a", ...crowd, ...odd, "z"].sort();
  check(separators, separators.flatMap((key) => [...around(key)]));
});

test("find() with leading bytes that are known to be the separators'", () => {
  const separators = Array.from({ length: 300 }, (_, i) => `key${i + 100}`);
  const index = indexOf(separators);
  for (const [i, separator] of separators.entries()) {
    for (let known = 0; known <= index.block.shared; known++) {
      assertEquals(index.find(toBytes(separator), separator.length, known), i);
    }
  }
});
