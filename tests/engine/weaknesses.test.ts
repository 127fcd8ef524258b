/**
 * What the two reference engines get wrong, one test for each weakness that
 * is known of them, named after it.
 *
 * Left to the contract's tests: that there are range deletes, snapshots and
 * statistics at all.
 *
 * Combination: its own.
 *
 * @module
 */
import { test } from "node:test";
import { MemoryFileSystem } from "../../lib/runtime/memory.ts";
import { type Db, type Options, VarveError } from "../../mod.ts";
import {
  assert,
  assertEquals,
  assertFalse,
  assertGreater,
  assertGreaterOrEqual,
  assertInstanceOf,
  assertLess,
  assertLessOrEqual,
} from "../assert.ts";
import { filled, keys, numbered, rows, text } from "./support/bytes.ts";
import { LONG } from "./support/configs.ts";
import { untilFalse } from "./support/database.ts";
import { rejectsWith } from "./support/errors.ts";
import { assertGrowsLess } from "./support/growth.ts";
import {
  closeQuietly,
  damage,
  failOn,
  kindOfPath,
  lengthOfGroups,
  namesIn,
  namesOf,
  openIn,
  PATH,
  withMemoryDb,
} from "./support/memory.ts";

const QUIET: Options = {
  compaction: { background: "off", strategy: "size-tiered", minThreshold: 2 },
};

/** Few rows in small blocks, so that every byte of a table can be damaged in turn. */
const SMALL_BLOCKS: Options = { ...QUIET, blockSize: 256 };

async function putRows(db: Db, from: number, to: number): Promise<void> {
  for (let i = from; i < to; i++) await db.put(numbered("k", i), `value ${i}`);
}

// --- aeternusdb ---

test(
  "aeternusdb: a record larger than the write buffer fails",
  LONG,
  () =>
    withMemoryDb(async (db, files) => {
      const large = filled(100_000);
      await db.put("a", "1");
      await db.put("large", large);
      await db.put("z", "1");
      assertEquals(db.get("large"), large);
      await using again = await openIn(files.afterPowerLoss(), QUIET);
      assertEquals(again.get("large"), large);
      assertEquals(keys(again.scan()), ["a", "large", "z"]);
    }, { ...QUIET, writeBufferSize: 128 }),
);

test(
  "aeternusdb: a torn last log record makes open fail",
  LONG,
  () =>
    withMemoryDb(async (db, files) => {
      await putRows(db, 0, 3);
      const [log] = namesOf(files, "log");
      const whole = lengthOfGroups(files, log);
      await db.put("last", "torn off");
      const disk = files.afterProcessDeath();
      const end = lengthOfGroups(disk, log);
      assertGreater(end, whole);
      for (let length = whole; length < end; length++) {
        const torn = disk.afterProcessDeath();
        damage(torn, log, (bytes) => bytes.slice(0, length));
        await using again = await openIn(torn, QUIET);
        assertEquals(rows(again.scan()).length, 3, `cut at ${length}`);
        assertEquals(again.stats().wal.lostTailBytes, length - whole);
        await again.put("after", "the tail was cut off");
        await using third = await openIn(torn.afterPowerLoss(), QUIET);
        assertEquals(rows(third.scan()).length, 4);
      }
    }, QUIET),
);

test(
  "aeternusdb: logs of flushed memtables are never deleted",
  LONG,
  () =>
    withMemoryDb(async (db, files) => {
      for (let round = 0; round < 5; round++) {
        await putRows(db, 0, 100);
        await db.flush();
        assertEquals(namesOf(files, "log").length, 1);
        assertEquals(db.stats().wal.files, 1);
      }
    }, { ...QUIET, writeBufferSize: 2048 }),
);

test(
  "aeternusdb: a corrupt manifest makes live tables look like orphans",
  LONG,
  () =>
    withMemoryDb(async (db, files) => {
      await putRows(db, 0, 20);
      await db.flush();
      await putRows(db, 20, 40);
      await db.flush();
      await putRows(db, 40, 45);
      const expected = rows(db.scan());
      const disk = files.afterPowerLoss();
      const before = namesIn(disk);
      const [manifest] = namesOf(disk, "manifest");
      const length = disk.readFile(`${PATH}/${manifest}`).length;
      for (let at = 0; at < length; at++) {
        const damaged = disk.afterProcessDeath();
        damage(damaged, manifest, (bytes) => void (bytes[at] ^= 0x10));
        const opened = await openIn(damaged, QUIET).catch((error) => error);
        if (opened instanceof VarveError) {
          assertEquals(opened.code, "CORRUPTION", `byte ${at}: ${opened}`);
          assertEquals(namesIn(damaged), before, `byte ${at}`);
          continue;
        }
        assertFalse(opened instanceof Error, `byte ${at}: ${opened}`);
        assertEquals(rows(opened.scan()), expected, `byte ${at}`);
        await opened.close();
      }
    }, QUIET),
);

