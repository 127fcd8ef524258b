/** The worker's side, on the thread of the test: what it does first, when it looks for messages, and how tasks end. */
import { test } from "node:test";
import { JobLoop } from "../../../lib/compaction/job_loop.ts";
import type {
  OwnerMessage,
  WorkerMessage,
} from "../../../lib/compaction/protocol.ts";
import type {
  FlushTask,
  MergeInputs,
  MergeTask,
  OutputPlan,
  Task,
} from "../../../lib/compaction/tasks.ts";
import { UNCUT } from "../../../lib/compaction/splitting.ts";
import { ArenaPool, Memtable } from "../../../lib/memtable/memtable.ts";
import {
  type MemoryFileSystem,
  memoryRuntime,
} from "../../../lib/runtime/memory.ts";
import { TableCursor } from "../../../lib/sstable/cursor.ts";
import type { TableMeta } from "../../../lib/sstable/meta.ts";
import {
  assert,
  assertEquals,
  assertGreater,
  assertLess,
} from "../../assert.ts";
import { watchSharedMemory } from "../../engine/support/shared_memory.ts";
import { put, tombstone, walk } from "../support/entries.ts";
import { addTo } from "../support/memtables.ts";
import {
  DIRECTORY,
  newContext,
  newFiles,
  openTable,
  tablePath,
  writeTable,
} from "../support/tables.ts";

/** An owner that talks to a loop on its own thread. */
class Owner {
  readonly files: MemoryFileSystem = newFiles();
  readonly said: WorkerMessage[] = [];
  readonly mail = new Int32Array(new SharedArrayBuffer(4));
  /** Turns of the event loop that the loop asked for. */
  pauses = 0;
  /** Milliseconds from one look at the clock to the next. */
  tick = 0.001;
  isClosed = false;
  #listener: (message: unknown) => void = () => {};
  #number = 1;
  #now = 1000;

  constructor() {
    const clock = () => this.#now += this.tick;
    const runtime = memoryRuntime(this.files, { clock });
    const pause = () => {
      this.pauses++;
      return runtime.pause();
    };
    new JobLoop({ ...runtime, pause }, {
      post: (message) => this.said.push(message as WorkerMessage),
      listen: (onMessage) => this.#listener = onMessage,
      close: () => this.isClosed = true,
    });
  }

  /** Says something that has been announced. */
  hand(message: OwnerMessage): void {
    this.#listener(message);
  }

  /** Lets the loop know of a message that comes later. */
  announce(): void {
    Atomics.add(this.mail, 0, 1);
  }

  post(message: OwnerMessage): void {
    this.announce();
    this.hand(message);
  }

  run(id: number, task: Task): void {
    this.post({ type: "run", id, task });
  }

  /** Lets the loop work until it has nothing more to say. */
  async settle(): Promise<void> {
    for (let seen = -1; seen !== this.said.length;) {
      seen = this.said.length;
      for (let i = 0; i < 5; i++) {
        await new Promise((resolve) => setTimeout(resolve, 0));
      }
    }
  }

  /** How each task ended, in that order. */
  get ends(): [number, string][] {
    return this.said.flatMap((message): [number, string][] => {
      if (message.type === "ready") return [];
      const { type, id } = message;
      return [[id, type === "done" ? "done" : message.error.code]];
    });
  }

  output(): OutputPlan {
    return {
      firstNumber: 100 + this.#number++,
      count: 1,
      blockSize: 256,
      bloomBitsPerKey: 10,
      compression: "none",
      created: 1,
    };
  }

  /** A task that flushes a memtable with some keys. */
  flush(...keys: string[]): FlushTask {
    const memtable = new Memtable(1, new ArenaPool(1 << 16, 1), 0);
    keys.forEach((key, i) => addTo(memtable, put(key, i + 1, key)));
    const { arena, newest, oldest } = memtable;
    return {
      type: "flush",
      directory: DIRECTORY,
      memtable: { arena, newest, oldest },
      snapshots: [],
      output: this.output(),
    };
  }

  /** A table of `count` puts with sequences from `first` on. */
  table(count: number, first: number, value = ""): TableMeta {
    const number = this.#number++;
    const entries = Array.from(
      { length: count },
      (_, i) => put(`k${i + 10_000}`, first + i, value),
    );
    const meta = writeTable(this.files, number, entries);
    assert(meta !== undefined);
    return meta;
  }

  /** What merges and probes of tables have in common. */
  inputs(...tables: TableMeta[]): MergeInputs {
    return {
      directory: DIRECTORY,
      runs: tables.map((table) => [table]),
      outside: [],
      memtablesOldest: Infinity,
      elision: { by: "range" },
      snapshots: [],
    };
  }

  /** A task that merges tables. */
  merge(...tables: TableMeta[]): MergeTask {
    return {
      ...this.inputs(...tables),
      type: "merge",
      output: this.output(),
      cutting: UNCUT,
    };
  }

