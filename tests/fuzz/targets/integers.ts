/**
 * Varints, byte strings behind their length, and integers of fixed width,
 * against decoders that are as plain as can be.
 *
 * @module
 */
import {
  getU16,
  getU32,
  getU48,
  putU16,
  putU32,
  putU48,
} from "../../../lib/encoding/fixed.ts";
import {
  Decoder,
  MAX_VARINT_LENGTH,
  putVarint,
  varintLength,
} from "../../../lib/encoding/varint.ts";
import { assert, assertEquals } from "../../assert.ts";
import type { Random } from "../../engine/support/random.ts";
import { randomBytes } from "../support/mutate.ts";
import { FILLS, surrounded, type Target } from "../support/target.ts";

/** A whole number below 2^53, small ones and the ends of ranges more often. */
function someNumber(random: Random): number {
  const bits = random.below(54);
  const high = 2 ** bits;
  const value = random.pick([high - 1, high, random.below(2 ** 31) % high]);
  return Math.min(value, Number.MAX_SAFE_INTEGER);
}

/** What the varint at the start of `bytes` says, and its length; `undefined` if there is none. */
function plainVarint(bytes: Uint8Array): [number, number] | undefined {
  let value = 0n;
  for (let i = 0; i < Math.min(bytes.length, MAX_VARINT_LENGTH); i++) {
    value |= BigInt(bytes[i] & 0x7f) << BigInt(7 * i);
    if (bytes[i] >= 0x80) continue;
    return value <= BigInt(Number.MAX_SAFE_INTEGER)
      ? [Number(value), i + 1]
      : undefined;
  }
  return undefined;
}

function decodeVarint(random: Random): void {
  const input = randomBytes(random, random.below(12));
  if (random.chance(50)) {
    for (let i = 0; i < random.below(10) && i < input.length; i++) {
      input[i] |= 0x80;
    }
  }
  const expected = plainVarint(input);
  for (const fill of FILLS) {
    const { bytes, start } = surrounded(input, fill);
    const decoder = new Decoder(bytes, start, start + input.length);
    const value = decoder.varint();
    assertEquals(decoder.failed, expected === undefined, `${input}`);
    assertEquals(value, expected?.[0] ?? 0);
    if (expected !== undefined) {
      assertEquals(decoder.position, start + expected[1]);
    }
  }
}

function decodeSized(random: Random): void {
  const input = randomBytes(random, random.below(40));
  const length = plainVarint(input);
  const isWhole = length !== undefined && length[0] + length[1] <= input.length;
  for (const fill of FILLS) {
    const { bytes, start } = surrounded(input, fill);
    const decoder = new Decoder(bytes, start, start + input.length);
    const value = decoder.sized();
    assertEquals(decoder.failed, !isWhole, `${input}`);
    assert(decoder.position <= start + input.length);
    if (length === undefined || !isWhole) continue;
    assertEquals(value, input.slice(length[1], length[0] + length[1]));
  }
}

function encode(random: Random): void {
  const value = someNumber(random);
  const { bytes, start } = surrounded(new Uint8Array(8), 0xee);
  const end = putVarint(bytes, start, value);
  assertEquals(end - start, varintLength(value));
  assertEquals(plainVarint(bytes.subarray(start, end)), [value, end - start]);
  assertEquals(bytes[start - 1], 0xee);
  assertEquals(new Decoder(bytes, start, end).varint(), value);
}

function fixed(random: Random): void {
  const value = someNumber(random) % 2 ** 48;
  const bytes = new Uint8Array(8);
  putU48(bytes, 1, value);
  assertEquals(getU48(bytes, 1), value);
  putU32(bytes, 1, value % 2 ** 32);
  assertEquals(getU32(bytes, 1), value % 2 ** 32);
  putU16(bytes, 1, value % 2 ** 16);
  assertEquals(getU16(bytes, 1), value % 2 ** 16);
  assertEquals([bytes[0], bytes[7]], [0, 0]);
}

/** Integers. */
export const integers: Target = {
  name: "integers",
  run(random) {
    decodeVarint(random);
    decodeSized(random);
    encode(random);
    fixed(random);
  },
};
