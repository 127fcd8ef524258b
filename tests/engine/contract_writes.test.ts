/**
 * The contract of `put`, `delete`, `deleteRange`, `clear` and `write`.
 *
 * @module
 */
import { test } from "node:test";
import { Batch, type Db, type KeyRange, type Operation } from "../../mod.ts";
import { assert, assertEquals, assertLess, assertRejects } from "../assert.ts";
import { bytes, filled, keys, rows, text } from "./support/bytes.ts";
import { LONG } from "./support/configs.ts";
import { withDb } from "./support/database.ts";
import { rejectsWith } from "./support/errors.ts";
import { viewsOf } from "./support/views.ts";

const QUIET = { compaction: { background: "off" } } as const;
const MAX_KEY = 64 * 1024;
const MAX_VALUE = 256 * 1024 * 1024;

/** Values that no key, value or bound may be. */
// deno-lint-ignore no-explicit-any -- wrong on purpose.
const NOT_BYTES: any[] = [
  undefined,
  null,
  1,
  true,
  {},
  [1],
  new ArrayBuffer(1),
];

async function putLetters(db: Db, letters: string): Promise<void> {
  for (const letter of letters) await db.put(letter, letter.toUpperCase());
}

function letters(db: Db): string {
  return keys(db.scan()).join("");
}

test("a write is visible before its promise resolves", () =>
  withDb(async (db) => {
    const waiting = [db.put("a", "1"), db.put("b", "1"), db.put("c", "1")];
    assertEquals(text(db.get("a")), "1");
    waiting.push(db.delete("a"));
    assertEquals(db.get("a"), undefined);
    waiting.push(db.deleteRange("b", "c"));
    assertEquals(letters(db), "c");
    waiting.push(db.write(new Batch().put("d", "1")));
    assertEquals(letters(db), "cd");
    waiting.push(db.clear());
    assertEquals(letters(db), "");
    await Promise.all(waiting);
  }));

test(
  "a write is visible while its promise waits for a flush",
  LONG,
  () =>
    withDb(async (db) => {
      const waiting: Promise<void>[] = [];
      for (let i = 0; i < 100; i++) {
        waiting.push(db.put(`k${i}`, filled(100, i)));
        assertEquals(db.get(`k${i}`), filled(100, i));
      }
      await Promise.all(waiting);
    }, { ...QUIET, writeBufferSize: 128, maxFrozenMemtables: 1 }),
);

test("writes resolve to undefined", () =>
  withDb(async (db) => {
    const results: unknown[] = await Promise.all([
      db.put("a", "1"),
      db.delete("a"),
      db.deleteRange("a", "b"),
      db.clear(),
      db.write([]),
      db.sync(),
    ]);
    assertEquals(results, Array(6).fill(undefined));
  }));

test("put() copies key and value before it returns", () =>
  withDb(async (db) => {
    const key = bytes("key");
    const value = bytes("value");
    const waiting = db.put(key, value);
    key.fill(0);
    value.fill(0);
    await waiting;
    assertEquals(rows(db.scan()), [["key", "value"]]);
    await db.flush();
    assertEquals(rows(db.scan()), [["key", "value"]]);
  }));

test("deleteRange() copies its bounds before it returns", () =>
  withDb(async (db) => {
    await putLetters(db, "abcde");
    const start = bytes("b");
    const end = bytes("d");
    const waiting = db.deleteRange(start, end);
    start.fill(0);
    end.fill(255);
    await waiting;
    assertEquals(letters(db), "ade");
  }));

test("Batch copies what it is given, and counts it", () =>
  withDb(async (db) => {
    const key = bytes("a");
    const batch = new Batch();
    assertEquals(batch.size, 0);
    batch.put(key, key).delete(key).put(key, key);
    const start = bytes("x");
    batch.deleteRange(start, bytes("z"));
    assertEquals(batch.size, 4);
    key.fill(0);
    start.fill(0);
    await db.put("y", "covered");
    await db.write(batch);
    assertEquals(rows(db.scan()), [["a", "a"]]);
    assertEquals(batch.clear().size, 0);
    await db.write(batch);
    assertEquals(rows(db.scan()), [["a", "a"]]);
  }));

