/** Maintenance of a tree: order, retries, exclusion, and the end. */
import { test } from "node:test";
import {
  type MaintainedTree,
  Maintenance,
} from "../../../lib/compaction/maintenance.ts";
import type { TaskHost } from "../../../lib/compaction/host.ts";
import { DirectorySyncError } from "../../../lib/compaction/job.ts";
import { plainError } from "../../../lib/compaction/protocol.ts";
import type { FlushTask, Task } from "../../../lib/compaction/tasks.ts";
import { VarveError } from "../../../lib/errors.ts";
import { ArenaPool, Memtable } from "../../../lib/memtable/memtable.ts";
import { type ResolvedOptions, resolveOptions } from "../../../lib/options.ts";
import {
  type MemoryFileSystem,
  memoryRuntime,
} from "../../../lib/runtime/memory.ts";
import type { Runtime } from "../../../lib/runtime/runtime.ts";
import { TableCursor } from "../../../lib/sstable/cursor.ts";
import type { TableMeta } from "../../../lib/sstable/meta.ts";
import { ReadCounters } from "../../../lib/sstable/table.ts";
import type { Edit } from "../../../lib/version/edit.ts";
import { TreeState } from "../../../lib/version/state.ts";
import { VersionSet } from "../../../lib/version/version_set.ts";
import type { CompactionOptions, TreeEvent } from "../../../mod.ts";
import {
  assert,
  assertEquals,
  assertGreater,
  assertRejects,
  assertStrictEquals,
} from "../../assert.ts";
import { rejectsWith, throwsWith } from "../../engine/support/errors.ts";
import {
  type Entry,
  put,
  toBytes,
  tombstone,
  walk,
} from "../support/entries.ts";
import { addTo } from "../support/memtables.ts";
import { type FakeThread, FakeThreads } from "../support/fake_threads.ts";
import { metaOf } from "../support/metas.ts";
import { fragmentsOf } from "../support/ranges.ts";
import {
  newContext,
  newFiles,
  tablePath,
  writeTable,
} from "../support/tables.ts";

const QUIET: CompactionOptions = { background: "off" };
const POOL = new ArenaPool(1 << 16, 4);
/** A loop that should end looks at the frozen memtables no more often. */
const LOOKS_MAX = 10_000;

/** A tree that is nothing but memtables and tables. */
class FakeTree implements MaintainedTree {
  readonly files: MemoryFileSystem = newFiles();
  readonly runtime: Runtime;
  /** Milliseconds from one look at the clock to the next. */
  tick = 0.01;
  /** Milliseconds of the clock. */
  now = 5000;
  readonly counters = new ReadCounters();
  readonly versions: VersionSet;
  readonly options: ResolvedOptions;
  readonly maintenance: Maintenance;
  readonly waiting: Memtable[] = [];
  snapshots: number[] = [];
  readonly told: TreeEvent[] = [];
  looks = 0;
  lastSequence = 0;
  latched: unknown;
  #sequence = 0;

  constructor(compaction: CompactionOptions = QUIET, threads?: FakeThreads) {
    const clock = () => this.now += this.tick;
    this.runtime = {
      ...memoryRuntime(this.files, { clock }),
      ...threads && {
        startWorker: threads.runtime.startWorker,
        later: threads.runtime.later,
      },
    };
    // Without a cache, so that every look at a block is counted.
    const context = { ...newContext(this.files, 0), counters: this.counters };
    this.options = resolveOptions({ blockSize: 256, compaction }).options;
    this.versions = new VersionSet("/db", new TreeState(), context);
    this.versions.install({});
    this.maintenance = new Maintenance(this);
  }

  get frozen(): readonly Memtable[] {
    if (++this.looks > LOOKS_MAX) throw new Error("an endless loop");
    return this.waiting;
  }

  snapshotSequences(): number[] {
    return this.snapshots;
  }

  memtablesOldest(): number {
    return Math.min(Infinity, ...this.waiting.map(({ oldest }) => oldest));
  }

  commit(edit: Edit): void {
    this.versions.commit(edit);
  }

  latch(error: unknown): void {
    this.latched = error;
  }

  commitFlush(tables: readonly TableMeta[]): void {
    this.commit({
      addTables: tables.map((table) => ({ level: 0, table })),
    });
    this.waiting.shift();
  }

  tell(event: TreeEvent): void {
    this.told.push(event);
  }

  // What the tests do.

  /** Freezes a memtable with these keys; "-k" is the delete of k. */
  freeze(...keys: string[]): Memtable {
    const memtable = new Memtable(1, POOL, 0);
    for (const key of keys) {
      const sequence = ++this.#sequence;
      const entry = key.startsWith("-")
        ? tombstone(key.slice(1), sequence)
        : put(key, sequence, "value");
      addTo(memtable, entry);
    }
    this.waiting.push(memtable);
    return memtable;
  }

  /** Adds a table with these entries, of so many bytes if its size is told. */
  addTable(entries: readonly Entry[], size?: number): void {
    const number = this.versions.newFileNumber();
    const meta = writeTable(this.files, number, entries);
    assert(meta !== undefined);
    const table = { ...meta, size: size ?? meta.size };
    this.commit({ addTables: [{ level: 0, table }] });
  }

  /** The keys of each table, the newest first. */
  get tables(): string[][] {
    return this.versions.current.tables.map((table) =>
      walk(new TableCursor(table, false)).map(({ key, kind }) =>
        kind === 0 ? key : `-${key}`
      )
    );
  }

  /** Table files, whether they count or not. */
  get tableFiles(): string[] {
    return this.files.list("/db").filter((name) => name.endsWith(".vtab"));
  }

  /** Makes operations on tables fail until the returned function is called. */
  failTables(operation: string): () => void {
    this.files.onOperation = (happening, path) => {
      if (happening !== operation || !path.endsWith(".vtab")) return;
      throw Object.assign(new Error("made by the test"), { code: "ENOSPC" });
    };
    return () => this.files.onOperation = undefined;
  }
}

