/** Byte strings: order, bounds, copies. */
import { test } from "node:test";
import {
  compareBytes,
  compareRanges,
  copyBytes,
  copyInto,
  copyViewed,
  describeBytes,
  encodeUtf8Into,
  keySuccessor,
  prefixSuccessor,
  sharedPrefixLength,
  utf8Bytes,
} from "../../../lib/encoding/bytes.ts";
import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertNotEquals,
} from "../../assert.ts";
import { filled } from "../../engine/support/bytes.ts";
import { Random } from "../../engine/support/random.ts";
import { fromBytes, toBytes } from "../support/entries.ts";
import { longestKey, randomKey, smallKey } from "../support/keys.ts";

const SEED = 101;

/** A key within other bytes: [buffer, start, end]. */
function embedded(key: string, random: Random): [Uint8Array, number, number] {
  const before = random.below(5);
  const buffer = filled(before + key.length + random.below(5), 7);
  buffer.set(toBytes(key), before);
  return [buffer, before, before + key.length];
}

test("compareRanges() orders as strings of bytes do", () => {
  const random = new Random(SEED);
  for (let i = 0; i < 5000; i++) {
    const make = random.chance(50) ? smallKey : randomKey;
    const [a, b] = [make(random), make(random)];
    const order = compareRanges(...embedded(a, random), ...embedded(b, random));
    const expected = a < b ? -1 : a > b ? 1 : 0;
    const message = `seed ${SEED}, ${JSON.stringify([a, b])}`;
    assertEquals(Math.sign(order), expected, message);
    const whole = Math.sign(compareBytes(toBytes(a), toBytes(b)));
    assertEquals(whole, expected, message);
  }
});

test("compareBytes() sees a difference at the end of 64 KiB", () => {
  const random = new Random(SEED);
  for (let i = 0; i < 20; i++) {
    const [a, b] = [longestKey(random), longestKey(random)];
    const expected = a < b ? -1 : a > b ? 1 : 0;
    const order = compareBytes(toBytes(a), toBytes(b));
    assertEquals(Math.sign(order), expected, `seed ${SEED}, round ${i}`);
  }
});

test("sharedPrefixLength() counts what both begin with", () => {
  const random = new Random(SEED);
  for (let i = 0; i < 2000; i++) {
    const [a, b] = [randomKey(random), randomKey(random)];
    let expected = 0;
    while (expected < a.length && a[expected] === b[expected]) expected++;
    const shared = sharedPrefixLength(
      ...embedded(a, random),
      ...embedded(b, random),
    );
    assertEquals(shared, expected, JSON.stringify([a, b]));
  }
});

test("prefixSuccessor() is the end of what begins with the prefix", () => {
  const random = new Random(SEED);
  for (let i = 0; i < 3000; i++) {
    const prefix = smallKey(random);
    const end = prefixSuccessor(toBytes(prefix));
    const successor = end === undefined ? undefined : fromBytes(end);
    for (let j = 0; j < 10; j++) {
      const key = random.chance(50)
        ? prefix + smallKey(random)
        : smallKey(random);
      const isBetween = key >= prefix &&
        (successor === undefined || key < successor);
      assertEquals(
        isBetween,
        key.startsWith(prefix),
        `seed ${SEED}, ${JSON.stringify([prefix, successor, key])}`,
      );
    }
  }
});

test("prefixSuccessor() of nothing but 0xff bytes is none, and leaves its argument as it was", () => {
  assertEquals(prefixSuccessor(toBytes("")), undefined);
  assertEquals(prefixSuccessor(toBytes("\xff\xff")), undefined);
  const prefix = toBytes("a\xff");
  assertEquals(prefixSuccessor(prefix), toBytes("b"));
  assertEquals(prefix, toBytes("a\xff"));
});

test("keySuccessor() is the least key after", () => {
  const random = new Random(SEED);
  for (let i = 0; i < 2000; i++) {
    const [key, other] = [smallKey(random), smallKey(random)];
    const successor = fromBytes(keySuccessor(toBytes(key)));
    assertEquals(other > key, other >= successor, JSON.stringify([key, other]));
  }
});

