/** Syncs that block: for whom, and when not. */
import { test } from "node:test";
import { setImmediate } from "node:timers";
import { VarveError } from "../../../lib/errors.ts";
import { pause } from "../../../lib/runtime/pause.ts";
import { assert, assertEquals, assertRejects } from "../../assert.ts";
import { CommitBench } from "../support/commit_bench.ts";
import { BEFORE, replay } from "../support/logs.ts";

/** Microtasks in which a program does something before it writes on. */
async function doSomething(microtasks: number): Promise<void> {
  for (let i = 0; i < microtasks; i++) await Promise.resolve();
}

/** A queue whose last sync took some milliseconds, elsewhere; `then` runs when its writer is woken. */
async function afterSync(
  then: (bench: CommitBench) => void | Promise<void>,
  milliseconds = 0.3,
): Promise<CommitBench> {
  const bench = new CommitBench();
  const rest = bench.write("first", "sync").then(() => then(bench));
  await bench.turn();
  assertEquals(bench.syncsUnderWay, 1, "the first sync blocked");
  await bench.endSync(milliseconds);
  await rest;
  return bench;
}

/** Writes that go on from one acknowledgement to the next. */
async function goOn(bench: CommitBench, count: number): Promise<void> {
  for (let i = 0; i < count; i++) await bench.write(`k${i}`, "sync");
}

test("who writes on when woken has the next syncs block, and is acknowledged by nothing less", async () => {
  const bench = await afterSync(async (bench) => {
    for (let i = 0; i < 50; i++) {
      const name = `k${i}`;
      await bench.write(name, "sync");
      bench.files.syncDirectory("/db");
      const { operations } = replay(bench.files.afterPowerLoss());
      assertEquals(operations.at(-1)?.key, name);
    }
  });
  assertEquals(bench.syncsUnderWay, 0);
  assertEquals([bench.queue.syncs, bench.queue.commits], [51, 51]);
  assertEquals(bench.log.unsyncedBytes, 0);
});

test("functions on the way to the next write do not matter", async () => {
  const bench = await afterSync(async (bench) => {
    for (let i = 0; i < 5; i++) {
      await doSomething(10);
      await bench.write(`k${i}`, "sync");
    }
  });
  assertEquals([bench.syncsUnderWay, bench.queue.commits], [0, 6]);
});

test("a write that comes from the event loop never blocks: others may share its sync", async () => {
  const bench = await afterSync(() => pause());
  for (let i = 0; i < 3; i++) {
    bench.write(`k${i}`, "sync");
    await pause();
  }
  assertEquals(bench.syncsUnderWay, 1);
  assertEquals(bench.queue.commits, 1);
  await bench.endSync(0.3);
  await bench.endSync(0.3);
  assertEquals([bench.queue.syncs, bench.queue.commits], [3, 4]);
});

test("who waited while a sync was under way shares the next one with who goes on, elsewhere", async () => {
  const bench = new CommitBench();
  bench.write("first", "sync").then(() => bench.write("goes on", "sync"));
  await bench.turn();
  bench.write("waits", "sync");
  await bench.endSync(0.3);
  assertEquals([bench.syncsUnderWay, bench.queue.syncs], [1, 2]);
  await bench.endSync(0.3);
  assertEquals(bench.queue.commits, 3);
});

test("writers who go on share a sync that blocks, very many share one elsewhere", async () => {
  const write = (count: number) => (bench: CommitBench) => {
    for (let i = 0; i < count; i++) bench.write(`k${i}`, "sync");
  };
  const some = await afterSync(write(64));
  assertEquals([some.syncsUnderWay, some.queue.syncs], [0, 2]);
  assertEquals(some.queue.commits, 65);
  const many = await afterSync(write(65));
  assertEquals(many.syncsUnderWay, 1);
});