test("a Batch changed after write() does not change what was written", () =>
  withDb(async (db) => {
    const batch = new Batch().put("a", "1");
    const waiting = db.write(batch);
    batch.put("b", "2").clear();
    await waiting;
    assertEquals(rows(db.scan()), [["a", "1"]]);
  }));

test("a Batch may be written again", () =>
  withDb(async (db) => {
    const batch = new Batch().put("a", "1").put("b", "2");
    await db.write(batch);
    await db.clear();
    await db.write(batch);
    assertEquals(letters(db), "ab");
  }));

test("write() applies operations in call order", () =>
  withDb(async (db) => {
    await putLetters(db, "abcd");
    await db.write(
      new Batch()
        .put("b", "gone again")
        .deleteRange("a", "c")
        .put("a", "back")
        .put("c", "first")
        .put("c", "second")
        .delete("d")
        .put("d", "revived")
        .put("e", "e")
        .delete("e"),
    );
    const expected = [["a", "back"], ["c", "second"], ["d", "revived"]];
    assertEquals<unknown>(rows(db.scan()), expected);
    await db.flush();
    assertEquals<unknown>(rows(db.scan()), expected);
    await db.majorCompact();
    assertEquals<unknown>(rows(db.scan()), expected);
  }, QUIET));

test("write() takes any iterable of operations", () =>
  withDb(async (db) => {
    await putLetters(db, "xyz");
    function* operations(): Generator<Operation> {
      yield { type: "put", key: "a", value: bytes("1") };
      yield { type: "delete", key: bytes("x") };
      yield { type: "deleteRange", start: "y", end: bytes("z") };
    }
    await db.write(operations());
    assertEquals(letters(db), "az");
    await db.write(new Set<Operation>([{ type: "delete", key: "a" }]));
    assertEquals(letters(db), "z");
  }));

test("write() counts as one commit", () =>
  withDb(async (db) => {
    const { commits } = db.stats().wal;
    await db.write(new Batch().put("a", "1").put("b", "2").delete("c"));
    assertEquals(db.stats().wal.commits, commits + 1);
  }));

test("write() of a batch made a view for each of its values", () =>
  withDb(async (db) => {
    const batch = new Batch();
    const value = filled(150);
    for (let i = 0; i < 1000; i++) batch.put(`key ${i}`, value);
    assertLess(await viewsOf(() => db.write(batch)), 100);
    for (let i = 0; i < 1000; i++) assertEquals(db.get(`key ${i}`), value);
  }, QUIET));

test("write() with a bad operation applies none of it", () =>
  withDb(async (db) => {
    // deno-lint-ignore no-explicit-any -- wrong on purpose.
    const bad: any[] = [
      { type: "increment", key: "b" },
      { type: "put", key: "b" },
      { type: "put", key: 1, value: "b" },
      { type: "delete" },
      { type: "deleteRange", start: "a", end: "a" },
      { type: "deleteRange", start: "a" },
      null,
      "put",
    ];
    for (const operation of bad) {
      await rejectsWith(
        "INVALID_ARGUMENT",
        () => db.write([{ type: "put", key: "a", value: "1" }, operation]),
      );
      assertEquals(letters(db), "");
    }
    // deno-lint-ignore no-explicit-any -- wrong on purpose.
    for (const batch of [undefined, null, 1, {}] as any[]) {
      await rejectsWith("INVALID_ARGUMENT", () => db.write(batch));
    }
  }));

test("write() of an iterable that throws applies nothing", () =>
  withDb(async (db) => {
    function* broken(): Generator<Operation> {
      yield { type: "put", key: "a", value: "1" };
      throw new RangeError("the caller's own");
    }
    await assertRejects(() => db.write(broken()), RangeError, "own");
    assertEquals(letters(db), "");
  }));

test("write() of an empty batch is accepted", () =>
  withDb(async (db) => {
    await db.write(new Batch());
    await db.write([]);
    assertEquals(letters(db), "");
  }));

test("deleteRange() removes [start, end), and nothing written later", () =>
  withDb(async (db) => {
    await putLetters(db, "abcde");
    await db.deleteRange("b", "d");
    assertEquals(letters(db), "ade");
    await db.put("c", "new");
    assertEquals(text(db.get("c")), "new");
    await db.flush();
    assertEquals(letters(db), "acde");
    await db.deleteRange("", "c");
    assertEquals(letters(db), "cde");
    await db.flush();
    await db.majorCompact();
    assertEquals(letters(db), "cde");
  }, QUIET));

