/**
 * Tombstones, snapshots, filters and levels: what compactions of trusted
 * engines have got wrong.
 *
 * Combination: its own.
 *
 * @module
 */
import { test } from "node:test";
import type { Db, Options, Snapshot } from "../../mod.ts";
import { assert, assertEquals, assertGreater, assertLess } from "../assert.ts";
import { filled, keys, numbered, rows, text } from "./support/bytes.ts";
import { LONG } from "./support/configs.ts";
import { untilFalse } from "./support/database.ts";
import { assertGrowsLess } from "./support/growth.ts";
import { openIn, withMemoryDb } from "./support/memory.ts";
import { Random } from "./support/random.ts";

/** Compacts only when told to, two tables at a time, tombstones at the least excuse. */
const EAGER: Options = {
  durability: "buffered",
  blockSize: 256,
  compaction: {
    strategy: "size-tiered",
    background: "off",
    minThreshold: 2,
    maxThreshold: 2,
    tombstoneRatio: 0.01,
  },
};

const LEVELED: Options = {
  ...EAGER,
  compaction: { ...EAGER.compaction, strategy: "leveled" },
};

const STRATEGIES: [name: string, options: Options][] = [
  ["size-tiered", EAGER],
  ["leveled", LEVELED],
];

/** Every way to compact, as often as it does something; `check` after each round. */
async function compactAll(db: Db, check: () => void): Promise<void> {
  check();
  for (const round of [() => db.minorCompact(), () => db.tombstoneCompact()]) {
    await untilFalse(async () => {
      const did = await round();
      check();
      return did;
    });
  }
  await db.majorCompact();
  check();
}

