/**
 * aeternusdb's eleven stress scenarios: thousands of operations from the same
 * generator and seeds, checked key by key and by scan against a map.
 *
 * Combination: its own.
 *
 * @module
 */
import { test } from "node:test";
import type { Db, Options } from "../../mod.ts";
import {
  assertEquals,
  assertGreaterOrEqual,
  assertLessOrEqual,
} from "../assert.ts";
import { open } from "../open.ts";
import { withTempDir } from "../temp.ts";
import { keys, numbered, rows, text } from "./support/bytes.ts";
import { COMPACTION_STRESS, DEFAULT_CONFIG, LONG } from "./support/configs.ts";
import { untilFalse, withDb } from "./support/database.ts";
import { machines } from "./support/machines.ts";
import { Oracle, runWorkload, type Workload } from "./support/oracle.ts";
import { Lcg } from "./support/random.ts";

const MIXED: Workload = {
  keys: 500,
  operations: 8000,
  shares: { puts: 60, deletes: 20, rangeDeletes: 15 },
  window: 20,
};

const CHURN: Workload["shares"] = { puts: 55, deletes: 20, rangeDeletes: 15 };

const ALL_KEYS = { gte: "key_", lt: "key_~" };

/** The same workload with acknowledgements that do not wait for the disk. */
const BUFFERED: Options = { ...DEFAULT_CONFIG, durability: "buffered" };

async function compactMinor(db: Db): Promise<void> {
  await untilFalse(() => db.minorCompact());
}

test(
  "stress 1: heavy mixed writes, every key by get (seed 42)",
  LONG,
  () =>
    withDb(async (db) => {
      const oracle = new Oracle();
      await runWorkload(db, oracle, new Lcg(42), MIXED);
      oracle.verifyGets(db);
      await db.flush();
      assertGreaterOrEqual(db.stats().tableCount, 2);
      oracle.verifyGets(db);
    }, DEFAULT_CONFIG),
);

test(
  "stress 2: heavy mixed writes, by scan (seed 0xDEAD)",
  LONG,
  () =>
    withDb(async (db) => {
      const oracle = new Oracle();
      await runWorkload(db, oracle, new Lcg(0xdead), {
        ...MIXED,
        shares: CHURN,
        window: 15,
      });
      oracle.verifyScan(db, ALL_KEYS);
    }, BUFFERED),
);

/** One round of "write all, delete half, resurrect a quarter" on 200 keys. */
async function churnRound(
  db: Db,
  oracle: Oracle,
  round: number,
): Promise<void> {
  for (let i = 0; i < 200; i++) {
    await oracle.put(db, numbered("key", i), `val_r${round}_${i}`);
  }
  for (let i = 0; i < 200; i += 2) await oracle.delete(db, numbered("key", i));
  for (let i = 0; i < 200; i += 4) {
    await oracle.put(db, numbered("key", i), `resurrected_r${round}_${i}`);
  }
  await oracle.settled();
}

test(
  "stress 3: fifty rounds of write, delete and rewrite",
  LONG,
  () =>
    withDb(async (db) => {
      const oracle = new Oracle();
      for (let round = 0; round < 50; round++) {
        await churnRound(db, oracle, round);
      }
      for (let i = 0; i < 200; i++) {
        const expected = i % 4 === 0
          ? `resurrected_r49_${i}`
          : i % 2 === 0
          ? undefined
          : `val_r49_${i}`;
        assertEquals(text(db.get(numbered("key", i))), expected, `key ${i}`);
      }
      const found = keys(db.scan(ALL_KEYS));
      assertEquals(found, found.toSorted());
      assertEquals(found.length, 150);
    }, BUFFERED),
);

test(
  "stress 4: close and reopen after a massive session (seed 0xCAFE)",
  LONG,
  () =>
    withTempDir(async (dir) => {
      const oracle = new Oracle();
      const first = await open(dir, BUFFERED);
      await runWorkload(first, oracle, new Lcg(0xcafe), MIXED);
      await first.close();
      await using second = await open(dir, BUFFERED);
      oracle.verifyGets(second);
      oracle.verifyScan(second, ALL_KEYS);
    }),
);

for (const machine of machines()) {
  const name =
    `stress 5: ${machine.name} after a massive session (seed 0xBEEF)`;
  test(name, LONG, () =>
    machine.run(async (host) => {
      const oracle = new Oracle();
      const first = await host.open(DEFAULT_CONFIG);
      await runWorkload(first, oracle, new Lcg(0xbeef), MIXED);
      host.crash();
      const second = await host.open(DEFAULT_CONFIG);
      oracle.verifyGets(second);
      oracle.verifyScan(second, ALL_KEYS);
    }));
}

