/**
 * The contract of `get`, `getMany` and `has`, in memtable and table alike.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { test } from "node:test";
import type { Db } from "../../mod.ts";
import { assert, assertEquals, assertFalse } from "../assert.ts";
import { bytes, filled, numbered, text } from "./support/bytes.ts";
import { withDb } from "./support/database.ts";
import { throwsWith } from "./support/errors.ts";

const QUIET = { compaction: { background: "off" } } as const;
const MAX_KEY = 64 * 1024;

/** Runs `check` on the same data in the memtable, in a table, and in a compacted one. */
async function inEveryLayer(db: Db, check: () => void): Promise<void> {
  check();
  await db.flush();
  check();
  await db.majorCompact();
  check();
}

test("get() takes a key as bytes or as a string of UTF-8", () =>
  withDb(async (db) => {
    await db.put("clé", "één");
    await db.put(Uint8Array.of(0xff, 0x00), Uint8Array.of(1, 2));
    await inEveryLayer(db, () => {
      assertEquals(db.get(bytes("clé")), bytes("één"));
      assertEquals(db.get("clé"), bytes("één"));
      assertEquals(db.get(Uint8Array.of(0xff, 0x00)), Uint8Array.of(1, 2));
      assertEquals(db.get(Buffer.from([0xff, 0x00])), Uint8Array.of(1, 2));
    });
  }, QUIET));

test("get() of an absent or deleted key is undefined", () =>
  withDb(async (db) => {
    await db.put("b", "1");
    await db.put("c", "2");
    await db.delete("c");
    await inEveryLayer(db, () => {
      for (const key of ["", "a", "bb", "c", "zzz"]) {
        assertEquals(db.get(key), undefined, key);
        assertFalse(db.has(key), key);
      }
    });
  }, QUIET));

test("has() tells keys apart from their absence, empty values included", () =>
  withDb(async (db) => {
    await db.put("empty", "");
    await db.put("", "empty key");
    await inEveryLayer(db, () => {
      assert(db.has("empty"));
      assert(db.has(""));
      assert(db.has(new Uint8Array(0)));
      assertFalse(db.has("other"));
    });
  }, QUIET));

test("getMany() answers in the order asked, with undefined for the absent", () =>
  withDb(async (db) => {
    await db.put("a", "1");
    await db.put("b", "");
    await db.put("c", "3");
    await inEveryLayer(db, () => {
      const asked = ["c", "nope", bytes("a"), "b", "c"];
      assertEquals(db.getMany(asked).map(text), ["3", undefined, "1", "", "3"]);
      assertEquals(db.getMany([]), []);
    });
  }, QUIET));

test("a key may be empty or 64 KiB long", () =>
  withDb(async (db) => {
    const low = new Uint8Array(MAX_KEY);
    const high = new Uint8Array(MAX_KEY).fill(0xff);
    const almost = high.subarray(1);
    await db.put(low, "low");
    await db.put(high, "high");
    await db.put(almost, "almost");
    await db.put(new Uint8Array(0), "empty");
    await inEveryLayer(db, () => {
      assertEquals(text(db.get(low)), "low");
      assertEquals(text(db.get(high)), "high");
      assertEquals(text(db.get(almost)), "almost");
      assertEquals(text(db.get("")), "empty");
      assertEquals(
        [...db.scan().values()].map(text),
        ["empty", "low", "almost", "high"],
      );
    });
  }, QUIET));

test("values of every size come back whole", () =>
  withDb(async (db) => {
    const sizes = [0, 1, 127, 128, 255, 256, 4095, 4096, 65_537, 3_000_000];
    for (const size of sizes) await db.put(`v${size}`, filled(size, size));
    await inEveryLayer(db, () => {
      for (const size of sizes) {
        assertEquals(db.get(`v${size}`), filled(size, size));
      }
    });
  }, QUIET));