/** Lets jobs run for some turns of the event loop. */
async function turns(tree: FakeTree, count = 10): Promise<void> {
  for (let i = 0; i < count; i++) await tree.runtime.pause();
}

/** A table of `count` entries, with sequences from `first` on. */
function entries(count: number, first = 1): Entry[] {
  return Array.from(
    { length: count },
    (_, i) => put(`k${i + 1000}`, first + i),
  );
}

test("memtables become tables in the order in which they were filled", async () => {
  const tree = new FakeTree();
  tree.freeze("a", "b");
  tree.freeze("a", "c");
  tree.freeze("-a");
  tree.maintenance.scheduleFlush();
  await tree.maintenance.frozenAtMost(0);
  assertEquals(tree.tables, [["-a"], ["a", "c"], ["a", "b"]]);
  const { flushes } = tree.maintenance;
  assertEquals(flushes.runs, 3);
  assertGreater(flushes.bytesRead, 0);
  const sizes = tree.versions.current.tables.map((table) => table.meta.size);
  assertEquals(flushes.bytesWritten, sizes.reduce((a, b) => a + b));
});

test("frozenAtMost() waits for as many flushes as are due, and no more", async () => {
  const tree = new FakeTree();
  for (let i = 0; i < 5; i++) tree.freeze(`k${i}`);
  await tree.maintenance.frozenAtMost(5);
  assertEquals(tree.waiting.length, 5);
  await tree.maintenance.frozenAtMost(3);
  assertEquals(tree.waiting.length, 3);
  const rest = tree.maintenance.frozenAtMost(0);
  tree.freeze("later"); // It is not waited for.
  await rest;
  assertEquals(tree.waiting.length <= 1, true);
  await tree.maintenance.frozenAtMost(0);
  assertEquals(tree.tables.length, 6);
});

test("a flush keeps what snapshots need", async () => {
  const tree = new FakeTree();
  tree.snapshots = [2];
  tree.freeze("k", "k", "k", "k");
  await tree.maintenance.frozenAtMost(0);
  const [table] = tree.versions.current.tables;
  const sequences = walk(new TableCursor(table, false)).map((e) => e.sequence);
  assertEquals(sequences, [4, 2]);
});

for (const operation of ["create", "write", "sync"]) {
  test(`a flush that fails at the ${operation} of its table is told, loses nothing, and is tried again`, async () => {
    const tree = new FakeTree();
    tree.freeze("a");
    tree.freeze("b");
    const mend = tree.failTables(operation);
    const error = await assertRejects(
      () => tree.maintenance.frozenAtMost(0),
      VarveError,
    );
    assertEquals(error.code, "IO");
    assertStrictEquals(tree.maintenance.lastError, error);
    await turns(tree);
    assertEquals(tree.waiting.length, 2, "a younger one was flushed before it");
    assertEquals(tree.tableFiles, []);
    mend();
    tree.maintenance.scheduleFlush();
    await tree.maintenance.frozenAtMost(0);
    assertEquals(tree.tables, [["b"], ["a"]]);
    assertEquals(tree.maintenance.lastError, undefined);
    assertEquals(tree.maintenance.flushes.runs, 2);
  });
}

test("minorCompact() merges what the strategy picks", async () => {
  const tree = new FakeTree({ ...QUIET, minThreshold: 2 });
  assertEquals(await tree.maintenance.minorCompact(), false);
  tree.addTable(entries(10));
  tree.addTable(entries(10, 100));
  assertEquals(await tree.maintenance.minorCompact(), true);
  assertEquals(tree.tables.length, 1);
  assertEquals(tree.tables[0].length, 10);
  assertEquals(tree.tableFiles.length, 1, "the inputs' files stay");
  const { compactions } = tree.maintenance;
  assertEquals(compactions.runs, 1);
  assertGreater(compactions.bytesRead, compactions.bytesWritten);
});

test("compactions are one at a time: each sees what the one before left", async () => {
  const tree = new FakeTree({ ...QUIET, minThreshold: 2 });
  for (let i = 0; i < 4; i++) tree.addTable(entries(10, 1 + 100 * i));
  const results = await Promise.all([
    tree.maintenance.minorCompact(),
    tree.maintenance.majorCompact(),
    tree.maintenance.minorCompact(),
  ]);
  assertEquals(results, [true, false, false]);
  assertEquals(tree.tables.length, 1);
});

test("a flush goes on while a compaction is under way", async () => {
  const tree = new FakeTree({ ...QUIET, minThreshold: 2 });
  tree.addTable(entries(30_000));
  tree.addTable(entries(30_000, 50_000));
  const order: string[] = [];
  const compaction = tree.maintenance.minorCompact();
  compaction.then(() => order.push("compaction"));
  await Promise.resolve();
  tree.freeze("z");
  await tree.maintenance.frozenAtMost(0).then(() => order.push("flush"));
  assertEquals(order, ["flush"]);
  assertEquals(tree.tables.length, 3);
  assertEquals(await compaction, true);
  assertEquals(tree.tables.length, 2);
  assert(tree.tables.some((keys) => keys.join() === "z"));
});

test("in the background nothing is compacted when that is off, and all that is due otherwise", async () => {
  for (const background of ["off", "inline", "worker"] as const) {
    const tree = new FakeTree({ background, minThreshold: 2 });
    for (let i = 0; i < 4; i++) {
      tree.freeze("a", "b", "c");
      tree.maintenance.scheduleFlush();
      await tree.maintenance.frozenAtMost(0);
      await turns(tree, 30);
    }
    const expected = background === "off" ? 4 : 1;
    assertEquals(tree.tables.length, expected, background);
  }
});

/** Two tables of like size, of which one compaction in the background finds nothing due. */
async function makeTwoTables(
  compaction: CompactionOptions,
  threads: FakeThreads,
): Promise<FakeTree> {
  const tree = new FakeTree(compaction, threads);
  tree.addTable(entries(10));
  tree.addTable(entries(10, 100));
  tree.maintenance.scheduleCompaction();
  await turns(tree);
  return tree;
}

