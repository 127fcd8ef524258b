/** The owner of the tree where things fail: writes without room, changes of logs, flushes, closing. */
import { test } from "node:test";
import { attachWith } from "../../../lib/attach.ts";
import { resolveOptions } from "../../../lib/options.ts";
import { replayLogs } from "../../../lib/replay.ts";
import {
  MemoryFileSystem,
  memoryRuntime,
} from "../../../lib/runtime/memory.ts";
import { parseFileName } from "../../../lib/version/files.ts";
import { TreeState } from "../../../lib/version/state.ts";
import { VersionSet } from "../../../lib/version/version_set.ts";
import { encodedOf } from "../../../lib/write/batch.ts";
import { Tree } from "../../../lib/write/tree.ts";
import { Batch, type Db, type Options } from "../../../mod.ts";
import {
  assert,
  assertEquals,
  assertGreater,
  assertStringIncludes,
} from "../../assert.ts";
import { filled, rows, text } from "../../engine/support/bytes.ts";
import { rejectsWith, throwsWith } from "../../engine/support/errors.ts";
import {
  closeQuietly,
  diskError,
  failOn,
  namesOf,
  openIn,
  PATH,
} from "../../engine/support/memory.ts";
import { openWith } from "../../open.ts";
import { FakeThreads } from "../support/fake_threads.ts";
import { countHandles } from "../support/open_handles.ts";
import { newContext, newFiles } from "../support/tables.ts";

const QUIET: Options = { compaction: { background: "off" } };
const SMALL: Options = {
  ...QUIET,
  writeBufferSize: 4096,
  durability: "buffered",
};
const MIB = 1024 * 1024;

/** A tree without a handle. */
function newTree(): Tree {
  const files = newFiles();
  const state = new TreeState();
  const versions = new VersionSet("/db", state, newContext(files));
  const { options } = resolveOptions(QUIET);
  const replayed = replayLogs(files, versions, state, options);
  const { log, lastSequence } = replayed;
  versions.install({
    addLogs: [{ number: log.number, syncedLength: log.writtenBytes }],
    lastSequence,
  });
  const runtime = memoryRuntime(files);
  return new Tree({ runtime, options, versions, ...replayed });
}

test("a batch that no arena can hold is INVALID_ARGUMENT, and nothing of it is written", async () => {
  const tree = newTree();
  const small = encodedOf(new Batch().put("k", "v"));
  // Refused by what it would take, so none of it need be there.
  const large = { ...small, room: 1.5 * 1024 * MIB + 1 };
  const error = await rejectsWith(
    "INVALID_ARGUMENT",
    () => tree.writeBatch(large, "sync"),
  );
  assertStringIncludes(error.message, "one write takes");
  assertEquals([tree.lastSequence, tree.userBytes], [0, 0]);
  await tree.writeBatch(small, "sync");
  assertEquals(tree.lastSequence, 1);
  await tree.close();
});

test("flush() of a latched tree is refused, and starts nothing", async () => {
  const tree = newTree();
  await tree.writeBatch(encodedOf(new Batch().put("k", "v")), "sync");
  tree.health.fail(new Error("made by the test"));
  await rejectsWith("READ_ONLY", () => tree.flush());
  assertEquals(tree.frozen, []);
  await rejectsWith("READ_ONLY", () => tree.close());
});

test("a snapshot that was dropped once too often disturbs no other", async () => {
  const tree = newTree();
  const sequence = tree.takeSnapshot();
  assertEquals(tree.takeSnapshot(), sequence);
  assertEquals([tree.snapshotCount, tree.snapshotSequences()], [2, [0]]);
  tree.dropSnapshot(sequence);
  assertEquals([tree.snapshotCount, tree.snapshotSequences()], [1, [0]]);
  tree.dropSnapshot(sequence);
  tree.dropSnapshot(sequence);
  assertEquals([tree.snapshotCount, tree.snapshotSequences()], [0, []]);
  await tree.close();
});

