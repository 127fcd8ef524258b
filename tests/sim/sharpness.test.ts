/**
 * The simulator sees what it is for: a disk on which one kind of sync does
 * nothing, and one that gives wrong bytes, are noticed within a few seeds.
 *
 * @module
 */
import { describe, test } from "node:test";
import { assert } from "../assert.ts";
import { LONG } from "../engine/support/configs.ts";
import type { DiskOperation, Fault } from "./disk.ts";
import { fileKindOf } from "./faults.ts";
import { type Mode, perform } from "./modes.ts";

const SEEDS = 6;

/** What the first seed that notices a sabotage says. */
async function noticed(
  mode: Mode,
  operations: number,
  sabotage: (operation: DiskOperation) => Fault | undefined,
): Promise<string | undefined> {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const skipped = new Set<number>();
    const task = { mode, seed, operations, skipped, sabotage };
    const { failure } = await perform(task);
    if (failure !== undefined) return failure.message;
  }
  return undefined;
}

describe("a sync that does nothing is noticed", () => {
  const cases: [what: string, is: (operation: DiskOperation) => boolean][] = [
    ["of a log", (o) => o.kind === "sync" && fileKindOf(o) === "log"],
    ["of a manifest", (o) => o.kind === "sync" && fileKindOf(o) === "manifest"],
    ["of a table", (o) => o.kind === "sync" && fileKindOf(o) === "table"],
    [
      "of what becomes CURRENT",
      (o) => o.kind === "sync" && fileKindOf(o) === "temporary",
    ],
    ["of a directory", (o) => o.kind === "syncDirectory"],
  ];
  for (const [what, is] of cases) {
    test(what, LONG, async () => {
      const ignore: Fault = { kind: "ignoredSync" };
      assert(
        await noticed("sweep", 60, (o) => is(o) ? ignore : undefined),
      );
    });
  }
});

test("an error that nobody makes is noticed", LONG, async () => {
  const fault: Fault = { kind: "error", code: "EIO" };
  assert(
    await noticed(
      "run",
      300,
      (o) => o.kind === "read" && o.index > 400 ? fault : undefined,
    ),
  );
});
