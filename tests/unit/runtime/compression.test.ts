/** Zstandard as the runtimes have it: what is no frame of so many bytes is nothing, on each of them. */
import { test } from "node:test";
import {
  CAN_COMPRESS,
  compress,
  decompress,
} from "../../../lib/runtime/compression.ts";
import { assert, assertEquals, assertLess } from "../../assert.ts";
import { Random } from "../../engine/support/random.ts";

function textOf(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => 97 + i % 23);
}

test("every runtime that is supported has it", () => {
  assertEquals(CAN_COMPRESS, true);
});

test("bytes come back, as a plain array", () => {
  for (const length of [1, 100, 4096, 100_000, 3_000_000]) {
    const bytes = textOf(length);
    const frame = compress(bytes);
    if (length > 1000) assertLess(frame.length, length / 10);
    const back = decompress(frame, length);
    assertEquals(back, bytes);
    assertEquals(back?.constructor, Uint8Array);
  }
});

test("a frame of another length is none", () => {
  const frame = compress(textOf(4096));
  for (const length of [1, 100, 4095, 4097, 100_000, 500_000_000]) {
    assertEquals(decompress(frame, length), undefined);
  }
});

test("a frame that was cut is none, wherever it was cut", () => {
  const frame = compress(textOf(4096));
  for (let length = 0; length < frame.length; length++) {
    assertEquals(decompress(frame.subarray(0, length), 4096), undefined);
  }
});

test("a frame that was changed is none, or has as many bytes", () => {
  const random = new Random(2);
  const bytes = Uint8Array.from({ length: 2000 }, () => random.below(12));
  const frame = compress(bytes);
  let refused = 0;
  for (let n = 0; n < 2000; n++) {
    const changed = Uint8Array.from(frame);
    changed[random.below(frame.length)] ^= 1 + random.below(255);
    const back = decompress(changed, bytes.length);
    if (back === undefined) refused++;
    else assertEquals(back.length, bytes.length);
  }
  assert(refused > 20, `${refused}`);
});

test("bytes that are no frame are none", () => {
  for (const length of [0, 1, 10, 5000]) {
    assertEquals(decompress(new Uint8Array(length), 4096), undefined);
    assertEquals(decompress(textOf(length), 4096), undefined);
  }
});
