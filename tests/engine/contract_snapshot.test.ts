/**
 * The contract of `snapshot`.
 *
 * @module
 */
import { test } from "node:test";
import type { Db } from "../../mod.ts";
import { assert, assertEquals } from "../assert.ts";
import { keys, numbered, rows, text } from "./support/bytes.ts";
import { LONG } from "./support/configs.ts";
import { untilFalse, withDb } from "./support/database.ts";
import { throwsWith } from "./support/errors.ts";

const QUIET = {
  durability: "buffered",
  compaction: { background: "off", minThreshold: 2 },
} as const;

async function putLetters(db: Db): Promise<void> {
  for (const letter of "abcd") await db.put(letter, "old");
}

test(
  "a snapshot reads as of its creation, through every change",
  LONG,
  () =>
    withDb(async (db) => {
      await putLetters(db);
      using snapshot = db.snapshot();
      const check = () => {
        assertEquals(text(snapshot.get("a")), "old");
        assertEquals(snapshot.getMany(["b", "new", "c"]).map(text), [
          "old",
          undefined,
          "old",
        ]);
        assert(snapshot.has("d"));
        assert(!snapshot.has("new"));
        assertEquals(keys(snapshot.scan()).join(""), "abcd");
        assertEquals(keys(snapshot.scan({ reverse: true })).join(""), "dcba");
        assertEquals(keys(snapshot.scan({ gt: "a", limit: 2 })).join(""), "bc");
      };
      const steps: (() => Promise<unknown>)[] = [
        () => db.put("a", "new"),
        () => db.delete("b"),
        () => db.put("new", "new"),
        () => db.flush(),
        () => db.deleteRange("c", "e"),
        () => db.flush(),
        () => untilFalse(() => db.minorCompact()),
        () => untilFalse(() => db.tombstoneCompact()),
        () => db.majorCompact(),
        () => db.clear(),
        () => db.majorCompact(),
      ];
      check();
      for (const step of steps) {
        await step();
        check();
      }
      assertEquals(rows(db.scan()), []);
    }, QUIET),
);

test(
  "snapshots of different moments keep their own versions",
  LONG,
  () =>
    withDb(async (db) => {
      const snapshots = [];
      for (let i = 0; i < 10; i++) {
        await db.put("k", `v${i}`);
        if (i % 3 === 2) await db.delete("other");
        else await db.put("other", `o${i}`);
        snapshots.push(db.snapshot());
        if (i % 4 === 0) await db.flush();
      }
      await db.put("k", "last");
      await db.majorCompact();
      snapshots.forEach((snapshot, i) => {
        assertEquals(text(snapshot.get("k")), `v${i}`);
        const other = i % 3 === 2 ? undefined : `o${i}`;
        assertEquals(text(snapshot.get("other")), other);
      });
      // Letting go of one in the middle costs the others nothing.
      snapshots[4][Symbol.dispose]();
      await db.majorCompact();
      assertEquals(text(snapshots[3].get("k")), "v3");
      assertEquals(text(snapshots[5].get("k")), "v5");
      for (const snapshot of snapshots) snapshot[Symbol.dispose]();
      await db.majorCompact();
      assertEquals(db.stats().levels.reduce((n, l) => n + l.entries, 0), 2);
      assertEquals(rows(db.scan()), [["k", "last"], ["other", "o9"]]);
    }, QUIET),
);

test("a snapshot taken within one event-loop turn sees what was called before it", () =>
  withDb(async (db) => {
    const first = db.put("a", "1");
    using snapshot = db.snapshot();
    const second = db.put("a", "2");
    assertEquals(text(snapshot.get("a")), "1");
    await Promise.all([first, second]);
    assertEquals(text(snapshot.get("a")), "1");
  }));

test("a batch is in a snapshot whole or not at all", () =>
  withDb(async (db) => {
    using before = db.snapshot();
    const waiting = db.write([
      { type: "put", key: "a", value: "1" },
      { type: "put", key: "b", value: "1" },
    ]);
    using after = db.snapshot();
    assertEquals(keys(before.scan()), []);
    assertEquals(keys(after.scan()), ["a", "b"]);
    await waiting;
  }));

test("a disposed snapshot is CLOSED, disposed twice or not", () =>
  withDb(async (db) => {
    await putLetters(db);
    const snapshot = db.snapshot();
    assertEquals(db.stats().openSnapshots, 1);
    snapshot[Symbol.dispose]();
    snapshot[Symbol.dispose]();
    assertEquals(db.stats().openSnapshots, 0);
    throwsWith("CLOSED", () => snapshot.get("a"));
    throwsWith("CLOSED", () => snapshot.getMany(["a"]));
    throwsWith("CLOSED", () => snapshot.has("a"));
    throwsWith("CLOSED", () => snapshot.scan());
  }));

test(
  "a scan of a snapshot outlives the snapshot's versions",
  LONG,
  () =>
    withDb(async (db) => {
      for (let i = 0; i < 100; i++) await db.put(numbered("k", i), "old");
      const snapshot = db.snapshot();
      const scan = snapshot.scan();
      snapshot[Symbol.dispose]();
      await db.clear();
      await db.majorCompact();
      // Either the scan goes on as of its moment, or it says that it is closed.
      const found = rows(scan);
      assertEquals(found.length, 100);
      assert(found.every(([, value]) => value === "old"));
    }, QUIET),
);

test("a snapshot on a database that is closed is CLOSED", () =>
  withDb(async (db) => {
    await putLetters(db);
    const snapshot = db.snapshot();
    await db.close();
    throwsWith("CLOSED", () => snapshot.get("a"));
    throwsWith("CLOSED", () => snapshot.scan());
    throwsWith("CLOSED", () => db.snapshot());
    snapshot[Symbol.dispose]();
  }));

test("snapshot reads check their arguments like the database's", () =>
  withDb((db) => {
    using snapshot = db.snapshot();
    // deno-lint-ignore no-explicit-any -- wrong on purpose.
    const wrong = 5 as any;
    throwsWith("INVALID_ARGUMENT", () => snapshot.get(wrong));
    throwsWith("INVALID_ARGUMENT", () => snapshot.getMany([wrong]));
    throwsWith("INVALID_ARGUMENT", () => snapshot.has(wrong));
    throwsWith("INVALID_ARGUMENT", () => snapshot.scan({ gte: wrong }));
    throwsWith("INVALID_ARGUMENT", () => snapshot.scan({ limit: -1 }));
  }));

test(
  "what an open snapshot needs stays until a later compaction",
  LONG,
  () =>
    withDb(async (db) => {
      await putLetters(db);
      const snapshot = db.snapshot();
      await db.clear();
      await db.majorCompact();
      assertEquals(db.stats().levels.reduce((n, l) => n + l.entries, 0), 4);
      assertEquals(keys(snapshot.scan()).join(""), "abcd");
      snapshot[Symbol.dispose]();
      assert(await db.majorCompact());
      assertEquals(db.stats().tableCount, 0);
    }, QUIET),
);