for (const [strategy, options] of STRATEGIES) {
  test(
    `pitfall: a tombstone stays while anything older lies under it (${strategy})`,
    LONG,
    () =>
      withMemoryDb(async (db) => {
        for (let i = 0; i < 500; i++) {
          await db.put(numbered("k", i), filled(50, i));
        }
        await db.flush();
        // Small tables of one size: they are merged without the large one.
        for (let table = 0; table < 4; table++) {
          await db.delete(numbered("k", 100 + table));
          await db.deleteRange(
            numbered("k", 200 + table * 10),
            numbered("k", 210 + table * 10),
          );
          await db.flush();
        }
        await compactAll(db, () => {
          for (let table = 0; table < 4; table++) {
            assertEquals(db.get(numbered("k", 100 + table)), undefined);
            assertEquals(db.get(numbered("k", 205 + table * 10)), undefined);
          }
          assertEquals(keys(db.scan()).length, 500 - 4 - 40);
        });
      }, options),
  );

  test(
    `pitfall: a tombstone hides versions of the same age of table (${strategy})`,
    LONG,
    () =>
      withMemoryDb(async (db) => {
        // Put, delete and put again in turn, a table for each.
        for (let round = 0; round < 5; round++) {
          for (const key of ["a", "b", "c"]) await db.put(key, `${round}`);
          await db.flush();
          await db.delete("b");
          await db.deleteRange("c", "d");
          await db.flush();
        }
        await compactAll(db, () => assertEquals(rows(db.scan()), [["a", "4"]]));
      }, options),
  );

  test(
    `pitfall: issue178: deleted ranges stay deleted, and the others whole (${strategy})`,
    LONG,
    () =>
      withMemoryDb(async (db) => {
        const count = 3000;
        for (const half of ["left", "right"]) {
          for (let i = 0; i < count; i++) db.put(numbered(half, i), "v");
          await db.sync();
        }
        await db.flush();
        for (let i = 0; i < count; i++) db.delete(numbered("left", i));
        await db.flush();
        await compactAll(db, () => {
          assertEquals(keys(db.scan({ prefix: "left" })).length, 0);
          assertEquals(keys(db.scan({ prefix: "right" })).length, count);
        });
      }, { ...options, writeBufferSize: 16_384 }),
  );

  test(
    `pitfall: issue320: snapshots and versions of few keys under random writes (${strategy})`,
    LONG,
    () =>
      withMemoryDb(async (db) => {
        const random = new Random(320);
        const state = new Map<string, string>();
        const held: { snapshot: Snapshot; rows: [string, string][] }[] = [];
        for (let step = 0; step < 1500; step++) {
          const key = numbered("k", random.below(20));
          if (random.chance(30)) {
            state.delete(key);
            await db.delete(key);
          } else {
            state.set(key, `${step} ${"x".repeat(random.below(60))}`);
            await db.put(key, state.get(key) ?? "");
          }
          if (random.chance(3)) {
            const now = [...state].sort(([a], [b]) => a < b ? -1 : 1);
            held.push({ snapshot: db.snapshot(), rows: now });
            if (held.length > 10) {
              const [old] = held.splice(random.below(10), 1);
              assertEquals(rows(old.snapshot.scan()), old.rows);
              old.snapshot[Symbol.dispose]();
            }
          }
          if (random.chance(5)) await db.minorCompact();
        }
        await compactAll(db, () => {
          for (const { snapshot, rows: expected } of held) {
            assertEquals(rows(snapshot.scan()), expected);
            for (const [key, value] of expected) {
              assertEquals(text(snapshot.get(key)), value);
            }
          }
        });
        for (const [key, value] of state) {
          assertEquals(text(db.get(key)), value);
        }
      }, { ...options, writeBufferSize: 1024 }),
  );

  test(
    `pitfall: a range tombstone wider than its table hides all that it covers (${strategy})`,
    LONG,
    () =>
      withMemoryDb(async (db, files) => {
        for (let i = 0; i < 2000; i++) db.put(numbered("k", i), filled(50, i));
        await db.flush();
        await db.deleteRange("", "k_1900");
        for (let i = 0; i < 1800; i += 100) {
          await db.put(numbered("k", i), "new");
        }
        await db.flush();
        const expected = keys(db.scan());
        assertEquals(expected.length, 18 + 100);
        await compactAll(db, () => assertEquals(keys(db.scan()), expected));
        await using again = await openIn(files.afterProcessDeath(), options);
        assertEquals(keys(again.scan()), expected);
      }, { ...options, writeBufferSize: 16_384 }),
  );

  test(
    `pitfall: a range tombstone without an end is not widened or cut by compactions (${strategy})`,
    LONG,
    () =>
      withMemoryDb(async (db) => {
        for (const key of ["a", "m", "z", "\u{10ffff}"]) {
          await db.put(key, "old");
        }
        await db.flush();
        await db.clear({ gt: "m" });
        await db.put("q", "new");
        await db.flush();
        await db.put("a2", "new");
        await db.flush();
        const expected = ["a", "a2", "m", "q"];
        await compactAll(db, () => assertEquals(keys(db.scan()), expected));
      }, options),
  );
}

test(
  "pitfall: a filter's verdict does not hide a range delete",
  LONG,
  () =>
    withMemoryDb(async (db) => {
      await db.put("k5", "old");
      await db.flush();
      // The newer table holds no key near k5, and its filter says so.
      await db.put("x", "1");
      await db.deleteRange("k", "l");
      await db.flush();
      assertEquals(db.get("k5"), undefined);
      assertEquals(db.has("k5"), false);
      assertEquals(db.getMany(["k5", "x"]).map(text), [undefined, "1"]);
      // The same with a table that has range tombstones and no key at all.
      await db.put("k6", "old");
      await db.flush();
      await db.deleteRange("k6", "k7");
      await db.flush();
      assertEquals(db.get("k6"), undefined);
      await db.put("k6", "newer than the tombstone");
      assertEquals(text(db.get("k6")), "newer than the tombstone");
      await db.flush();
      assertEquals(text(db.get("k6")), "newer than the tombstone");
    }, EAGER),
);

