/**
 * The contract of `flush`, of the three compactions and of what they answer.
 *
 * @module
 */
import { test } from "node:test";
import type { Db, Options } from "../../mod.ts";
import {
  assert,
  assertEquals,
  assertGreater,
  assertGreaterOrEqual,
  assertLess,
} from "../assert.ts";
import { filled, keys, numbered, rows, text } from "./support/bytes.ts";
import { LONG } from "./support/configs.ts";
import { untilFalse, withDb } from "./support/database.ts";

const QUIET: Options = {
  durability: "buffered",
  compaction: { background: "off", strategy: "size-tiered", minThreshold: 2 },
};

function totals(
  db: Db,
): { entries: number; tombstones: number; ranges: number } {
  let [entries, tombstones, ranges] = [0, 0, 0];
  for (const level of db.stats().levels) {
    entries += level.entries;
    tombstones += level.tombstones;
    ranges += level.rangeTombstones;
  }
  return { entries, tombstones, ranges };
}

async function putTable(db: Db, from: number, to: number): Promise<void> {
  for (let i = from; i < to; i++) await db.put(numbered("k", i), filled(50, i));
  assertEquals(await db.flush(), 1);
}

test("flush() writes the active memtable, and answers how many tables", () =>
  withDb(async (db) => {
    assertEquals(await db.flush(), 0);
    await db.put("a", "1");
    assertEquals(await db.flush(), 1);
    assertEquals(await db.flush(), 0);
    await db.delete("a");
    assertEquals(await db.flush(), 1);
    await db.deleteRange("a", "b");
    assertEquals(await db.flush(), 1);
    assertEquals(db.stats().tableCount, 3);
    assertEquals(db.stats().flush.runs, 3);
    assertEquals(db.stats().memtable.entries, 0);
  }, QUIET));

test("flush() includes what was written before it in the same turn", () =>
  withDb(async (db) => {
    const waiting = db.put("a", "1");
    assertEquals(await db.flush(), 1);
    await waiting;
    assertEquals(db.stats().memtable.entries, 0);
    assertEquals(text(db.get("a")), "1");
  }, QUIET));

test(
  "flush() writes every frozen memtable and the active one",
  LONG,
  () =>
    withDb(async (db) => {
      const waiting: Promise<void>[] = [];
      for (let i = 0; db.stats().frozenCount < 3; i++) {
        waiting.push(db.put(numbered("k", i), filled(100, i)));
      }
      waiting.push(db.put("z", "last"));
      assertGreaterOrEqual(await db.flush(), 3);
      await Promise.all(waiting);
      assertEquals(db.stats().frozenCount, 0);
      assertEquals(db.stats().memtable.entries, 0);
      assertEquals([...db.scan()].length, waiting.length);
    }, { ...QUIET, writeBufferSize: 1024, maxFrozenMemtables: 16 }),
);

test("two flush() calls at once write the memtable once", () =>
  withDb(async (db) => {
    await db.put("a", "1");
    await Promise.all([db.flush(), db.flush(), db.flush()]);
    assertEquals(db.stats().tableCount, 1);
    assertEquals(db.stats().flush.runs, 1);
  }, QUIET));

test(
  "background off still flushes full memtables, and compacts nothing",
  LONG,
  () =>
    withDb(async (db) => {
      for (let i = 0; i < 200; i++) {
        await db.put(numbered("k", i), filled(100, i));
      }
      await db.flush();
      const stats = db.stats();
      assertGreaterOrEqual(stats.tableCount, 5);
      assertEquals(stats.tableCount, stats.flush.runs);
      assertEquals(stats.compaction.runs, 0);
    }, { ...QUIET, writeBufferSize: 2048 }),
);