  /** The keys in the table that a task wrote, as the task told it. */
  keysOf(id: number): string[] {
    const end = this.said.find((m) => m.type === "done" && m.id === id);
    assert(end?.type === "done");
    const [meta] = end.result.tables;
    const { files } = this;
    const path = tablePath(meta.number);
    const table = openTable({ files, path, meta }, newContext(files));
    return walk(new TableCursor(table, false)).map(({ key }) => key);
  }
}

function newOwner(): Owner {
  const owner = new Owner();
  owner.post({ type: "open", mail: owner.mail });
  return owner;
}

test("a loop says that it is ready before anything else", () => {
  assertEquals(new Owner().said, [{ type: "ready" }]);
});

test("a flush is done from the shared arena, and told with its table and its time", async () => {
  const owner = newOwner();
  owner.run(7, owner.flush("a", "b"));
  await owner.settle();
  assertEquals(owner.ends, [[7, "done"]]);
  assertEquals(owner.keysOf(7), ["a", "b"]);
  const [, end] = owner.said;
  assert(end.type === "done");
  assertGreater(end.seconds, 0);
});

test("tasks are done in the order of their coming, one behind the other", async () => {
  const owner = newOwner();
  owner.announce(); // So that the first ends later than the second comes.
  owner.run(1, owner.flush("a"));
  owner.run(2, owner.flush("b"));
  assertEquals(owner.ends, []);
  owner.hand({ type: "abort", id: 99 });
  await owner.settle();
  assertEquals(owner.ends, [[1, "done"], [2, "done"]]);
});

test("a loop that has nothing to do takes up the next task", async () => {
  const owner = newOwner();
  for (const id of [1, 2, 3]) {
    owner.run(id, owner.flush(`k${id}`));
    await owner.settle();
  }
  assertEquals(owner.ends, [[1, "done"], [2, "done"], [3, "done"]]);
});

test("a flush that comes during a merge is done before it", async () => {
  const owner = newOwner();
  const a = owner.table(1000, 1);
  const b = owner.table(1000, 2000);
  owner.announce(); // That of the flush, which the event loop brings later.
  owner.run(1, owner.merge(a, b));
  assertEquals(owner.ends, [], "the merge did not look for messages");
  owner.hand({ type: "run", id: 2, task: owner.flush("z") });
  await owner.settle();
  assertEquals(owner.ends, [[2, "done"], [1, "done"]]);
  assertEquals(owner.keysOf(1).length, 1000);
});

test("of two merges the one that came last is done first", async () => {
  const owner = newOwner();
  const tables = [1, 2000, 4000, 6000].map((first) => owner.table(1000, first));
  owner.announce(); // That of the second, which the event loop brings later.
  owner.run(1, owner.merge(tables[0], tables[1]));
  assertEquals(owner.ends, [], "the merge did not look for messages");
  owner.hand({
    type: "run",
    id: 2,
    task: owner.merge(tables[2], tables[3]),
  });
  await owner.settle();
  assertEquals(owner.ends, [[2, "done"], [1, "done"]]);
  assertEquals([owner.keysOf(1).length, owner.keysOf(2).length], [1000, 1000]);
});

test("without messages a merge is done at one go", async () => {
  const owner = newOwner();
  owner.run(1, owner.merge(owner.table(1000, 1), owner.table(1000, 2000)));
  assertEquals(owner.pauses, 0);
  await owner.settle();
  assertEquals(owner.ends, [[1, "done"]]);
});

test("the event loop has a turn after every four milliseconds of a merge", async () => {
  const owner = newOwner();
  owner.tick = 1;
  owner.run(1, owner.merge(owner.table(1000, 1), owner.table(1000, 2000)));
  assertEquals(owner.pauses, 1);
  await owner.settle();
  assertEquals(owner.ends, [[1, "done"]]);
  // The merge gives way some 16 times, after which the loop looks at the clock.
  assertGreater(owner.pauses, 2);
  assertLess(owner.pauses, 8);
});

/** An owner whose merge 1, of more than a megabyte, waits for a sync until `end` is called. */
async function newWaitingOwner(): Promise<{ owner: Owner; end: () => void }> {
  const owner = newOwner();
  const value = "x".repeat(2000);
  const tables = [1, 2000].map((first) => owner.table(500, first, value));
  const { promise, resolve } = Promise.withResolvers<void>();
  owner.files.syncDelay = () => promise;
  const merge = owner.merge(...tables);
  owner.run(1, { ...merge, snapshots: [1000] });
  await owner.settle();
  assertEquals(owner.ends, [], "it waits");
  return { owner, end: resolve };
}

test("a merge that waits for a sync goes on when that has ended; its time counts the wait", async () => {
  const { owner, end } = await newWaitingOwner();
  owner.tick = 700;
  end();
  await owner.settle();
  assertEquals(owner.ends, [[1, "done"]]);
  const last = owner.said.at(-1);
  assert(last?.type === "done");
  assertGreater(last.seconds, 0.5);
});