test("deleteRange() is one record, whatever it covers", () =>
  withDb(async (db) => {
    for (let i = 0; i < 500; i++) await db.put(`k${i}`, "v");
    const before = db.stats();
    await db.deleteRange("k", "l");
    const after = db.stats();
    assertEquals(after.lastSequence, before.lastSequence + 1);
    assertEquals(after.wal.commits, before.wal.commits + 1);
    assertEquals(after.memtable.rangeTombstones, 1);
    assertEquals(after.memtable.entries, before.memtable.entries);
    assertEquals(letters(db), "");
  }, { ...QUIET, durability: "buffered" }));

test("deleteRange() with start >= end is INVALID_ARGUMENT", () =>
  withDb(async (db) => {
    await putLetters(db, "ab");
    for (
      const [start, end] of [["b", "a"], ["a", "a"], ["", ""], ["ab", "a"]]
    ) {
      await rejectsWith("INVALID_ARGUMENT", () => db.deleteRange(start, end));
      await rejectsWith(
        "INVALID_ARGUMENT",
        // A batch may refuse when it is filled, or when it is written.
        async () => await db.write(new Batch().deleteRange(start, end)),
      );
    }
    assertEquals(letters(db), "ab");
  }));

test("clear() without a range removes everything", () =>
  withDb(async (db) => {
    const extremes = [
      new Uint8Array(0),
      new Uint8Array(MAX_KEY).fill(0xff),
      Uint8Array.of(0xff),
      new Uint8Array(MAX_KEY),
    ];
    for (const flushed of [false, true]) {
      for (const key of extremes) await db.put(key, "x");
      if (flushed) await db.flush();
      await db.clear();
      assertEquals([...db.scan().keys()].length, 0);
      for (const key of extremes) assertEquals(db.get(key), undefined);
      await db.put("after", "1");
      assertEquals(letters(db), "after");
      await db.clear({});
      assertEquals(letters(db), "");
    }
    await db.majorCompact();
    assertEquals(db.stats().tableCount, 0);
  }, QUIET));

test(
  "clear() by bounds and prefix removes what a scan of them yields",
  LONG,
  () =>
    withDb(async (db) => {
      const all = ["", "a", "ab", "abc", "b", "ba", "c", "\u{10ffff}"];
      const ranges: KeyRange[] = [
        { gt: "ab" },
        { gte: "ab" },
        { lt: "ab" },
        { lte: "ab" },
        { gt: "a", lt: "b" },
        { gte: "a", lte: "b" },
        { gt: "a", lte: "b" },
        { prefix: "a" },
        { prefix: "ab", gt: "ab" },
        { prefix: "a", lte: "ab" },
        { prefix: "" },
        { prefix: Uint8Array.of(0xf4) },
      ];
      for (const range of ranges) {
        for (const flushed of [false, true]) {
          for (const key of all) await db.put(key, "x");
          if (flushed) await db.flush();
          const covered = new Set(keys(db.scan(range)));
          assert(covered.size > 0);
          await db.clear(range);
          const shown = JSON.stringify(range);
          assertEquals(
            keys(db.scan()),
            all.filter((key) => !covered.has(key)),
            shown,
          );
          assertEquals(keys(db.scan(range)), [], shown);
        }
      }
    }, { ...QUIET, durability: "buffered" }),
);

test("clear() with both kinds of a bound is INVALID_ARGUMENT", () =>
  withDb(async (db) => {
    await putLetters(db, "ab");
    // deno-lint-ignore no-explicit-any -- wrong on purpose.
    const wrong: any[] = [
      { gt: "a", gte: "a" },
      { lt: "a", lte: "a" },
      { gte: null },
      { prefix: null },
      { lt: 1 },
    ];
    for (const range of wrong) {
      await rejectsWith("INVALID_ARGUMENT", () => db.clear(range));
    }
    assertEquals(letters(db), "ab");
  }));

test("writes reject, and do not throw, for what is not bytes", () =>
  withDb(async (db) => {
    for (const wrong of NOT_BYTES) {
      await rejectsWith("INVALID_ARGUMENT", () => db.put(wrong, "v"));
      await rejectsWith("INVALID_ARGUMENT", () => db.put("k", wrong));
      await rejectsWith("INVALID_ARGUMENT", () => db.delete(wrong));
      await rejectsWith("INVALID_ARGUMENT", () => db.deleteRange(wrong, "z"));
      await rejectsWith("INVALID_ARGUMENT", () => db.deleteRange("a", wrong));
    }
    assertEquals(letters(db), "");
  }));