/** Says that a thread has done the flush or the merge that it was given, and left a table of so many bytes if its size is told. */
async function finish(
  type: "flush" | "merge",
  tree: FakeTree,
  thread: FakeThread,
  size?: number,
): Promise<void> {
  const task = taskOf(thread);
  assertEquals(task.type, type);
  const meta = writeTable(tree.files, numberOf(task), entries(10, 200));
  assert(meta !== undefined);
  const table = { ...meta, size: size ?? meta.size };
  const result = { tables: [table], gains: false };
  const id = thread.runs[thread.runs.length - 1];
  thread.say({ type: "done", id, result, seconds: 1 });
  await turns(tree);
}

const finishMerge = (tree: FakeTree, thread: FakeThread, size?: number) =>
  finish("merge", tree, thread, size);

test("at rest, and not before, tables are merged that are too few to be due", async () => {
  const threads = new FakeThreads();
  const tree = await makeTwoTables({}, threads);
  assertEquals(threads.threads.length, 0);
  await threads.timersGoOff();
  await finishMerge(tree, await threads.getReady());
  assertEquals(tree.tables.length, 1);
  // Then there is nothing to wait for.
  await threads.timersGoOff();
  assertEquals(threads.last.runs.length, 1);
  await tree.maintenance.close(false);
});

test("at rest nothing is merged inline, with compaction off, by the leveled strategy before anything was flushed, or once close() has begun", async () => {
  const cases: CompactionOptions[] = [
    { background: "inline" },
    { background: "off" },
    { strategy: "leveled" },
  ];
  for (const compaction of cases) {
    const threads = new FakeThreads();
    const tree = await makeTwoTables(compaction, threads);
    await threads.timersGoOff();
    await turns(tree);
    assertEquals(tree.tables.length, 2, JSON.stringify(compaction));
    assertEquals(threads.threads.length, 0);
    await tree.maintenance.close(false);
  }
  const threads = new FakeThreads();
  const tree = await makeTwoTables({}, threads);
  await tree.maintenance.close(false);
  await threads.timersGoOff();
  assertEquals(threads.threads.length, 0);
});

test("a flush under way is no rest, and its end puts it off", async () => {
  const threads = new FakeThreads();
  const tree = await makeTwoTables({}, threads);
  tree.freeze("a");
  tree.maintenance.scheduleFlush();
  const thread = await threads.getReady();
  await threads.timersGoOff();
  assertEquals(taskOf(thread).type, "flush");
  const meta = writeTable(tree.files, numberOf(taskOf(thread)), [put("a", 1)]);
  assert(meta !== undefined);
  const result = { tables: [meta], gains: false };
  thread.say({ type: "done", id: thread.runs[0], result, seconds: 1 });
  await turns(tree);
  assertEquals(thread.runs.length, 1);
  await threads.timersGoOff();
  await finishMerge(tree, thread);
  assertEquals(tree.tables.length, 1);
  await tree.maintenance.close(false);
});

test("where writes go on there is no rest: merges beside them held the program up for 70 ms", async () => {
  const threads = new FakeThreads();
  const tree = await makeTwoTables({}, threads);
  for (let i = 0; i < 3; i++) {
    tree.lastSequence += 1000;
    await threads.timersGoOff();
    assertEquals(threads.threads.length, 0);
  }
  tree.lastSequence += 100;
  await threads.timersGoOff();
  await finishMerge(tree, await threads.getReady());
  assertEquals(tree.tables.length, 1);
  await tree.maintenance.close(false);
});

test("at rest as much is merged for no better reason as was flushed", async () => {
  const threads = new FakeThreads();
  const tree = new FakeTree({}, threads);
  const flush = async (size: number) => {
    tree.freeze("a");
    tree.maintenance.scheduleFlush();
    await threads.getReady();
    await finish("flush", tree, threads.last, size);
  };
  await flush(1000);
  assertEquals(threads.waits, []);
  await flush(100);
  assertEquals(threads.waits, [500]);
  await threads.timersGoOff();
  await finishMerge(tree, threads.last, 1100);
  assertEquals(tree.versions.current.tables.length, 1);
  // That is spent, however much more was merged than flushed.
  await flush(1100);
  assertEquals(threads.waits, [500]); // For their sizes.
  await threads.timersGoOff();
  await finishMerge(tree, threads.last, 2200);
  await flush(500);
  assertEquals(threads.waits, []);
  await flush(200);
  assertEquals(threads.waits, []);
  assertEquals(tree.versions.current.tables.length, 3);
  await tree.maintenance.close(false);
});

test("at rest the leveled strategy empties level 0", async () => {
  const threads = new FakeThreads();
  const tree = new FakeTree({ strategy: "leveled" }, threads);
  const flush = async (size: number) => {
    tree.freeze("a");
    tree.maintenance.scheduleFlush();
    await threads.getReady();
    await finish("flush", tree, threads.last, size);
  };
  await flush(1000);
  await threads.timersGoOff();
  await turns(tree);
  const levels = () =>
    tree.versions.current.levels.map((tables) => tables.length);
  assertEquals([levels()[0], levels().at(-1)], [0, 1]);
  await flush(400); // With the table below that is what was flushed.
  assertEquals(threads.waits, [500]);
  await threads.timersGoOff();
  await finishMerge(tree, threads.last, 1400);
  assertEquals([levels()[0], levels().at(-1)], [0, 1]);
  await flush(400);
  assertEquals(threads.waits, [], "it was spent");
  assertEquals([levels()[0], levels().at(-1)], [1, 1]);
  await tree.maintenance.close(false);
});

