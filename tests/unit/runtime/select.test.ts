import { stat } from "node:fs";
import { test } from "node:test";
import process from "node:process";
import { selectRuntime } from "../../../lib/runtime/select.ts";
import {
  assert,
  assertEquals,
  assertGreaterOrEqual,
  assertLess,
  assertStrictEquals,
} from "../../assert.ts";

/** With a broken pause() it would never happen, however long one waits. */
const PATIENCE_MS = 5000;

/** Pauses until something has happened or the patience ends. */
async function pauseUntil(hasHappened: () => boolean): Promise<void> {
  const start = performance.now();
  while (!hasHappened() && performance.now() - start < PATIENCE_MS) {
    await runtime.pause();
  }
}

const runtime = await selectRuntime();

test("selectRuntime() picks the runtime that runs it", () => {
  const versions: Record<string, string | undefined> = process.versions;
  const name = versions.deno ? "deno" : versions.bun ? "bun" : "node";
  assertEquals(runtime.name, name);
  assertEquals(runtime.slabResults, name !== "bun");
});

test("selectRuntime() picks once", async () => {
  assertStrictEquals(await selectRuntime(), runtime);
});

test("the clocks run", async () => {
  assertLess(Math.abs(runtime.wallClock() - Date.now()), 1000);
  const start = runtime.monotonicClock();
  await new Promise((resolve) => setTimeout(resolve, 20));
  assertGreaterOrEqual(runtime.monotonicClock() - start, 15);
});

test("pause() lets timers run", async () => {
  let isDone = false;
  setTimeout(() => isDone = true, 0);
  await pauseUntil(() => isDone);
  assert(isDone);
});

test("pause() lets I/O run", async () => {
  let isDone = false;
  stat(".", () => isDone = true);
  await pauseUntil(() => isDone);
  assert(isDone);
});
