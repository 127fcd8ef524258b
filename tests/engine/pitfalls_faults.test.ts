/**
 * Disks that fail while the database is open: what is latched, what goes on,
 * and that no failure is ever swallowed.
 *
 * @module
 */
import { test } from "node:test";
import { MemoryFileSystem } from "../../lib/runtime/memory.ts";
import { fileName, parseFileName } from "../../lib/version/files.ts";
import { type Db, type Options, VarveError } from "../../mod.ts";
import {
  assert,
  assertEquals,
  assertGreater,
  assertInstanceOf,
  assertMatch,
  assertStringIncludes,
} from "../assert.ts";
import { filled, keys, numbered, rows, text } from "./support/bytes.ts";
import { LONG } from "./support/configs.ts";
import {
  CHANGES,
  noProgress,
  type Progress,
  runSteps,
  violation,
} from "./support/crash_sweep.ts";
import { rejectsWith } from "./support/errors.ts";
import { interceptedFiles } from "./support/intercepted_files.ts";
import {
  closeQuietly,
  diskError,
  failOn,
  type FaultTarget,
  namesIn,
  openIn,
  PATH,
  withMemoryDb,
} from "./support/memory.ts";

const QUIET: Options = { compaction: { background: "off" } };

/** A latched handle reads, and refuses everything else. */
async function expectReadOnly(db: Db): Promise<void> {
  assertEquals(text(db.get("before")), "1");
  assert(db.has("before"));
  assert(keys(db.scan()).includes("before"));
  using snapshot = db.snapshot();
  assertEquals(text(snapshot.get("before")), "1");
  assertMatch(db.stats().lastError ?? "", /made by the test|EIO|ENOSPC/);
  await rejectsWith("READ_ONLY", () => db.put("later", "1"));
  await rejectsWith("READ_ONLY", () => db.delete("before"));
  await rejectsWith("READ_ONLY", () => db.deleteRange("a", "z"));
  await rejectsWith("READ_ONLY", () => db.clear());
  await rejectsWith(
    "READ_ONLY",
    () => db.write([{ type: "delete", key: "a" }]),
  );
  await rejectsWith("READ_ONLY", () => db.sync());
  assertEquals(db.get("later"), undefined);
  assertEquals(text(db.get("before")), "1");
}

/** Reopening on the same disk clears the latch. */
async function expectWritableAgain(files: MemoryFileSystem): Promise<void> {
  await using db = await openIn(files, QUIET);
  assertEquals(text(db.get("before")), "1");
  await db.put("again", "1");
  await db.flush();
  await using lost = await openIn(files.afterPowerLoss(), QUIET);
  assertEquals(text(lost.get("before")), "1");
  assertEquals(text(lost.get("again")), "1");
}

const LOG_FAULTS: [name: string, target: FaultTarget, code: string][] = [
  ["failed sync of the log", { operation: "sync", kind: "log" }, "EIO"],
  ["failed write of the log", { operation: "write", kind: "log" }, "EIO"],
  ["full disk under the log", { operation: "write", kind: "log" }, "ENOSPC"],
];

for (const [name, target, code] of LOG_FAULTS) {
  test(
    `pitfall: a ${name} latches the handle and is never retried`,
    LONG,
    () =>
      withMemoryDb(async (db, files) => {
        await db.put("before", "1");
        // Fails once: a retry would succeed, and would lie.
        const fault = failOn(files, target, 1, code);
        const error = await rejectsWith("IO", () => db.put("failed", "1"));
        assertEquals(fault.count, 1);
        assertStringIncludes(error.message, code);
        assertMatch(error.message, /\d{6}\.vlog/);
        fault.stop();
        files.resetCounts();
        await expectReadOnly(db);
        await closeQuietly(db);
        assertEquals([files.counts.sync, files.counts.write], [0, 0]);
        await expectWritableAgain(files);
      }, QUIET),
  );
}