test("the larger the merge, the longer the rest before it: programs that come and go begin none that they do not end", async () => {
  const mib = 1024 * 1024;
  for (const [size, rests] of [[mib, 1], [128 * mib, 1], [512 * mib, 4]]) {
    const threads = new FakeThreads();
    const tree = new FakeTree({}, threads);
    tree.addTable(entries(10), size);
    tree.addTable(entries(10, 100), size);
    tree.maintenance.scheduleCompaction();
    await turns(tree);
    assertEquals(threads.waits, [500 * rests]);
    // In which so many more may be written.
    tree.lastSequence += 100 * rests + 1;
    await threads.timersGoOff();
    assertEquals(threads.waits, [500 * rests]);
    assertEquals(threads.threads.length, 0);
    tree.lastSequence += 100 * rests;
    await threads.timersGoOff();
    await finishMerge(tree, await threads.getReady());
    assertEquals(tree.tables.length, 1);
    await tree.maintenance.close(false);
  }
});

test("what becomes due during a merge at rest is compacted behind it", async () => {
  const threads = new FakeThreads();
  const tree = await makeTwoTables({ minThreshold: 3 }, threads);
  await threads.timersGoOff();
  const thread = await threads.getReady();
  tree.addTable(entries(10, 300));
  tree.addTable(entries(10, 400));
  tree.maintenance.scheduleCompaction();
  await finishMerge(tree, thread);
  assertEquals(thread.runs.length, 2);
  await finishMerge(tree, thread);
  assertEquals(tree.tables.length, 1);
  await tree.maintenance.close(false);
});

test("a merge at rest that fails is told, and not tried again by itself", async () => {
  const threads = new FakeThreads();
  const tree = await makeTwoTables({}, threads);
  await threads.timersGoOff();
  const thread = await threads.getReady();
  const error = plainError(new VarveError("IO", "the disk is full"));
  thread.say({ type: "failed", id: thread.runs[0], error });
  await turns(tree);
  await threads.timersGoOff();
  assertEquals(thread.runs.length, 1);
  assert(tree.maintenance.lastError instanceof VarveError);
  assertEquals(tree.told.map(({ type }) => type), ["error"]);
  await tree.maintenance.close(false);
});

test("a background compaction that fails is told, and the next one may succeed", async () => {
  const tree = new FakeTree({ background: "inline", minThreshold: 2 });
  tree.addTable(entries(10));
  tree.addTable(entries(10, 100));
  const mend = tree.failTables("create");
  tree.maintenance.scheduleCompaction();
  await turns(tree);
  assert(tree.maintenance.lastError instanceof VarveError);
  assertEquals(tree.tables.length, 2);
  mend();
  tree.maintenance.scheduleCompaction();
  await turns(tree);
  assertEquals(tree.maintenance.lastError, undefined);
  assertEquals(tree.tables.length, 1);
});

test("what a flush makes due while tombstones are looked for is compacted without another flush", async () => {
  const tree = new FakeTree({ background: "inline", minThreshold: 4 });
  const tombstones = entries(6000, 2).map(({ key, sequence }) =>
    tombstone(key, sequence)
  );
  tree.addTable([put("a", 1), ...tombstones]);
  tree.tick = 2; // Each step is a slice, so that the flushes end before the merge.
  // The last thing that a background compaction does:
  let flush: Promise<void> | undefined;
  tree.files.onOperation = (operation, path) => {
    if (operation !== "create" || !path.endsWith(".vtab")) return;
    tree.files.onOperation = undefined;
    for (let i = 0; i < 3; i++) tree.freeze(`k${i}`);
    flush = tree.maintenance.frozenAtMost(0);
  };
  tree.maintenance.scheduleCompaction();
  await turns(tree, 200);
  assert(flush !== undefined);
  await flush;
  await turns(tree, 200);
  assertEquals(tree.tables, [["a", "k0", "k1", "k2"]]);
});

test("a background compaction that finds nothing due does not hide that flushing fails", async () => {
  const tree = new FakeTree({ background: "inline" });
  tree.freeze("a");
  const mend = tree.failTables("create");
  const error = await assertRejects(() => tree.maintenance.frozenAtMost(0));
  tree.maintenance.scheduleCompaction();
  await turns(tree);
  assertStrictEquals(tree.maintenance.lastError, error);
  mend();
  await tree.maintenance.frozenAtMost(0);
  assertEquals(tree.maintenance.lastError, undefined);
});

test("a flush that succeeds does not hide that compaction fails", async () => {
  const tree = new FakeTree({ background: "inline", minThreshold: 2 });
  tree.addTable(entries(10));
  tree.addTable(entries(10, 100));
  const mend = tree.failTables("create");
  tree.maintenance.scheduleCompaction();
  await turns(tree);
  const error = tree.maintenance.lastError;
  assert(error instanceof VarveError);
  mend();
  // As told in the turn of the flush; the compaction behind it comes later.
  tree.freeze("z");
  await tree.maintenance.frozenAtMost(0);
  assertStrictEquals(tree.maintenance.lastError, error);
  await turns(tree, 30);
  assertEquals(tree.maintenance.lastError, undefined);
});

test("a failed compaction leaves the tables and no file, and the lane open", async () => {
  const tree = new FakeTree({ ...QUIET, minThreshold: 2 });
  tree.addTable(entries(10));
  tree.addTable(entries(10, 100));
  const mend = tree.failTables("sync");
  await rejectsWith("IO", () => tree.maintenance.minorCompact());
  mend();
  assertEquals([tree.tables.length, tree.tableFiles.length], [2, 2]);
  assertEquals(await tree.maintenance.minorCompact(), true);
  assertEquals(tree.tables.length, 1);
});

test("tombstoneCompact() rewrites a table whose tombstones can go", async () => {
  const tree = new FakeTree();
  tree.addTable([put("a", 1), tombstone("b", 2), tombstone("c", 3)]);
  assertEquals(await tree.maintenance.tombstoneCompact(), true);
  assertEquals(tree.tables, [["a"]]);
  assertEquals(await tree.maintenance.tombstoneCompact(), false);
});

test("a table without droppable tombstones is not read again before something changed", async () => {
  const tree = new FakeTree();
  tree.addTable([put("b", 1), put("c", 2)]);
  tree.addTable([tombstone("b", 3), tombstone("c", 4)]);
  assertEquals(await tree.maintenance.tombstoneCompact(), false);
  tree.files.resetCounts();
  const { blockReads } = tree.counters;
  assertEquals(await tree.maintenance.tombstoneCompact(), false);
  assertEquals(tree.files.counts.read, 0);
  assertEquals(tree.counters.blockReads, blockReads);
  // What was in the way is gone: nothing is left of either.
  await tree.maintenance.majorCompact();
  assertEquals(tree.tables, []);
});

