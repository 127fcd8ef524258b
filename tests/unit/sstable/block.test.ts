/** Blocks: builder and reader against a sorted list, at every width of offsets. */
import { test } from "node:test";
import { VarveError } from "../../../lib/errors.ts";
import {
  type Block,
  BlockEntry,
  openBlock,
} from "../../../lib/sstable/block.ts";
import { BlockBuilder } from "../../../lib/sstable/block_builder.ts";
import {
  FINGERPRINTED,
  FINGERPRINTS_MAX,
  WIDE_OFFSETS,
} from "../../../lib/sstable/format.ts";
import { fingerprintOf, hashKey, keyHash } from "../../../lib/encoding/hash.ts";
import { getU32 } from "../../../lib/encoding/fixed.ts";
import {
  assert,
  assertEquals,
  assertGreater,
  assertGreaterOrEqual,
  assertInstanceOf,
  assertLess,
  assertLessOrEqual,
  assertThrows,
} from "../../assert.ts";
import { filled } from "../../engine/support/bytes.ts";
import { LONG } from "../../engine/support/configs.ts";
import { Random } from "../../engine/support/random.ts";
import {
  compareEntries,
  type Entry,
  put,
  toBytes,
} from "../support/entries.ts";
import { around, longestKey, randomKey, smallKey } from "../support/keys.ts";
import { randomEntries } from "../support/tables.ts";
import { wordsOf } from "../support/words.ts";

interface Built {
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly length: number;
}

/** The fingerprint of `key[start, end)`. */
function fingerprint(key: Uint8Array, start: number, end: number): number {
  hashKey(key, start, end);
  return fingerprintOf(keyHash.bits);
}

/** Builds a block that starts at `start` of a larger buffer. */
function build(
  entries: readonly Entry[],
  builder = new BlockBuilder(true),
  start = 13,
): Built {
  for (const { key, kind, sequence, value } of entries) {
    const padded = toBytes(`<${key}>`);
    builder.add(
      padded,
      1,
      padded.length - 1,
      value.length * 2 + kind,
      sequence,
      value,
      0,
      value.length,
      fingerprint(padded, 1, padded.length - 1),
    );
  }
  const promised = builder.size;
  const saving = builder.saving();
  assertEquals(builder.count, entries.length);
  const bytes = filled(start + promised + 20, 9);
  const end = builder.finish(bytes, start);
  assertLessOrEqual(end - start, promised, "more bytes than size said");
  assertLessOrEqual(end - start, promised - saving, "saving said too much");
  assertEquals(builder.count, 0);
  // Nothing behind the promised bytes was touched.
  const behind = filled(bytes.length, 9).slice(start + promised);
  assertEquals(bytes.slice(start + promised), behind);
  return { bytes, start, length: end - start };
}

function open({ bytes, start, length }: Built): Block {
  return openBlock(bytes, start, length, "/db/t", 0);
}

/** What `find` must say. */
function indexOf(entries: readonly Entry[], key: string): number {
  let low = 0;
  let high = entries.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (entries[middle].key < key) low = middle + 1;
    else high = middle;
  }
  return entries[low]?.key === key ? low : -1 - low;
}

function checkBlock(
  block: Block,
  entries: readonly Entry[],
  message: string,
): void {
  assertEquals(block.count, entries.length, message);
  const prefix = new Uint8Array(block.shared + 3);
  assertEquals(block.copyPrefix(prefix), block.shared, message);
  const entry = new BlockEntry();
  for (const [i, expected] of entries.entries()) {
    const where = `${message}, entry ${i} of ${entries.length}`;
    assert(entry.read(block, i), where);
    const length = block.shared + entry.restLength;
    assertEquals(length, expected.key.length, where);
    const key = toBytes(expected.key);
    assertEquals(prefix.slice(0, block.shared), key.slice(0, block.shared));
    const { restStart } = entry;
    const rest = block.bytes.slice(restStart, restStart + entry.restLength);
    assertEquals(rest, key.slice(block.shared), where);
    assertEquals(entry.tag, expected.value.length * 2 + expected.kind, where);
    assertEquals(entry.sequence, expected.sequence, where);
    const value = block.bytes.slice(entry.valueStart, entry.valueEnd);
    assertEquals(value, expected.value, where);
  }
}

