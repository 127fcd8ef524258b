/** Calls that come again and again. That they keep no process alive is in engine/share_threads.test.ts. */
import { test } from "node:test";
import { every } from "../../../lib/runtime/timers.ts";
import { assertEquals, assertGreater } from "../../assert.ts";

function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

test("every() calls again and again, until it is stopped", async () => {
  let calls = 0;
  const stop = every(5, () => calls++);
  for (let i = 0; i < 400 && calls < 3; i++) await sleep(5);
  assertGreater(calls, 2);
  stop();
  stop();
  const before = calls;
  await sleep(50);
  assertEquals(calls, before);
});
