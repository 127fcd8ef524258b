/** Fixed-width integers. */
import { test } from "node:test";
import {
  getU16,
  getU32,
  getU48,
  putU16,
  putU32,
  putU48,
} from "../../../lib/encoding/fixed.ts";
import { assertEquals } from "../../assert.ts";
import { filled } from "../../engine/support/bytes.ts";
import { Random } from "../../engine/support/random.ts";

type Put = (into: Uint8Array, at: number, value: number) => void;
type Get = (from: Uint8Array, at: number) => number;

const WIDTHS: [bits: number, put: Put, get: Get][] = [
  [16, putU16, getU16],
  [32, putU32, getU32],
  [48, putU48, getU48],
];

const SEED = 103;

for (const [bits, put, get] of WIDTHS) {
  test(`unsigned integers of ${bits} bits come back, and touch nothing else`, () => {
    const random = new Random(SEED);
    const values = [0, 1, 2 ** bits - 1, 2 ** (bits - 1)];
    for (let power = 1; power < bits; power++) {
      values.push(2 ** power - 1, 2 ** power);
    }
    for (let i = 0; i < 500; i++) {
      values.push(
        (random.below(2 ** 16) * 2 ** 32 + random.below(2 ** 32)) % 2 ** bits,
      );
    }
    for (const value of values) {
      const bytes = filled(20);
      put(bytes, 5, value);
      assertEquals(get(bytes, 5), value);
      const expected = filled(20);
      for (let i = 0; i < bits / 8; i++) {
        expected[5 + i] = Math.floor(value / 2 ** (8 * i)) % 256;
      }
      assertEquals(bytes, expected, `little-endian ${value}`);
    }
  });
}