test("what cannot make its tombstones droppable has no table read again: newer tables that merge, a younger snapshot that closes", async () => {
  const tree = new FakeTree();
  const keys = Array.from({ length: 100 }, (_, i) => `k${i + 1000}`);
  tree.addTable(keys.map((key, i) => put(key, i + 1)));
  tree.addTable(keys.map((key, i) => tombstone(key, i + 101)));
  tree.snapshots = [150, 900];
  assertEquals(await tree.maintenance.tombstoneCompact(), false);
  for (let i = 0; i < 4; i++) tree.addTable([put("k1050", 1000 + i)]);
  assertEquals(await tree.maintenance.minorCompact(), true);
  assertEquals(tree.tables.length, 3);
  tree.snapshots = [150];
  tree.maintenance.snapshotClosed();
  tree.files.resetCounts();
  assertEquals(await tree.maintenance.tombstoneCompact(), false);
  assertEquals(tree.files.counts.read, 0);
  // A snapshot that kept what its tombstones hide is another matter, and so is what was below them.
  tree.snapshots = [];
  tree.maintenance.snapshotClosed();
  assertEquals(await tree.maintenance.tombstoneCompact(), false);
  assertGreater(tree.files.counts.read, 0);
  const [oldest] = tree.versions.current.tables.slice(-1);
  tree.commit({ removeTables: [oldest.meta.number] });
  assertEquals(await tree.maintenance.tombstoneCompact(), true);
});

test("a closed snapshot makes tombstones droppable that it held", async () => {
  const tree = new FakeTree();
  tree.addTable([put("a", 9), tombstone("a", 10), tombstone("b", 11)]);
  tree.snapshots = [9];
  assertEquals(await tree.maintenance.tombstoneCompact(), false);
  tree.snapshots = [];
  tree.maintenance.snapshotClosed();
  assertEquals(await tree.maintenance.tombstoneCompact(), true);
  assertEquals(tree.tables, []);
});

test("tombstones over what a memtable still holds stay", async () => {
  const tree = new FakeTree();
  tree.freeze("b"); // Sequence 1: older than the tombstone, as after a replay.
  tree.addTable([tombstone("b", 5)]);
  assertEquals(await tree.maintenance.tombstoneCompact(), false);
  assertEquals(await tree.maintenance.majorCompact(), false);
  assertEquals(tree.tables, [["-b"]]);
});

test("majorCompact() of one table rewrites it only if that leaves something out", async () => {
  const tree = new FakeTree();
  assertEquals(await tree.maintenance.majorCompact(), false);
  tree.addTable([put("a", 2), put("a", 1), put("b", 3)]);
  assertEquals(await tree.maintenance.majorCompact(), true);
  assertEquals(tree.tables, [["a", "b"]]);
  const files = tree.tableFiles;
  assertEquals(await tree.maintenance.majorCompact(), false);
  assertEquals(tree.tableFiles, files);
  const held = new FakeTree();
  held.snapshots = [1];
  held.addTable([put("a", 2), put("a", 1)]);
  assertEquals(await held.maintenance.majorCompact(), false);
});

test("close() gives a compaction up: ABORTED, no file, the tables as they were", async () => {
  const tree = new FakeTree({ ...QUIET, minThreshold: 2 });
  tree.addTable(entries(20_000));
  tree.addTable(entries(20_000, 50_000));
  // The clock stands still, so a slice would take all: let it have none.
  const compaction = tree.maintenance.minorCompact();
  const aborted = rejectsWith("ABORTED", () => compaction);
  await Promise.resolve();
  await Promise.resolve();
  await tree.maintenance.close(false);
  await aborted;
  assertEquals([tree.tables.length, tree.tableFiles.length], [2, 2]);
  await rejectsWith("ABORTED", () => tree.maintenance.minorCompact());
  await rejectsWith("ABORTED", () => tree.maintenance.majorCompact());
  await rejectsWith("ABORTED", () => tree.maintenance.tombstoneCompact());
});

test("a merge does not begin behind close() because a probe went before it", async () => {
  for (let ticks = 0; ticks < 12; ticks++) {
    const tree = new FakeTree();
    tree.addTable([put("a", 2), put("a", 1), ...entries(50, 3)]);
    const { host } = tree.maintenance as unknown as { host: TaskHost };
    const run = host.run.bind(host);
    const begun: string[] = [];
    let isClosing = false;
    let closing: Promise<void> | undefined;
    host.run = (task, sources, end) => {
      begun.push(`${task.type}${isClosing ? " behind close()" : ""}`);
      return run(task, sources, {
        done: (result, seconds) => {
          end.done(result, seconds);
          closing ??= (async () => {
            for (let i = 0; i < ticks; i++) await Promise.resolve();
            isClosing = true;
            await tree.maintenance.close(false);
          })();
        },
        failed: (error) => end.failed(error),
      });
    };
    await tree.maintenance.majorCompact().catch((error) =>
      assertEquals(error.code, "ABORTED")
    );
    await closing;
    assertEquals(begun.includes("merge behind close()"), false, `${ticks}`);
    assertEquals(tree.tableFiles.length, 1);
  }
});

test("close() gives a flush up, and who waits for one is let go", async () => {
  const tree = new FakeTree();
  tree.freeze("a");
  const waiting = rejectsWith(
    "ABORTED",
    () => tree.maintenance.frozenAtMost(0),
  );
  await tree.maintenance.close(false);
  await waiting;
  await rejectsWith("ABORTED", () => tree.maintenance.frozenAtMost(0));
  await turns(tree);
  assertEquals(tree.waiting.length, 1);
  assertEquals(tree.tableFiles, []);
  tree.maintenance.scheduleFlush();
  tree.maintenance.scheduleCompaction();
  await turns(tree);
  assertEquals(tree.waiting.length, 1);
});

