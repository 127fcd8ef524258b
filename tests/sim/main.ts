/**
 * Runs simulations: `deno task sim --seeds 300`.
 *
 * ```
 * --seeds N         how many seeds; 100
 * --from S          the first of them; 1
 * --minutes M       no seed is begun later than that
 * --mode MODE       run (the default), sweep or errors; see modes.ts
 * --operations N    operations of each run; see modes.ts
 * --skip 3-7,12     operations that are left out
 * --injection I,C,X of mode errors: operation I of the disk fails in its way
 *                   C, X is "once" or "ever"
 * --jobs J          processes that share the seeds; the number of cores. What
 *                   is printed is the same, in order of seeds
 * --runtime NAME    deno, bun or node, in the place of this one
 * --trace           prints everything that happens; one process does it all
 * --hashes          prints the hash of each seed's trace
 * --whole           reports failures as they are, not made shorter
 * --failures N      failures after which to stop; 5
 * ```
 *
 * The same seed is the same run, on every runtime. The last line is
 * `N passed, N failed`.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { performAll } from "./lanes.ts";
import {
  addCounts,
  type Failure,
  type Injection,
  type Mode,
  noteUnhandled,
  OPERATIONS_OF,
  type Task,
} from "./modes.ts";
import { shrink } from "./shrink.ts";

/** Seconds that go into making a failure shorter. */
const SHRINK_SECONDS = 20;
/** Seconds between two lines of progress. */
const PROGRESS_SECONDS = 10;

const { values: given } = parseArgs({
  args: process.argv.slice(2),
  options: {
    seeds: { type: "string", default: "100" },
    from: { type: "string", default: "1" },
    minutes: { type: "string", default: "Infinity" },
    mode: { type: "string", default: "run" },
    operations: { type: "string" },
    skip: { type: "string", default: "" },
    injection: { type: "string" },
    jobs: { type: "string" },
    runtime: { type: "string" },
    trace: { type: "boolean", default: false },
    hashes: { type: "boolean", default: false },
    whole: { type: "boolean", default: false },
    failures: { type: "string", default: "5" },
  },
});

function refuse(what: string): never {
  console.error(what);
  process.exit(2);
}

function numberOf(name: string, text: string): number {
  const number = Number(text);
  if (text === "" || Number.isNaN(number) || number < 0) {
    refuse(`--${name} is ${text}; a number is accepted`);
  }
  return number;
}

function modeOf(text: string): Mode {
  if (text === "run" || text === "sweep" || text === "errors") return text;
  return refuse(`--mode is ${text}; run, sweep and errors are accepted`);
}

function skippedOf(text: string): Set<number> {
  const skipped = new Set<number>();
  for (const part of text.split(",").filter((part) => part !== "")) {
    const [first, last = first] = part.split("-").map(Number);
    for (let i = first; i <= last; i++) skipped.add(i);
  }
  return skipped;
}

/** A set of numbers as {@linkcode skippedOf} takes it. */
function rangesOf(numbers: ReadonlySet<number>): string {
  const parts: string[] = [];
  let first: number | undefined;
  const sorted = [...numbers].sort((a, b) => a - b);
  sorted.forEach((number, i) => {
    first ??= number;
    if (sorted[i + 1] === number + 1) return;
    parts.push(first === number ? `${number}` : `${first}-${number}`);
    first = undefined;
  });
  return parts.join(",");
}

function injectionOf(text: string | undefined): Injection | undefined {
  if (text === undefined) return undefined;
  const [index, choice, lasting] = text.split(",");
  return {
    index: numberOf("injection", index),
    choice: numberOf("injection", choice),
    forEver: lasting === "ever",
  };
}

/** The command that repeats a task. */
function commandOf({ mode, seed, operations, skipped, injection }: Task) {
  const parts = [
    "deno task sim --seeds 1",
    `--from ${seed} --mode ${mode} --operations ${operations}`,
  ];
  if (skipped.size > 0) parts.push(`--skip ${rangesOf(skipped)}`);
  if (injection !== undefined) {
    const { index, choice, forEver } = injection;
    parts.push(`--injection ${index},${choice},${forEver ? "ever" : "once"}`);
  }
  return parts.join(" ");
}

