/** Variable-length integers, the decoder and the encoder. */
import { test } from "node:test";
import {
  Decoder,
  Encoder,
  MAX_VARINT_LENGTH,
  putVarint,
  varintLength,
} from "../../../lib/encoding/varint.ts";
import { assert, assertEquals, assertFalse } from "../../assert.ts";
import { filled } from "../../engine/support/bytes.ts";
import { Random } from "../../engine/support/random.ts";

const SEED = 102;

/** Every edge: powers of two and of 128, one less and one more. */
function edges(): number[] {
  const values = new Set([0, Number.MAX_SAFE_INTEGER]);
  for (let power = 0; power < 53; power++) {
    for (const near of [-1, 0, 1]) {
      const value = 2 ** power + near;
      if (value >= 0) values.add(value);
    }
  }
  return [...values].sort((a, b) => a - b);
}

function encode(value: number): Uint8Array {
  const into = filled(20);
  const end = putVarint(into, 3, value);
  return into.slice(3, end);
}

test("putVarint() and varint() agree on every edge and at random", () => {
  const random = new Random(SEED);
  const values = edges();
  for (let i = 0; i < 2000; i++) {
    values.push(Math.floor(random.below(2 ** 32) * 2 ** random.below(21)));
  }
  for (const value of values) {
    const bytes = encode(value);
    assertEquals(bytes.length, varintLength(value), `length of ${value}`);
    assert(bytes.length <= MAX_VARINT_LENGTH);
    const decoder = new Decoder(bytes, 0, bytes.length);
    assertEquals(decoder.varint(), value);
    assertEquals(decoder.position, bytes.length);
    assertFalse(decoder.failed);
  }
});

test("putVarint() is LEB128, as short as can be", () => {
  const table: [number, number[]][] = [
    [0, [0]],
    [127, [0x7f]],
    [128, [0x80, 0x01]],
    [300, [0xac, 0x02]],
    [2 ** 32, [0x80, 0x80, 0x80, 0x80, 0x10]],
    [2 ** 53 - 1, [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f]],
  ];
  for (const [value, bytes] of table) {
    assertEquals([...encode(value)], bytes, `${value}`);
  }
});

test("a varint that is cut fails, and reads as 0", () => {
  for (const value of edges()) {
    const bytes = encode(value);
    for (let length = 0; length < bytes.length; length++) {
      const decoder = new Decoder(bytes, 0, length);
      assertEquals(decoder.varint(), 0, `${value} cut at ${length}`);
      assert(decoder.failed);
    }
  }
});

test("a varint without an end fails", () => {
  const decoder = new Decoder(new Uint8Array(20).fill(0x80), 0, 20);
  assertEquals(decoder.varint(), 0);
  assert(decoder.failed);
});

test("the decoder keeps to its end, though the buffer goes on", () => {
  const bytes = new Encoder().sized(filled(5)).finish();
  for (let end = 0; end < bytes.length; end++) {
    const decoder = new Decoder(bytes, 0, end);
    decoder.skipSized();
    assert(decoder.failed, `end ${end}`);
    assert(decoder.position <= end);
  }
  const whole = new Decoder(bytes, 0, bytes.length);
  assertEquals(whole.skipSized(), 1);
  assertEquals(whole.position, 6);
  assertFalse(whole.failed);
});

test("a length that goes past the end fails, however great", () => {
  for (const length of [1, 2 ** 31, 2 ** 32, Number.MAX_SAFE_INTEGER]) {
    const bytes = new Encoder().varint(length).finish();
    const decoder = new Decoder(bytes, 0, bytes.length);
    assertEquals(decoder.sized(), new Uint8Array(0));
    assert(decoder.failed, `${length}`);
  }
});

test("sized() gives a copy", () => {
  const bytes = new Encoder().sized(filled(5)).finish();
  const copy = new Decoder(bytes, 0, bytes.length).sized();
  bytes.fill(0);
  assertEquals(copy, filled(5));
});

test("the encoder grows as needed, and the decoder reads all of it back", () => {
  const random = new Random(SEED);
  const encoder = new Encoder();
  const expected: (number | Uint8Array)[] = [];
  for (let i = 0; i < 500; i++) {
    switch (random.below(3)) {
      case 0: {
        const value = random.below(256);
        encoder.byte(value);
        expected.push(value);
        break;
      }
      case 1: {
        const value = random.below(2 ** 32) * 1024;
        encoder.varint(value);
        expected.push(value);
        break;
      }
      default: {
        const value = filled(random.below(random.chance(10) ? 5000 : 50), i);
        encoder.sized(value);
        expected.push(value);
      }
    }
  }
  const bytes = encoder.finish();
  const decoder = new Decoder(bytes, 0, bytes.length);
  const replay = new Random(SEED);
  for (const [i, value] of expected.entries()) {
    const message = `seed ${SEED}, item ${i}`;
    const kind = replay.below(3);
    if (kind === 0) {
      replay.below(256);
      assertEquals(decoder.byte(), value, message);
    } else if (kind === 1) {
      replay.below(2 ** 32);
      assertEquals(decoder.varint(), value, message);
    } else {
      replay.below(replay.chance(10) ? 5000 : 50);
      assertEquals(decoder.sized(), value, message);
    }
  }
  assertEquals(decoder.position, bytes.length);
  assertFalse(decoder.failed);
  decoder.byte();
  assert(decoder.failed);
});
