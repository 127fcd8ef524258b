/** Jobs in slices: how long a slice is, what ends a job, and that it ends once. */
import { test } from "node:test";
import { SlicedJob } from "../../../lib/compaction/host.ts";
import type { Job } from "../../../lib/compaction/job.ts";
import type { TaskResult } from "../../../lib/compaction/tasks.ts";
import { VarveError } from "../../../lib/errors.ts";
import { memoryRuntime } from "../../../lib/runtime/memory.ts";
import type { Runtime } from "../../../lib/runtime/runtime.ts";
import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertInstanceOf,
  assertLessOrEqual,
  assertStrictEquals,
} from "../../assert.ts";

/** A runtime whose clock the job itself moves on. */
class Clock {
  now = 0;
  pauses = 0;
  readonly runtime: Runtime;

  constructor() {
    const runtime = memoryRuntime(undefined, { clock: () => this.now });
    this.runtime = {
      ...runtime,
      pause: () => {
        this.pauses++;
        return runtime.pause();
      },
    };
  }
}

const RESULT: TaskResult = { tables: [], gains: true };

/** How a job ended, told once. */
class End {
  results: [TaskResult, number][] = [];
  failures: unknown[] = [];
  readonly told: Promise<void>;
  #tell: () => void = () => {};

  constructor() {
    this.told = new Promise((resolve) => this.#tell = resolve);
  }

  done(result: TaskResult, seconds: number): void {
    this.results.push([result, seconds]);
    this.#tell();
  }

  failed(error: unknown): void {
    this.failures.push(error);
    this.#tell();
  }

  get count(): number {
    return this.results.length + this.failures.length;
  }
}

/** What happened to a job, from inside it. */
class Log {
  steps = 0;
  isCleanedUp = false;
}

/** A job of `steps` steps of `milliseconds` each. */
function* work(
  clock: Clock,
  log: Log,
  steps: number,
  milliseconds: number,
): Job<TaskResult> {
  try {
    for (let i = 0; i < steps; i++) {
      log.steps++;
      clock.now += milliseconds;
      yield;
    }
    return RESULT;
  } finally {
    log.isCleanedUp = true;
  }
}

test("a job runs in slices of two milliseconds, and gives way between them", async () => {
  const clock = new Clock();
  const log = new Log();
  let stepsAtPause = 0;
  const slices: number[] = [];
  const { runtime } = clock;
  const watched: Runtime = {
    ...runtime,
    pause: async () => {
      slices.push(log.steps - stepsAtPause);
      stepsAtPause = log.steps;
      await runtime.pause();
    },
  };
  const end = new End();
  new SlicedJob(watched, work(clock, log, 100, 0.5), end);
  assertEquals(log.steps, 0, "it must not start in its caller's turn");
  await end.told;
  assertEquals(log.steps, 100);
  assertEquals(slices[0], 0);
  assertEquals(slices.slice(1), slices.slice(1).map(() => 4));
  assertEquals(end.count, 1);
  const [[result, seconds]] = end.results;
  assertStrictEquals(result, RESULT);
  assertAlmostEquals(seconds, 0.05);
});

test("a step longer than a slice is a slice of its own", async () => {
  const clock = new Clock();
  const end = new End();
  new SlicedJob(clock.runtime, work(clock, new Log(), 5, 10), end);
  await end.told;
  assertEquals(clock.pauses, 6);
  assertAlmostEquals(end.results[0][1], 0.05);
});

test("timers run while a long job is under way", async () => {
  const clock = new Clock();
  const log = new Log();
  const end = new End();
  new SlicedJob(clock.runtime, work(clock, log, 2000, 2), end);
  let stepsAtTimer = -1;
  await new Promise<void>((resolve) =>
    setTimeout(() => {
      stepsAtTimer = log.steps;
      resolve();
    }, 1)
  );
  assertLessOrEqual(stepsAtTimer, 1999);
  await end.told;
  assertEquals(log.steps, 2000);
});

/** A job that waits once, for what `end` resolves, and logs its steps. */
function* waiting(waitsFor: Promise<void>, log: Log): Job<TaskResult> {
  try {
    log.steps++;
    yield waitsFor;
    log.steps++;
    return RESULT;
  } finally {
    log.isCleanedUp = true;
  }
}

test("a job does nothing before what it waits for has ended; its time counts the wait", async () => {
  const clock = new Clock();
  const log = new Log();
  const end = new End();
  const { promise, resolve } = Promise.withResolvers<void>();
  new SlicedJob(clock.runtime, waiting(promise, log), end);
  for (let i = 0; i < 5; i++) await clock.runtime.pause();
  assertEquals([log.steps, end.count], [1, 0]);
  clock.now += 500;
  resolve();
  await end.told;
  assertEquals(log.steps, 2);
  assertAlmostEquals(end.results[0][1], 0.5);
});

test("abort() does not wait for what the job waits for", async () => {
  const clock = new Clock();
  const log = new Log();
  const end = new End();
  const { promise, resolve } = Promise.withResolvers<void>();
  const job = new SlicedJob(clock.runtime, waiting(promise, log), end);
  for (let i = 0; i < 3; i++) await clock.runtime.pause();
  job.abort();
  assert(log.isCleanedUp);
  resolve();
  for (let i = 0; i < 3; i++) await clock.runtime.pause();
  assertEquals([log.steps, end.count, end.failures.length], [1, 1, 1]);
});

test("abort() runs the job's clean-up and tells ABORTED, once", async () => {
  const clock = new Clock();
  const log = new Log();
  const end = new End();
  const job = new SlicedJob(clock.runtime, work(clock, log, 50, 2), end);
  await clock.runtime.pause();
  await clock.runtime.pause();
  const { steps } = log;
  job.abort();
  assert(log.isCleanedUp);
  const [error] = end.failures;
  assertInstanceOf(error, VarveError);
  assertEquals(error.code, "ABORTED");
  job.abort();
  for (let i = 0; i < 3; i++) await clock.runtime.pause();
  assertEquals([log.steps, end.count], [steps, 1]);
});

test("abort() before the first slice: the job never starts", async () => {
  const clock = new Clock();
  const log = new Log();
  const end = new End();
  new SlicedJob(clock.runtime, work(clock, log, 5, 1), end).abort();
  await clock.runtime.pause();
  assertEquals([log.steps, end.count, end.failures.length], [0, 1, 1]);
});

/** A job whose clean-up fails. */
function* untidy(): Job<TaskResult> {
  try {
    for (;;) yield;
  } finally {
    // deno-lint-ignore no-unsafe-finally -- it is what the test is about.
    throw new Error("made by the test");
  }
}

test("abort() tells ABORTED also if the job's clean-up fails", async () => {
  const clock = new Clock();
  const end = new End();
  clock.now = 0;
  const { runtime } = clock;
  const ticking = { ...runtime, monotonicClock: () => clock.now += 2 };
  const job = new SlicedJob(ticking, untidy(), end);
  for (let i = 0; i < 3; i++) await runtime.pause();
  job.abort();
  const [error] = end.failures;
  assertInstanceOf(error, VarveError);
  assertEquals([error.code, end.count], ["ABORTED", 1]);
});

test("abort() after the end changes nothing", async () => {
  const clock = new Clock();
  const end = new End();
  const job = new SlicedJob(clock.runtime, work(clock, new Log(), 1, 1), end);
  await end.told;
  job.abort();
  assertEquals([end.count, end.results.length], [1, 1]);
});

/** A job that fails in its second step. */
function* failing(error: unknown): Job<TaskResult> {
  yield;
  throw error;
}

test("a job that fails tells what it threw, once", async () => {
  const clock = new Clock();
  const error = new Error("made by the test");
  const end = new End();
  new SlicedJob(clock.runtime, failing(error), end);
  await end.told;
  await clock.runtime.pause();
  assertEquals(end.count, 1);
  assertStrictEquals(end.failures[0], error);
});

test("what the taking of the result throws fails the job", async () => {
  const clock = new Clock();
  const error = new Error("made by the test");
  const failures: unknown[] = [];
  new SlicedJob(clock.runtime, work(clock, new Log(), 1, 1), {
    done: () => {
      throw error;
    },
    failed: (failure) => failures.push(failure),
  });
  for (let i = 0; i < 5; i++) await clock.runtime.pause();
  assertEquals(failures.length, 1);
  assertStrictEquals(failures[0], error);
});