function report({ task, message, lines }: Failure): void {
  const all = Array.from({ length: task.operations }, (_, i) => i);
  const kept = all.filter((i) => !task.skipped.has(i)).length;
  console.log(`FAILED seed ${task.seed}: ${message}`);
  console.log(`  after these (${kept} operations in all):`);
  for (const line of lines) console.log(`    ${line.slice(0, 160)}`);
  console.log(`  again: ${commandOf(task)}`);
}

/** Hands everything to another runtime. */
async function runOn(name: string): Promise<never> {
  const { findRuntime, RUNTIMES } = await import("../tools/runtimes.ts");
  const known = RUNTIMES.find((runtime) => runtime === name) ??
    refuse(`--runtime is ${name}; ${RUNTIMES.join(", ")} are accepted`);
  const { path } = await findRuntime(known);
  const flags = known === "deno" ? ["run", "--no-check", "-A"] : [];
  const args = process.argv.slice(2);
  args.splice(args.indexOf("--runtime"), 2);
  const { status } = spawnSync(
    path,
    [...flags, fileURLToPath(import.meta.url), ...args],
    { stdio: "inherit" },
  );
  process.exit(status ?? 1);
}

/** The tasks that the command line asks for, as long as it is not too late. */
function* tasksOf(isLate: () => boolean): Generator<Task> {
  const mode = modeOf(given.mode);
  const first = numberOf("from", given.from);
  const seeds = numberOf("seeds", given.seeds);
  const injection = injectionOf(given.injection);
  const operations = given.operations === undefined
    ? OPERATIONS_OF[mode]
    : numberOf("operations", given.operations);
  const skipped = skippedOf(given.skip);
  for (let seed = first; seed < first + seeds && !isLate(); seed++) {
    yield {
      mode,
      seed,
      operations,
      skipped,
      ...injection === undefined ? {} : { injection },
      ...given.trace ? { print: console.log } : {},
    };
  }
}

/** How many processes share the seeds. */
function jobsOf(): number {
  if (given.trace) return 1;
  const jobs = given.jobs === undefined
    ? navigator.hardwareConcurrency
    : numberOf("jobs", given.jobs);
  return Math.min(jobs, numberOf("seeds", given.seeds));
}

async function main(): Promise<void> {
  if (given.runtime !== undefined) await runOn(given.runtime);
  process.on("unhandledRejection", noteUnhandled);
  const start = Date.now();
  const minutes = numberOf("minutes", given.minutes);
  const isLate = () => Date.now() - start > minutes * 60_000;
  const failuresMost = numberOf("failures", given.failures);
  const sums: Record<string, number> = {};
  let [passed, failed, told] = [0, 0, start];
  for await (const performed of performAll(tasksOf(isLate), jobsOf())) {
    const { task, outcome, isDeath } = performed;
    addCounts(sums, outcome.counts);
    if (given.hashes) console.log(`seed ${task.seed}: ${outcome.hash}`);
    if (outcome.failure === undefined) passed++;
    else {
      failed++;
      if (isDeath) report(outcome.failure);
      else await reportShrunk(outcome.failure);
      if (failed >= failuresMost) break;
    }
    if (Date.now() - told > PROGRESS_SECONDS * 1000) {
      told = Date.now();
      const seconds = Math.round((told - start) / 1000);
      console.log(
        `${seconds} s: ${passed + failed} seeds, ` +
          `${sums.crashStates ?? 0} crash states, ${failed} failures`,
      );
    }
  }
  const counted = Object.entries(sums).map(([name, count]) =>
    `${name} ${count}`
  );
  const seconds = ((Date.now() - start) / 1000).toFixed(1);
  console.log(`${given.mode}, from seed ${given.from}, ${seconds} seconds`);
  console.log(counted.join(", "));
  console.log(`${passed} passed, ${failed} failed`);
  process.exit(failed === 0 && passed > 0 ? 0 : 1);
}

async function reportShrunk(failure: Failure): Promise<void> {
  if (given.trace || given.whole) return report(failure);
  console.log(`seed ${failure.task.seed} failed; looking for a shorter way`);
  const end = Date.now() + SHRINK_SECONDS * 1000;
  report(await shrink(failure, () => Date.now() > end));
}

await main();