/** The rows of a scan up to its end or to its error. */
function readUntilError(db: Db): { read: [string, string][]; error: unknown } {
  const read: [string, string][] = [];
  try {
    for (const row of db.scan()) read.push(...rows([row]));
  } catch (error) {
    return { read, error };
  }
  return { read, error: undefined };
}

test(
  "aeternusdb: a block checksum error ends a scan silently, and compaction drops the rest",
  LONG,
  () =>
    withMemoryDb(async (db, files) => {
      await putRows(db, 0, 60);
      await db.flush();
      await db.delete("k_0059");
      await db.flush();
      const expected = rows(db.scan());
      const disk = files.afterPowerLoss();
      const before = namesIn(disk).filter((name) =>
        kindOfPath(name) === "table"
      );
      const [table] = before;
      const size = disk.readFile(`${PATH}/${table}`).length;
      let refusals = 0;
      for (let at = 0; at < size; at += 13) {
        const damaged = disk.afterProcessDeath();
        damage(damaged, table, (bytes) => void (bytes[at] ^= 0x01));
        const opened = await openIn(damaged, SMALL_BLOCKS).catch((e) => e);
        if (opened instanceof Error) {
          assertInstanceOf(opened, VarveError);
          assertEquals(opened.code, "CORRUPTION");
          refusals++;
          continue;
        }
        const { read, error } = readUntilError(opened);
        if (error === undefined) assertEquals(read, expected, `byte ${at}`);
        else {
          assertInstanceOf(error, VarveError);
          assertEquals(error.code, "CORRUPTION");
          assertEquals(read, expected.slice(0, read.length), `byte ${at}`);
          await rejectsWith("CORRUPTION", () => opened.majorCompact());
          assert(namesIn(damaged).includes(table), "the damaged table stays");
          refusals++;
        }
        await closeQuietly(opened);
      }
      assertGreater(refusals, size / 13 * 0.9);
    }, SMALL_BLOCKS),
);

test(
  "aeternusdb: minor compaction loses range tombstones that reach outside the point keys",
  LONG,
  () =>
    withMemoryDb(async (db, files) => {
      await putRows(db, 0, 1000);
      await db.flush();
      // Two small tables, each with one point key and a range far wider.
      for (const point of ["k_0500", "k_0501"]) {
        await db.deleteRange("k_0100", "k_0900");
        await db.put(point, "kept");
        await db.flush();
      }
      const expected = rows(db.scan());
      assertEquals(expected.length, 201);
      assert(await db.minorCompact());
      assertEquals(db.stats().tableCount, 2);
      assertEquals(rows(db.scan()), expected);
      assertEquals(db.get("k_0200"), undefined);
      assertEquals(db.get("k_0899"), undefined);
      await untilFalse(() => db.tombstoneCompact());
      assertEquals(rows(db.scan()), expected);
      await using again = await openIn(files.afterPowerLoss(), QUIET);
      assertEquals(rows(again.scan()), expected);
      await again.majorCompact();
      assertEquals(rows(again.scan()), expected);
    }, { ...QUIET, durability: "buffered" }),
);

/** Tables enough to keep a compaction busy for a while. */
async function putLargeTables(db: Db): Promise<void> {
  for (let table = 0; table < 4; table++) {
    for (let i = 0; i < 10_000; i++) {
      db.put(numbered("k", i * 4 + table, 6), filled(100, i));
    }
    await db.flush();
  }
}