test("encodeUtf8Into() makes what a TextEncoder makes", () => {
  const texts = [
    "",
    "a",
    "a".repeat(63),
    "a".repeat(64),
    "a".repeat(65),
    `${"a".repeat(63)}é`,
    "é",
    "日本語",
    "\u{1f600} and \u{1f600}",
    "lone \ud800 surrogate",
    "\x7f\x80",
    "\0",
  ];
  const encoder = new TextEncoder();
  for (const text of texts) {
    const expected = encoder.encode(text);
    assertEquals(utf8Bytes(text), expected, text);
    for (const at of [0, 7]) {
      const into = filled(300);
      const end = encodeUtf8Into(text, into, at);
      assertEquals(into.slice(at, end), expected, text);
      assertEquals(into.slice(0, at), filled(300).slice(0, at), text);
      // What lies behind is the caller's: three bytes may serve as room.
      assertEquals(into.slice(end + 3), filled(300).slice(end + 3), text);
    }
  }
});

test("encodeUtf8Into() refuses what may not fit", () => {
  assertEquals(encodeUtf8Into("abcd", new Uint8Array(11), 0), -1);
  assertEquals(encodeUtf8Into("abcd", new Uint8Array(12), 0), 4);
  assertEquals(encodeUtf8Into("abcd", new Uint8Array(12), 1), -1);
  assertEquals(encodeUtf8Into("", new Uint8Array(5), 5), 5);
  assertEquals(encodeUtf8Into("", new Uint8Array(0), 0), 0);
});

test("copyInto() copies runs of every length, and nothing else", () => {
  const source = filled(200, 3);
  for (const whole of [false, true]) {
    for (let length = 0; length <= 70; length++) {
      const from = whole ? source.slice(0, length) : source;
      const start = whole ? 0 : 9;
      const into = filled(100, 5);
      const at = copyInto(into, 11, from, start, start + length);
      assertEquals(at, 11 + length);
      const expected = filled(100, 5);
      expected.set(from.slice(start, start + length), 11);
      assertEquals(into, expected, `length ${length}, whole ${whole}`);
    }
  }
});

test("copyViewed() copies runs of every length, and nothing else, with a view and without", () => {
  for (const kind of ["plain", "shared", "none"]) {
    for (let length = 0; length <= 260; length++) {
      const start = 9 + length % 5;
      const memory = kind === "shared"
        ? new SharedArrayBuffer(300)
        : new ArrayBuffer(300);
      const from = new Uint8Array(memory);
      from.set(filled(300, 3));
      const fromView = kind === "none" ? undefined : new DataView(memory);
      const into = filled(300, 5);
      const intoView = new DataView(into.buffer);
      const to = start + length;
      const at = copyViewed(into, intoView, 11, from, fromView, start, to);
      assertEquals(at, 11 + length);
      const expected = filled(300, 5);
      expected.set(from.slice(start, start + length), 11);
      assertEquals(into, expected, `length ${length}, ${kind}`);
    }
  }
});

test("copyBytes() gives a plain buffer of its own", () => {
  const shared = new Uint8Array(new SharedArrayBuffer(10));
  shared.set(filled(10));
  const copy = copyBytes(shared, 2, 6);
  assertEquals(copy, filled(10).slice(2, 6));
  assertInstanceOf(copy.buffer, ArrayBuffer);
  assertEquals(copy.buffer.byteLength, 4);
  shared.fill(0);
  assertEquals(copy, filled(10).slice(2, 6));
});

test("describeBytes() is readable, unambiguous and short", () => {
  assertEquals(describeBytes(toBytes("user/1")), "user/1");
  assertEquals(describeBytes(toBytes("a\0\xff\\")), "a\\x00\\xff\\x5c");
  assertNotEquals(
    describeBytes(toBytes("\\x00")),
    describeBytes(toBytes("\0")),
  );
  const long = describeBytes(filled(100_000));
  assert(long.endsWith("... (100000 bytes)"));
  assert(long.length < 250);
});