/** The task that a thread was sent last. */
function taskOf(thread: FakeThread): Task {
  const message = thread.got.findLast(({ type }) => type === "run");
  assert(message?.type === "run");
  return message.task;
}

const WORKER: CompactionOptions = { background: "worker", minThreshold: 64 };

test("close() ended before the merge that it had waited for and given up", async () => {
  const threads = new FakeThreads();
  const tree = new FakeTree({ ...WORKER, minThreshold: 2 }, threads);
  tree.addTable(entries(10));
  tree.addTable(entries(10, 100));
  let isClosed = false;
  const closing = tree.maintenance.close(true).then(() => isClosed = true);
  const thread = await threads.getReady();
  await threads.timersGoOff(); // It has waited long enough.
  await turns(tree);
  assertEquals(thread.types, ["open", "run", "abort"]);
  assertEquals(isClosed, false, "the thread may still be making files");
  const error = plainError(new VarveError("ABORTED", "given up"));
  thread.say({ type: "failed", id: thread.runs[0], error });
  await closing;
  assertEquals([tree.tables.length, tree.tableFiles.length], [2, 2]);
  await threads.timersGoOff();
  assertEquals(tree.told, []);
});

test("a compaction that failed while close() had begun was told to nobody", async () => {
  const threads = new FakeThreads();
  const tree = new FakeTree({ ...WORKER, minThreshold: 2 }, threads);
  tree.addTable(entries(10));
  tree.addTable(entries(10, 100));
  tree.maintenance.scheduleCompaction();
  const thread = await threads.getReady();
  const closing = tree.maintenance.close(false);
  const error = plainError(new VarveError("IO", "no space"));
  thread.say({ type: "failed", id: thread.runs[0], error });
  await closing;
  await turns(tree);
  const [told, ...others] = tree.told;
  assert(told.type === "error" && told.task === "compaction");
  assertEquals([told.error, others], [new VarveError("IO", "no space"), []]);
});

test("what a worker that died had written is removed, and its task is done under another number", async () => {
  for (const isRemovable of [true, false]) {
    const threads = new FakeThreads();
    const tree = new FakeTree(WORKER, threads);
    tree.freeze("a");
    const flushed = tree.maintenance.frozenAtMost(0);
    const first = await threads.getReady();
    const task = taskOf(first);
    assert(task.type === "flush");
    const { firstNumber } = task.output;
    tree.files.writeFile(tablePath(firstNumber), toBytes("half a table"));
    const mend = isRemovable ? () => {} : tree.failTables("remove");
    first.die(new Error("why"));
    mend();
    assertEquals(tree.tableFiles.length, isRemovable ? 0 : 1);
    const second = await threads.getReady();
    const again = taskOf(second);
    assert(again.type === "flush");
    assertGreater(again.output.firstNumber, firstNumber);
    assertEquals(tree.told, [
      { type: "worker", isReplaced: true, reason: "why" },
    ]);
    assertEquals(tree.maintenance.workerRestarts, 1);
    assertEquals(tree.maintenance.place, "worker");
    // The next one has nothing to remove.
    second.die("another reason");
    const third = await threads.getReady();
    const number = numberOf(taskOf(third));
    const meta = writeTable(tree.files, number, [put("a", 1)]);
    assert(meta !== undefined);
    const result = { tables: [meta], gains: false };
    third.say({ type: "done", id: third.runs[0], result, seconds: 1 });
    await flushed;
    assertEquals(tree.tables, [["a"]]);
    assertEquals(tree.told[1], {
      type: "worker",
      isReplaced: true,
      reason: "another reason",
    });
    await tree.maintenance.close(false);
  }
});

function numberOf(task: Task): number {
  assert(task.type !== "probe");
  return task.output.firstNumber;
}

test("a probe whose worker died is asked again as it was: it writes nothing", async () => {
  const threads = new FakeThreads();
  const tree = new FakeTree({ ...WORKER, background: "worker" }, threads);
  tree.addTable([put("a", 1), tombstone("b", 2)]);
  const files = tree.tableFiles;
  const major = tree.maintenance.majorCompact();
  const first = await threads.getReady();
  const task = taskOf(first);
  assertEquals(task.type, "probe");
  first.die("why");
  const second = await threads.getReady();
  assertStrictEquals(taskOf(second), task);
  assertEquals(tree.tableFiles, files);
  const result = { tables: [], gains: false };
  second.say({ type: "done", id: second.runs[0], result, seconds: 1 });
  assertEquals(await major, false);
  await tree.maintenance.close(false);
});

test("a task whose sync of the directory failed latches the handle; any other failure does not", async () => {
  for (const isOfDirectory of [true, false]) {
    const threads = new FakeThreads();
    const tree = new FakeTree(WORKER, threads);
    tree.addTable(entries(10));
    tree.addTable(entries(10, 100));
    tree.freeze("a");
    const cause = new Error("made by the test");
    const ends: Promise<unknown>[] = [
      rejectsWith("IO", () => tree.maintenance.frozenAtMost(0)),
      rejectsWith("IO", () => tree.maintenance.majorCompact()),
    ];
    const thread = await threads.getReady();
    assertEquals(thread.runs.length, ends.length);
    for (const [i, id] of thread.runs.entries()) {
      tree.latched = undefined;
      const error = plainError(
        isOfDirectory ? new DirectorySyncError(cause) : cause,
      );
      thread.say({ type: "failed", id, error });
      await ends[i];
      assertEquals(tree.latched instanceof VarveError, isOfDirectory);
    }
    await tree.maintenance.close(false);
  }
});

test("work goes on inline where workers die, and stats can say so", async () => {
  const threads = new FakeThreads();
  threads.refusal = new Error("made by the test");
  const tree = new FakeTree(WORKER, threads);
  assertEquals(tree.maintenance.place, "worker");
  tree.freeze("a");
  await tree.maintenance.frozenAtMost(0);
  assertEquals(tree.tables, [["a"]]);
  const { place, workerRestarts, hasStray } = tree.maintenance;
  assertEquals([place, workerRestarts, hasStray], ["inline", 1, false]);
  const inline = new FakeTree({ background: "inline" });
  assertEquals(inline.maintenance.place, "inline");
  assertEquals(inline.maintenance.hasStray, false);
});

