/** The index of a table against a linear search. */
import { test } from "node:test";
import { headOf, openBlock } from "../../../lib/sstable/block.ts";
import { BlockBuilder } from "../../../lib/sstable/block_builder.ts";
import { TableIndex } from "../../../lib/sstable/table_index.ts";
import { assert, assertEquals, assertGreater } from "../../assert.ts";
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

function check(separators: readonly string[], probes: Iterable<string>): void {
  const index = indexOf(separators);
  assertEquals(index.count, separators.length);
  for (const probe of probes) {
    const at = separators.findIndex((separator) => separator >= probe);
    const expected = at < 0 ? separators.length : at;
    const key = toBytes(`${probe}junk`);
    // As bytes at first, later as integers.
    assertEquals(index.find(key, probe.length), expected, probe);
    for (let i = 0; i < index.count / 4; i++) index.find(key, probe.length);
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

test("headOf() sorts as the bytes do, as far as it sees them", () => {
  const random = new Random(4);
  let equal = 0;
  for (let i = 0; i < 5000; i++) {
    const make = () =>
      Uint8Array.from({ length: random.below(7) }, () => random.below(256));
    const [a, b] = [make(), make()];
    if (random.chance(30)) b.set(a.subarray(0, Math.min(4, b.length)));
    const difference = headOf(a, 0, a.length) - headOf(b, 0, b.length);
    const pad = (bytes: Uint8Array) => [...bytes.subarray(0, 4), 0, 0, 0, 0];
    const [x, y] = [pad(a), pad(b)];
    const at = [0, 1, 2, 3].find((n) => x[n] !== y[n]);
    if (at === undefined) equal++;
    assertEquals(
      Math.sign(difference),
      at === undefined ? 0 : Math.sign(x[at] - y[at]),
    );
  }
  assertGreater(equal, 100);
  assert(headOf(toBytes("abcd"), 1, 3) === headOf(toBytes("bc"), 0, 2));
});