test(
  "stress 6: scan under fifty overlapping range tombstones",
  LONG,
  () =>
    withDb(async (db) => {
      const oracle = new Oracle();
      for (let i = 0; i < 1000; i++) {
        await oracle.put(db, numbered("key", i), numbered("val", i));
      }
      for (let r = 0; r < 50; r++) {
        // A stride of 7 under windows of 10 makes them overlap.
        const start = r * 7;
        await oracle.deleteRange(
          db,
          numbered("key", start),
          numbered("key", start + 10),
        );
      }
      for (let i = 0; i < 1000; i += 13) {
        await oracle.put(db, numbered("key", i), numbered("resurrected", i));
      }
      await oracle.settled();
      oracle.verifyScan(db, ALL_KEYS);
      oracle.verifyGets(db);
      assertEquals(text(db.get("key_0013")), "resurrected_0013");
      assertEquals(db.get("key_0352"), undefined);
      assertEquals(text(db.get("key_0353")), "val_0353");
    }, BUFFERED),
);

test(
  "stress 7: minor compaction over three rounds (seed 0xC04C)",
  LONG,
  () =>
    withDb(async (db) => {
      const oracle = new Oracle();
      const random = new Lcg(0xc04c);
      for (let round = 0; round < 3; round++) {
        await runWorkload(db, oracle, random, {
          ...MIXED,
          keys: 300,
          operations: 3000,
          window: 15,
          round,
        });
        await db.flush();
        const before = db.stats().tableCount;
        await compactMinor(db);
        assertLessOrEqual(db.stats().tableCount, Math.floor(before / 2));
        oracle.verifyGets(db);
        oracle.verifyScan(db, ALL_KEYS);
      }
    }, COMPACTION_STRESS),
);

test(
  "stress 8: tombstone compaction under heavy deletes",
  LONG,
  () =>
    withDb(async (db) => {
      const oracle = new Oracle();
      for (let i = 0; i < 500; i++) {
        const pad = String(i * 17).padStart(6, "0");
        const value = `${numbered("value", i)}_pad_for_size_${pad}`;
        await oracle.put(db, numbered("dat", i), value);
      }
      await db.flush();
      // Keys that never were: their tombstones shadow nothing.
      for (let i = 0; i < 500; i++) {
        await oracle.delete(db, numbered("ghost", i));
      }
      for (let start = 0; start < 500; start += 100) {
        await oracle.deleteRange(
          db,
          numbered("ghost", start),
          numbered("ghost", start + 100),
        );
      }
      await oracle.settled();
      await db.flush();
      const before = db.stats().totalTableBytes;
      await untilFalse(() => db.tombstoneCompact());
      assertLessOrEqual(db.stats().totalTableBytes, before * 0.8);
      oracle.verifyGets(db);
      oracle.verifyScan(db, { gte: "dat_", lt: "ghost_~" });
    }, COMPACTION_STRESS),
);

test(
  "stress 9: writes, then minor, then major compaction (seed 0xF1FA)",
  LONG,
  () =>
    withDb(async (db) => {
      const oracle = new Oracle();
      await runWorkload(db, oracle, new Lcg(0xf1fa), {
        ...MIXED,
        keys: 400,
        operations: 6000,
        shares: CHURN,
      });
      await db.flush();
      await compactMinor(db);
      await db.majorCompact();
      assertEquals(db.stats().tableCount, 1);
      oracle.verifyGets(db);
      oracle.verifyScan(db, ALL_KEYS);
    }, COMPACTION_STRESS),
);

test(
  "stress 10: writes and compaction in turns (seed 0xABCD)",
  LONG,
  () =>
    withDb(async (db) => {
      const oracle = new Oracle();
      const random = new Lcg(0xabcd);
      for (let round = 0; round < 10; round++) {
        await runWorkload(db, oracle, random, {
          keys: 200,
          operations: 1000,
          shares: CHURN,
          window: 10,
          round,
        });
        await db.flush();
        await compactMinor(db);
        oracle.verifyGets(db);
      }
      await db.majorCompact();
      assertEquals(db.stats().tableCount, 1);
      oracle.verifyScan(db, ALL_KEYS);
    }, COMPACTION_STRESS),
);

test(
  "stress 11: all compactions, close, reopen (seed 0xD15C)",
  LONG,
  () =>
    withTempDir(async (dir) => {
      const oracle = new Oracle();
      const first = await open(dir, COMPACTION_STRESS);
      await runWorkload(first, oracle, new Lcg(0xd15c), {
        ...MIXED,
        keys: 300,
        operations: 5000,
        shares: CHURN,
      });
      await first.flush();
      await compactMinor(first);
      await untilFalse(() => first.tombstoneCompact());
      await first.majorCompact();
      assertEquals(first.stats().tableCount, 1);
      await first.close();
      await using second = await open(dir, COMPACTION_STRESS);
      assertEquals(second.stats().tableCount, 1);
      oracle.verifyGets(second);
      oracle.verifyScan(second, ALL_KEYS);
      assertEquals(
        rows(second.scan()).length,
        rows(second.scan(ALL_KEYS)).length,
      );
    }),
);
