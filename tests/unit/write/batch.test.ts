/** Batches: copies of what they are given, in the order of the calls. */
import { test } from "node:test";
import type { Codec } from "../../../lib/codecs.ts";
import { utf8 } from "../../../lib/codecs.ts";
import { Decoder } from "../../../lib/encoding/varint.ts";
import { entryRoom, rangeRoom } from "../../../lib/memtable/memtable.ts";
import { Batch, encodedOf } from "../../../lib/write/batch.ts";
import { assertEquals, assertFalse, assertStrictEquals } from "../../assert.ts";
import { filled } from "../../engine/support/bytes.ts";
import { throwsWith } from "../../engine/support/errors.ts";
import { Random } from "../../engine/support/random.ts";
import { fromBytes, toBytes } from "../support/entries.ts";
import { LONGEST_KEY, randomKey } from "../support/keys.ts";

type Plain = [kind: number, key: string, value: string];

/** The operations of a batch, whose bytes must be as the log has them. */
function plain<K, V>(batch: Batch<K, V>): Plain[] {
  const { bytes, length, count, room } = encodedOf(batch);
  const operations: Plain[] = [];
  const decoder = new Decoder(bytes, 0, length);
  let expectedRoom = 0;
  while (decoder.position < length) {
    const kind = decoder.byte();
    const key = decoder.sized();
    const value = kind === 1 ? new Uint8Array(0) : decoder.sized();
    operations.push([kind, fromBytes(key), fromBytes(value)]);
    const roomOf = kind === 2 ? rangeRoom : entryRoom;
    expectedRoom += roomOf(key.length, value.length);
  }
  assertFalse(decoder.failed);
  assertEquals([batch.size, count], [operations.length, operations.length]);
  assertEquals(room, expectedRoom);
  return operations;
}

test("operations come in the order of the calls, whatever their sizes", () => {
  for (let seed = 1; seed <= 30; seed++) {
    const random = new Random(seed);
    const batch = new Batch();
    const expected: Plain[] = [];
    for (let i = 0; i < 100; i++) {
      const key = randomKey(random);
      switch (random.below(3)) {
        case 0: {
          const value = filled(random.below(random.chance(10) ? 5000 : 50), i);
          batch.put(toBytes(key), value);
          expected.push([0, key, fromBytes(value)]);
          break;
        }
        case 1:
          batch.delete(toBytes(key));
          expected.push([1, key, ""]);
          break;
        default:
          batch.deleteRange(toBytes(key), toBytes(`${key}\0`));
          expected.push([2, key, `${key}\0`]);
      }
      assertEquals(batch.size, i + 1);
    }
    assertEquals(plain(batch), expected, `seed ${seed}`);
  }
});

test("inputs are copied when they are given", () => {
  const [key, value] = [toBytes("key"), toBytes("value")];
  const batch = new Batch().put(key, value).delete(key).deleteRange(key, value);
  key.fill(0);
  value.fill(0);
  assertEquals(plain(batch), [
    [0, "key", "value"],
    [1, "key", ""],
    [2, "key", "value"],
  ]);
});

test("a codec may use its buffer again for the next call", () => {
  const buffer = new Uint8Array(1);
  const codec: Codec<number> = {
    ordered: true,
    encode(value) {
      buffer[0] = value;
      return buffer;
    },
    decode: (bytes) => bytes[0],
  };
  const batch = new Batch(codec, codec).put(65, 66).deleteRange(67, 68).delete(
    69,
  );
  assertEquals(plain(batch), [[0, "A", "B"], [2, "C", "D"], [1, "E", ""]]);
});

test("a codec that changes the batch it works for is refused, and leaves whole operations", () => {
  for (const call of ["put", "delete", "clear"] as const) {
    for (const at of ["key", "value"]) {
      const codec: Codec<string> = {
        ordered: true,
        encode(text) {
          if (text === at) {
            if (call === "put") batch.put("inner", "x");
            else if (call === "delete") batch.delete("inner");
            else batch.clear();
          }
          return toBytes(text);
        },
        decode: fromBytes,
      };
      const batch: Batch<string, string> = new Batch(codec, codec);
      batch.put("a", "1");
      throwsWith("INVALID_ARGUMENT", () => batch.put("key", "value"));
      batch.put("z", "2");
      const left: Plain[] = call === "clear" ? [] : [
        [0, "a", "1"],
        call === "put" ? [0, "inner", "x"] : [1, "inner", ""],
      ];
      assertEquals(plain(batch), [...left, [0, "z", "2"]], `${call} at ${at}`);
    }
  }
});

test("what a codec sees of the batch it works for is whole operations", () => {
  const seen: Plain[][] = [];
  const codec: Codec<string> = {
    ordered: true,
    encode(text) {
      seen.push(plain(batch));
      return toBytes(text);
    },
    decode: fromBytes,
  };
  const batch: Batch<string, string> = new Batch(codec, codec);
  batch.put("a", "1").put("b", "2");
  assertEquals(seen, [[], [], [[0, "a", "1"]], [[0, "a", "1"]]]);
  assertEquals(plain(batch), [[0, "a", "1"], [0, "b", "2"]]);
});

test("strings are UTF-8, short or long, and may be given with a codec that says so", () => {
  const texts = ["", "a", "é", "日本語", "a".repeat(1000), "ü".repeat(700)];
  // Where a length takes one more byte, and where a text is no longer short.
  for (const length of [42, 43, 63, 64, 127, 128, 129, 1023, 1024, 1025]) {
    for (const unit of ["a", "é", "語", "😀"]) texts.push(unit.repeat(length));
  }
  for (const text of texts) {
    const expected = fromBytes(new TextEncoder().encode(text));
    const bare = new Batch().put(text, text);
    assertEquals(plain(bare), [[0, expected, expected]]);
    const coded = new Batch(utf8, utf8).put(text, text);
    assertEquals(plain(coded), [[0, expected, expected]]);
  }
});

test("an operation that is refused leaves no trace", () => {
  const batch = new Batch().put("a", "1");
  const long = new Uint8Array(LONGEST_KEY + 1);
  // deno-lint-ignore no-explicit-any -- what a program without types may pass.
  const wrong: any = 5;
  const refused = [
    () => batch.put(long, "v"),
    () => batch.put("b", wrong),
    () => batch.put(wrong, "v"),
    () => batch.delete(long),
    () => batch.delete(wrong),
    () => batch.deleteRange("b", "a"),
    () => batch.deleteRange("a", "a"),
    () => batch.deleteRange("a", long),
    () => batch.deleteRange(wrong, "b"),
    () => batch.put("x".repeat(LONGEST_KEY + 1), "v"),
  ];
  for (const [i, call] of refused.entries()) {
    throwsWith("INVALID_ARGUMENT", call);
    assertEquals(plain(batch), [[0, "a", "1"]], `refused call ${i}`);
  }
  batch.put("z", "2");
  assertEquals(plain(batch), [[0, "a", "1"], [0, "z", "2"]]);
});

test("the longest key is taken, one byte more is not", () => {
  const batch = new Batch().put("k".repeat(LONGEST_KEY), "v");
  assertEquals(plain(batch)[0][1].length, LONGEST_KEY);
  throwsWith(
    "INVALID_ARGUMENT",
    () => batch.put("k".repeat(LONGEST_KEY + 1), "v"),
  );
});

test("clear() forgets, and the batch may be filled anew", () => {
  const batch = new Batch().put("a", "1");
  assertStrictEquals(batch.clear(), batch);
  assertEquals([batch.size, plain(batch).length], [0, 0]);
  batch.delete("b");
  assertEquals(plain(batch), [[1, "b", ""]]);
});
