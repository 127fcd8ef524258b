/** Tasks that several processes share: in order, and each answered once. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { assertEquals } from "../assert.ts";
import { LONG } from "../engine/support/configs.ts";
import { withTempDir } from "../temp.ts";
import { performAll } from "./lanes.ts";
import type { Task } from "./modes.ts";

/**
 * A lane whose seed 1 ends after seed 2 has, and which dies of seed 3.
 * The hash of the others says which seed it was.
 */
const SCRIPT = `
import { appendFileSync, existsSync, writeFileSync } from "node:fs";
import process from "node:process";
import { createInterface } from "node:readline";
appendFileSync(new URL("processes", import.meta.url), process.pid + "\\n");
const second = new URL("second", import.meta.url);
for await (const line of createInterface({ input: process.stdin })) {
  const { seed, skipped, operations } = JSON.parse(line);
  while (seed === 1 && !existsSync(second)) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  if (seed === 3) process.exit(1);
  const answer = { counts: { operations }, hash: seed + " " + skipped };
  if (seed === 4) answer.failure = { message: "wrong", lines: ["a line"] };
  process.stdout.write(JSON.stringify(answer) + "\\n", () => {
    if (seed === 2) writeFileSync(second, "");
  });
}
`;

/** Calls `use` with a lane of that script, and where it lies. */
function withLane(
  use: (script: URL, dir: string) => Promise<void>,
): Promise<void> {
  return withTempDir(async (dir) => {
    const script = join(dir, "lane.mjs");
    writeFileSync(script, SCRIPT);
    await use(pathToFileURL(script), dir);
  });
}

const task = (seed: number): Task => ({
  mode: "run",
  seed,
  operations: 10,
  skipped: new Set([seed, 8]),
});

test(
  "outcomes come in the order of the tasks; a process that dies fails its own task alone",
  LONG,
  async () => {
    await withLane(async (script) => {
      const tasks = [1, 2, 3, 4, 5].map(task);
      const found: unknown[] = [];
      for await (
        const { task, outcome, isDeath } of performAll(
          tasks,
          2,
          script,
        )
      ) {
        const { hash, counts, failure } = outcome;
        found.push([task.seed, isDeath, hash, counts, failure]);
      }
      const counts = { operations: 10 };
      assertEquals(found, [
        [1, false, "1 1,8", counts, undefined],
        [2, false, "2 2,8", counts, undefined],
        [3, true, "", { runs: 1 }, {
          task: tasks[2],
          message: "its process died",
          lines: [],
        }],
        [4, false, "4 4,8", counts, {
          task: tasks[3],
          message: "wrong",
          lines: ["a line"],
        }],
        [5, false, "5 5,8", counts, undefined],
      ]);
    });
  },
);

test("what nobody waits for any more is ended", LONG, async () => {
  await withLane(async (script, dir) => {
    function* endless(): Generator<Task> {
      for (let seed = 2;; seed++) yield task(seed);
    }
    for await (
      const { task } of performAll(endless(), 2, script)
    ) {
      if (task.seed === 7) break;
    }
    const processes = readFileSync(join(dir, "processes"), "utf8").trim();
    for (const id of processes.split("\n").map(Number)) {
      // It never ends by itself: this would wait until the test is too late.
      while (isAlive(id)) await new Promise((end) => setTimeout(end, 5));
    }
  });
});

function isAlive(id: number): boolean {
  try {
    return process.kill(id, 0);
  } catch {
    return false;
  }
}

test(
  "tasks were left undone when whoever took an outcome was slower than all lanes",
  LONG,
  async () => {
    await withLane(async (script) => {
      const seeds: number[] = [];
      const tasks = [2, 4, 5, 6, 7, 8].map(task);
      for await (
        const { task } of performAll(tasks, 2, script)
      ) {
        seeds.push(task.seed);
        await new Promise((resolve) => setTimeout(resolve, 300));
      }
      assertEquals(seeds, [2, 4, 5, 6, 7, 8]);
    });
  },
);

test(
  "a task that has no end is the failure of its seed: it went on for ever",
  LONG,
  async () => {
    await withLane(async (script) => {
      const found: unknown[] = [];
      // Seed 1 waits for seed 2.
      for await (
        const { task: { seed }, outcome: { failure }, isDeath } of performAll(
          [1, 4, 5].map(task),
          2,
          script,
          1000,
        )
      ) found.push([seed, isDeath, failure?.message]);
      assertEquals(found, [
        [1, true, "it had no end within 1 seconds"],
        [4, false, "wrong"],
        [5, false, undefined],
      ]);
    });
  },
);