test(
  "pitfall: a range tombstone hides only what is older than itself",
  LONG,
  () =>
    withMemoryDb(async (db) => {
      await db.put("a", "before");
      await db.deleteRange("a", "z");
      await db.put("b", "after");
      assertEquals(rows(db.scan()), [["b", "after"]]);
      await db.flush();
      assertEquals(rows(db.scan()), [["b", "after"]]);
      using snapshot = db.snapshot();
      await db.deleteRange("a", "z");
      assertEquals(rows(snapshot.scan()), [["b", "after"]]);
      await db.flush();
      await db.majorCompact();
      assertEquals(rows(snapshot.scan()), [["b", "after"]]);
      assertEquals(text(snapshot.get("b")), "after");
      assertEquals(rows(db.scan()), []);
    }, EAGER),
);

/** The least of ten times that `reads` reads take, in milliseconds. */
function timeReads(db: Db, count: number): number {
  let least = Infinity;
  for (let run = 0; run < 10; run++) {
    const start = performance.now();
    for (let i = 0; i < 3000; i++) db.get(numbered("k", (i * 7919) % count, 6));
    least = Math.min(least, performance.now() - start);
  }
  return least;
}

test(
  "pitfall: reads do not get slow with the number of range tombstones",
  LONG,
  () =>
    withMemoryDb(async (db) => {
      const rangesUpTo = async (from: number, to: number) => {
        for (let i = from; i < to; i++) {
          db.deleteRange(numbered("k", i, 6), `${numbered("k", i, 6)}x`);
        }
        await db.sync();
      };
      for (const layer of ["memtable", "table"]) {
        await rangesUpTo(0, 100);
        if (layer === "table") await db.flush();
        const few = timeReads(db, 100);
        await rangesUpTo(100, 10_000);
        if (layer === "table") await db.flush();
        // A hundred times the tombstones, in a binary search.
        const bound = few * 10 + 20;
        let many = Infinity;
        // A busy machine may spoil a measurement, but not each of five.
        for (let i = 0; i < 5 && many >= bound; i++) {
          many = Math.min(many, timeReads(db, 10_000));
        }
        assertLess(many, bound, `${layer}: ${few} ms, then ${many} ms`);
      }
    }, EAGER),
);

/** The least time that `work` takes in three fresh databases, in milliseconds. */
async function fastest(
  work: (db: Db) => void,
  prepare: (db: Db) => void = () => {},
): Promise<number> {
  let least = Infinity;
  for (let run = 0; run < 3; run++) {
    await withMemoryDb(async (db) => {
      prepare(db);
      const start = performance.now();
      work(db);
      least = Math.min(least, performance.now() - start);
      await db.sync();
    }, EAGER);
  }
  return least;
}

test(
  "pitfall: range deletes and reads in turn do not get slow either",
  LONG,
  async () => {
    const time = (count: number) =>
      fastest((db) => {
        for (let i = 0; i < count; i++) {
          const key = numbered("k", (i * 7919) % count, 6);
          db.deleteRange(key, `${key}x`);
          assertEquals(db.get(key), undefined);
        }
      });
    // Eight times as many: 8 if each costs the same, 64 if each costs all before.
    await assertGrowsLess(24, time, 2000, 16_000);
  },
);

test(
  "pitfall: a wide range delete does not cost more the more there were before it",
  LONG,
  async () => {
    const time = (count: number) =>
      fastest((db) => {
        for (let i = 0; i < count; i++) db.clear();
      }, (db) => {
        for (let i = 0; i < 500; i++) {
          db.deleteRange(numbered("k", i), `${numbered("k", i)}x`);
        }
      });
    // Four times as many: 4 if each costs the same, 16 if each costs all before.
    await assertGrowsLess(8, time, 250, 1000);
  },
);

test(
  "pitfall: data under a snapshot is kept, the newest for each snapshot and no more",
  LONG,
  () =>
    withMemoryDb(async (db) => {
      const snapshots: Snapshot[] = [];
      for (let i = 0; i < 50; i++) {
        await db.put("k", `v${i}`);
        if (i % 10 === 9) snapshots.push(db.snapshot());
      }
      for (let i = 50; i < 60; i++) await db.put("k", `v${i}`);
      await db.flush();
      await db.majorCompact();
      snapshots.forEach((snapshot, i) => {
        assertEquals(text(snapshot.get("k")), `v${i * 10 + 9}`);
        assertEquals(rows(snapshot.scan()), [["k", `v${i * 10 + 9}`]]);
      });
      const entries = db.stats().levels.reduce((n, l) => n + l.entries, 0);
      assertEquals(entries, snapshots.length + 1);
      for (const snapshot of snapshots) snapshot[Symbol.dispose]();
    }, EAGER),
);

