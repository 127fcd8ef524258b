/**
 * Defects that were found in this engine, each with the smallest program that
 * showed it. They stay mended.
 *
 * @module
 */
import { test } from "node:test";
import { open, VarveError } from "../../mod.ts";
import { openWith } from "../../lib/open.ts";
import { MemoryFileSystem, memoryRuntime } from "../../lib/runtime/memory.ts";
import { LogWriter } from "../../lib/wal/writer.ts";
import { replayLog } from "../../lib/wal/reader.ts";
import { assert, assertEquals, assertLess, assertRejects } from "../assert.ts";
import { withTempDir } from "../temp.ts";

const QUIET = { compaction: { background: "off" } } as const;

function openIn(files: MemoryFileSystem, options = {}) {
  return openWith(memoryRuntime(files), "/db", { ...QUIET, ...options });
}

function logNames(files: MemoryFileSystem): string[] {
  return files.list("/db").filter((name) => name.endsWith(".vlog")).sort();
}

test("an arena whose size is no whole number of words: writes failed", () =>
  withTempDir(async (directory) => {
    for (const writeBufferSize of [128, 129, 130, 131, 1_000_001]) {
      const path = `${directory}/${writeBufferSize}`;
      await using db = await open(path, { writeBufferSize, ...QUIET });
      await db.put("k", new Uint8Array(600_001));
      assertEquals(db.get("k")?.length, 600_001);
    }
  }));

test("a flush that fails under a writer that never waits: it hung", async () => {
  const files = new MemoryFileSystem();
  await using db = await openIn(files, {
    durability: "buffered",
    writeBufferSize: 4096,
    maxFrozenMemtables: 1,
  });
  files.onOperation = (_, path) => {
    if (path.endsWith(".vtab")) throw new VarveError("IO", "no disk");
  };
  const writes: Promise<void>[] = [];
  for (let i = 0; i < 200; i++) {
    writes.push(db.put(`k${i}`, new Uint8Array(500)));
  }
  const outcomes = await Promise.allSettled(writes);
  files.onOperation = undefined;
  const refused = outcomes.filter(({ status }) => status === "rejected");
  assert(refused.length > 0, "past the bound writes are refused");
  await db.flush();
  outcomes.forEach(({ status }, i) =>
    assertEquals(db.has(`k${i}`), status === "fulfilled")
  );
});

test("a log that was written again at opening: damage to it passed for a lost tail", async () => {
  let files = new MemoryFileSystem();
  const db = await openIn(files);
  for (let i = 0; i < 20; i++) await db.put(`k${i}`, "v");
  files = files.afterProcessDeath();
  await openIn(files); // writes the log again
  files = files.afterProcessDeath();
  const name = `/db/${logNames(files)[0]}`;
  const whole = files.readFile(name);
  for (const at of [40, whole.length >> 1, whole.length - 1]) {
    const damaged = whole.slice();
    damaged[at] ^= 1;
    files.writeFile(name, damaged);
    const error = await assertRejects(() => openIn(files), VarveError);
    assertEquals(error.code, "CORRUPTION");
  }
  files.writeFile(name, whole.slice(0, whole.length - 1));
  const cut = await assertRejects(() => openIn(files), VarveError);
  assertEquals(cut.code, "CORRUPTION");
  files.writeFile(name, whole);
  await using again = await openIn(files);
  assertEquals([...again.scan()].length, 20);
});

test("operations that share one buffer: only the last key was written", async () => {
  await using db = await openIn(new MemoryFileSystem());
  const key = new Uint8Array(1);
  function* operations() {
    for (key[0] = 65; key[0] < 70; key[0]++) {
      yield { type: "put", key, value: key } as const;
    }
  }
  await db.write(operations());
  const keys = [...db.scan()].map(([key, value]) => {
    assertEquals(key, value);
    return key[0];
  });
  assertEquals(keys, [65, 66, 67, 68, 69]);
});

test("a reverse scan over versions of one key in a memtable: it was quadratic", async () => {
  await using db = await openIn(new MemoryFileSystem(), {
    durability: "buffered",
  });
  const reverseTime = async (versions: number) => {
    await db.flush();
    for (let i = 0; i < versions; i++) db.put("k", `${i}`);
    await db.sync();
    const start = performance.now();
    assertEquals([...db.scan({ reverse: true })].length, 1);
    return performance.now() - start;
  };
  await reverseTime(2000); // warms the code up
  const few = await reverseTime(4000);
  const many = await reverseTime(64_000);
  // 16 times the versions: 16 if each costs the same, 256 if each costs all before.
  assertLess(many, few * 64 + 20, `${few} ms, then ${many} ms`);
});

test("sync() counted as a write", async () => {
  await using db = await openIn(new MemoryFileSystem(), {
    durability: "buffered",
  });
  await db.put("k", "v");
  await db.sync();
  assertEquals(db.stats().wal.commits, 1);
});

test("sequences with a gap, written to a log in one go: they were counted on", () => {
  const files = new MemoryFileSystem();
  files.makeDirectory("/db");
  const header = {
    number: 1,
    previous: 0,
    lastSequenceBefore: 3,
    isMadeAtOpen: true,
  };
  const log = LogWriter.create(files, "/db/log", header);
  const bytes = new Uint8Array(1);
  for (const sequence of [5, 6, 9]) log.append(sequence, 0, bytes, 1, bytes, 1);
  log.write();
  const seen: number[] = [];
  replayLog(files, "/db/log", 1, { syncedLength: 36, seal: undefined }, {
    entry: (sequence) => seen.push(sequence),
    range: () => {},
  });
  assertEquals(seen, [5, 6, 9]);
});

test("a log sync that failed, then power loss behind a reopening: the database could not be opened", async () => {
  const files = new MemoryFileSystem();
  const db = await openIn(files);
  await db.put("before", "1");
  files.onOperation = (operation, path) => {
    if (operation !== "sync" || !path.endsWith(".vlog")) return;
    files.onOperation = undefined;
    throw new VarveError("IO", "no disk");
  };
  await assertRejects(() => db.put("failed", "1"), VarveError);
  await db.close().catch(() => {});
  // The failed pages count as clean: they can be read, and are not on the disk.
  const again = await openIn(files);
  await again.put("after", "1");
  await using third = await openIn(files.afterPowerLoss());
  assert(third.has("before") && third.has("after"));
});