test("a merge that is given up while it waits for a sync ends at once, and once, and leaves no file", async () => {
  const { owner, end } = await newWaitingOwner();
  owner.post({ type: "abort", id: 1 });
  assertEquals(owner.ends, [[1, "ABORTED"]]);
  const names = owner.files.list(DIRECTORY);
  assertEquals(names.length, 2, names.join());
  owner.run(2, owner.flush("a"));
  end();
  await owner.settle();
  assertEquals(owner.ends, [[1, "ABORTED"], [2, "done"]]);
});

test("a probe says whether a merge would leave anything out, by lookups in the tables outside", async () => {
  const owner = newOwner();
  const number = 50;
  const entries = [tombstone("k10000", 9), tombstone("other", 10)];
  const meta = writeTable(owner.files, number, entries);
  assert(meta !== undefined);
  const elision = {
    by: "lookup",
    bloomFallback: true,
    rangeDrop: true,
  } as const;
  const lower = owner.table(1, 1);
  for (const [id, outside] of [[1, [lower]], [2, []]] as const) {
    const inputs = { ...owner.inputs(meta), elision, outside };
    owner.run(id, { ...inputs, type: "probe" });
  }
  await owner.settle();
  const gains = owner.said.flatMap((m) =>
    m.type === "done" ? [m.result.gains] : []
  );
  assertEquals(gains, [true, true]);
  const only = writeTable(owner.files, 51, [tombstone("k10000", 9)]);
  assert(only !== undefined);
  const inputs = { ...owner.inputs(only), elision, outside: [lower] };
  owner.run(3, { ...inputs, type: "probe" });
  await owner.settle();
  const last = owner.said.at(-1);
  assert(last?.type === "done");
  assertEquals(last.result.gains, false, "what it hides would come back");
});

test("a task that fails tells why, leaves no file, and does not stop the next", async () => {
  const owner = newOwner();
  owner.files.onOperation = (operation) => {
    if (operation !== "write") return;
    throw Object.assign(new Error("made by the test"), { code: "ENOSPC" });
  };
  owner.run(1, owner.flush("a"));
  owner.files.onOperation = undefined;
  owner.run(2, owner.flush("b"));
  await owner.settle();
  assertEquals(owner.ends, [[1, "IO"], [2, "done"]]);
  const [, failed] = owner.said;
  assert(failed.type === "failed");
  assert(failed.error.message.includes("ENOSPC"));
  assertEquals(owner.files.list(DIRECTORY), ["000102.vtab"]);
});

test("damage that a task meets is told as what it is", async () => {
  const owner = newOwner();
  const table = owner.table(1000, 1);
  const path = tablePath(table.number);
  owner.files.writeFile(path, owner.files.readFile(path).fill(0x55));
  owner.run(1, owner.merge(table, owner.table(10, 5000)));
  await owner.settle();
  assertEquals(owner.ends, [[1, "CORRUPTION"]]);
});

test("a task that is given up on its way ends with ABORTED, once, and leaves no file", async () => {
  const owner = newOwner();
  const tables = [owner.table(1000, 1), owner.table(1000, 2000)];
  const before = owner.files.list(DIRECTORY);
  owner.announce();
  owner.run(1, owner.merge(...tables));
  assertGreater(owner.pauses, 0);
  owner.hand({ type: "abort", id: 1 });
  assertEquals(owner.ends, [[1, "ABORTED"]]);
  assertEquals(owner.files.list(DIRECTORY), before);
  await owner.settle();
  owner.post({ type: "abort", id: 1 });
  assertEquals(owner.ends, [[1, "ABORTED"]]);
});

test("a task that is given up before its turn is never begun, and the others are done", async () => {
  const owner = newOwner();
  owner.announce();
  owner.run(1, owner.flush("a"));
  owner.run(2, owner.flush("b"));
  owner.hand({ type: "abort", id: 2 });
  assertEquals(owner.ends, [[2, "ABORTED"]]);
  await owner.settle();
  assertEquals(owner.ends, [[2, "ABORTED"], [1, "done"]]);
  assertEquals(owner.files.list(DIRECTORY), ["000101.vtab"]);
});

test("a loop that is told to close ends its thread", () => {
  const owner = newOwner();
  owner.post({ type: "close" });
  assert(owner.isClosed);
});

test("a task that looks nothing up makes no block cache", () =>
  watchSharedMemory(async (made) => {
    const owner = newOwner();
    const before = made.length;
    const merge = owner.merge(owner.table(100, 1), owner.table(100, 200));
    owner.run(1, merge);
    await owner.settle();
    assertEquals(owner.ends, [[1, "done"]]);
    assertEquals(made.length, before);
  }));