test(
  "aeternusdb: flush and compaction hold the write lock",
  LONG,
  () =>
    withMemoryDb(async (db) => {
      await putLargeTables(db);
      let isCompacted = false;
      const compacting = db.majorCompact().then((did) => {
        isCompacted = true;
        return did;
      });
      let writes = 0;
      let ticks = 0;
      const timer = setInterval(() => ticks++, 1);
      while (!isCompacted) {
        await db.put(`new ${writes}`, "v");
        if (isCompacted) break;
        writes++;
        assertEquals(text(db.get("new 0")), "v");
        // Gives way, so that the compaction can go on.
        await new Promise((resolve) => setTimeout(resolve, 0));
      }
      clearInterval(timer);
      assert(await compacting);
      assertGreater(writes, 3);
      assertGreater(ticks, 3);
      assertEquals(keys(db.scan({ prefix: "new" })).length >= writes, true);
    }, { ...QUIET, durability: "buffered" }),
);

test("aeternusdb, lsm-db: no lock file", () =>
  withMemoryDb(async (_db, files) => {
    await rejectsWith("LOCKED", () => openIn(files, QUIET));
  }, QUIET));

test(
  "aeternusdb: no directory sync after rename",
  LONG,
  () =>
    withMemoryDb(async (db, files) => {
      await putRows(db, 0, 20);
      await db.flush();
      await putRows(db, 20, 40);
      await db.flush();
      await db.majorCompact();
      const expected = rows(db.scan());
      await using again = await openIn(files.afterPowerLoss(), QUIET);
      assertEquals(rows(again.scan()), expected);
      assertEquals(again.stats().tableCount, 1);
    }, { ...QUIET, durability: "buffered" }),
);

/** The least time that `body` takes in three runs, in milliseconds. */
function fastest(body: () => void): number {
  let least = Infinity;
  for (let run = 0; run < 3; run++) {
    const start = performance.now();
    body();
    least = Math.min(least, performance.now() - start);
  }
  return least;
}

/** The time of a full scan of `count` rows under `count` range tombstones. */
async function timeScanUnderTombstones(
  count: number,
  isFlushed: boolean,
): Promise<number> {
  let milliseconds = 0;
  await withMemoryDb(async (db) => {
    for (let i = 0; i < count; i++) db.put(numbered("k", i, 6), "v");
    if (isFlushed) await db.flush();
    for (let i = 0; i < count; i++) {
      const key = numbered("k", i, 6);
      db.deleteRange(`${key}a`, `${key}b`);
    }
    if (isFlushed) await db.flush();
    else await db.sync();
    assertEquals([...db.scan({ limit: 3 })].length, 3);
    milliseconds = fastest(() => {
      let found = 0;
      for (const _ of db.scan()) found++;
      assertEquals(found, count);
    });
  }, { ...QUIET, durability: "buffered" });
  return milliseconds;
}

for (const isFlushed of [false, true]) {
  const layer = isFlushed ? "tables" : "memtable";
  test(
    `aeternusdb: the cost of a scan grows with tombstones times entries (${layer})`,
    LONG,
    async () => {
      const time = (count: number) => timeScanUnderTombstones(count, isFlushed);
      // Eight times the rows and tombstones: 8 if it is a sum, 64 if a product.
      await assertGrowsLess(24, time, 2000, 16_000);
    },
  );
}

// --- lsm-db ---

test(
  "lsm-db: dropping the handle loses writes",
  LONG,
  () =>
    withMemoryDb(async (db, files) => {
      await putRows(db, 0, 10);
      await using dropped = await openIn(files.afterProcessDeath(), QUIET);
      assertEquals(rows(dropped.scan()).length, 10);
      await using lost = await openIn(files.afterPowerLoss(), QUIET);
      assertEquals(rows(lost.scan()).length, 10);
    }, QUIET),
);

test(
  "lsm-db: a scan reads every run from its first block and materialises the result",
  LONG,
  () =>
    withMemoryDb(async (db) => {
      for (let table = 0; table < 3; table++) {
        for (let i = 0; i < 2000; i++) {
          db.put(numbered("k", i * 3 + table), filled(100, i));
        }
        await db.flush();
      }
      for (const reverse of [false, true]) {
        const { blockReads } = db.stats();
        const range = { gte: "k_3000", lt: "k_3100", reverse, limit: 3 };
        assertEquals([...db.scan(range)].length, 3);
        // At each table the block of the bound, and at most the next one.
        assertLessOrEqual(db.stats().blockReads - blockReads, 6);
      }
      const { blockReads } = db.stats();
      for (const _ of db.scan()) break;
      assertLessOrEqual(db.stats().blockReads - blockReads, 6);
    }, { ...QUIET, durability: "buffered", blockCacheSize: 0 }),
);