test("writers who do more than a millisecond's work between two writes have them synced elsewhere", async () => {
  const working = (milliseconds: number) => (bench: CommitBench) => {
    bench.now += milliseconds;
    bench.write("next", "sync");
  };
  assertEquals((await afterSync(working(0.9))).syncsUnderWay, 0);
  assertEquals((await afterSync(working(1.1))).syncsUnderWay, 1);
});

test("where the disk is slow, or there is much to sync, no sync blocks", async () => {
  const slow = await afterSync((bench) => {
    bench.write("next", "sync");
  }, 1.1);
  assertEquals(slow.syncsUnderWay, 1);
  const much = await afterSync((bench) => {
    bench.write("next", "sync", 40_000);
  });
  assertEquals(much.syncsUnderWay, 1);
});

test("a blocking sync that took long is the last one, until one elsewhere was fast", async () => {
  const bench = await afterSync(async (bench) => {
    bench.syncsTake(30);
    await bench.write("slow", "sync");
    bench.files.onOperation = undefined;
    bench.write("elsewhere", "sync").then(() => bench.write("fast", "sync"));
  });
  await bench.turn();
  assertEquals([bench.syncsUnderWay, bench.queue.commits], [1, 2]);
  await bench.endSync(0.3);
  assertEquals([bench.syncsUnderWay, bench.queue.commits], [0, 4]);
});

test("while syncs block, the event loop has its turns, one after each millisecond", async () => {
  let turns = 0;
  let isCounting = true;
  const count = () => {
    turns++;
    if (isCounting) setImmediate(count);
  };
  await afterSync(async (bench) => {
    setImmediate(count);
    bench.syncsTake(0.1);
    await goOn(bench, 2000);
    isCounting = false;
  });
  assert(turns > 100, `${turns} turns`);
});

test("after a turn in which the event loop had other work, syncs are done elsewhere for a while", async () => {
  let isDone = false;
  const bench = await afterSync((bench) => {
    bench.syncsTake(0.4);
    setImmediate(() => bench.now += 1); // It keeps the loop from the writer.
    goOn(bench, 100).then(() => isDone = true);
  });
  let elsewhere = 0;
  for (let turns = 0; !isDone && turns < 1000; turns++) {
    await pause();
    if (bench.syncsUnderWay === 0) continue;
    elsewhere++;
    await bench.endSync(0.1);
  }
  assert(isDone);
  assertEquals([elsewhere, bench.queue.commits], [64, 101]);
});

test("a blocking sync that fails rejects its group and latches, and no sync is tried again", async () => {
  const bench = await afterSync(async (bench) => {
    bench.fail("sync");
    const error = await assertRejects(
      () => bench.write("next", "sync"),
      VarveError,
    );
    assertEquals(error.code, "IO");
  });
  assertEquals(bench.queue.commits, 1);
  assertEquals(bench.health.refusal()?.code, "READ_ONLY");
  await bench.assertNothingTried();
});

test("idle() waits for an acknowledgement that the event loop's turn comes before", async () => {
  const bench = await afterSync(async (bench) => {
    bench.syncsTake(0.9);
    for (let i = 0; i < 2; i++) await bench.write(`k${i}`, "sync");
    bench.write("late", "sync");
    await doSomething(3);
  });
  const acknowledged = bench.sequence - BEFORE;
  assertEquals(acknowledged, 4);
  assert(!bench.events.includes("late"));
  await bench.queue.idle();
  assertEquals(bench.queue.commits, acknowledged);
});

test("idle() waits for the acknowledgement of every write before the call, whenever that is", async () => {
  const bench = await afterSync((bench) => {
    bench.syncsTake(0.9);
    goOn(bench, 20);
  });
  for (let asked = 0; bench.queue.commits < 21; asked++) {
    assert(asked < 1000, "the writes came to no end");
    const before = bench.sequence - BEFORE;
    await bench.queue.idle();
    assert(bench.queue.commits >= before, `${bench.queue.commits}, ${before}`);
    await doSomething(asked % 7);
  }
});
