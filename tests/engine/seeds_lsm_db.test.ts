/**
 * The scenarios of lsm-db's own engine tests: a buffer over a run on disk.
 *
 * @module
 */
import { test } from "node:test";
import { Batch, type Db } from "../../mod.ts";
import { assertEquals, assertGreaterOrEqual } from "../assert.ts";
import { open } from "../open.ts";
import { withTempDir } from "../temp.ts";
import { bytes, rows, text } from "./support/bytes.ts";
import { withDb } from "./support/database.ts";

const QUIET = { compaction: { background: "off" } } as const;

async function fill(db: Db, entries: Record<string, string>): Promise<void> {
  for (const [key, value] of Object.entries(entries)) await db.put(key, value);
}

test("lsm-db: put, then get, gives the value back", () =>
  withDb(async (db) => {
    await db.put("k", "v");
    assertEquals(db.get("k"), bytes("v"));
  }));

test("lsm-db: get of an absent key is undefined", () =>
  withDb((db) => {
    assertEquals(db.get("absent"), undefined);
  }));

test("lsm-db: an overwrite returns the latest value", () =>
  withDb(async (db) => {
    await db.put("k", "old");
    await db.put("k", "new");
    assertEquals(text(db.get("k")), "new");
  }));

test("lsm-db: delete hides the value, and of an absent key is no error", () =>
  withDb(async (db) => {
    await db.put("k", "v");
    await db.delete("k");
    await db.delete("never-existed");
    assertEquals(db.get("k"), undefined);
  }));

test("lsm-db: delete, then put, revives the key", () =>
  withDb(async (db) => {
    await db.put("k", "v1");
    await db.delete("k");
    await db.put("k", "v2");
    assertEquals(text(db.get("k")), "v2");
  }));

test("lsm-db: a flushed key is read from the table", () =>
  withDb(async (db) => {
    await db.put("k", "v");
    assertEquals(await db.flush(), 1);
    assertEquals(db.stats().memtable.entries, 0);
    assertEquals(db.stats().tableCount, 1);
    assertEquals(text(db.get("k")), "v");
  }, QUIET));

test("lsm-db: the memtable shadows the table", () =>
  withDb(async (db) => {
    await db.put("k", "on-disk");
    await db.flush();
    await db.put("k", "in-memory");
    assertEquals(text(db.get("k")), "in-memory");
  }, QUIET));

test("lsm-db: delete after flush hides the table's value, also once flushed", () =>
  withDb(async (db) => {
    await db.put("k", "v");
    await db.flush();
    await db.delete("k");
    assertEquals(db.get("k"), undefined);
    await db.flush();
    assertEquals(db.get("k"), undefined);
    // lsm-db merges at every flush, so that the key is then gone from disk.
    await db.majorCompact();
    assertEquals(db.get("k"), undefined);
    assertEquals(db.stats().tableCount, 0);
  }, QUIET));

test("lsm-db: reopening reads flushed keys", () =>
  withTempDir(async (dir) => {
    const first = await open(dir);
    await fill(first, { a: "1", b: "2" });
    await first.flush();
    await first.close();
    await using second = await open(dir);
    assertEquals(text(second.get("a")), "1");
    assertEquals(text(second.get("b")), "2");
  }));

test("lsm-db: a full memtable is flushed without being asked", () =>
  withDb(async (db) => {
    for (let i = 0; i < 20; i++) await db.put("k", `v${i}`);
    // Waits for the flushes under way; there is nothing left to write then.
    await db.flush();
    assertGreaterOrEqual(db.stats().flush.runs, 2);
    assertEquals(text(db.get("k")), "v19");
  }, { ...QUIET, writeBufferSize: 128 }));

test("lsm-db: scan over everything is in order", () =>
  withDb(async (db) => {
    await fill(db, { c: "3", a: "1", b: "2" });
    assertEquals(rows(db.scan()), [["a", "1"], ["b", "2"], ["c", "3"]]);
  }));

test("lsm-db: scan over half-open, inclusive, from and to ranges", () =>
  withDb(async (db) => {
    await fill(db, { a: "1", b: "2", c: "3", d: "4" });
    assertEquals(rows(db.scan({ gte: "b", lt: "d" })), [["b", "2"], [
      "c",
      "3",
    ]]);
    assertEquals(rows(db.scan({ gte: "a", lte: "b" })), [["a", "1"], [
      "b",
      "2",
    ]]);
    assertEquals(rows(db.scan({ gte: "c" })), [["c", "3"], ["d", "4"]]);
    assertEquals(rows(db.scan({ lt: "b" })), [["a", "1"]]);
  }));

test("lsm-db: scan merges memtable and table", () =>
  withDb(async (db) => {
    await fill(db, { a: "old-a", c: "3" });
    await db.flush();
    await fill(db, { a: "new-a", b: "2" });
    await db.delete("c");
    assertEquals(rows(db.scan()), [["a", "new-a"], ["b", "2"]]);
    assertEquals(rows(db.scan({ reverse: true })), [["b", "2"], [
      "a",
      "new-a",
    ]]);
  }, QUIET));

test("lsm-db: a batch applies all of its operations", () =>
  withDb(async (db) => {
    await db.put("c", "keep");
    await db.write(new Batch().put("a", "1").put("b", "2").delete("c"));
    assertEquals(rows(db.scan()), [["a", "1"], ["b", "2"]]);
  }));

test("lsm-db: the last operation of a batch on a key wins", () =>
  withDb(async (db) => {
    await db.write(new Batch().put("a", "1").delete("a").put("a", "2"));
    await db.write(new Batch().put("b", "1").delete("b"));
    assertEquals(rows(db.scan()), [["a", "2"]]);
  }));

test("lsm-db: an empty value is a value, before and after flush", () =>
  withDb(async (db) => {
    await db.put("k", "");
    assertEquals(db.get("k"), new Uint8Array(0));
    await db.flush();
    assertEquals(db.get("k"), new Uint8Array(0));
    assertEquals(db.has("k"), true);
  }));

test("lsm-db: an empty key is a key, before and after flush", () =>
  withDb(async (db) => {
    await db.put("", "nothing before it");
    await db.put("a", "1");
    const expected: [string, string][] = [["", "nothing before it"], [
      "a",
      "1",
    ]];
    assertEquals(rows(db.scan()), expected);
    await db.flush();
    assertEquals(rows(db.scan()), expected);
    assertEquals(text(db.get("")), "nothing before it");
  }));

test("lsm-db: flush of an empty buffer is a no-op", () =>
  withDb(async (db) => {
    assertEquals(await db.flush(), 0);
    assertEquals(db.stats().tableCount, 0);
  }));

test("lsm-db: many tasks share one handle", () =>
  withDb(async (db) => {
    const task = async (id: number) => {
      for (let i = 0; i < 20; i++) {
        await db.put(`${id}-${i}`, String(i));
        assertEquals(text(db.get(`${id}-${i}`)), String(i));
      }
    };
    await Promise.all(Array.from({ length: 8 }, (_, id) => task(id)));
    assertEquals(rows(db.scan()).length, 160);
  }));
