/** Tasks on a thread: how each ends, whatever becomes of the thread. */
import { test } from "node:test";
import { InlineHost, type TaskEnd } from "../../../lib/compaction/host.ts";
import { plainError } from "../../../lib/compaction/protocol.ts";
import type { TaskSources } from "../../../lib/compaction/run_task.ts";
import type {
  ProbeTask,
  Task,
  TaskResult,
} from "../../../lib/compaction/tasks.ts";
import { WorkerHost } from "../../../lib/compaction/worker_host.ts";
import { VarveError } from "../../../lib/errors.ts";
import { memoryRuntime } from "../../../lib/runtime/memory.ts";
import type { Runtime } from "../../../lib/runtime/runtime.ts";
import {
  assert,
  assertEquals,
  assertFalse,
  assertInstanceOf,
  assertIsError,
  assertStrictEquals,
} from "../../assert.ts";
import { FakeThreads } from "../support/fake_threads.ts";
import { metaOf } from "../support/metas.ts";

const RESULT: TaskResult = { tables: [], gains: true };

/** A task that is not more than its name; done inline it finds nothing to gain. */
function taskOf(name: string): ProbeTask {
  return {
    type: "probe",
    directory: name,
    runs: [],
    outside: [],
    memtablesOldest: Infinity,
    elision: { by: "range" },
    snapshots: [],
  };
}

function unused(): never {
  throw new Error("the test has no tables");
}

const SOURCES: TaskSources = { memtable: unused, table: unused };

/** A host, and all that it says. */
class Hosted {
  readonly discarded: string[] = [];
  readonly deaths: [reason: unknown, isReplaced: boolean][] = [];
  /** How tasks ended: by name, a result, or the code of an error. */
  readonly ends: [name: string, end: unknown][] = [];
  readonly host: WorkerHost;

  constructor(runtime: Runtime) {
    this.host = new WorkerHost({
      runtime,
      url: "where",
      inline: new InlineHost(runtime),
      discard: (task) => this.discarded.push(task.directory),
      renew: (task): Task => ({ ...task, directory: `${task.directory}'` }),
      onDeath: (reason, isReplaced) => this.deaths.push([reason, isReplaced]),
    });
  }

  run(name: string, done?: TaskEnd["done"]): { abort(): void } {
    return this.host.run(taskOf(name), SOURCES, {
      done: done ?? ((result) => this.ends.push([name, result])),
      failed: (error) => {
        assertInstanceOf(error, Error);
        const code = error instanceof VarveError ? error.code : error;
        this.ends.push([name, code]);
      },
    });
  }
}

function newHosted(): [fake: FakeThreads, hosted: Hosted] {
  const fake = new FakeThreads();
  return [fake, new Hosted(fake.runtime)];
}

/** The names of the tasks that a thread was sent. */
function namesOf({ got }: { readonly got: FakeThreads["last"]["got"] }) {
  return got.flatMap((m) => m.type === "run" ? [m.task.directory] : []);
}

test("where there are no threads, tasks are done inline", async () => {
  const runtime = memoryRuntime();
  const hosted = new Hosted(runtime);
  assertFalse(hosted.host.isUsable);
  hosted.run("a");
  assertEquals(hosted.ends, [], "a task must not end in its caller's turn");
  for (let i = 0; i < 5; i++) await runtime.pause();
  assertEquals(hosted.ends, [["a", { tables: [], gains: false }]]);
  hosted.host.close();
});

test("what the thread says of a task is how it ends, once", async () => {
  const [fake, hosted] = newHosted();
  hosted.run("a");
  hosted.run("b");
  const thread = await fake.getReady();
  const [a, b] = thread.runs;
  thread.say({ type: "done", id: b, result: RESULT, seconds: 1 });
  const error = plainError(new VarveError("CORRUPTION", "made by the test"));
  thread.say({ type: "failed", id: a, error });
  thread.say({ type: "done", id: a, result: RESULT, seconds: 1 });
  thread.say({ type: "failed", id: 99, error });
  assertEquals(hosted.ends, [["b", RESULT], ["a", "CORRUPTION"]]);
  assertEquals(hosted.discarded, []);
});

test("what the taking of the result throws fails the task", async () => {
  const [fake, hosted] = newHosted();
  const error = new Error("made by the test");
  hosted.run("a", () => {
    throw error;
  });
  const thread = await fake.getReady();
  const [id] = thread.runs;
  thread.say({ type: "done", id, result: RESULT, seconds: 1 });
  assertEquals(hosted.ends.length, 1);
  assertStrictEquals(hosted.ends[0][1], error);
});

test("a task whose thread dies is done again under another name, by another thread", async () => {
  const [fake, hosted] = newHosted();
  hosted.run("a");
  (await fake.getReady()).die("why");
  assertEquals(hosted.deaths, [["why", true]]);
  assertEquals([hosted.discarded, hosted.ends], [["a"], []]);
  const second = await fake.getReady();
  assertEquals(namesOf(second), ["a'"]);
  const [id] = second.runs;
  second.say({ type: "done", id, result: RESULT, seconds: 1 });
  assertEquals(hosted.ends, [["a", RESULT]]);
});

