/**
 * Looks for a seed that the engine beside it fails: a part of `mutants.ts`,
 * which runs it in the copies of the project that it changes.
 *
 * Prints `ready` when everything is loaded, `try` with each attempt and
 * `found` with the first that fails.
 *
 * @module
 */
import process from "node:process";
import { type Mode, noteUnhandled, perform } from "./modes.ts";

/** One round: short runs first, for they fail as well, and sooner. */
const ROUND: readonly [mode: Mode, operations: number][] = [
  ["sweep", 60],
  ["run", 400],
  ["errors", 6],
  ["run", 2000],
  ["sweep", 120],
  ["errors", 20],
];

async function hunt(seeds: number, seconds: number): Promise<void> {
  const end = Date.now() + seconds * 1000;
  for (let seed = 1; seed <= seeds; seed++) {
    for (const [mode, operations] of ROUND) {
      if (Date.now() > end) return;
      console.log(`try ${mode} ${seed} ${operations}`);
      const task = { mode, seed, operations, skipped: new Set<number>() };
      const { failure } = await perform(task);
      if (failure === undefined) continue;
      console.log(`found ${failure.message.replaceAll(/\s+/g, " ")}`);
      return;
    }
  }
}

process.on("unhandledRejection", noteUnhandled);
console.log("ready");
const [seeds, seconds] = process.argv.slice(2).map(Number);
await hunt(seeds, seconds);
console.log("done");
process.exit(0);