/** Whether `entry` is what lookups leave of an entry. */
function checkTaken(
  block: Block,
  entry: BlockEntry,
  { key, sequence, value }: Entry,
  where: string,
): void {
  assert(entry.isWhole, where);
  assertEquals(entry.restLength, key.length - block.shared, where);
  assertEquals(entry.sequence, sequence, where);
  const { valueStart, valueEnd } = entry;
  assertEquals(block.bytes.slice(valueStart, valueEnd), value, where);
}

function checkFind(
  block: Block,
  entries: readonly Entry[],
  probes: Iterable<string>,
  message: string,
): void {
  const words = wordsOf(block.bytes);
  const entry = new BlockEntry();
  for (const probe of probes) {
    const key = toBytes(`${probe}junk`);
    const expected = indexOf(entries, probe);
    const where = `${message}, ${JSON.stringify(probe.slice(0, 80))}`;
    assertEquals(block.find(key, probe.length), expected, where);
    const mark = fingerprint(key, 0, probe.length);
    const found = block.lookUp(key, probe.length, mark, entry, words);
    assertEquals(Math.max(-1, found), Math.max(-1, expected), where);
    if (expected >= 0) checkTaken(block, entry, entries[expected], where);
    if (!probe.startsWith(entries[0].key.slice(0, block.shared))) continue;
    const { shared } = block;
    const again = block.lookUp(key, probe.length, mark, entry, words, shared);
    assertEquals(again, found, where);
    const at = expected < 0 ? -1 - expected : expected;
    if (at === entries.length) continue;
    const isIt = entry.readIf(block, at, key, probe.length);
    assertEquals(isIt, expected >= 0, where);
  }
}

/** Random entries, exactly `count` of them. */
function exactly(
  count: number,
  random: Random,
  key: (random: Random) => string,
): Entry[] {
  return randomEntries(random, count, key, 3).slice(0, count);
}

test("blocks of 1 to 60 entries", LONG, () => {
  const builder = new BlockBuilder(true);
  for (let count = 1; count <= 60; count++) {
    for (
      const [name, key] of [["few", smallKey], ["many", randomKey]] as const
    ) {
      const message = `seed ${count}, ${name} keys`;
      const entries = exactly(count, new Random(count), key);
      const block = open(build(entries, builder));
      checkBlock(block, entries, message);
      const probes = around(entries.map((entry) => entry.key));
      checkFind(block, entries, probes, message);
    }
  }
});

test("a block lies where it was wanted, also in an array that begins within its memory", () => {
  const add = (builder: BlockBuilder) => {
    for (let i = 0; i < 40; i++) {
      const key = toBytes(`a key of some length, number ${100 + i}`);
      const value = filled(20 + i * 5, i);
      const tag = value.length * 2;
      builder.add(key, 0, key.length, tag, i, value, 0, value.length, i);
    }
    return builder;
  };
  const plain = new Uint8Array(16 * 1024);
  const end = add(new BlockBuilder(true)).finish(plain, 0);
  const around = new Uint8Array(plain.length + 100);
  const within = around.subarray(50, 50 + plain.length);
  assertEquals(add(new BlockBuilder(true)).finish(within, 0), end);
  assertEquals(within, plain);
});

test("blocks of many entries", LONG, () => {
  for (const count of [100, 1000, 5000]) {
    const random = new Random(count);
    const entries = exactly(count, random, randomKey);
    const block = open(build(entries));
    checkBlock(block, entries, `seed ${count}`);
    const keys = Array.from({ length: 300 }, () => random.pick(entries).key);
    checkFind(block, entries, around(keys), `seed ${count}`);
  }
});

test("offsets grow to 4 bytes exactly where 2 no longer do", LONG, () => {
  let narrow = 0;
  let wide = 0;
  for (let length = 65_490; length <= 65_560; length++) {
    const entries = [
      put("a", 1, "x".repeat(length)),
      put("b", 2, "y"),
      put("c", 3, ""),
    ];
    const built = build(entries);
    const end = built.start + built.length;
    const count = getU32(built.bytes, end - 4);
    const isWide = count >= WIDE_OFFSETS;
    const entriesLength = built.length - 4 - 3 * (isWide ? 5 : 3);
    assertEquals(isWide, entriesLength >= 64 * 1024, `length ${length}`);
    if (isWide) wide++;
    else narrow++;
    const block = open(built);
    checkBlock(block, entries, `length ${length}`);
    checkFind(block, entries, around(["a", "b", "c"]), `length ${length}`);
  }
  assertGreater(narrow, 5);
  assertGreater(wide, 5);
});