test("without memory for the next memtable a write is refused, and the next one is accepted", async () => {
  const db = await openIn(new MemoryFileSystem(), SMALL);
  await db.put("a", filled(3000));
  const Real = globalThis.SharedArrayBuffer;
  globalThis.SharedArrayBuffer = new Proxy(Real, {
    construct() {
      throw new RangeError("no memory");
    },
  });
  try {
    await rejectsWith("IO", () => db.put("b", filled(3000)));
  } finally {
    globalThis.SharedArrayBuffer = Real;
  }
  assert(!db.has("b"));
  await db.put("c", filled(3000));
  await db.flush();
  assertEquals([...db.scan().keys()].map((key) => text(key)), ["a", "c"]);
  await db.close();
});

test("a latched handle refuses every kind of write and maintenance, reads on, and says so at closing", async () => {
  const files = new MemoryFileSystem();
  const db = await openIn(files, QUIET);
  await db.put("a", "1");
  const fault = failOn(files, { operation: "sync", kind: "log" });
  await rejectsWith("IO", () => db.put("b", "2"));
  fault.stop();
  files.resetCounts();
  const refused = [
    () => db.put("c", "3"),
    () => db.delete("a"),
    () => db.deleteRange("a", "b"),
    () => db.write([{ type: "put", key: "c", value: "3" }]),
    () => db.flush(),
    () => db.sync(),
  ];
  for (const call of refused) await rejectsWith("READ_ONLY", call);
  assertEquals(text(db.get("a")), "1");
  assertEquals([files.counts.write, files.counts.sync], [0, 0]);
  await rejectsWith("READ_ONLY", () => db.close());
  const again = await openIn(files.afterPowerLoss(), QUIET);
  assertEquals(text(again.get("a")), "1");
  await again.close();
});

const CHANGES = [
  { operation: "create", kind: "log" },
  { operation: "write", kind: "log" },
  { operation: "sync", kind: "log" },
  { operation: "syncDirectory" },
  { operation: "write", kind: "manifest" },
  { operation: "sync", kind: "manifest" },
] as const;

for (const target of CHANGES) {
  const name = "kind" in target
    ? `the ${target.operation} of a ${target.kind}`
    : "the sync of the directory";
  test(`a change of logs that fails at ${name} latches, keeps what was acknowledged, and leaves no file open`, async () => {
    const files = new MemoryFileSystem();
    const open = countHandles(files);
    const db = await openIn(files, SMALL);
    await db.put("a", "1", { durability: "sync" });
    const fault = failOn(files, target);
    await rejectsWith("IO", () => db.flush());
    fault.stop();
    assertGreater(fault.count, 0);
    await rejectsWith("READ_ONLY", () => db.put("b", "2"));
    assertEquals(rows(db.scan()), [["a", "1"]]);
    await rejectsWith("READ_ONLY", () => db.close());
    assertEquals(open.count, 0);
    for (const crash of ["afterPowerLoss", "afterProcessDeath"] as const) {
      const again = await openIn(files[crash](), SMALL);
      assertEquals(rows(again.scan()), [["a", "1"]], crash);
      await again.close();
    }
  });
}

test("behind a sync of the directory that failed a flush named its table in the manifest: its entry in the directory may have been lost with that sync", async () => {
  const files = new MemoryFileSystem();
  const db = await openIn(files, SMALL);
  for (const key of ["a", "b"]) await db.put(key, filled(3000));
  assertEquals(db.stats().frozenCount, 1);
  const fault = failOn(files, { operation: "syncDirectory" }, 1);
  await rejectsWith("IO", () => db.put("c", filled(3000)));
  assertEquals(fault.count, 1);
  const manifest = `${PATH}/${namesOf(files, "manifest")[0]}`;
  const before = files.readFile(manifest);
  for (let i = 0; i < 20; i++) await memoryRuntime(files).pause();
  assertEquals(files.readFile(manifest), before);
  assertEquals(db.stats().tableCount, 0);
  await rejectsWith("READ_ONLY", () => db.close());
});

