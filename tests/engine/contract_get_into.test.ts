/**
 * The contract of `getInto`: what `get` gives, in memory of the program's.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { test } from "node:test";
import {
  type Codec,
  type Db,
  json,
  type Options,
  type ReadonlyDb,
  type Snapshot,
  utf8,
} from "../../mod.ts";
import { assert, assertEquals } from "../assert.ts";
import { open } from "../open.ts";
import { withTempDir } from "../temp.ts";
import { bytes, filled } from "./support/bytes.ts";
import { LONG } from "./support/configs.ts";
import { withDb } from "./support/database.ts";
import { throwsWith } from "./support/errors.ts";

const QUIET = {
  durability: "buffered",
  compaction: { background: "off" },
} as const;
const GUARD = 0xa5;
/** Lengths around those at which ways to copy change. */
const LENGTHS = [
  ...Array.from({ length: 70 }, (_, i) => i),
  ...[79, 80, 81, 127, 191, 192, 193, 194, 300, 1023, 1024, 1025, 5000],
];

const valueOf = (length: number): Uint8Array => filled(length, length);

async function fill(db: Db): Promise<void> {
  for (const length of LENGTHS) await db.put(`v${length}`, valueOf(length));
  await db.put("large", valueOf(100_000));
  await db.put("gone", "x");
  await db.delete("gone");
  await db.put("range/a", "x");
  await db.deleteRange("range/", "range0");
}

/** Runs `check` in the memtable, in a table, and in a compacted one; twice, so that what was read is cached. */
async function inEveryLayer(db: Db, check: () => void): Promise<void> {
  check();
  check();
  await db.flush();
  check();
  check();
  await db.majorCompact();
  check();
  check();
}

/** Looks a key up at every alignment; the memory around the value must stay as it was. */
function checkKey(db: Db | Snapshot | ReadonlyDb, key: string): void {
  const value = db.get(key);
  const room = value?.length ?? 16;
  for (let offset = 0; offset < 9; offset++) {
    const target = new Uint8Array(offset + room + 9).fill(GUARD);
    assertEquals(db.getInto(key, target, offset), value?.length, key);
    const expected = new Uint8Array(target.length).fill(GUARD);
    if (value !== undefined) expected.set(value, offset);
    assertEquals(target, expected, `${key} at ${offset}`);
  }
}

const OPTIONS: readonly [string, Options][] = [
  ["defaults", QUIET],
  ["without a cache", { ...QUIET, blockCacheSize: 0 }],
  ["compressed", { ...QUIET, compression: "zstd" }],
];

for (const [name, options] of OPTIONS) {
  test(
    `getInto() gives what get() gives, at any place, and touches nothing else (${name})`,
    LONG,
    () =>
      withDb(async (db) => {
        await fill(db);
        await inEveryLayer(db, () => {
          for (const length of LENGTHS) {
            checkKey(db, `v${length}`);
            assertEquals(db.get(`v${length}`), valueOf(length));
          }
          for (const key of ["large", "gone", "range/a", "none", ""]) {
            checkKey(db, key);
          }
        });
      }, options),
  );
}

test("getInto() of a value that does not fit tells its length and copies nothing", () =>
  withDb(async (db) => {
    await fill(db);
    await inEveryLayer(db, () => {
      for (const [length, room] of [[1, 0], [60, 59], [193, 192], [5000, 9]]) {
        const target = new Uint8Array(room + 7).fill(GUARD);
        assertEquals(db.getInto(`v${length}`, target, 7), length);
        assertEquals(target, new Uint8Array(room + 7).fill(GUARD));
      }
      const none = new Uint8Array(0);
      assertEquals(db.getInto("v0", none), 0);
      assertEquals(db.getInto("v9", none), 9);
      assertEquals(db.getInto("v9", new Uint8Array(4), 4), 9);
      assertEquals(db.getInto("none", none), undefined);
    });
  }, QUIET));

test("getInto() takes any Uint8Array, whatever it lies in", () =>
  withDb(async (db) => {
    await fill(db);
    const shared = new Uint8Array(new SharedArrayBuffer(200), 3, 100);
    const buffer = Buffer.alloc(100);
    const part = new Uint8Array(new ArrayBuffer(300), 101, 100);
    await inEveryLayer(db, () => {
      for (const target of [shared, buffer, part]) {
        for (const length of [5, 60, 81]) {
          target.fill(GUARD);
          assertEquals(db.getInto(`v${length}`, target, 2), length);
          const found = Uint8Array.from(target);
          assertEquals(found.subarray(2, 2 + length), valueOf(length));
          assertEquals([found[1], found[2 + length]], [GUARD, GUARD]);
        }
      }
    });
  }, QUIET));

test("getInto() follows a target whose memory changes its length, or goes away", () =>
  withDb(async (db) => {
    await fill(db);
    const resizable = new ArrayBuffer(100, { maxByteLength: 1000 });
    const tracking = new Uint8Array(resizable);
    const grown = new SharedArrayBuffer(100, { maxByteLength: 1000 });
    const growing = new Uint8Array(grown);
    const lost = new Uint8Array(500);
    await inEveryLayer(db, () => {
      for (const length of [100, 10, 400, 64, 0, 1000]) {
        resizable.resize(length);
        const fits = length >= 60;
        assertEquals(db.getInto("v60", tracking), 60);
        if (fits) assertEquals(tracking.slice(0, 60), valueOf(60));
        else assert(tracking.every((byte, i) => byte === valueOf(60)[i]));
      }
      assertEquals(db.getInto("v192", growing), 192);
      if (growing.length < 192) grown.grow(300);
      assertEquals(db.getInto("v192", growing), 192);
      assertEquals(Uint8Array.from(growing).slice(0, 192), valueOf(192));
      assertEquals(db.getInto("v60", lost), 60);
    });
    structuredClone(lost, { transfer: [lost.buffer] });
    assertEquals(lost.length, 0);
    assertEquals(db.getInto("v60", lost), 60);
    assertEquals(db.getInto("v0", lost), 0);
  }, QUIET));

