/**
 * The thread in which cases run: one that never ends can so be told from
 * outside.
 *
 * Targets take turns, each with the same share of the time. What is told of a
 * failure is the target, the seed of the case, and the error.
 *
 * @module
 */
import { parentPort, workerData } from "node:worker_threads";
import { inspect } from "node:util";
import { Random } from "../engine/support/random.ts";
import { watchAllocations } from "./support/allocations.ts";
import type { Target } from "./support/target.ts";
import { TARGETS } from "./targets/all.ts";

/** What the thread is to do. */
export interface Order {
  /** The targets. */
  readonly targets: readonly string[];
  /** The seed of the run; that of each case is made of it. */
  readonly seed: number;
  /** How long. */
  readonly seconds: number;
  /** One case alone, instead. */
  readonly only: number | undefined;
  /** Words that say what is running: count of cases, target, seed of the case. */
  readonly running: SharedArrayBuffer;
}

/** What the thread tells. */
export type Report =
  | { readonly failed: string; readonly case: number; readonly error: string }
  | { readonly done: Readonly<Record<string, number>> };

/** One turn of a target, in milliseconds. */
const TURN_MS = 200;

/** The seed of the case number `count` of a run. */
function caseSeed(seed: number, count: number): number {
  return (Math.imul(seed + 1, 0x9e3779b1) ^ Math.imul(count, 0x85ebca6b)) >>> 0;
}

/** Runs one case; what went wrong, if anything did. */
async function runCase(target: Target, seed: number) {
  try {
    await target.run(new Random(seed));
    return undefined;
  } catch (error) {
    return inspect(error, { depth: 4 });
  }
}

async function obey(order: Order, tell: (report: Report) => void) {
  watchAllocations();
  const words = new Int32Array(order.running);
  const targets = TARGETS.filter(({ name }) => order.targets.includes(name));
  const done: Record<string, number> = {};
  const end = performance.now() + order.seconds * 1000;
  let count = 0;
  let at = 0;
  do {
    const target = targets[at++ % targets.length];
    const turnEnd = Math.min(end, performance.now() + TURN_MS);
    do {
      const seed = order.only ?? caseSeed(order.seed, count);
      words[1] = TARGETS.indexOf(target);
      words[2] = seed | 0;
      Atomics.store(words, 0, ++count);
      const error = await runCase(target, seed);
      done[target.name] = (done[target.name] ?? 0) + 1;
      if (error !== undefined) {
        tell({ failed: target.name, case: seed, error });
        break; // The next failure is likely to be the same.
      }
    } while (order.only === undefined && performance.now() < turnEnd);
  } while (order.only === undefined && performance.now() < end);
  tell({ done });
}

if (parentPort === null) throw new Error("a worker thread, not a program");
const port = parentPort;
await obey(workerData as Order, (report) => port.postMessage(report));