test(
  "pitfall: every write that waits for the failed sync is rejected",
  LONG,
  () =>
    withMemoryDb(async (db, files) => {
      await db.put("before", "1");
      failOn(files, { operation: "sync", kind: "log" }, 1);
      const waiting = Array.from(
        { length: 20 },
        (_, i) => db.put(numbered("k", i), "v"),
      );
      for (const outcome of await Promise.allSettled(waiting)) {
        assertEquals(outcome.status, "rejected");
      }
      await expectReadOnly(db);
    }, QUIET),
);

test(
  "pitfall: a failed sync rejects sync() too, and later buffered writes",
  LONG,
  () =>
    withMemoryDb(async (db, files) => {
      await db.put("before", "1", { durability: "sync" });
      await db.put("buffered", "1");
      failOn(files, { operation: "sync", kind: "log" }, 1);
      await rejectsWith("IO", () => db.sync());
      await rejectsWith("READ_ONLY", () => db.put("later", "1"));
      await rejectsWith("READ_ONLY", () => db.sync());
      // What was acknowledged as durable is; the rest may be lost, and said so.
      await using lost = await openIn(files.afterPowerLoss(), QUIET);
      assertEquals(text(lost.get("before")), "1");
    }, { ...QUIET, durability: "buffered" }),
);

test(
  "pitfall: bytes whose sync failed are not trusted because they can still be read",
  LONG,
  () =>
    withMemoryDb(async (db, files) => {
      await db.put("before", "1");
      failOn(files, { operation: "sync", kind: "log" }, 1);
      await rejectsWith("IO", () => db.put("failed", "1"));
      await closeQuietly(db);
      files.onOperation = undefined;
      // The pages count as clean: syncing the file again would save nothing.
      const again = await openIn(files, QUIET);
      const seen = rows(again.scan());
      await again.put("after", "1");
      const lost = files.afterPowerLoss();
      await again.close();
      await using third = await openIn(lost, QUIET);
      assertEquals(rows(third.scan()), [["after", "1"], ...seen]);
    }, QUIET),
);

const MANIFEST_FAULTS: FaultTarget[] = [
  { operation: "write", kind: "manifest" },
  { operation: "sync", kind: "manifest" },
];

for (const target of MANIFEST_FAULTS) {
  test(
    `pitfall: a failed ${target.operation} of the manifest latches, and nothing is deleted`,
    LONG,
    () =>
      withMemoryDb(async (db, files) => {
        await db.put("before", "1");
        await db.flush();
        await db.put("more", "1");
        const before = namesIn(files);
        const fault = failOn(files, target, 1, "ENOSPC");
        await rejectsWith("IO", () => db.flush());
        assertEquals(fault.count, 1);
        fault.stop();
        await expectReadOnly(db);
        const after = namesIn(files);
        assert(before.every((name) => after.includes(name)));
        await closeQuietly(db);
        assert(before.every((name) => namesIn(files).includes(name)));
        await expectWritableAgain(files);
        await using db2 = await openIn(files, QUIET);
        assertEquals(text(db2.get("more")), "1");
      }, QUIET),
  );
}

test(
  "pitfall: a failed manifest edit of a compaction deletes no table",
  LONG,
  () =>
    withMemoryDb(async (db, files) => {
      await db.put("before", "1");
      await db.flush();
      await db.put("more", "1");
      await db.flush();
      const before = namesIn(files);
      failOn(files, { operation: "sync", kind: "manifest" }, 1);
      await rejectsWith("IO", () => db.majorCompact());
      assert(before.every((name) => namesIn(files).includes(name)));
      await closeQuietly(db);
      // Whether the edit turns up after the crash or not, every file is there.
      for (const disk of [files.afterPowerLoss(), files.afterProcessDeath()]) {
        await using again = await openIn(disk, QUIET);
        assertEquals(keys(again.scan()), ["before", "more"]);
      }
    }, QUIET),
);

const TABLE_FAULTS: FaultTarget[] = [
  { operation: "create", kind: "table" },
  { operation: "write", kind: "table" },
  { operation: "sync", kind: "table" },
];