test("a task reads nothing but what it was made for", async () => {
  const tree = new FakeTree({ ...QUIET, minThreshold: 2 });
  tree.addTable(entries(10));
  tree.addTable(entries(10, 100));
  tree.freeze("a");
  const { host } = tree.maintenance as unknown as { host: TaskHost };
  const run = host.run.bind(host);
  const refused: string[] = [];
  host.run = (task, sources, end) => {
    const looks: (() => unknown)[] = [
      () => sources.table(metaOf({ number: 999 }), "walk"),
    ];
    if (task.type !== "flush") {
      looks.push(() => sources.memtable(flush));
    }
    for (const look of looks) {
      assertEquals(throwsWith("IO", look).code, "IO");
      refused.push(task.type);
    }
    return run(task, sources, end);
  };
  const flush: FlushTask = {
    type: "flush",
    directory: "/db",
    memtable: { arena: new SharedArrayBuffer(8), newest: 1, oldest: 1 },
    snapshots: [],
    output: {
      firstNumber: 1,
      count: 1,
      blockSize: 256,
      bloomBitsPerKey: 10,
      compression: "none",
      created: 0,
    },
  };
  await tree.maintenance.minorCompact();
  await tree.maintenance.frozenAtMost(0);
  assertEquals(refused, ["merge", "merge", "flush"]);
});

test("relief() does not wait for compactions that will not come", async () => {
  const tree = new FakeTree(QUIET);
  await tree.maintenance.relief();
  assertEquals(tree.maintenance.compactions.runs, 0);
  const closed = new FakeTree({ background: "inline" });
  await closed.maintenance.close(false);
  await closed.maintenance.relief();
});

test("relief() waits until a compaction was done, and no longer", async () => {
  const tree = new FakeTree({ background: "inline", minThreshold: 2 });
  tree.addTable(entries(10));
  tree.addTable(entries(10, 100));
  await tree.maintenance.relief();
  assertEquals(tree.maintenance.compactions.runs, 1);
  await tree.maintenance.relief();
  assertEquals(tree.tables.length, 1);
});

test("pressure() is none where compactions run only when they are asked for", () => {
  for (const background of ["off", "inline"] as const) {
    const tree = new FakeTree({ background, minThreshold: 2 });
    for (let i = 0; i < 40; i++) tree.addTable([put("a", i + 1)]);
    const pressure = tree.maintenance.pressure();
    if (background === "off") assertEquals(pressure, 0);
    else assertGreater(pressure, 0);
  }
});

test("a move changes the level of a table, and nothing of its file", async () => {
  const tree = new FakeTree({ ...QUIET, strategy: "leveled", minThreshold: 2 });
  tree.addTable([put("a", 1)]);
  tree.addTable([put("b", 2)]);
  const files = tree.tableFiles;
  assertEquals(await tree.maintenance.minorCompact(), true);
  assertEquals(tree.tableFiles, files);
  const { levels } = tree.versions.current;
  assertEquals(levels.flat().length, 2);
  assertEquals(levels.findLastIndex((level) => level.length > 0), 6);
  assertEquals(tree.maintenance.compactions.runs, 0, "nothing was rewritten");
});

test("a range tombstone without an end keeps its hold on tables outside, however far behind its keys", async () => {
  const tree = new FakeTree({ ...QUIET });
  tree.addTable([put("z", 1), put("zz", 9)]);
  const [hidden] = tree.versions.current.metas.flat();
  const number = tree.versions.newFileNumber();
  const fragments = fragmentsOf([{ start: "b", end: "", sequence: 5 }]);
  const meta = writeTable(tree.files, number, [put("a", 4)], fragments);
  assert(meta !== undefined && meta.unbounded);
  tree.commit({ addTables: [{ level: 0, table: meta }] });
  // One table is picked: the tombstone may only go if nothing below it is left.
  const { host } = tree.maintenance as unknown as { host: TaskHost };
  const run = host.run.bind(host);
  const outside: number[][] = [];
  host.run = (task, sources, end) => {
    assert(task.type !== "flush");
    outside.push(task.outside.map(({ number }) => number));
    return run(task, sources, end);
  };
  assertEquals(await tree.maintenance.tombstoneCompact(), false);
  assertEquals(outside, [[hidden.number]]);
});

/** A tree whose worker merges two large tables, while tables are flushed and merged beside that. */
class Beside {
  readonly threads = new FakeThreads();
  readonly tree: FakeTree;
  #thread: FakeThread | undefined;

  constructor(compaction: CompactionOptions = {}) {
    const all = { ...WORKER, minThreshold: 2, ...compaction };
    this.tree = new FakeTree(all, this.threads);
    this.tree.addTable(entries(1000));
    this.tree.addTable(entries(1000, 2000));
  }

