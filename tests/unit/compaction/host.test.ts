/** Jobs in slices: how long a slice is, what ends a job, and that it ends once. */
import { test } from "node:test";
import { RunningJob } from "../../../lib/compaction/host.ts";
import type { Job } from "../../../lib/compaction/job.ts";
import { VarveError } from "../../../lib/errors.ts";
import { memoryRuntime } from "../../../lib/runtime/memory.ts";
import type { Runtime } from "../../../lib/runtime/runtime.ts";
import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertLessOrEqual,
  assertRejects,
  assertStrictEquals,
  assertThrows,
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
): Job<string> {
  try {
    for (let i = 0; i < steps; i++) {
      log.steps++;
      clock.now += milliseconds;
      yield;
    }
    return "result";
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
  const results: [string, number][] = [];
  const running = new RunningJob(
    watched,
    work(clock, log, 100, 0.5),
    (result, seconds) => results.push([result, seconds]),
  );
  assertEquals(log.steps, 0, "it must not start in its caller's turn");
  await running.done;
  assertEquals(log.steps, 100);
  assertEquals(slices[0], 0);
  assertEquals(slices.slice(1), slices.slice(1).map(() => 4));
  assertEquals(results, [["result", running.seconds]]);
  assertAlmostEquals(running.seconds, 0.05);
});

test("a step longer than a slice is a slice of its own", async () => {
  const clock = new Clock();
  const log = new Log();
  const running = new RunningJob(
    clock.runtime,
    work(clock, log, 5, 10),
    () => {},
  );
  await running.done;
  assertEquals(clock.pauses, 6);
  assertAlmostEquals(running.seconds, 0.05);
});

test("timers run while a long job is under way", async () => {
  const clock = new Clock();
  const log = new Log();
  const running = new RunningJob(
    clock.runtime,
    work(clock, log, 2000, 2),
    () => {},
  );
  let stepsAtTimer = -1;
  await new Promise<void>((resolve) =>
    setTimeout(() => {
      stepsAtTimer = log.steps;
      resolve();
    }, 1)
  );
  assertLessOrEqual(stepsAtTimer, 1999);
  await running.done;
  assertEquals(log.steps, 2000);
});

test("finishNow() does what is left in one turn, and the result comes once", async () => {
  const clock = new Clock();
  const log = new Log();
  let results = 0;
  const running = new RunningJob(
    clock.runtime,
    work(clock, log, 50, 2),
    () => results++,
  );
  await clock.runtime.pause();
  await clock.runtime.pause();
  assert(log.steps < 50);
  running.finishNow();
  assertEquals([log.steps, results, log.isCleanedUp], [50, 1, true]);
  running.finishNow();
  await running.done;
  await clock.runtime.pause();
  assertEquals([log.steps, results], [50, 1]);
  assertAlmostEquals(running.seconds, 0.1);
});

test("abort() runs the job's clean-up and rejects with ABORTED", async () => {
  const clock = new Clock();
  const log = new Log();
  let results = 0;
  const running = new RunningJob(
    clock.runtime,
    work(clock, log, 50, 2),
    () => results++,
  );
  await clock.runtime.pause();
  await clock.runtime.pause();
  const { steps } = log;
  running.abort();
  assert(log.isCleanedUp);
  const error = await assertRejects(() => running.done, VarveError);
  assertEquals(error.code, "ABORTED");
  for (let i = 0; i < 3; i++) await clock.runtime.pause();
  assertEquals([log.steps, results], [steps, 0]);
  running.abort();
  await assertRejects(() => running.done);
});

test("abort() before the first slice: the job never starts", async () => {
  const clock = new Clock();
  const log = new Log();
  const running = new RunningJob(
    clock.runtime,
    work(clock, log, 5, 1),
    () => assert(false, "a result of an aborted job"),
  );
  running.abort();
  await assertRejects(() => running.done, VarveError, "closed");
  await clock.runtime.pause();
  assertEquals(log.steps, 0);
});

test("abort() after the end changes nothing", async () => {
  const clock = new Clock();
  const running = new RunningJob(
    clock.runtime,
    work(clock, new Log(), 1, 1),
    () => {},
  );
  running.finishNow();
  running.abort();
  await running.done;
});

/** A job that fails in its second step. */
function* failing(error: unknown): Job<string> {
  yield;
  throw error;
}

test("a job that fails rejects with what it threw", async () => {
  const clock = new Clock();
  const error = new Error("made by the test");
  const running = new RunningJob(
    clock.runtime,
    failing(error),
    () => assert(false, "a result of a failed job"),
  );
  assertStrictEquals(await assertRejects(() => running.done), error);
});

test("finishNow() throws what the job throws, and rejects with it too", async () => {
  const clock = new Clock();
  const error = new Error("made by the test");
  const running = new RunningJob(clock.runtime, failing(error), () => {});
  assertStrictEquals(assertThrows(() => running.finishNow()), error);
  assertStrictEquals(await assertRejects(() => running.done), error);
});

test("onFailure is told in the turn in which the job fails, before any handler runs", async () => {
  for (const inOneGo of [true, false]) {
    const clock = new Clock();
    const error = new Error("made by the test");
    const told: unknown[] = [];
    const running = new RunningJob(
      clock.runtime,
      failing(error),
      () => assert(false, "a result of a failed job"),
      (failure) => told.push(failure),
    );
    if (inOneGo) {
      assertThrows(() => running.finishNow());
      assertEquals(told, [error]);
    }
    const toldFirst = running.done.catch(() => told.length);
    assertEquals(await toldFirst, 1);
    assertStrictEquals(told[0], error);
  }
});

test("onFailure is not told of a job that was given up, nor of one that was done", async () => {
  const clock = new Clock();
  const notTold = () => assert(false, "no failure");
  const done = new RunningJob(
    clock.runtime,
    work(clock, new Log(), 2, 1),
    () => {},
    notTold,
  );
  await done.done;
  const aborted = new RunningJob(
    clock.runtime,
    work(clock, new Log(), 2, 1),
    () => {},
    notTold,
  );
  aborted.abort();
  await assertRejects(() => aborted.done, VarveError);
});

test("what onResult throws fails the job", async () => {
  const clock = new Clock();
  const error = new Error("made by the test");
  const running = new RunningJob(
    clock.runtime,
    work(clock, new Log(), 3, 1),
    () => {
      throw error;
    },
  );
  assertStrictEquals(await assertRejects(() => running.done), error);
});

test("a failure that nobody awaits is no unhandled rejection", async () => {
  // The runner fails a file with one.
  const clock = new Clock();
  const running = new RunningJob(
    clock.runtime,
    failing(new Error("made by the test")),
    () => {},
  );
  for (let i = 0; i < 4; i++) await clock.runtime.pause();
  assertEquals(running.seconds, 0);
});