test("keys are ordered as bytes, not as text", () =>
  withDb(async (db) => {
    // In UTF-16 the first of these two sorts after the second.
    const astral = "\u{10000}";
    const privateUse = "\uffff";
    const order = ["", "\0", "\0\0", "a", "a\0", "b", "é", privateUse, astral];
    for (const key of order.toReversed()) await db.put(key, "x");
    await inEveryLayer(db, () => {
      assertEquals([...db.scan().keys()].map(text), order);
    });
  }, QUIET));

test("reads do not give way to the event loop", () =>
  withDb(async (db) => {
    await db.put("a", "1");
    let ran = false;
    const later = Promise.resolve().then(() => ran = true);
    const answers = [db.get("a"), db.has("a"), db.getMany(["a"])];
    for (const row of db.scan()) answers.push(row);
    assertEquals(answers.length, 4);
    assertFalse(ran);
    await later;
  }));

test("results are the caller's: writing to one changes nothing else", () =>
  withDb(async (db) => {
    await db.put("a", "value");
    await inEveryLayer(db, () => {
      db.get("a")!.fill(0); // put above
      db.getMany(["a"])[0]!.fill(0); // put above
      for (const [key, value] of db.scan()) {
        key.fill(0);
        value.fill(0);
      }
      assertEquals(text(db.get("a")), "value");
      assertEquals([...db.scan().keys()].map(text), ["a"]);
    });
  }, QUIET));

test("results stay as they were under later writes, flushes and compactions", () =>
  withDb(async (db) => {
    const held: [Uint8Array | undefined, string][] = [];
    for (let round = 0; round < 4; round++) {
      for (let i = 0; i < 200; i++) {
        await db.put(numbered("k", i), `round ${round} value ${i}`);
        held.push([db.get(numbered("k", i)), `round ${round} value ${i}`]);
      }
      for (const [key, value] of db.scan({ limit: 50 })) {
        held.push([key, text(key)!], [value, text(value)!]); // never undefined
      }
      if (round % 2 === 0) await db.flush();
      if (round === 2) await db.majorCompact();
      await db.clear();
    }
    for (const [result, expected] of held) assertEquals(text(result), expected);
    // A cache of four blocks: its slots were used again and again.
  }, {
    ...QUIET,
    durability: "buffered",
    writeBufferSize: 8192,
    blockCacheSize: 16_384,
  }));

test("results never lie in a SharedArrayBuffer", () =>
  withDb(async (db) => {
    await db.put("a", "1");
    await db.put("b", "");
    await inEveryLayer(db, () => {
      const results = [
        db.get("a"),
        db.get("b"),
        ...db.getMany(["a", "b"]),
        ...[...db.scan()].flat(),
        ...db.scan().keys(),
        ...db.scan({ reverse: true }).values(),
      ];
      assertEquals(results.length, 12);
      for (const result of results) {
        assert(result!.buffer instanceof ArrayBuffer); // both keys are there
      }
    });
  }, QUIET));

test("inputs of reads may lie in a SharedArrayBuffer or in part of a buffer", () =>
  withDb(async (db) => {
    const shared = new Uint8Array(new SharedArrayBuffer(3));
    shared.set(bytes("abc"));
    await db.put(shared.subarray(1), shared);
    await inEveryLayer(db, () => {
      assertEquals(text(db.get("bc")), "abc");
      assertEquals(text(db.get(shared.subarray(1))), "abc");
      assertEquals(db.get(shared.subarray(0, 1)), undefined);
    });
  }, QUIET));

test("reads throw INVALID_ARGUMENT for what is not a key", () =>
  withDb((db) => {
    for (const key of [undefined, null, 1, 1n, {}, [1], new ArrayBuffer(1)]) {
      // deno-lint-ignore no-explicit-any -- wrong on purpose.
      const wrong = key as any;
      throwsWith("INVALID_ARGUMENT", () => db.get(wrong));
      throwsWith("INVALID_ARGUMENT", () => db.has(wrong));
      throwsWith("INVALID_ARGUMENT", () => db.getMany(["a", wrong]));
    }
  }));