/** What syncs the directory: the change of logs comes first, then the flush, then the merge. */
const DIRECTORY_SYNCS = [
  { call: "flush", before: 1 },
  { call: "majorCompact", before: 2 },
] as const;

for (const { call, before } of DIRECTORY_SYNCS) {
  test(`a sync of the directory that failed in a ${call} was followed by another, which proves nothing`, async () => {
    const files = new MemoryFileSystem();
    const db = await openIn(files, SMALL);
    for (const key of ["a", "b", "a"]) {
      await db.put(key, "v");
      await db.flush();
    }
    await db.put("c", "v");
    let syncs = 0;
    files.onOperation = (operation) => {
      if (operation !== "syncDirectory") return;
      if (syncs++ === before) throw diskError();
    };
    await rejectsWith("IO", () => db[call]());
    assertEquals(syncs, before + 1);
    await rejectsWith("READ_ONLY", () => db.put("d", "v"));
    await rejectsWith("READ_ONLY", () => db.flush());
    assertEquals([...db.scan().keys()].map(text), ["a", "b", "c"]);
    await rejectsWith("READ_ONLY", () => db.close());
    const again = await openIn(files.afterPowerLoss(), SMALL);
    assertEquals([...again.scan().keys()].map(text), ["a", "b", "c"]);
    await again.close();
  });
}

test("a write that meets a change of logs which fails is rejected, though it may be read", async () => {
  const files = new MemoryFileSystem();
  const db = await openIn(files, SMALL);
  await db.put("a", filled(3000), { durability: "sync" });
  const fault = failOn(files, { operation: "create", kind: "log" });
  await rejectsWith("IO", () => db.put("b", filled(3000)));
  assertEquals(fault.count, 1);
  assert(!db.has("b"));
  await rejectsWith("READ_ONLY", () => db.close());
});

test("flush() while so much waits that no memtable may be frozen writes all of it, each once", async () => {
  const db = await openIn(new MemoryFileSystem(), {
    ...SMALL,
    writeBufferSize: MIB,
    maxFrozenMemtables: 1,
  });
  const writes: Promise<boolean>[] = [];
  while (db.stats().stalls.refused === 0) {
    const write = db.put(`k${writes.length}`, filled(MIB / 2));
    writes.push(write.then(() => true, () => false));
  }
  const waiting = db.stats().frozenCount;
  assertGreater(waiting, 4);
  assertEquals(await db.flush(), waiting + 1);
  const { frozenCount, memtable, tableCount } = db.stats();
  assertEquals([frozenCount, memtable.entries, tableCount], [
    0,
    0,
    waiting + 1,
  ]);
  const accepted = (await Promise.all(writes)).filter((is) => is).length;
  assertEquals(accepted, writes.length - 1);
  assertEquals([...db.scan().keys()].length, accepted);
  await db.close();
});

test("a log that cannot be synced at closing fails close(), and all else is given back", async () => {
  const files = new MemoryFileSystem();
  const open = countHandles(files);
  const db = await openIn(files, QUIET);
  await db.put("a", "1", { durability: "buffered" });
  const fault = failOn(files, { operation: "sync", kind: "log" });
  const error = await db.close().then(() => undefined, (error) => error);
  assert(["IO", "READ_ONLY"].includes(error?.code), String(error));
  assertEquals([fault.count, open.count], [1, 0]);
  fault.stop();
  await (await openIn(files, QUIET)).close();
});

test("a manifest that cannot say where the log ends fails close(): the next open knows that it was not clean", async () => {
  const files = new MemoryFileSystem();
  const db = await openIn(files, QUIET);
  await db.put("a", "1");
  const fault = failOn(files, { operation: "write", kind: "manifest" });
  await rejectsWith("IO", () => db.close());
  assertEquals(fault.count, 1);
  fault.stop();
  const again = await openIn(files, QUIET);
  assertEquals(rows(again.scan()), [["a", "1"]]);
  await again.close();
});

