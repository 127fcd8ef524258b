/**
 * A few seconds of every target: fixed seeds, and one that is new in every run.
 */
import { test } from "node:test";
import { assertEquals, assertGreater } from "../assert.ts";
import { LONG } from "../engine/support/configs.ts";
import { fuzz, replayOf } from "./fuzz.ts";
import { TARGETS } from "./targets/all.ts";

const SECONDS_EACH = 0.4;

for (const seed of [1, Date.now() % 1_000_000_000]) {
  test(`every decoder, --seed ${seed}`, LONG, async () => {
    const seconds = SECONDS_EACH * TARGETS.length;
    const { cases, failures } = await fuzz({ targets: [], seed, seconds });
    assertEquals(
      failures.map((failure) => `${replayOf(failure)}\n${failure.error}`),
      [],
    );
    for (const { name } of TARGETS) {
      assertGreater(cases[name] ?? 0, 0, `no case of ${name}`);
    }
  });
}