test(
  "pitfall: issue200: an iterator never sees a write made after it began",
  LONG,
  () =>
    withMemoryDb(async (db) => {
      for (const [key, value] of ["1b", "2c", "3d", "4e", "5f"]) {
        await db.put(key, value);
      }
      for (const reverse of [false, true]) {
        const iterator = db.scan({ reverse })[Symbol.iterator]();
        const order = reverse ? [5, 4, 3, 2, 1] : [1, 2, 3, 4, 5];
        for (const n of order) {
          const { value } = iterator.next();
          assertEquals(text(value?.[0]), `${n}`);
          // Right before, right behind and at the place where it stands.
          await db.put(`${n}a`, "new");
          await db.put(`${n - 1}z`, "new");
          await db.put(`${n}`, "changed");
          await db.delete(`${reverse ? n - 1 : n + 1}`);
        }
        assert(iterator.next().done);
        await db.clear({ gt: "0" });
        for (const [key, value] of ["1b", "2c", "3d", "4e", "5f"]) {
          await db.put(key, value);
        }
      }
    }, EAGER),
);

test(
  "pitfall: open scans and snapshots keep the files that they read",
  LONG,
  () =>
    withMemoryDb(async (db, files) => {
      for (let i = 0; i < 300; i++) {
        await db.put(numbered("k", i), filled(100, i));
      }
      await db.flush();
      const scan = db.scan();
      const iterator = scan[Symbol.iterator]();
      iterator.next();
      const onDisk = () =>
        files.list("/data/db").filter((name) => name.endsWith(".vtab")).length;
      await db.clear();
      await db.majorCompact();
      assertEquals(db.stats().tableCount, 0);
      assertGreater(onDisk(), 0);
      let rest = 0;
      while (!iterator.next().done) rest++;
      assertEquals(rest, 299);
      assertEquals(onDisk(), 0, "files go with their last reader");
    }, { ...EAGER, blockCacheSize: 0 }),
);

test(
  "pitfall: flushed memtables let go of their logs, idle or not",
  LONG,
  () =>
    withMemoryDb(async (db) => {
      await db.put("idle", "never written again");
      for (let i = 0; i < 500; i++) {
        await db.put(numbered("k", i), filled(100, i));
      }
      await db.flush();
      assertEquals(db.stats().wal.files, 1);
      assertLess(db.stats().wal.bytes, 1000);
      assertEquals(text(db.get("idle")), "never written again");
    }, { ...EAGER, writeBufferSize: 4096 }),
);

test(
  "pitfall: one wide tombstone does not drag everything into one compaction",
  LONG,
  () =>
    withMemoryDb(async (db) => {
      for (let i = 0; i < 5000; i++) db.put(numbered("k", i), filled(100, i));
      await db.flush();
      const large = db.stats().totalTableBytes;
      for (let table = 0; table < 2; table++) {
        await db.deleteRange("k_0001", "k_4999");
        await db.put("k_2500", "v");
        await db.flush();
      }
      assert(await db.minorCompact());
      assertLess(db.stats().compaction.bytesRead, large / 10);
      assertEquals(keys(db.scan()), ["k_0000", "k_2500", "k_4999"]);
    }, EAGER),
);

test(
  "pitfall: flushes and compactions called many times at once do not deadlock",
  LONG,
  () =>
    withMemoryDb(async (db) => {
      const calls: Promise<unknown>[] = [];
      for (let i = 0; i < 50; i++) {
        calls.push(db.put(numbered("k", i), filled(200, i)));
        calls.push(db.flush(), db.minorCompact(), db.majorCompact(), db.sync());
      }
      await Promise.all(calls);
      assertEquals(keys(db.scan()).length, 50);
    }, { ...EAGER, writeBufferSize: 128, maxFrozenMemtables: 1 }),
);
