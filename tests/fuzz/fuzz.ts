/**
 * Runs cases in a thread and watches over it.
 *
 * @module
 */
import { Worker } from "node:worker_threads";
import { TARGETS } from "./targets/all.ts";
import type { Order, Report } from "./thread.ts";

/** What is to be run. */
export interface Plan {
  /** Names of targets; all if it is empty. */
  readonly targets: readonly string[];
  /** The seed of the run. */
  readonly seed: number;
  /** How long. */
  readonly seconds: number;
  /** One case alone, instead. */
  readonly only?: number | undefined;
  /** Told how many cases have begun, every few seconds. */
  readonly progress?: (count: number) => void;
}

/** What came of it. */
export interface Verdict {
  /** Cases by target. */
  readonly cases: Readonly<Record<string, number>>;
  /** What failed, the same error of a target once. */
  readonly failures: readonly Failure[];
}

/** A case that failed. */
export interface Failure {
  readonly target: string;
  readonly case: number;
  readonly error: string;
}

/** A case that takes longer hangs. */
const HANG_MS = 30_000;
const LOOK_MS = 1_000;
const PROGRESS_LOOKS = 10;

/** The line that runs a failed case again. */
export function replayOf({ target, case: seed }: Failure): string {
  return `deno task fuzz --target ${target} --case ${seed}`;
}

/** What an error is told by: its target, and where its first frame stands outside the assertions. */
function kindOf({ target, error }: Failure): string {
  const frames = error.match(/[\w/]+\.ts:\d+:\d+/g) ?? [error];
  const place = frames.find((frame) => !/assert|target\.ts/.test(frame));
  return `${target} ${place ?? error}`;
}

/** Runs a plan. After a case that hangs nothing more is run. */
export function fuzz(plan: Plan): Promise<Verdict> {
  const running = new SharedArrayBuffer(12);
  const words = new Int32Array(running);
  const order: Order = {
    targets: plan.targets.length > 0
      ? plan.targets
      : TARGETS.map(({ name }) => name),
    seed: plan.seed,
    seconds: plan.seconds,
    only: plan.only,
    running,
  };
  const failures = new Map<string, Failure>();
  const { promise, resolve, reject } = Promise.withResolvers<Verdict>();
  const worker = new Worker(new URL("./thread.ts", import.meta.url), {
    workerData: order,
  });
  const end = (cases: Readonly<Record<string, number>>) => {
    clearInterval(look);
    resolve({ cases, failures: [...failures.values()] });
    worker.terminate();
  };
  const fail = (failure: Failure) => {
    const kind = kindOf(failure);
    if (!failures.has(kind)) failures.set(kind, failure);
  };
  let last = 0;
  let since = performance.now();
  let looks = 0;
  const look = setInterval(() => {
    if (++looks % PROGRESS_LOOKS === 0) plan.progress?.(words[0]);
    const now = performance.now();
    if (words[0] !== last) {
      last = words[0];
      since = now;
    } else if (now - since > HANG_MS) {
      const target = TARGETS[words[1]].name;
      fail({ target, case: words[2] >>> 0, error: "no end within 30 s" });
      end({ [target]: last });
    }
  }, LOOK_MS);
  worker.on("message", (report: Report) => {
    if ("done" in report) return end(report.done);
    const { failed: target, case: seed, error } = report;
    fail({ target, case: seed, error });
  });
  worker.on("error", (error) => {
    clearInterval(look);
    reject(error);
  });
  return promise;
}