for (const target of TABLE_FAULTS) {
  test(
    `pitfall: a flush whose ${target.operation} fails is not skipped by a later one`,
    LONG,
    () =>
      withMemoryDb(async (db, files) => {
        await db.put("before", "1");
        const fault = failOn(files, target, 1, "ENOSPC");
        await rejectsWith("IO", () => db.flush());
        assertEquals(fault.count, 1);
        fault.stop();
        // A table is no log and no manifest: writes go on.
        await db.put("between", "1");
        assertGreater(await db.flush(), 0);
        await db.put("after", "1");
        assertEquals(db.stats().memtable.entries, 1);
        for (
          const disk of [files.afterPowerLoss(), files.afterProcessDeath()]
        ) {
          await using again = await openIn(disk, QUIET);
          assertEquals(keys(again.scan()), ["after", "before", "between"]);
        }
      }, QUIET),
  );

  test(
    `pitfall: a compaction whose ${target.operation} fails leaves everything as it was`,
    LONG,
    () =>
      withMemoryDb(async (db, files) => {
        for (let table = 0; table < 2; table++) {
          for (let i = 0; i < 20; i++) {
            await db.put(numbered("k", i), `${table}`);
          }
          await db.flush();
        }
        const before = rows(db.scan());
        const fault = failOn(files, target, 1, "ENOSPC");
        await rejectsWith("IO", () => db.majorCompact());
        fault.stop();
        assertEquals(rows(db.scan()), before);
        assertEquals(db.stats().tableCount, 2);
        await db.put("writes", "go on");
        assert(await db.majorCompact());
        assertEquals(db.stats().tableCount, 1);
        assertEquals(rows(db.scan({ prefix: "k" })), before);
      }, { ...QUIET, durability: "buffered" }),
  );
}

test(
  "pitfall: a disk that fills up in the middle of a log record",
  LONG,
  async () => {
    const files = new MemoryFileSystem();
    let isFull = false;
    const through = interceptedFiles(files, {
      write(target, bytes, write) {
        if (!isFull || target !== "log") return write(bytes);
        write(bytes.subarray(0, bytes.length >> 1));
        throw new VarveError("IO", "write failed: ENOSPC", {
          cause: diskError("ENOSPC"),
        });
      },
    });
    const db = await openIn(through, QUIET);
    await db.put("before", "1");
    isFull = true;
    await rejectsWith("IO", () => db.put("torn", filled(100)));
    isFull = false;
    await expectReadOnly(db);
    await closeQuietly(db);
    await using again = await openIn(files, QUIET);
    // The torn record is not there, and nothing is appended behind it.
    assertEquals(keys(again.scan()), ["before"]);
    assertGreater(again.stats().wal.lostTailBytes, 0);
    await again.put("after", "1");
    await using third = await openIn(files.afterProcessDeath(), QUIET);
    assertEquals(keys(third.scan()), ["after", "before"]);
  },
);

test(
  "pitfall: a disk that fills up in the middle of a manifest edit",
  LONG,
  async () => {
    const files = new MemoryFileSystem();
    let isFull = false;
    const through = interceptedFiles(files, {
      write(target, bytes, write) {
        if (!isFull || target !== "manifest") return write(bytes);
        write(bytes.subarray(0, bytes.length >> 1));
        throw new VarveError("IO", "write failed: ENOSPC");
      },
    });
    const db = await openIn(through, QUIET);
    await db.put("before", "1");
    isFull = true;
    await rejectsWith("IO", () => db.flush());
    isFull = false;
    await rejectsWith("READ_ONLY", () => db.put("later", "1"));
    await closeQuietly(db);
    await expectWritableAgain(files);
  },
);

/** Runs the workload with the `n`th change failing; how many changes there were. */
async function runWithFault(
  files: MemoryFileSystem,
  n: number,
): Promise<{ progress: Progress; error: unknown; failed: string | undefined }> {
  const progress = noProgress();
  let seen = 0;
  let failed: string | undefined;
  files.onOperation = (operation, path) => {
    if (!CHANGES.has(operation) || seen++ !== n) return;
    failed = `${operation} ${path}`;
    throw diskError();
  };
  let error: unknown;
  await runSteps(files, progress).catch((thrown) => error = thrown);
  files.onOperation = undefined;
  return { progress, error, failed };
}

