/** Group commit: who shares a write, who shares a sync, and what a failure does. */
import { test } from "node:test";
import { VarveError } from "../../../lib/errors.ts";
import {
  assert,
  assertEquals,
  assertNotStrictEquals,
  assertRejects,
  assertStrictEquals,
} from "../../assert.ts";
import { CommitBench as Bench } from "../support/commit_bench.ts";
import { BEFORE, LOG_PATH, newLog, replay } from "../support/logs.ts";

test("writes of one turn go out in one write, share one sync and one promise", async () => {
  const bench = new Bench();
  const promises = ["a", "b", "c"].map((name) => bench.write(name, "sync"));
  assertStrictEquals(promises[0], promises[1]);
  assertStrictEquals(promises[0], promises[2]);
  assertEquals(bench.files.counts.write, 0);
  await bench.turn();
  assertEquals([bench.files.counts.write, bench.files.counts.sync], [1, 1]);
  assertEquals(bench.events, [], "acknowledged before the sync ended");
  await bench.endSync();
  assertEquals(bench.events.toSorted(), ["a", "after sync", "b", "c"]);
  assertEquals([bench.queue.commits, bench.queue.syncs], [3, 1]);
});

test("a buffered write is acknowledged by the write, and asks for no sync", async () => {
  const bench = new Bench();
  bench.write("a", "buffered");
  await bench.turn();
  assertEquals(bench.events, ["a"]);
  assertEquals([bench.files.counts.write, bench.files.counts.sync], [1, 0]);
  assertEquals([bench.queue.commits, bench.queue.syncs], [1, 0]);
});

test("both durabilities in one turn: one write, two promises, the sync serves only who asked", async () => {
  const bench = new Bench();
  const buffered = bench.write("buffered", "buffered");
  const synced = bench.write("synced", "sync");
  assertNotStrictEquals(buffered, synced);
  await bench.turn();
  assertEquals(bench.events, ["buffered"]);
  assertEquals(bench.files.counts.write, 1);
  await bench.endSync();
  assertEquals(bench.events, ["buffered", "after sync", "synced"]);
});

test("writes that arrive during a sync share the next one: at most one is under way", async () => {
  const bench = new Bench();
  bench.write("first", "sync");
  await bench.turn();
  for (let i = 0; i < 5; i++) {
    bench.write(`later ${i}`, "sync");
    await bench.turn();
  }
  assertEquals(bench.syncsUnderWay, 1);
  await bench.endSync();
  assertEquals(bench.events, ["after sync", "first"]);
  assertEquals(bench.syncsUnderWay, 1);
  await bench.endSync();
  assertEquals(bench.queue.syncs, 2);
  assertEquals(bench.queue.commits, 6);
  assertEquals(
    bench.events.filter((event) => event.startsWith("later")),
    [0, 1, 2, 3, 4].map((i) => `later ${i}`),
  );
  assertEquals(bench.syncsUnderWay, 0);
});

test("what an acknowledgement's handler writes joins the next sync, with those that waited", async () => {
  const bench = new Bench();
  bench.write("first", "sync").then(() => bench.write("from handler", "sync"));
  await bench.turn();
  bench.write("waiting", "sync");
  await bench.turn();
  await bench.endSync();
  assertEquals(bench.syncsUnderWay, 1);
  await bench.endSync();
  assert(bench.events.includes("waiting"));
  assert(bench.events.includes("from handler"));
  assertEquals(bench.queue.syncs, 2);
});

