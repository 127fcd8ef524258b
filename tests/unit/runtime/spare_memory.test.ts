/** Shared memory that is used again: what is handed out, and what never is. */
import { test } from "node:test";
import { SpareMemory } from "../../../lib/runtime/spare_memory.ts";
import { assert, assertEquals, assertStrictEquals } from "../../assert.ts";

test("what was given is taken once, the last first, and by its length only", () => {
  const spare = new SpareMemory();
  const [a, b, large] = [8, 8, 16].map((n) => new SharedArrayBuffer(n));
  for (const memory of [a, b, large]) spare.give(memory);
  assertEquals(spare.take(12), undefined);
  assertStrictEquals(spare.take(8), b);
  assertStrictEquals(spare.take(8), a);
  assertEquals(spare.take(8), undefined);
  assertStrictEquals(spare.take(16), large);
});

test("what does not fit stays for others", () => {
  const spare = new SpareMemory();
  const memory = new SharedArrayBuffer(8);
  spare.give(memory);
  assertEquals(spare.take(8, () => false), undefined);
  assertStrictEquals(spare.take(8, (own) => own === memory), memory);
});

test("only the last 64 are remembered", () => {
  const spare = new SpareMemory();
  const all = Array.from({ length: 70 }, () => new SharedArrayBuffer(4));
  for (const memory of all) spare.give(memory);
  const taken = all.map(() => spare.take(4)).filter((m) => m !== undefined);
  assertEquals(taken.length, 64);
  assert(taken.every((memory) => all.indexOf(memory) >= 6));
});