test(
  "pitfall: no failure is swallowed, whichever operation it hits, and none loses data",
  LONG,
  async () => {
    const removalsIgnored: string[] = [];
    for (let n = 0;; n++) {
      const files = new MemoryFileSystem();
      const { progress, error, failed } = await runWithFault(files, n);
      if (failed === undefined) {
        assertGreater(n, 100, "the workload has many operations");
        break;
      }
      if (error === undefined) {
        // A superfluous file that stays behind costs room, never data.
        assert(failed.startsWith("remove "), `${failed} failed, unnoticed`);
        removalsIgnored.push(failed);
      } else {
        assertInstanceOf(error, VarveError, `${failed} failed: ${error}`);
        assertEquals(error.code, "IO", `${failed} failed: ${error}`);
      }
      const { durable, acknowledged, started } = progress;
      const lost = await violation(files.afterPowerLoss(), durable, started);
      assertEquals(lost, undefined, failed);
      const dead = files.afterProcessDeath();
      assertEquals(
        await violation(dead, acknowledged, started),
        undefined,
        failed,
      );
    }
    assertGreater(removalsIgnored.length, 0);
  },
);

test(
  "pitfall: a failed read while open is an error of that read alone",
  LONG,
  () =>
    withMemoryDb(async (db, files) => {
      for (let i = 0; i < 100; i++) {
        await db.put(numbered("k", i), filled(100, i));
      }
      await db.flush();
      const fault = failOn(files, { operation: "read", kind: "table" });
      let error: unknown;
      try {
        db.get("k_0050");
      } catch (thrown) {
        error = thrown;
      }
      assertInstanceOf(error, VarveError);
      assertEquals(error.code, "IO");
      fault.stop();
      assertEquals(db.get("k_0050"), filled(100, 50));
      await db.put("writes", "go on");
      assertEquals(keys(db.scan()).length, 101);
    }, { ...QUIET, durability: "buffered", blockCacheSize: 0 }),
);

test(
  "pitfall: a compaction that cannot read a table drops nothing of it",
  LONG,
  () =>
    withMemoryDb(async (db, files) => {
      for (let table = 0; table < 2; table++) {
        for (let i = 0; i < 200; i++) {
          await db.put(numbered("k", i * 2 + table), filled(100, i));
        }
        await db.flush();
      }
      const before = namesIn(files);
      // Every read of the compaction fails once, each in a compaction of its own.
      for (let n = 0, isDone = false; !isDone; n++) {
        let reads = 0;
        files.onOperation = (operation) => {
          if (operation === "read" && reads++ === n) throw diskError();
        };
        if (n < 2) await rejectsWith("IO", () => db.majorCompact());
        else isDone = await db.majorCompact().catch(() => false);
        files.onOperation = undefined;
        if (isDone) break;
        assert(before.every((name) => namesIn(files).includes(name)));
        assertEquals(keys(db.scan()).length, 400);
      }
      assertEquals(keys(db.scan()).length, 400);
      assertEquals(db.stats().tableCount, 1);
    }, { ...QUIET, durability: "buffered", blockCacheSize: 0, blockSize: 256 }),
);

test("a table's name that is taken, by a thread of an earlier life, is neither written to nor removed", async () => {
  await withMemoryDb(async (db, files) => {
    await db.put("a", "1");
    const given = namesIn(files).map((name) => parseFileName(name)?.number);
    const next = Math.max(...given.map((number) => number ?? 0)) + 1;
    const taken = [next, next + 1].map((number) =>
      `${PATH}/${fileName("table", number)}`
    );
    const content = new Uint8Array([1, 2, 3]);
    for (const path of taken) files.writeFile(path, content);
    await rejectsWith("IO", () => db.flush());
    for (const path of taken) assertEquals(files.readFile(path), content);
    await db.flush();
    assertEquals(db.stats().tableCount, 1);
    for (const path of taken) assertEquals(files.readFile(path), content);
    assertEquals(text(db.get("a")), "1");
  });
});