test("the message of INVALID_ARGUMENT says what was given and what is accepted", () =>
  withDb(async (db) => {
    // deno-lint-ignore no-explicit-any -- wrong on purpose.
    const wrong = 12345 as any;
    const error = await rejectsWith(
      "INVALID_ARGUMENT",
      () => db.put(wrong, ""),
    );
    assert(/number|12345/.test(error.message), error.message);
    assert(/Uint8Array/.test(error.message), error.message);
    const { message } = await rejectsWith(
      "INVALID_ARGUMENT",
      () => db.put(new Uint8Array(MAX_KEY + 1), ""),
    );
    assert(/65537/.test(message), message);
    assert(/65536|64 KiB/.test(message), message);
  }));

test(
  "a key above 64 KiB and a value above 256 MiB are INVALID_ARGUMENT",
  LONG,
  () =>
    withDb(async (db) => {
      const long = new Uint8Array(MAX_KEY + 1);
      await rejectsWith("INVALID_ARGUMENT", () => db.put(long, "v"));
      await rejectsWith("INVALID_ARGUMENT", () => db.delete(long));
      const big = new Uint8Array(MAX_VALUE + 1);
      await rejectsWith("INVALID_ARGUMENT", () => db.put("k", big));
      assertEquals(letters(db), "");
    }),
);

test("an unknown durability of one write is INVALID_ARGUMENT", () =>
  withDb(async (db) => {
    // deno-lint-ignore no-explicit-any -- wrong on purpose.
    const options = { durability: "eventually" } as any;
    await rejectsWith("INVALID_ARGUMENT", () => db.put("a", "1", options));
    await rejectsWith("INVALID_ARGUMENT", () => db.delete("a", options));
    await rejectsWith(
      "INVALID_ARGUMENT",
      () => db.deleteRange("a", "b", options),
    );
    await rejectsWith("INVALID_ARGUMENT", () => db.clear({}, options));
    await rejectsWith("INVALID_ARGUMENT", () => db.write([], options));
    assertEquals(letters(db), "");
  }));

test("a misspelt option of one write is INVALID_ARGUMENT: it would be acknowledged as others are", () =>
  withDb(async (db) => {
    // deno-lint-ignore no-explicit-any -- wrong on purpose.
    const options = { durabilty: "sync" } as any;
    await rejectsWith("INVALID_ARGUMENT", () => db.put("k", "v", options));
    await rejectsWith("INVALID_ARGUMENT", () => db.delete("k", options));
    await rejectsWith("INVALID_ARGUMENT", () => db.write([], options));
    assertEquals(letters(db), "");
    await db.put("k", "v", {});
  }, { durability: "buffered" }));

test("durability of one write overrides the database's", () =>
  withDb(async (db) => {
    const { syncs } = db.stats().wal;
    for (const i of [1, 2, 3]) await db.put(`${i}`, "v");
    await db.put("u", "v", { durability: undefined });
    assertEquals(db.stats().wal.syncs, syncs);
    await db.put("s", "v", { durability: "sync" });
    assertEquals(db.stats().wal.syncs, syncs + 1);
    await db.sync();
    assertEquals(db.stats().wal.commits, 5);
  }, { durability: "buffered" }));

test(
  "a record larger than the write buffer is valid",
  LONG,
  () =>
    withDb(async (db) => {
      const large = filled(1_000_000);
      await db.put("small", "1");
      await db.put("large", large);
      await db.put("small", "2");
      const batch = new Batch();
      for (let i = 0; i < 100; i++) batch.put(`b${i}`, filled(500, i));
      await db.write(batch);
      const check = () => {
        assertEquals(db.get("large"), large);
        assertEquals(text(db.get("small")), "2");
        for (let i = 0; i < 100; i++) {
          assertEquals(db.get(`b${i}`), filled(500, i));
        }
      };
      check();
      await db.flush();
      check();
      await db.majorCompact();
      check();
    }, { ...QUIET, writeBufferSize: 128 }),
);