test("a log that cannot be closed fails close(), behind everything else", async () => {
  const files = new MemoryFileSystem();
  const open = files.open.bind(files);
  files.open = (path, mode) => {
    const file = open(path, mode);
    const kind = parseFileName(path.slice(PATH.length + 1))?.kind;
    if (kind !== "log" || mode !== "create") return file;
    const close = file.close.bind(file);
    file.close = () => {
      close();
      throw diskError();
    };
    return file;
  };
  const db = await openIn(files, QUIET);
  await db.put("a", "1", { durability: "buffered" });
  const error = await db.close().then(() => undefined, (error) => error);
  assertStringIncludes(String(error), "EIO");
  for (const disk of [files, files.afterPowerLoss()]) { // Without a lock on it.
    const again = await openIn(disk, QUIET);
    assertEquals(rows(again.scan()), [["a", "1"]]);
    await closeQuietly(again);
  }
});

test("close() ends readers of other threads, and what they would be shown", async () => {
  const files = new MemoryFileSystem();
  const runtime = memoryRuntime(files);
  const db = await openWith(runtime, PATH, QUIET);
  await db.put("a", "1");
  using reader = attachWith(runtime, db.share());
  assertEquals(text(reader.get("a")), "1");
  using snapshot = reader.snapshot();
  assertEquals(text(snapshot.get("a")), "1");
  assertEquals(db.stats().openSnapshots, 1);
  await db.close();
  throwsWith("CLOSED", () => reader.get("a"));
});

/** A database whose worker never answers, with a flush that it was told to do. */
async function openDeaf(): Promise<
  { fake: FakeThreads; db: Db; flush: Promise<string> }
> {
  const fake = new FakeThreads();
  const db = await openWith(fake.runtime, PATH, {
    compaction: { background: "worker" },
  });
  await db.put("a", "1");
  const flush = db.flush().then(() => "done", (error) => error.code);
  await fake.getReady();
  return { fake, db, flush };
}

test("closing makes file numbers durable that a thread which cannot be ended may yet use", async () => {
  const { fake, db, flush } = await openDeaf();
  const [told] = fake.last.got.filter(({ type }) => type === "run");
  assert(told.type === "run" && told.task.type === "flush");
  const closing = db.close();
  for (let i = 0; i < 5; i++) await fake.timersGoOff();
  await closing;
  assertEquals(await flush, "ABORTED");
  const { files } = fake.runtime;
  const again = await openIn(files.afterPowerLoss(), QUIET);
  await again.flush();
  const numbers = files.list(PATH).map((name) => parseFileName(name)?.number);
  assert(!numbers.includes(told.task.output.firstNumber), numbers.join());
  assertEquals(text(again.get("a")), "1");
  await again.close();
});

test("closing that cannot make them durable says so", async () => {
  const { fake, db, flush } = await openDeaf();
  const { files } = fake.runtime;
  const closing = db.close().then(() => "closed", (error) => error.code);
  await fake.timersGoOff(); // No more is waited for the flush.
  failOn(files, { operation: "write", kind: "manifest" });
  for (let i = 0; i < 5; i++) await fake.timersGoOff();
  assertEquals([await closing, await flush], ["READ_ONLY", "ABORTED"]);
});

test("a latched handle that is closed tries nothing for a thread that cannot be ended", async () => {
  const { fake, db, flush } = await openDeaf();
  const { files } = fake.runtime;
  const fault = failOn(files, { operation: "sync", kind: "log" });
  await rejectsWith("IO", () => db.put("b", "2"));
  fault.stop();
  files.resetCounts();
  const closing = db.close().then(() => "closed", (error) => error.code);
  for (let i = 0; i < 5; i++) await fake.timersGoOff();
  assertEquals([await closing, await flush], ["READ_ONLY", "ABORTED"]);
  assertEquals([files.counts.write, files.counts.sync], [0, 0]);
  assertEquals(namesOf(files, "table"), []);
});
