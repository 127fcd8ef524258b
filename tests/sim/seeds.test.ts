/**
 * A few seeds of each mode, and that a seed is the same run on every runtime,
 * byte for byte. More seeds: `deno task sim`.
 *
 * @module
 */
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { assertEquals, assertGreater } from "../assert.ts";
import { LONG } from "../engine/support/configs.ts";
import {
  EVERY_RUNTIME,
  type OtherRuntime,
  THIS,
} from "../engine/support/runtimes.ts";
import { type Mode, type Outcome, perform } from "./modes.ts";

const MAIN = fileURLToPath(new URL("./main.ts", import.meta.url));
const SEEDS = 3;
const OPERATIONS = 400;

function performSeed(
  mode: Mode,
  seed: number,
  operations: number,
): Promise<Outcome> {
  return perform({ mode, seed, operations, skipped: new Set() });
}

let found: Promise<string[]> | undefined;

/** What this process finds: once, for all comparisons. */
function hashesHere(): Promise<string[]> {
  return found ??= Array.fromAsync({ length: SEEDS }, async (_, i) => {
    const { hash } = await performSeed("run", i + 1, OPERATIONS);
    return `seed ${i + 1}: ${hash}`;
  });
}

/** What a runtime prints of the seeds' traces. */
function hashesOf(runtime: OtherRuntime): string[] {
  const { status, stdout, stderr } = runtime.run(MAIN, [
    "--hashes",
    `--seeds=${SEEDS}`,
    `--operations=${OPERATIONS}`,
    // Processes that share the seeds make no difference; once is enough.
    `--jobs=${runtime.name === THIS ? 2 : 1}`,
  ]);
  assertEquals(status, 0, stdout + stderr);
  return stdout.split("\n").slice(0, SEEDS);
}

describe("a seed is the same run", () => {
  for (const runtime of EVERY_RUNTIME) {
    const { name, skip } = runtime;
    if (skip) console.log(`# runs of ${name} are not compared: ${skip}`);

    test(`on ${THIS} and in a process of ${name}`, {
      ...LONG,
      skip,
    }, async () => {
      assertEquals(hashesOf(runtime), await hashesHere());
    });
  }
});

describe("seeds pass", () => {
  const cases: [mode: Mode, seed: number, operations: number][] = [
    ["run", 11, 600],
    ["run", 12, 600],
    ["sweep", 13, 40],
    ["sweep", 14, 40],
    ["errors", 15, 4],
  ];
  for (const [mode, seed, operations] of cases) {
    test(`${mode} ${seed}`, LONG, async () => {
      const { failure, counts } = await performSeed(mode, seed, operations);
      assertEquals(failure?.message, undefined);
      assertGreater(counts.operations, 0);
      if (mode === "sweep") assertGreater(counts.crashStates, 0);
    });
  }
});
