import { test } from "node:test";
import { checksum } from "../../../lib/runtime/checksum.ts";
import { assertEquals } from "../../assert.ts";

const bytes = new TextEncoder().encode("123456789");

test("checksum() is CRC-32 by its check value", () => {
  assertEquals(checksum(bytes, 0), 0xcbf43926);
  assertEquals(checksum(new Uint8Array(0), 0), 0);
});

test("checksum() goes on from a seed", () => {
  const first = checksum(bytes.subarray(0, 4), 0);
  assertEquals(checksum(bytes.subarray(4), first), 0xcbf43926);
  assertEquals(checksum(new Uint8Array(0), first), first);
});

test("checksum() is unsigned with any unsigned seed", () => {
  for (const seed of [0, 1, 0x7fffffff, 0x80000000, 0xffffffff]) {
    const sum = checksum(bytes, seed);
    assertEquals(sum, sum >>> 0);
  }
});

test("checksum() reads shared memory", () => {
  const shared = new Uint8Array(new SharedArrayBuffer(20));
  shared.set(bytes, 3);
  assertEquals(checksum(shared.subarray(3, 12), 0), 0xcbf43926);
});