test("a block has fingerprints if it has at most 255 entries", () => {
  for (const count of [1, FINGERPRINTS_MAX, FINGERPRINTS_MAX + 1]) {
    const entries = exactly(count, new Random(count), randomKey);
    const built = build(entries);
    const word = getU32(built.bytes, built.start + built.length - 4);
    const expected = count <= FINGERPRINTS_MAX ? count + FINGERPRINTED : count;
    assertEquals(word, expected);
    const keys = entries.map(({ key }) => key);
    checkFind(open(built), entries, around(keys), `${count} entries`);
  }
});

test("a fingerprint that other keys have, too, tells nothing wrong", () => {
  const entries = exactly(60, new Random(5), randomKey);
  const built = build(entries);
  // All have the same one.
  const at = built.start + built.length - 4 - 3 * entries.length;
  built.bytes.fill(7, at, at + entries.length);
  const block = open(built);
  const words = wordsOf(block.bytes);
  const entry = new BlockEntry();
  for (const probe of around(entries.map(({ key }) => key))) {
    const key = toBytes(`${probe}junk`);
    const found = block.lookUp(key, probe.length, 7, entry, words);
    const expected = Math.max(-1, indexOf(entries, probe));
    assertEquals(Math.max(-1, found), expected, probe);
    const none = block.lookUp(key, probe.length, 8, entry, words);
    assertEquals(none, -1, probe);
  }
});

test("lookUp() finds each entry wherever its fingerprint lies in a word, beside others that differ in one bit", () => {
  const entries = Array.from({ length: 23 }, (_, i) => put(`key${i + 10}`, i));
  for (let start = 0; start < 4; start++) {
    const built = build(entries, new BlockBuilder(true), start);
    const at = built.start + built.length - 4 - 3 * entries.length;
    for (const mark of [0, 1, 0x7f, 0x80, 0xff]) {
      for (const [i, { key }] of entries.entries()) {
        built.bytes.fill(mark ^ 1, at, at + entries.length);
        built.bytes[at + i] = mark;
        const block = open(built);
        const entry = new BlockEntry();
        const words = wordsOf(built.bytes);
        const bytes = toBytes(key);
        const found = block.lookUp(bytes, bytes.length, mark, entry, words);
        assertEquals(found, i, `${mark} at ${i}, block at ${start}`);
        // What lies behind the fingerprints is none of them.
        built.bytes.fill(mark ^ 1, at, at + entries.length);
        const none = wordsOf(built.bytes);
        const other = block.lookUp(bytes, bytes.length, mark, entry, none);
        assertEquals(other, -1, `${mark} nowhere, block at ${start}`);
      }
    }
  }
});

test("a block of one huge value", () => {
  for (const length of [128 * 1024, 5 * 1024 * 1024 + 1]) {
    const value = filled(length, 3);
    const entries: Entry[] = [{ key: "k", sequence: 2 ** 40, kind: 0, value }];
    const block = open(build(entries));
    checkBlock(block, entries, `${length} bytes`);
    checkFind(block, entries, around(["k"]), `${length} bytes`);
  }
});

test("keys of 64 KiB", LONG, () => {
  const random = new Random(11);
  const entries = exactly(8, random, longestKey);
  const keys = entries.map((entry) => entry.key);
  const alone = open(build(entries));
  checkBlock(alone, entries, "seed 11");
  checkFind(alone, entries, around(keys), "seed 11");
  assertGreater(alone.shared, 65_000);
  // With a short one before them nothing is shared: the rests are long.
  const mixed = [put("a", 1), ...entries];
  const block = open(build(mixed));
  checkBlock(block, mixed, "seed 11, mixed");
  checkFind(block, mixed, around(keys), "seed 11, mixed");
  assertEquals(block.shared, 0);
});

