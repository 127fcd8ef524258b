/**
 * aeternusdb's tests of minor compaction: a write buffer of 256 bytes makes
 * many tables, and two of like size are enough for a round.
 *
 * Combination: its own.
 *
 * @module
 */
import { test } from "node:test";
import type { Db } from "../../mod.ts";
import {
  assert,
  assertEquals,
  assertGreater,
  assertGreaterOrEqual,
  assertLess,
  assertLessOrEqual,
} from "../assert.ts";
import { open } from "../open.ts";
import { withTempDir } from "../temp.ts";
import { numbered, rows, text } from "./support/bytes.ts";
import { COMPACTION_CONFIG, LONG } from "./support/configs.ts";
import { untilFalse, withDb } from "./support/database.ts";

const withCompactionDb = (body: (db: Db) => Promise<void>) =>
  withDb(body, COMPACTION_CONFIG);

async function putKeys(
  db: Db,
  from: number,
  to: number,
  value: (i: number) => string,
): Promise<void> {
  for (let i = from; i < to; i++) await db.put(numbered("key", i), value(i));
  await db.flush();
}

function expectKeys(
  db: Db,
  from: number,
  to: number,
  value: (i: number) => string | undefined,
): void {
  for (let i = from; i < to; i++) {
    const key = numbered("key", i);
    assertEquals(text(db.get(key)), value(i), key);
  }
}

const always = (value: string) => () => value;
const deleted = () => undefined;
const ownValue = (i: number) => numbered("val", i);

test(
  "minor compaction merges tables of like size",
  LONG,
  () =>
    withCompactionDb(async (db) => {
      await putKeys(db, 0, 100, ownValue);
      const before = db.stats();
      assertGreaterOrEqual(before.tableCount, 2);
      assert(await db.minorCompact());
      const after = db.stats();
      assertLess(after.tableCount, before.tableCount);
      assertLessOrEqual(after.totalTableBytes, before.totalTableBytes);
      expectKeys(db, 0, 100, ownValue);
    }),
);

test(
  "minor compaction does nothing below minThreshold tables",
  LONG,
  () =>
    withDb(async (db) => {
      await putKeys(db, 0, 5, always("val"));
      const before = db.stats();
      assertEquals(before.tableCount, 1);
      assertEquals(await db.minorCompact(), false);
      assertEquals(db.stats().tableSizes, before.tableSizes);
      // Room for all five records in one memtable, whatever a node costs.
    }, { ...COMPACTION_CONFIG, writeBufferSize: 4096 }),
);

test(
  "minor compaction keeps point tombstones",
  LONG,
  () =>
    withCompactionDb(async (db) => {
      await putKeys(db, 0, 50, always("val"));
      for (let i = 0; i < 25; i++) await db.delete(numbered("key", i));
      await db.flush();
      const before = db.stats().tableCount;
      assertGreaterOrEqual(before, 2);
      await db.minorCompact();
      assertLess(db.stats().tableCount, before);
      expectKeys(db, 0, 25, deleted);
      expectKeys(db, 25, 50, always("val"));
    }),
);

test(
  "minor compaction keeps range tombstones",
  LONG,
  () =>
    withCompactionDb(async (db) => {
      await putKeys(db, 0, 50, always("val"));
      await db.deleteRange("key_0010", "key_0030");
      await db.flush();
      const before = db.stats().tableCount;
      await db.minorCompact();
      assertLess(db.stats().tableCount, before);
      expectKeys(db, 10, 30, deleted);
      expectKeys(db, 0, 10, always("val"));
      expectKeys(db, 30, 50, always("val"));
    }),
);

test(
  "minor compaction keeps only the newest version",
  LONG,
  () =>
    withCompactionDb(async (db) => {
      await putKeys(db, 0, 30, always("v1"));
      await putKeys(db, 0, 30, always("v2"));
      const before = db.stats();
      assertGreaterOrEqual(before.tableCount, 2);
      await db.minorCompact();
      const after = db.stats();
      assertLess(after.tableCount, before.tableCount);
      assertLessOrEqual(after.totalTableBytes, before.totalTableBytes * 0.75);
      expectKeys(db, 0, 30, always("v2"));
    }),
);

test(
  "minor compaction survives a reopen",
  LONG,
  () =>
    withTempDir(async (dir) => {
      const first = await open(dir, COMPACTION_CONFIG);
      await putKeys(first, 0, 80, always("val"));
      assert(await first.minorCompact());
      const tables = first.stats().tableSizes;
      await first.close();
      await using second = await open(dir, COMPACTION_CONFIG);
      assertEquals(second.stats().tableSizes, tables);
      expectKeys(second, 0, 80, always("val"));
    }),
);

test(
  "minor compaction in a loop comes to an end",
  LONG,
  () =>
    withCompactionDb(async (db) => {
      await putKeys(db, 0, 200, always("val"));
      const before = db.stats();
      const rounds = await untilFalse(() => db.minorCompact(), 20);
      assertGreater(rounds, 0);
      const after = db.stats();
      assertLessOrEqual(after.tableCount, Math.floor(before.tableCount / 2));
      assertLessOrEqual(after.totalTableBytes, before.totalTableBytes);
      expectKeys(db, 0, 200, always("val"));
    }),
);

test(
  "minor compaction leaves scans as they were",
  LONG,
  () =>
    withCompactionDb(async (db) => {
      await putKeys(db, 0, 60, ownValue);
      const range = { gte: "key_0000", lt: "key_9999" };
      const before = rows(db.scan(range));
      assertEquals(before.length, 60);
      assert(await db.minorCompact());
      assertEquals(rows(db.scan(range)), before);
    }),
);

test(
  "minor compaction of overwrites and deletes side by side",
  LONG,
  () =>
    withCompactionDb(async (db) => {
      await putKeys(db, 0, 40, always("v1"));
      await putKeys(db, 10, 20, always("v2"));
      for (let i = 30; i < 35; i++) await db.delete(numbered("key", i));
      await db.flush();
      const before = db.stats().tableCount;
      await db.minorCompact();
      assertLess(db.stats().tableCount, before);
      expectKeys(db, 0, 10, always("v1"));
      expectKeys(db, 10, 20, always("v2"));
      expectKeys(db, 20, 30, always("v1"));
      expectKeys(db, 30, 35, deleted);
      expectKeys(db, 35, 40, always("v1"));
    }),
);