test("an acknowledged write survives a power loss, and what is in the log is in order", async () => {
  const bench = new Bench();
  bench.files.syncDirectory("/db");
  const acknowledged: string[] = [];
  for (let i = 0; i < 30; i++) {
    const name = `k${i}`;
    bench.write(name, i % 3 === 0 ? "sync" : "buffered").then(() => {
      if (i % 3 === 0) acknowledged.push(name);
    });
    if (i % 4 === 0) await bench.turn();
    if (i % 5 === 0 && bench.syncsUnderWay > 0) await bench.endSync();
    const { operations } = replay(bench.files.afterPowerLoss());
    const names = operations.map(({ key }) => key);
    assertEquals(names, names.map((_, n) => `k${n}`));
    const missing = acknowledged.filter((key) => !names.includes(key));
    assertEquals(missing, [], `after ${name}`);
  }
  assert(acknowledged.length > 3);
});

test("much at once does not wait for the turn's end", async () => {
  const bench = new Bench();
  for (let i = 0; i < 10; i++) bench.write(`k${i}`, "buffered", 100_000);
  assert(bench.files.counts.write >= 3, `${bench.files.counts.write} writes`);
  await bench.turn();
  assertEquals(bench.events.length, 10);
  assertEquals(bench.queue.commits, 10);
});

test("megabytes of buffered writes are synced though nobody waits", async () => {
  const bench = new Bench();
  for (let i = 0; i < 30; i++) {
    bench.write(`k${i}`, "buffered", 250_000);
    await bench.turn();
  }
  assertEquals(bench.syncsUnderWay, 1);
  await bench.endSync();
  assertEquals(bench.queue.syncs >= 1, true);
  assertEquals(bench.queue.commits, 30);
});

test("a failed write rejects everyone who waits, with the failure itself, and latches", async () => {
  const bench = new Bench();
  bench.fail("write", "ENOSPC");
  const synced = bench.write("synced", "sync");
  const buffered = bench.write("buffered", "buffered");
  for (const promise of [synced, buffered]) {
    const error = await assertRejects(() => promise, VarveError);
    assertEquals(error.code, "IO");
  }
  assert(bench.health.failure !== undefined);
  assertEquals(bench.queue.commits, 0);
  await bench.assertNothingTried();
});

test("a failed sync rejects its group and those that wait for the next, and no sync is tried again", async () => {
  const bench = new Bench();
  bench.fail("sync");
  const first = bench.write("first", "sync");
  const error = await assertRejects(() => first, VarveError);
  assertEquals(error.code, "IO");
  assertEquals(bench.health.refusal()?.code, "READ_ONLY");
  await bench.assertNothingTried();
  assertEquals(bench.events, ["first rejected IO"]);
});

test("a sync that fails while others wait: all are rejected, none acknowledged", async () => {
  const bench = new Bench();
  let failNow = () => {};
  bench.files.syncDelay = () =>
    new Promise((_, reject) => {
      failNow = () => reject(new VarveError("IO", "made by the test"));
    });
  bench.write("first", "sync").catch(() => {});
  await bench.turn();
  bench.write("second", "sync").catch(() => {});
  bench.write("third", "sync").catch(() => {});
  await bench.turn();
  failNow();
  await bench.turn();
  assertEquals(bench.events.toSorted(), [
    "first rejected IO",
    "second rejected IO",
    "third rejected IO",
  ]);
  assertEquals(bench.queue.commits, 0);
  await bench.queue.idle();
});

test("a failure elsewhere during a sync: the sync's group is not acknowledged", async () => {
  const bench = new Bench();
  bench.write("first", "sync").catch(() => {});
  await bench.turn();
  bench.queue.fail(new VarveError("IO", "the manifest could not be written"));
  await bench.endSync();
  assertEquals(bench.events, ["first rejected READ_ONLY"]);
  assertEquals(bench.queue.commits, 0);
});