test(
  "lsm-db: flush runs inside put",
  LONG,
  () =>
    withMemoryDb(async (db, files) => {
      let created = 0;
      files.onOperation = (operation, path) => {
        if (operation === "create" && kindOfPath(path) === "table") created++;
      };
      const waiting: Promise<void>[] = [];
      for (let i = 0; i < 200; i++) {
        const before = created;
        waiting.push(db.put(numbered("k", i), filled(100, i)));
        assertEquals(created, before, "no table is made while put() runs");
        if (i % 10 === 9) await waiting.at(-1);
      }
      await Promise.all(waiting);
      assertGreater(created, 5);
    }, { ...QUIET, writeBufferSize: 2048 }),
);

test(
  "lsm-db: every compaction merges everything",
  LONG,
  () =>
    withMemoryDb(async (db) => {
      await putRows(db, 0, 2000);
      await db.flush();
      const large = db.stats().totalTableBytes;
      for (let round = 0; round < 3; round++) {
        await putRows(db, round, round + 20);
        await db.flush();
        await putRows(db, round, round + 20);
        await db.flush();
        await db.minorCompact();
      }
      const { compaction } = db.stats();
      assertGreaterOrEqual(compaction.runs, 3);
      assertLess(compaction.bytesRead, large);
    }, { ...QUIET, durability: "buffered" }),
);

test(
  "lsm-db: background errors never surface",
  LONG,
  () =>
    withMemoryDb(async (db, files) => {
      await db.put("before", "1");
      const fault = failOn(files, { operation: "create", kind: "table" });
      const waiting: Promise<void>[] = [];
      for (let i = 0; i < 100; i++) {
        waiting.push(db.put(numbered("k", i), filled(200, i)));
      }
      const outcomes = Promise.allSettled(waiting);
      const error = await db.flush().catch((reason: unknown) => reason);
      assertGreater(fault.count, 0);
      assertInstanceOf(error, VarveError);
      assertEquals(error.code, "IO");
      assertGreater(db.stats().lastError?.length ?? 0, 0);
      assertEquals(text(db.get("before")), "1");
      // The disk is well again: nothing was lost, and all gets flushed.
      fault.stop();
      await db.flush();
      for (const outcome of await outcomes) {
        if (outcome.status === "fulfilled") continue;
        assertInstanceOf(outcome.reason, VarveError);
        assertEquals(outcome.reason.code, "IO");
      }
      assertEquals(db.stats().memtable.entries, 0);
      assertEquals(db.stats().lastError, undefined);
      await db.put("after", "1");
      await using again = await openIn(files.afterPowerLoss(), QUIET);
      assertEquals(text(again.get("before")), "1");
      assertEquals(text(again.get("after")), "1");
    }, { ...QUIET, writeBufferSize: 2048, maxFrozenMemtables: 16 }),
);

test(
  "lsm-db: no directory sync, not even of a new database",
  LONG,
  async () => {
    const files = new MemoryFileSystem();
    const db = await openIn(files, QUIET);
    await db.put("a", "1");
    // A new database, never flushed or closed: its very directory must be safe.
    await using again = await openIn(files.afterPowerLoss(), QUIET);
    assertEquals(rows(again.scan()), [["a", "1"]]);
    await db.close();
  },
);

// --- What lsm-db promises, and this engine too ---

test(
  "lsm-db's promise: a repeated read of a cached block does no I/O",
  LONG,
  () =>
    withMemoryDb(async (db, files) => {
      await putRows(db, 0, 500);
      await db.flush();
      db.get("k_0100");
      files.resetCounts();
      for (let i = 0; i < 10; i++) db.get("k_0100");
      assertEquals([files.counts.read, files.counts.open], [0, 0]);
    }, { ...QUIET, durability: "buffered" }),
);

test(
  "lsm-db's promise: a lookup that the filters reject reads nothing",
  LONG,
  () =>
    withMemoryDb(async (db, files) => {
      await putRows(db, 0, 500);
      await db.flush();
      db.get("k_0000");
      files.resetCounts();
      const { falsePositives } = db.stats().bloom;
      for (let i = 0; i < 400; i++) db.get(`${numbered("k", i)}x`);
      const wrong = db.stats().bloom.falsePositives - falsePositives;
      assertLessOrEqual(files.counts.read, wrong);
      assertLess(wrong, 20);
    }, { ...QUIET, durability: "buffered", blockCacheSize: 0 }),
);