test("five deaths with no task done between them: the rest is done inline", async () => {
  const [fake, hosted] = newHosted();
  hosted.run("a");
  for (let death = 1; death <= 4; death++) (await fake.getReady()).die("why");
  // One that is done makes up for all of them.
  const thread = await fake.getReady();
  const [id] = thread.runs;
  thread.say({ type: "done", id, result: RESULT, seconds: 1 });
  hosted.run("b");
  thread.die("why");
  for (let death = 2; death <= 4; death++) (await fake.getReady()).die("why");
  assert(hosted.host.isUsable);
  (await fake.getReady()).die("why");
  assertFalse(hosted.host.isUsable);
  assertEquals(hosted.deaths.at(-1), ["why", false]);
  for (let i = 0; i < 5; i++) await fake.settle();
  assertEquals(fake.threads.length, 9);
  assertEquals(hosted.ends.map(([name]) => name), ["a", "b"]);
  assertEquals(hosted.ends[1], ["b", { tables: [], gains: false }]);
});

test("two threads that never get ready: the rest is done inline", async () => {
  const [fake, hosted] = newHosted();
  hosted.run("a");
  fake.refusal = new Error("made by the test");
  await fake.settle();
  fake.last.die("while it started");
  for (let i = 0; i < 5; i++) await fake.settle();
  assertEquals(hosted.deaths, [
    ["while it started", true],
    [fake.refusal, false],
  ]);
  assertEquals(hosted.ends, [["a", { tables: [], gains: false }]]);
  assertEquals(hosted.discarded, ["a", "a'"]);
});

test("a task that fails inline ends with what failed, and one that is given up there with ABORTED", async () => {
  const runtime = memoryRuntime();
  const hosted = new Hosted(runtime);
  const { host, ends } = hosted;
  let failure: unknown;
  host.run({ ...taskOf("a"), runs: [[metaOf({})]] }, SOURCES, {
    done: unused,
    failed: (error) => failure = error,
  });
  const b = hosted.run("b");
  b.abort();
  b.abort();
  for (let i = 0; i < 5; i++) await runtime.pause();
  assertIsError(failure, Error, "the test has no tables");
  assertEquals(ends, [["b", "ABORTED"]]);
});

test("a task that is given up is asked to end, once, and ends when the thread says so", async () => {
  const [fake, hosted] = newHosted();
  const a = hosted.run("a");
  const thread = await fake.getReady();
  const [id] = thread.runs;
  a.abort();
  a.abort();
  assertEquals(thread.types, ["open", "run", "abort"]);
  assertEquals(hosted.ends, []);
  const error = plainError(new VarveError("ABORTED", "given up"));
  thread.say({ type: "failed", id, error });
  assertEquals(hosted.ends, [["a", "ABORTED"]]);
  a.abort();
  await fake.timersGoOff();
  assertEquals(thread.asked, []);
  assertFalse(hosted.host.hasStray);
});

test("a task that was done before it could be given up is ABORTED, and its files go", async () => {
  const [fake, hosted] = newHosted();
  const a = hosted.run("a");
  const thread = await fake.getReady();
  a.abort();
  const [id] = thread.runs;
  thread.say({ type: "done", id, result: RESULT, seconds: 1 });
  assertEquals([hosted.ends, hosted.discarded], [[["a", "ABORTED"]], ["a"]]);
});

test("a task that is given up and whose thread dies is ABORTED, and not done again", async () => {
  const [fake, hosted] = newHosted();
  const a = hosted.run("a");
  hosted.run("b");
  const thread = await fake.getReady();
  a.abort();
  thread.die("why");
  assertEquals(hosted.ends, [["a", "ABORTED"]]);
  assertEquals(hosted.discarded, ["a", "b"]);
  const second = await fake.getReady();
  assertEquals(namesOf(second), ["b'"]);
  // The time that the first thread had is no matter of the second one.
  await fake.timersGoOff();
  assertEquals([second.asked, hosted.host.hasStray], [[], false]);
});

test("a thread that does not answer in time is ended: its tasks are ABORTED, its files stay, no other is started", async () => {
  const [fake, hosted] = newHosted();
  const a = hosted.run("a");
  hosted.run("b");
  const thread = await fake.getReady();
  a.abort();
  await fake.timersGoOff();
  assertEquals(thread.asked, ["terminate"]);
  assertEquals(hosted.ends, [["a", "ABORTED"], ["b", "ABORTED"]]);
  assertEquals([hosted.discarded, hosted.deaths], [[], [
    ["it did not answer", false],
  ]]);
  assert(hosted.host.hasStray);
  assertFalse(hosted.host.isUsable);
  hosted.run("c");
  for (let i = 0; i < 5; i++) await fake.settle();
  assertEquals(hosted.ends.at(-1), ["c", { tables: [], gains: false }]);
  assertEquals(fake.threads.length, 1);
});

test("the process is kept alive while somebody waits, whichever thread works", async () => {
  const [fake, hosted] = newHosted();
  const { host } = hosted;
  host.hold(); // There is no thread yet.
  host.hold();
  hosted.run("a");
  const first = await fake.getReady();
  assertEquals(first.asked, ["ref"]);
  host.letGo();
  assertEquals(first.asked, ["ref"]);
  first.die("why");
  const second = await fake.getReady();
  assertEquals(second.asked, ["ref"]);
  host.letGo();
  assertEquals(second.asked, ["ref", "unref"]);
  host.hold();
  assertEquals(second.asked, ["ref", "unref", "ref"]);
  host.letGo();
});

test("close() gives the thread back, for the next database", async () => {
  const [fake, first] = newHosted();
  first.host.close(); // Without a thread there is nothing to give.
  first.run("a");
  const thread = await fake.getReady();
  const [id] = thread.runs;
  thread.say({ type: "done", id, result: RESULT, seconds: 1 });
  first.host.close();
  const second = new Hosted(fake.runtime);
  second.run("b");
  await fake.settle();
  assertEquals(fake.threads.length, 1);
  assertEquals(namesOf(thread), ["a", "b"]);
});
