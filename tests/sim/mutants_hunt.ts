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
import { type Injection, type Mode, noteUnhandled, perform } from "./modes.ts";

/** One way to spend a seed. */
export interface Attempt {
  readonly mode: Mode;
  readonly seed: number;
  readonly operations: number;
  /** Of mode `errors`: this one only. */
  readonly injection?: Injection;
}

/** One round: mostly of short runs, which fail as well, and sooner. */
const ROUND: readonly [mode: Mode, operations: number][] = [
  ["run", 400],
  ["sweep", 60],
  ["run", 400],
  ["errors", 6],
  ["run", 400],
  ["run", 2000],
  ["sweep", 120],
  ["run", 400],
  ["errors", 12],
];

/** Seed by seed of each kind of run. */
function* attempts(rounds: number): Generator<Attempt> {
  const seeds = new Map<string, number>();
  for (let round = 1; round <= rounds; round++) {
    for (const [mode, operations] of ROUND) {
      const seed = 1 + (seeds.get(`${mode} ${operations}`) ?? 0);
      seeds.set(`${mode} ${operations}`, seed);
      yield { mode, seed, operations };
    }
  }
}

/** Makes an attempt; returns whether it failed. */
async function fails(attempt: Attempt): Promise<boolean> {
  console.log(`try ${JSON.stringify(attempt)}`);
  const { failure } = await perform({ ...attempt, skipped: new Set() });
  if (failure === undefined) return false;
  const { injection } = failure.task;
  const found = injection === undefined ? attempt : { ...attempt, injection };
  const message = failure.message.replaceAll(/\s+/g, " ");
  console.log(`found ${JSON.stringify({ attempt: found, message })}`);
  return true;
}

/** @param known What found it before: it comes first. */
async function hunt(
  rounds: number,
  seconds: number,
  known: Attempt | undefined,
): Promise<void> {
  if (known !== undefined && await fails(known)) return;
  const end = Date.now() + seconds * 1000;
  for (const attempt of attempts(rounds)) {
    if (Date.now() > end || await fails(attempt)) return;
  }
}

process.on("unhandledRejection", noteUnhandled);
console.log("ready");
const [rounds, seconds, known] = process.argv.slice(2);
await hunt(
  Number(rounds),
  Number(seconds),
  known === undefined ? undefined : JSON.parse(known),
);
console.log("done");
process.exit(0);
