/** The guard of the benchmarks names what became slower, and what it cannot compare. */
import { test } from "node:test";
import {
  complaintsOf,
  describeComplaint,
  Gathered,
} from "../../../bench/guard.ts";
import { assertEquals } from "../../assert.ts";

test("the medians of the rounds are compared, by runtime and row", () => {
  const gathered = new Gathered();
  for (const ratio of [0.1, 2, 50]) gathered.add("deno", "readseq", ratio);
  gathered.add("bun", "readseq", 1);
  assertEquals(gathered.medians(), {
    deno: { readseq: 2 },
    bun: { readseq: 1 },
  });
});

test("a row that lost more than a fifth is named, one that lost less is not", () => {
  const stored = { deno: { a: 1, b: 1, c: 1 }, bun: { a: 1 } };
  const found = { deno: { a: 0.79, b: 0.81, c: 3 }, bun: { a: 1 } };
  const complaints = complaintsOf(stored, found);
  assertEquals(complaints, [{ runtime: "deno", row: "a", change: 0.79 }]);
  assertEquals(complaints.map(describeComplaint), ["a on deno: 21 % slower"]);
});

test("a row that only one side has is named", () => {
  const stored = { deno: { old: 1, both: 1 } };
  const found = { deno: { both: 1, new: 1 }, bun: { a: 1 } };
  assertEquals(
    complaintsOf(stored, found).map(({ runtime, row }) => `${runtime} ${row}`),
    ["deno old", "deno new", "bun a"],
  );
});

test("a runtime that was not measured is not missed", () => {
  assertEquals(complaintsOf({ deno: { a: 1 }, bun: { a: 1 } }, {}), []);
});
