/** The latch to read-only. */
import { test } from "node:test";
import { VarveError } from "../../../lib/errors.ts";
import { asVarveError, Health } from "../../../lib/write/health.ts";
import {
  assertEquals,
  assertExists,
  assertStrictEquals,
  assertStringIncludes,
} from "../../assert.ts";

test("a healthy handle refuses nothing", () => {
  const health = new Health();
  assertEquals(health.failure, undefined);
  assertEquals(health.refusal(), undefined);
});

test("the first failure latches, and no later one takes its place", () => {
  const health = new Health();
  const first = new VarveError("IO", "the disk is full");
  assertStrictEquals(health.fail(first), first);
  const second = new VarveError("IO", "another");
  assertStrictEquals(health.fail(second), second);
  assertStrictEquals(health.failure, first);
  const refusal = health.refusal();
  assertExists(refusal);
  assertEquals(refusal.code, "READ_ONLY");
  assertStringIncludes(refusal.message, "the disk is full");
  assertStrictEquals(refusal.cause, first);
});

test("what is not ours is wrapped, with what was thrown as the cause", () => {
  for (const thrown of [new Error("odd"), "odd", null, undefined, 7]) {
    const error = asVarveError(thrown);
    assertEquals(error.code, "IO");
    assertStrictEquals(error.cause, thrown);
    assertStringIncludes(
      error.message,
      thrown instanceof Error ? "odd" : `${thrown}`,
    );
  }
  const ours = new VarveError("CORRUPTION", "x");
  assertStrictEquals(asVarveError(ours), ours);
});

test("whatever was thrown latches", () => {
  for (const thrown of [new Error("odd"), "odd", null, 7]) {
    const health = new Health();
    health.fail(thrown);
    assertEquals(health.refusal()?.code, "READ_ONLY", `${thrown}`);
  }
});
