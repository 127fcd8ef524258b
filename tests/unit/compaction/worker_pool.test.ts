/** Threads that wait for work: what they are sent and when, and how long they stay. */
import { test } from "node:test";
import {
  giveThread,
  type JobThread,
  takeThread,
} from "../../../lib/compaction/worker_pool.ts";
import { memoryRuntime } from "../../../lib/runtime/memory.ts";
import {
  assert,
  assertEquals,
  assertNotStrictEquals,
  assertStrictEquals,
} from "../../assert.ts";
import { FakeThreads } from "../support/fake_threads.ts";

const result = { tables: [], gains: false };

function take(fake: FakeThreads, url?: string): JobThread {
  const thread = takeThread(fake.runtime, url);
  assert(thread !== undefined);
  return thread;
}

/** What a user is told. */
function listen(thread: JobThread): unknown[] {
  const told: unknown[] = [];
  thread.user = {
    message: ({ type }) => told.push(type),
    exit: (reason) => told.push(["exit", reason]),
  };
  return told;
}

test("where there are no threads, none is given", () => {
  assertEquals(takeThread(memoryRuntime(), undefined), undefined);
});

test("what is posted before a thread is ready is sent then, behind its mailbox, which counts it", async () => {
  const fake = new FakeThreads();
  const thread = take(fake, "where");
  const told = listen(thread);
  thread.post({ type: "abort", id: 1 });
  thread.post({ type: "abort", id: 2 });
  await fake.settle();
  assertEquals([fake.last.url, fake.last.types], ["where", []]);
  await fake.getReady();
  thread.post({ type: "abort", id: 3 });
  const [opened, ...rest] = fake.last.got;
  assert(opened.type === "open");
  assertEquals(rest, [1, 2, 3].map((id) => ({ type: "abort", id })));
  assertEquals(Atomics.load(opened.mail, 0), 4);
  assertEquals(told, ["ready"]);
});

test("a thread keeps the process alive exactly while it is held, also if that was asked before it started", async () => {
  const fake = new FakeThreads();
  const thread = take(fake);
  thread.hold(true);
  await fake.settle();
  assertEquals(fake.last.asked, ["ref"]);
  thread.hold(true);
  assertEquals(fake.last.asked, ["ref"]);
  thread.hold(false);
  thread.hold(false);
  assertEquals(fake.last.asked, ["ref", "unref"]);
  const other = take(fake);
  other.hold(true);
  other.hold(false);
  await fake.settle();
  assertEquals(fake.last.asked, []);
});

test("a thread that is ended before it has started is ended when it has", async () => {
  const fake = new FakeThreads();
  const thread = take(fake);
  const told = listen(thread);
  thread.terminate();
  await fake.settle();
  assertEquals(fake.last.asked, ["terminate"]);
  fake.last.say({ type: "ready" });
  fake.last.die("late");
  assertEquals([fake.last.got, told], [[], []]);
});

test("a thread that is ended tells its user nothing more", async () => {
  const fake = new FakeThreads();
  const thread = take(fake);
  const told = listen(thread);
  await fake.getReady();
  thread.terminate();
  assertEquals(fake.last.asked, ["terminate"]);
  fake.last.die("ended");
  assertEquals(told, ["ready"]);
});

test("a thread that cannot be started is gone, and why is told once", async () => {
  const fake = new FakeThreads();
  fake.refusal = new Error("made by the test");
  const thread = take(fake);
  const told = listen(thread);
  await fake.settle();
  assertEquals(told, [["exit", fake.refusal]]);
  assert(thread.isGone);
});

test("a death is told once, and nothing of the thread after it", async () => {
  const fake = new FakeThreads();
  const thread = take(fake);
  const told = listen(thread);
  await fake.getReady();
  fake.last.die("why");
  fake.last.die("again");
  fake.last.say({ type: "done", id: 1, result, seconds: 1 });
  assertEquals(told, ["ready", ["exit", "why"]]);
});

test("a thread that was given back is given again, to who wants the same module", async () => {
  const fake = new FakeThreads();
  const thread = take(fake, "a");
  const told = listen(thread);
  await fake.getReady();
  thread.hold(true);
  giveThread(fake.runtime, "a", thread);
  assertEquals(fake.last.asked, ["ref", "unref"]);
  assertNotStrictEquals(take(fake, "b"), thread);
  assertStrictEquals(take(fake, "a"), thread);
  assertNotStrictEquals(take(fake, "a"), thread);
  assertEquals(fake.threads.length, 3);
  fake.threads[0].say({ type: "done", id: 1, result, seconds: 1 });
  assertEquals(told, ["ready"], "its last user is told of it");
});

test("a thread that died while it waited, or in use, is not given again", async () => {
  const fake = new FakeThreads();
  const thread = take(fake);
  await fake.getReady();
  giveThread(fake.runtime, undefined, thread);
  fake.last.die("idle");
  const next = take(fake);
  assertNotStrictEquals(next, thread);
  await fake.getReady();
  fake.last.die("in use");
  giveThread(fake.runtime, undefined, next);
  await fake.timersGoOff();
  assertEquals(fake.threads[1].types, ["open"], "the dead are told to close");
  assertNotStrictEquals(take(fake), next);
  assertEquals(fake.threads.length, 3);
});

test("a thread that nobody needs for a while is told to close, and not given again", async () => {
  const fake = new FakeThreads();
  const thread = take(fake);
  const { got } = await fake.getReady();
  giveThread(fake.runtime, undefined, thread);
  assertEquals(got.map(({ type }) => type), ["open"]);
  await fake.timersGoOff();
  assertEquals(got.map(({ type }) => type), ["open", "close"]);
  assertNotStrictEquals(take(fake), thread);
});

test("a thread that was taken again meanwhile is not told to close", async () => {
  const fake = new FakeThreads();
  const thread = take(fake);
  const { got } = await fake.getReady();
  giveThread(fake.runtime, undefined, thread);
  assertStrictEquals(take(fake), thread);
  await fake.timersGoOff();
  assertEquals(got.map(({ type }) => type), ["open"]);
});

test("no more than two threads wait; the others are told to close at once", async () => {
  const fake = new FakeThreads();
  const threads = [take(fake), take(fake), take(fake)];
  await fake.settle();
  for (const thread of fake.threads) thread.say({ type: "ready" });
  for (const thread of threads) giveThread(fake.runtime, undefined, thread);
  assertEquals(fake.threads.map(({ types }) => types), [
    ["open"],
    ["open"],
    ["open", "close"],
  ]);
});