test("flush() makes everything durable: what is gathered, what is written, what is being synced", async () => {
  const bench = new Bench();
  assertEquals(bench.syncsUnderWay, 0);
  await bench.queue.flush(); // Nothing to do: it needs no sync.
  bench.write("buffered", "buffered");
  const gathered = bench.queue.flush();
  await bench.turn();
  await bench.endSync();
  await gathered;
  bench.write("written", "buffered");
  await bench.turn();
  const written = bench.queue.flush();
  await bench.turn();
  assertEquals(bench.syncsUnderWay, 1);
  let isDone = false;
  const second = bench.queue.flush().then(() => isDone = true);
  await bench.endSync();
  await written;
  // Asked for while a sync was under way: the next one answers.
  if (!isDone) await bench.endSync();
  await second;
  assertEquals(bench.log.unsyncedBytes, 0);
  bench.files.syncDirectory("/db");
  const { operations } = replay(bench.files.afterPowerLoss());
  assertEquals(operations.map(({ key }) => key), ["buffered", "written"]);
});

test("finishLog() writes and syncs, blocking; who waits is acknowledged by a sync of the next log", async () => {
  const bench = new Bench();
  bench.write("waiting", "sync");
  bench.write("buffered", "buffered");
  bench.queue.finishLog();
  assertEquals(bench.log.unsyncedBytes, 0);
  assertEquals(bench.log.pendingBytes, 0);
  bench.files.remove(LOG_PATH);
  const { log } = newLog(bench.files);
  bench.queue.switchTo(log);
  await bench.turn();
  if (bench.syncsUnderWay > 0) await bench.endSync();
  assertEquals(
    bench.events.filter((event) => event !== "after sync").toSorted(),
    [
      "buffered",
      "waiting",
    ],
  );
  assertEquals(bench.queue.commits, 2);
});

test("idle() resolves when no sync is under way and nobody waits for one", async () => {
  const bench = new Bench();
  await bench.queue.idle();
  bench.write("first", "sync");
  await bench.turn();
  assert(bench.queue.isSyncing);
  bench.write("second", "sync");
  let isIdle = false;
  const idle = bench.queue.idle().then(() => isIdle = true);
  await bench.endSync();
  assert(!isIdle);
  await bench.endSync();
  await idle;
  assert(!bench.queue.isSyncing);
});

test("a writer that is woken by microtasks only waits for the event loop now and then", async () => {
  const bench = new Bench();
  let isLoopAlive = false;
  setTimeout(() => isLoopAlive = true, 0);
  for (let i = 0; i < 100_000 && !isLoopAlive; i++) {
    bench.now += 0.001; // Time passes as slowly as a fast writer writes.
    await bench.write(`${i}`, "buffered");
  }
  assert(isLoopAlive, "the timer never ran");
  assert(bench.sequence - BEFORE > 1000, "the loop had turns too often");
});

test("flush() behind a failure rejects, and asks the disk for nothing", async () => {
  const bench = new Bench();
  bench.queue.fail(new Error("made by the test"));
  const error = await assertRejects(() => bench.queue.flush(), VarveError);
  assertEquals(error.code, "READ_ONLY");
  assertEquals([bench.files.counts.write, bench.files.counts.sync], [0, 0]);
});

test("finishLog() does not sync a log whose last write failed", async () => {
  const bench = new Bench();
  const rejected = assertRejects(() => bench.write("a", "sync"), VarveError);
  bench.files.onOperation = (operation) => {
    if (operation === "write") throw new Error("made by the test");
  };
  bench.queue.finishLog();
  assertEquals([bench.files.counts.sync, bench.queue.syncs], [0, 0]);
  assert(bench.health.failure !== undefined);
  await rejected;
});

test("idle() waits for the writes of those who are woken meanwhile, too", async () => {
  const bench = new Bench();
  const first = bench.write("a", "sync");
  const again = first.then(() => bench.write("b", "sync"));
  await bench.turn();
  let isIdle = false;
  const idle = bench.queue.idle().then(() => isIdle = true);
  await bench.endSync();
  assertEquals([isIdle, bench.syncsUnderWay], [false, 1]);
  await bench.endSync();
  await Promise.all([again, idle]);
  assertEquals(bench.events.filter((e) => e !== "after sync"), ["a", "b"]);
});