/** A target whose memory was handed to another thread. */
function lost(length: number): Uint8Array {
  const target = new Uint8Array(length);
  structuredClone(target, { transfer: [target.buffer] });
  return target;
}

test("getInto() has no room in memory that is gone, whatever came before", () =>
  withDb(async (db) => {
    await fill(db);
    await inEveryLayer(db, () => {
      for (const length of [0, 9, 2 * 1024 * 1024]) {
        const target = lost(length);
        for (let i = 0; i < 2; i++) {
          assertEquals(db.getInto("v60", target), 60);
          assertEquals(db.getInto("v0", target), 0);
        }
        assertEquals(db.getInto("v60", new Uint8Array(60)), 60);
        assertEquals(db.getInto("v60", target), 60);
      }
      const buffer = new ArrayBuffer(100, { maxByteLength: 200 });
      const outside = new Uint8Array(buffer, 50, 20);
      buffer.resize(60);
      assertEquals(db.getInto("v60", outside), 60);
      assertEquals(db.getInto("v0", outside), 0);
    });
  }, QUIET));

test("getInto() takes one target for many keys, and many targets in turn", () =>
  withDb(async (db) => {
    await fill(db);
    const targets = [10, 300, 2 * 1024 * 1024].map((n) => new Uint8Array(n));
    await inEveryLayer(db, () => {
      for (const length of LENGTHS) {
        for (const target of targets) {
          target.fill(GUARD, 0, 400);
          assertEquals(db.getInto(`v${length}`, target), length);
          if (length > target.length) assertEquals(target[0], GUARD);
          else assertEquals(target.slice(0, length), valueOf(length));
        }
      }
    });
  }, QUIET));

test("getInto() refuses what is no target or no place in it", () =>
  withDb(async (db) => {
    await db.put("a", "1");
    const target = new Uint8Array(4);
    const others = [undefined, null, "text", 4, [0], new Float64Array(1)];
    const alike = Object.create(Uint8Array.prototype);
    for (const other of [...others, alike, new DataView(target.buffer)]) {
      const wrong = other as unknown as Uint8Array;
      throwsWith("INVALID_ARGUMENT", () => db.getInto("a", wrong));
      throwsWith("INVALID_ARGUMENT", () => db.getInto("none", wrong));
    }
    const odd = [Symbol("1"), Object.create(null)];
    for (const offset of [-1, 0.5, NaN, Infinity, 5, "1", null, ...odd]) {
      const wrong = offset as unknown as number;
      throwsWith("INVALID_ARGUMENT", () => db.getInto("a", target, wrong));
    }
    throwsWith("INVALID_ARGUMENT", () => db.getInto(5 as never, target));
    assertEquals(target, new Uint8Array(4));
    assertEquals(db.getInto("a", target, 3), 1);
  }));

test("getInto() of a snapshot, and of a closed one", () =>
  withTempDir(async (dir) => {
    const db = await open(`${dir}/db`, QUIET);
    await db.put("a", "old");
    const snapshot = db.snapshot();
    await db.put("a", "newer");
    await inEveryLayer(db, () => {
      const target = new Uint8Array(8);
      assertEquals(snapshot.getInto("a", target), 3);
      assertEquals(target.slice(0, 3), bytes("old"));
      assertEquals(db.getInto("a", target, 2), 5);
      assertEquals(target.slice(2, 7), bytes("newer"));
      checkKey(snapshot, "a");
    });
    snapshot.close();
    throwsWith("CLOSED", () => snapshot.getInto("a", new Uint8Array(8)));
    await db.close();
    throwsWith("CLOSED", () => db.getInto("a", new Uint8Array(8)));
  }));

test("getInto() gives the bytes as they are stored, whatever the codec", () =>
  withTempDir(async (dir) => {
    const codecs = { keys: utf8, values: json<{ n: number }>() };
    await using db = await open(`${dir}/db`, codecs);
    await db.put("a", { n: 1 });
    const target = new Uint8Array(16);
    assertEquals(db.getInto("a", target), 7);
    assertEquals(target.slice(0, 7), bytes('{"n":1}'));
  }));

test("getInto() is not confused by a codec that calls it", () =>
  withTempDir(async (dir) => {
    const inner = new Uint8Array(8).fill(GUARD);
    const held: { db?: Db<string> } = {};
    const keys: Codec<string> = {
      ordered: true,
      encode(key) {
        if (key === "outer") held.db?.getInto("inner", inner, 1);
        return bytes(key);
      },
      decode: (stored) => new TextDecoder().decode(stored),
    };
    await using db = await open(`${dir}/db`, { keys });
    await db.put("inner", "in");
    await db.put("outer", "out");
    held.db = db;
    const outer = new Uint8Array(8).fill(GUARD);
    assertEquals(db.getInto("outer", outer, 3), 3);
    assertEquals(
      outer.slice(2, 7),
      Uint8Array.of(GUARD, ...bytes("out"), GUARD),
    );
    assertEquals(
      inner.slice(0, 4),
      Uint8Array.of(GUARD, ...bytes("in"), GUARD),
    );
  }));