test("what all keys share is stored once", () => {
  const prefix = "a/long/prefix/of/all/keys/";
  const entries = Array.from(
    { length: 100 },
    (_, i) => put(`${prefix}${String(i * 2).padStart(3, "0")}`, i),
  );
  const built = build(entries);
  assertEquals(open(built).shared, prefix.length);
  // 3 bytes of key, a length, a tag, a sequence, a fingerprint, an offset.
  assertLess(built.length, 100 * 10 + prefix.length + 10);
});

test("versions of one key: find() gives the newest", () => {
  const entries = Array.from({ length: 50 }, (_, i) => put("same", 100 - i));
  const block = open(build(entries));
  assertEquals(block.shared, 4);
  checkBlock(block, entries, "versions");
  checkFind(block, entries, ["same", "", "s", "sama", "samf", "same\0"], "v");
});

test("sequences of every size", () => {
  const sequences = [
    2 ** 48 - 1,
    2 ** 40,
    2 ** 35,
    2 ** 32,
    2 ** 31,
    300,
    128,
    127,
    0,
  ];
  const entries = sequences.map((sequence) => put("k", sequence, "v"));
  checkBlock(open(build(entries)), entries, "sequences");
});

test("a builder that is used again starts anew", () => {
  const builder = new BlockBuilder(true);
  const first = exactly(40, new Random(1), randomKey);
  const second = exactly(3, new Random(2), randomKey);
  build(first, builder);
  checkBlock(open(build(second, builder)), second, "second");
});

test("size and saving guide the writer: no more than the block takes, by little", () => {
  for (let seed = 1; seed <= 20; seed++) {
    const entries = exactly(50, new Random(seed), randomKey);
    const builder = new BlockBuilder(true);
    const { length } = build(entries, builder);
    for (const { key, value } of entries) {
      const bytes = toBytes(key);
      builder.add(
        bytes,
        0,
        bytes.length,
        value.length * 2,
        1,
        value,
        0,
        value.length,
        0,
      );
    }
    // A rest's length and an offset take 3 bytes where 7 are reckoned with.
    const estimate = builder.size - builder.saving();
    assertGreaterOrEqual(estimate, length - 50 * 2, `seed ${seed}`);
    assertLessOrEqual(estimate, length + 50 * 4 + 12, `seed ${seed}`);
  }
});

test("bytes that are no block are refused", () => {
  for (const length of [0, 1, 4, 5]) {
    assertThrows(
      () => openBlock(new Uint8Array(20), 3, length, "/db/t", 99),
      VarveError,
      "/db/t is damaged at offset 99",
    );
  }
  const { bytes, start, length } = build([put("k", 1)]);
  bytes.fill(0xff, start + length - 4, start + length);
  assertThrows(() => open({ bytes, start, length }), VarveError, "damaged");
});

test(
  "a block whose inside is damaged ends in an error or in entries inside it",
  LONG,
  () => {
    const entries = exactly(12, new Random(12), randomKey).sort(compareEntries);
    const { bytes, start, length } = build(entries);
    const original = bytes.slice();
    const entry = new BlockEntry();
    let refused = 0;
    for (let at = start; at < start + length; at++) {
      for (const flip of [0x01, 0x80, 0xff]) {
        bytes.set(original);
        bytes[at] ^= flip;
        let block: Block;
        try {
          block = open({ bytes, start, length });
        } catch (error) {
          assertInstanceOf(error, VarveError);
          refused++;
          continue;
        }
        for (const { key } of entries) {
          const found = block.find(toBytes(key), key.length);
          assert(found < block.count && found >= -1 - block.count);
          const mark = fingerprint(toBytes(key), 0, key.length);
          const words = wordsOf(bytes);
          const taken = block.lookUp(
            toBytes(key),
            key.length,
            mark,
            entry,
            words,
          );
          assertLess(taken, block.count);
          if (taken >= 0 && entry.isWhole) {
            assertLessOrEqual(entry.valueEnd, block.entriesEnd);
          }
        }
        for (let i = 0; i < Math.min(block.count, 100); i++) {
          if (entry.read(block, i)) {
            assert(entry.valueEnd <= block.entriesEnd);
            assert(entry.valueStart <= entry.valueEnd);
          } else refused++;
        }
      }
    }
    assertGreater(refused, 10);
  },
);