  get thread(): FakeThread {
    assert(this.#thread !== undefined);
    return this.#thread;
  }

  /** Lets the large merge begin, or whatever else the strategy picks. */
  async begin(): Promise<void> {
    this.tree.maintenance.scheduleCompaction();
    this.#thread = await this.threads.getReady();
    assertEquals(this.begun, ["merge 2"]);
  }

  /** The tasks begun so far, in their order, with the number of tables of each merge. */
  get begun(): string[] {
    return this.thread.got.flatMap((message) => {
      if (message.type !== "run") return [];
      const { task } = message;
      const runs = task.type === "flush" ? "" : ` ${task.runs.length}`;
      return [`${task.type}${runs}`];
    });
  }

  /** Says that the task that was begun as number `index` is done, and wrote these entries. */
  async end(index: number, written: readonly Entry[]): Promise<void> {
    const message = this.thread.got.filter((m) => m.type === "run")[index];
    assert(message?.type === "run");
    const { id, task } = message;
    const meta = writeTable(this.tree.files, numberOf(task), written);
    assert(meta !== undefined);
    const result = { tables: [meta], gains: false };
    this.thread.say({ type: "done", id, result, seconds: 1 });
    await turns(this.tree);
  }

  /** Says that the task that was begun as number `index` failed. */
  async fail(index: number, code: "IO" | "ABORTED"): Promise<void> {
    const error = plainError(new VarveError(code, "said by the test"));
    this.thread.say({ type: "failed", id: this.thread.runs[index], error });
    await turns(this.tree);
  }

  /** Flushes a memtable with one key; its flush is the task begun as number `index`. */
  async flush(index: number, key: string): Promise<void> {
    this.tree.freeze(key);
    this.tree.maintenance.scheduleFlush();
    await turns(this.tree);
    assertEquals(this.begun[index], "flush");
    await this.end(index, [put(key, 9000 + index)]);
  }

  /** How many entries each table has, the newest first. */
  get sizes(): number[] {
    return this.tree.tables.map((keys) => keys.length);
  }
}

test("what was flushed during a large merge piled up, until writers had to stop: it is merged beside that", async () => {
  const all = new Beside();
  await all.begin();
  await all.flush(1, "x");
  assertEquals(all.begun, ["merge 2", "flush"], "one table is not due");
  await all.flush(2, "y");
  assertEquals(all.begun, ["merge 2", "flush", "flush", "merge 2"]);
  await all.end(3, [put("x", 9001), put("y", 9002)]);
  assertEquals(all.sizes, [2, 1000, 1000]);
  // And again, as often as any are due.
  await all.flush(4, "z");
  assertEquals(all.begun.at(-1), "merge 2");
  await all.end(5, [put("x", 9001), put("y", 9002), put("z", 9004)]);
  assertEquals(all.sizes, [3, 1000, 1000]);
  await all.end(0, entries(1000, 2000));
  assertEquals(all.sizes, [3, 1000]);
  assertEquals(all.tree.maintenance.compactions.runs, 3);
  await all.tree.maintenance.close(false).catch(() => {});
});

test("nothing is picked while a merge beside another goes on behind its end", async () => {
  const all = new Beside();
  await all.begin();
  await all.flush(1, "x");
  await all.flush(2, "y");
  const minor = all.tree.maintenance.minorCompact();
  const major = all.tree.maintenance.majorCompact();
  await all.end(0, entries(1000, 2000));
  const begun = ["merge 2", "flush", "flush", "merge 2"];
  assertEquals(all.begun, begun, "its tables would be picked");
  assertEquals(all.sizes, [1, 1, 1000]);
  // What is flushed then waits, too: there is nothing to be beside of.
  await all.flush(4, "z");
  assertEquals(all.begun, [...begun, "flush"]);
  await all.end(3, [put("x", 9001), put("y", 9002)]);
  assertEquals(all.sizes, [1, 2, 1000]);
  // Now it goes on: what is due, and then everything.
  assertEquals(all.begun, [...begun, "flush", "merge 2"]);
  await all.end(5, [put("x", 9001), put("y", 9002), put("z", 9004)]);
  assertEquals(all.begun, [...begun, "flush", "merge 2", "merge 2"]);
  assertEquals(all.sizes, [3, 1000]);
  await all.end(6, entries(1003, 2000));
  assertEquals(all.sizes, [1003]);
  assertEquals([await minor, await major], [true, true]);
  await all.tree.maintenance.close(false);
});

test("inline, too, small tables are merged beside large ones; with compaction off they are not", async () => {
  for (const background of ["inline", "off"] as const) {
    const tree = new FakeTree({ background, minThreshold: 2 });
    tree.tick = 0.5; // A slice has a few steps only.
    tree.addTable(entries(30_000));
    tree.addTable(entries(30_000, 50_000));
    let isDone = false;
    const merged = tree.maintenance.minorCompact().then(() => isDone = true);
    await Promise.resolve();
    for (const key of ["x", "y"]) {
      tree.freeze(key);
      await tree.maintenance.frozenAtMost(0);
    }
    await turns(tree, 20);
    assertEquals(isDone, false);
    const small = tree.tables.filter((keys) => keys.length < 30_000);
    const expected = background === "off" ? [["y"], ["x"]] : [["x", "y"]];
    assertEquals(small, expected, background);
    await merged;
    await tree.maintenance.close(false);
  }
});

test("close() gives up both merges, and ends behind both", async () => {
  const all = new Beside();
  await all.begin();
  await all.flush(1, "x");
  await all.flush(2, "y");
  let isClosed = false;
  const closing = all.tree.maintenance.close(false).then(() => isClosed = true);
  await turns(all.tree);
  assertEquals(all.thread.types.filter((type) => type === "abort").length, 2);
  await all.fail(0, "ABORTED");
  assertEquals(isClosed, false, "the other one may still be making files");
  await all.fail(3, "ABORTED");
  await closing;
  assertEquals(all.sizes, [1, 1, 1000, 1000]);
  assertEquals(all.tree.told.filter(({ type }) => type === "error"), []);
});

test("a merge beside another that fails is told, and tried again when there is more to merge", async () => {
  const all = new Beside();
  await all.begin();
  await all.flush(1, "x");
  await all.flush(2, "y");
  await all.fail(3, "IO");
  const errors = () => all.tree.told.filter(({ type }) => type === "error");
  assertEquals(errors().length, 1);
  assert(all.tree.maintenance.lastError instanceof VarveError);
  assertEquals(all.begun.length, 4, "it is not tried at once");
  assertEquals(all.sizes, [1, 1, 1000, 1000]);
  await all.flush(4, "z");
  assertEquals(all.begun.at(-1), "merge 3");
  await all.end(5, [put("x", 9001), put("y", 9002), put("z", 9004)]);
  await all.end(0, entries(1000, 2000));
  assertEquals(all.sizes, [3, 1000]);
  assertEquals(errors().length, 1);
  await all.tree.maintenance.close(false).catch(() => {});
});
