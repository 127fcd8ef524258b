/**
 * One sequence of operations gives the same answers under every option set and
 * on every runtime.
 */
import { test } from "node:test";
import { assert, assertEquals, assertGreaterOrEqual } from "../assert.ts";
import { LONG } from "../engine/support/configs.ts";
import { answersTo } from "./answers.ts";
import { allOptionSets, CHOICES, COMPACTION_CHOICES } from "./option_sets.ts";

const SEED = 1;
const OPERATIONS = 400;
/** The hash of all answers: of the operations, and so of the steps of the model test. */
const ANSWERS =
  "22ae9d7b2b33d4f2319946d49e8a44e7b3043057fe8dc63269d9a9d538492a1b";

test("there are enough option sets, and every choice is in one", () => {
  const sets = [...allOptionSets().values()];
  assertGreaterOrEqual(sets.length, 32);
  const isUsed = (of: readonly object[], name: string, value: unknown) =>
    of.some((options) => Reflect.get(options, name) === value);
  for (const [name, values] of Object.entries(CHOICES)) {
    for (const value of values) assert(isUsed(sets, name, value), name);
  }
  const compactions = sets.map(({ compaction = {} }) => compaction);
  for (const [name, values] of Object.entries(COMPACTION_CHOICES)) {
    for (const value of values) assert(isUsed(compactions, name, value), name);
  }
});

for (const [name, options] of allOptionSets()) {
  test(`answers are the same with ${name}`, LONG, async () => {
    assertEquals(await answersTo(SEED, OPERATIONS, options), ANSWERS);
  });
}