test(
  "compaction keeps the number of tables small without being asked",
  LONG,
  () =>
    withDb(async (db) => {
      for (let i = 0; i < 1500; i++) {
        await db.put(numbered("k", i), filled(100, i));
      }
      await db.flush();
      const { flush } = db.stats();
      assertGreaterOrEqual(flush.runs, 50);
      // The last round of it may still be under way.
      for (let wait = 0; wait < 500 && db.stats().tableCount > 16; wait++) {
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      assertGreater(db.stats().compaction.runs, 0);
      assertLess(db.stats().tableCount, 17);
      assertEquals([...db.scan()].length, 1500);
    }, {
      durability: "buffered",
      writeBufferSize: 2048,
      compaction: { strategy: "size-tiered" },
    }),
);

test("compactions of an empty database do nothing", () =>
  withDb(async (db) => {
    assertEquals(await db.minorCompact(), false);
    assertEquals(await db.tombstoneCompact(), false);
    assertEquals(await db.majorCompact(), false);
  }, QUIET));

test(
  "minorCompact() is one round: it answers whether it did something",
  LONG,
  () =>
    withDb(async (db) => {
      await putTable(db, 0, 20);
      assertEquals(await db.minorCompact(), false);
      await putTable(db, 10, 30);
      assertEquals(await db.minorCompact(), true);
      assertEquals(db.stats().tableCount, 1);
      assertEquals(db.stats().compaction.runs, 1);
      assertEquals(await db.minorCompact(), false);
      assertEquals([...db.scan()].length, 30);
    }, QUIET),
);

test(
  "minorCompact() merges at most maxThreshold tables",
  LONG,
  () =>
    withDb(async (db) => {
      for (let table = 0; table < 9; table++) {
        await putTable(db, table * 10, table * 10 + 10);
      }
      assert(await db.minorCompact());
      assertEquals(db.stats().tableCount, 9 - 3 + 1);
    }, {
      ...QUIET,
      compaction: { ...QUIET.compaction, minThreshold: 2, maxThreshold: 3 },
    }),
);

test(
  "minorCompact() leaves tables of other sizes alone",
  LONG,
  () =>
    withDb(async (db) => {
      await putTable(db, 0, 1000);
      const large = db.stats().totalTableBytes;
      await putTable(db, 0, 20);
      await putTable(db, 10, 30);
      assert(await db.minorCompact());
      assertEquals(db.stats().tableCount, 2);
      assertLess(db.stats().compaction.bytesRead, large);
      assertEquals([...db.scan()].length, 1000);
    }, QUIET),
);

test("majorCompact() flushes first", () =>
  withDb(async (db) => {
    await db.put("a", "1");
    await db.delete("b");
    assert(await db.majorCompact());
    assertEquals(db.stats().memtable.entries, 0);
    assertEquals(totals(db), { entries: 1, tombstones: 0, ranges: 0 });
  }, QUIET));

test(
  "majorCompact() leaves one sorted run without tombstones",
  LONG,
  () =>
    withDb(async (db) => {
      for (let table = 0; table < 5; table++) {
        await putTable(db, table * 50, table * 50 + 100);
        await db.deleteRange(
          numbered("k", table * 50),
          numbered("k", table * 50 + 10),
        );
        await db.delete(numbered("k", table * 50 + 20));
      }
      const before = keys(db.scan());
      assert(await db.majorCompact());
      assertEquals(keys(db.scan()), before);
      assertEquals(db.stats().tableCount, 1);
      assertEquals(totals(db), {
        entries: before.length,
        tombstones: 0,
        ranges: 0,
      });
      assertEquals(db.stats().spaceAmplification, 1);
    }, QUIET),
);

test(
  "majorCompact() of one table without anything to drop does nothing",
  LONG,
  () =>
    withDb(async (db) => {
      await putTable(db, 0, 50);
      const sizes = db.stats().tableSizes;
      assertEquals(await db.majorCompact(), false);
      assertEquals(db.stats().tableSizes, sizes);
      assertEquals(db.stats().compaction.runs, 0);
    }, QUIET),
);

test(
  "majorCompact() rewrites one table that holds tombstones",
  LONG,
  () =>
    withDb(async (db) => {
      await db.put("a", "1");
      await db.delete("b");
      await db.flush();
      assertEquals(await db.majorCompact(), true);
      assertEquals(totals(db), { entries: 1, tombstones: 0, ranges: 0 });
      await db.deleteRange("a", "b");
      await db.flush();
      assertEquals(await db.majorCompact(), true);
      assertEquals(db.stats().tableCount, 0);
      assertEquals(db.stats().totalTableBytes, 0);
    }, QUIET),
);

test(
  "majorCompact() rewrites one table that holds overwritten entries",
  LONG,
  () =>
    withDb(async (db) => {
      await db.put("a", "1");
      const snapshot = db.snapshot();
      await db.put("a", "2");
      await db.flush();
      assertEquals(totals(db).entries, 2);
      snapshot[Symbol.dispose]();
      assertEquals(await db.majorCompact(), true);
      assertEquals(totals(db).entries, 1);
      assertEquals(text(db.get("a")), "2");
      assertEquals(await db.majorCompact(), false);
    }, QUIET),
);

test(
  "tombstoneCompact() drops tombstones that shadow nothing",
  LONG,
  () =>
    withDb(async (db) => {
      await putTable(db, 0, 50);
      for (let i = 0; i < 50; i++) await db.delete(numbered("ghost", i));
      await db.deleteRange("ghost_1", "ghost_2");
      await db.flush();
      assert(await db.tombstoneCompact());
      assertEquals(totals(db), { entries: 50, tombstones: 0, ranges: 0 });
      assertEquals(await untilFalse(() => db.tombstoneCompact()), 0);
    }, QUIET),
);

test(
  "tombstoneCompact() keeps tombstones that hide something",
  LONG,
  () =>
    withDb(async (db) => {
      await putTable(db, 0, 50);
      for (let i = 0; i < 25; i++) await db.delete(numbered("k", i));
      await db.flush();
      await untilFalse(() => db.tombstoneCompact());
      assertEquals(totals(db).tombstones, 25);
      assertEquals(keys(db.scan()).length, 25);
    }, QUIET),
);

test(
  "tombstoneCompact() drops what a snapshot needed once that is closed",
  LONG,
  () =>
    withDb(async (db) => {
      await db.put("a", "1");
      const snapshot = db.snapshot();
      await db.delete("a");
      await db.flush();
      assertEquals(await db.tombstoneCompact(), false);
      assertEquals(totals(db).tombstones, 1);
      snapshot[Symbol.dispose]();
      assertEquals(await db.tombstoneCompact(), true);
      assertEquals(db.stats().tableCount, 0);
    }, QUIET),
);

test(
  "tombstoneCompact() drops what hid something, once a merge has removed that",
  LONG,
  () =>
    withDb(async (db) => {
      await putTable(db, 0, 20);
      // As large as the first table, and hides the half of it.
      for (let i = 0; i < 10; i++) await db.delete(numbered("k", i));
      await putTable(db, 20, 40);
      // Small, and hides the same.
      for (let i = 0; i < 10; i++) await db.delete(numbered("k", i));
      await db.flush();
      assertEquals(await db.tombstoneCompact(), false);
      assert(await db.minorCompact());
      assertEquals(totals(db), { entries: 30 + 10, tombstones: 10, ranges: 0 });
      assertEquals(await db.tombstoneCompact(), true);
      assertEquals(totals(db), { entries: 30, tombstones: 0, ranges: 0 });
    }, QUIET),
);

test(
  "tombstoneCompact() leaves tables below tombstoneRatio alone",
  LONG,
  () =>
    withDb(async (db) => {
      for (let i = 0; i < 20; i++) await db.put(numbered("k", i), "v");
      await db.delete("ghost");
      await db.flush();
      assertEquals(await db.tombstoneCompact(), false);
      assertEquals(totals(db).tombstones, 1);
    }, QUIET),
);

test(
  "tombstoneCompact() leaves young tables alone for tombstoneInterval",
  LONG,
  () =>
    withDb(async (db) => {
      await db.delete("ghost");
      await db.flush();
      assertEquals(await db.tombstoneCompact(), false);
      assertEquals(totals(db).tombstones, 1);
    }, {
      ...QUIET,
      compaction: { ...QUIET.compaction, tombstoneInterval: 604_800 },
    }),
);

test(
  "tombstoneCompact() keeps range tombstones when told to",
  LONG,
  () =>
    withDb(async (db) => {
      await db.deleteRange("a", "b");
      await db.flush();
      await untilFalse(() => db.tombstoneCompact());
      assertEquals(totals(db).ranges, 1);
    }, {
      ...QUIET,
      compaction: { ...QUIET.compaction, tombstoneRangeDrop: false },
    }),
);

for (const strategy of ["size-tiered", "leveled"] as const) {
  test(
    `every compaction keeps every row (${strategy})`,
    LONG,
    () =>
      withDb(async (db) => {
        for (let round = 0; round < 6; round++) {
          for (let i = round; i < 300; i += round + 1) {
            db.put(numbered("k", i), `${round}`);
          }
          await db.deleteRange(
            numbered("k", round * 10),
            numbered("k", round * 10 + 5),
          );
          await db.flush();
        }
        const before = rows(db.scan());
        assertGreater(before.length, 200);
        await untilFalse(() => db.minorCompact());
        assertEquals(rows(db.scan()), before);
        await untilFalse(() => db.tombstoneCompact());
        assertEquals(rows(db.scan()), before);
        await db.majorCompact();
        assertEquals(rows(db.scan()), before);
        assertEquals(rows(db.scan({ reverse: true })), before.toReversed());
      }, {
        ...QUIET,
        writeBufferSize: 4096,
        blockSize: 256,
        compaction: { ...QUIET.compaction, strategy },
      }),
  );
}

test("keys that came in order: their tables become one run, and none is written again", () =>
  withDb(async (db) => {
    const value = new Uint8Array(1024 * 1024);
    const put = (i: number) => {
      value[0] = i;
      return db.put(numbered("k", i), value);
    };
    const numbers: number[] = [];
    for (const first of [0, 100, 200]) {
      for (let i = first; i < first + 17; i++) {
        numbers.push(i);
        await put(i);
      }
      assertEquals(await db.flush(), 1);
    }
    const check = () => {
      const found = Array.from(db.scan(), ([key, { 0: i }]) => [text(key), i]);
      assertEquals(found, numbers.map((i) => [numbered("k", i), i]));
    };
    assertEquals(await untilFalse(() => db.minorCompact()), 1);
    const tablesOf = () => db.stats().levels.map(({ tables }) => tables);
    assertEquals(tablesOf(), [0, 0, 0, 0, 0, 0, 3]);
    assertEquals(db.stats().compaction.bytesWritten, 0);
    assertEquals(await db.majorCompact(), false);
    check();
    // What comes between them is merged with them.
    await put(50);
    numbers.splice(17, 0, 50);
    assertEquals(await db.majorCompact(), true);
    assertGreater(db.stats().compaction.bytesWritten, 50 * value.length);
    assertEquals(tablesOf()[0], 1);
    check();
  }, { ...QUIET, writeBufferSize: 64 * 1024 * 1024 }));
