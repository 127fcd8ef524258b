/**
 * The ways to spend a seed, and what comes of it.
 *
 * - `run`: one long run with crashes and failures, some crash states of it
 *   tried.
 * - `sweep`: a short run, all its crash states tried.
 * - `errors`: a shorter run, once for every way in which one of its disk
 *   operations can fail, for once and for good.
 *
 * @module
 */
import type { DiskOperation } from "./disk.ts";
import { type Faults, faultsFor } from "./faults.ts";
import { Probes } from "./probes.ts";
import { describeError, Run, type RunPlan } from "./run.ts";

/** The name of a mode. */
export type Mode = "run" | "sweep" | "errors";

/** Operations of a run of each mode, unless told otherwise. */
export const OPERATIONS_OF: Record<Mode, number> = {
  run: 2000,
  sweep: 120,
  errors: 50,
};

/** Shares of the disk's changes before which a crash is tried. */
const CRASHES_OF: Record<Mode, number> = { run: 0.008, sweep: 1, errors: 0 };
/** How often files are damaged after each closing. */
const DAMAGES_OF: Record<Mode, number> = { run: 1, sweep: 4, errors: 0 };

/** A failure of one operation of the disk. */
export interface Injection {
  /** Which operation of the disk. */
  readonly index: number;
  /** Which of the faults that make sense for it. */
  readonly choice: number;
  /** Whether it lasts. */
  readonly forEver: boolean;
}

/** What is to be done, exactly. */
export interface Task {
  readonly mode: Mode;
  readonly seed: number;
  readonly operations: number;
  readonly skipped: ReadonlySet<number>;
  /** Of mode `errors`: this one only. */
  readonly injection?: Injection;
  /** See {@linkcode RunPlan}. */
  readonly sabotage?: RunPlan["sabotage"];
  readonly print?: (line: string) => void;
}

/** What came of it. */
export interface Outcome {
  /** Whatever can be counted. */
  readonly counts: Record<string, number>;
  /** One hash for everything that happened. */
  readonly hash: string;
  readonly failure?: Failure;
}

/** What was wrong, and where. */
export interface Failure {
  readonly task: Task;
  readonly message: string;
  /** What came before it. */
  readonly lines: readonly string[];
}

/** Runs a task to its end, or to its first failure. */
export async function perform(task: Task): Promise<Outcome> {
  return task.mode === "errors" && task.injection === undefined
    ? await performAllErrors(task)
    : await performOne(task);
}

async function performOne(task: Task): Promise<Outcome> {
  const { mode, seed, operations, skipped, injection } = task;
  const probes = new Probes(seed, {
    crashes: CRASHES_OF[mode],
    damages: DAMAGES_OF[mode],
  });
  const plan: RunPlan = {
    seed,
    operations,
    skipped,
    isCalm: mode === "errors",
    onMutation: (run, operation) => probes.onMutation(run, operation),
    onClosed: (run) => probes.onClosed(run),
    onQuiet: (run) => probes.onQuiet(run),
    faults: (faults) => injection && inject(faults, injection),
    ...task.sabotage === undefined ? {} : { sabotage: task.sabotage },
    ...task.print === undefined ? {} : { print: task.print },
  };
  return await outcomeOf(task, new Run(plan), probes);
}

async function outcomeOf(
  task: Task,
  run: Run,
  probes: Probes,
): Promise<Outcome> {
  let failure: Failure | undefined;
  try {
    await watched(run.run());
  } catch (error) {
    const lines = run.trace.lastLines;
    failure = { task, message: describeError(error), lines };
  }
  const { faults, ...others } = run.counts;
  const counts = { runs: 1, ...others, ...probes.counts, ...faults };
  const { hash } = run.trace;
  return failure === undefined ? { counts, hash } : { counts, hash, failure };
}

function inject(faults: Faults, { index, choice, forEver }: Injection): void {
  faults.arm({
    strikes: (operation) => operation.index === index,
    fault: (operation) => faultsFor(operation)[choice],
    forEver,
  });
}

/** The operations of the disk in an undisturbed run. */
async function operationsOf(task: Task): Promise<DiskOperation[]> {
  const found: DiskOperation[] = [];
  const run = new Run({
    ...task,
    isCalm: true,
    faults: (faults) =>
      faults.arm({
        strikes: (operation) => {
          found.push(operation);
          return false;
        },
        fault: () => undefined,
        forEver: false,
      }),
  });
  await run.run();
  return found;
}

async function performAllErrors(task: Task): Promise<Outcome> {
  const counts: Record<string, number> = {};
  let hash = "";
  for (const operation of await operationsOf(task)) {
    const choices = faultsFor(operation).length;
    for (let i = 0; i < 2 * choices; i++) {
      const injection = {
        index: operation.index,
        choice: i >> 1,
        forEver: (i & 1) === 1,
      };
      const outcome = await performOne({ ...task, injection });
      addCounts(counts, outcome.counts);
      hash = outcome.hash;
      if (outcome.failure !== undefined) return { ...outcome, counts };
    }
  }
  return { counts, hash };
}

/** Adds counts to others. */
export function addCounts(
  sums: Record<string, number>,
  counts: Record<string, number>,
): void {
  for (const [name, count] of Object.entries(counts)) {
    sums[name] = (sums[name] ?? 0) + count;
  }
}

/** Rejections that nobody has handled since the last look. */
const unhandled: unknown[] = [];

/** Takes note of a rejection that nobody handles. */
export function noteUnhandled(reason: unknown): void {
  unhandled.push(reason);
}

/** A run, and no rejection that nobody has handled. */
async function watched(work: Promise<void>): Promise<void> {
  unhandled.length = 0;
  await work;
  if (unhandled.length > 0) {
    throw new Error(`nobody handled: ${describeError(unhandled[0])}`);
  }
}
