import { test } from "node:test";
import { assertEquals } from "../assert.ts";
import { eachRoll, everyOutcome } from "./every_roll.ts";

test("eachRoll() throws every combination once", () => {
  const seen: string[] = [];
  const count = eachRoll((dice) => {
    const first = dice.below(3);
    // The second is thrown only in one case, with a bound of its own.
    seen.push(first === 1 ? `1${dice.below(2)}${dice.below(2)}` : `${first}`);
  });
  assertEquals(seen, ["0", "100", "101", "110", "111", "2"]);
  assertEquals(count, 6);
});

test("eachRoll() calls once what throws no dice", () => {
  assertEquals(eachRoll(() => {}), 1);
});

test("everyOutcome() names each outcome once", () => {
  const outcomes = everyOutcome((dice) => `${dice.below(4) % 2}`);
  assertEquals(outcomes, ["0", "1"]);
});
