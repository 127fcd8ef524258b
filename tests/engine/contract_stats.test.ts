/**
 * The contract of `stats`: what is counted, and that counting tells the truth.
 *
 * @module
 */
import { test } from "node:test";
import type { Options } from "../../mod.ts";
import {
  assert,
  assertEquals,
  assertGreater,
  assertGreaterOrEqual,
  assertLess,
} from "../assert.ts";
import { filled, numbered } from "./support/bytes.ts";
import { LONG } from "./support/configs.ts";
import { withDb } from "./support/database.ts";

const QUIET: Options = { compaction: { background: "off" } };

/** Every number of the contract, by its path. */
const NUMBERS = [
  "frozenCount",
  "tableCount",
  "totalTableBytes",
  "lastSequence",
  "memtable.bytes",
  "memtable.entries",
  "memtable.tombstones",
  "memtable.rangeTombstones",
  "wal.files",
  "wal.bytes",
  "wal.syncs",
  "wal.commits",
  "wal.commitsPerSync",
  "wal.lostTailBytes",
  "cache.hits",
  "cache.misses",
  "cache.bytes",
  "cache.capacity",
  "bloom.checks",
  "bloom.skips",
  "bloom.falsePositives",
  "flush.runs",
  "flush.bytesRead",
  "flush.bytesWritten",
  "flush.seconds",
  "compaction.runs",
  "compaction.bytesRead",
  "compaction.bytesWritten",
  "compaction.seconds",
  "writeAmplification",
  "spaceAmplification",
  "stalls.count",
  "stalls.seconds",
];

function at(stats: unknown, path: string): unknown {
  let found = stats;
  for (const name of path.split(".")) {
    found = (found as Record<string, unknown>)[name];
  }
  return found;
}

test("stats() has every field, and is plain data", () =>
  withDb(async (db) => {
    for (let round = 0; round < 2; round++) {
      const stats = db.stats();
      for (const path of NUMBERS) {
        const value = at(stats, path);
        assert(
          Number.isFinite(value) && Number(value) >= 0,
          `${path}: ${value}`,
        );
      }
      assert(Array.isArray(stats.tableSizes));
      assert(Array.isArray(stats.levels));
      assertEquals(structuredClone(stats), stats);
      assertEquals(JSON.parse(JSON.stringify(stats)).levels, stats.levels);
      await db.put("a", "1");
      await db.flush();
    }
  }, QUIET));

test("stats() is a copy: later work does not change it", () =>
  withDb(async (db) => {
    const before = db.stats();
    const copy = structuredClone(before);
    await db.put("a", "1");
    await db.flush();
    assertEquals(before, copy);
    assertEquals(db.stats().tableCount, 1);
  }, QUIET));

test("stats() of memtables: entries, tombstones, range tombstones", () =>
  withDb(async (db) => {
    await db.put("a", "1");
    await db.put("a", "2");
    await db.delete("b");
    await db.deleteRange("c", "d");
    const { memtable } = db.stats();
    assertEquals(memtable.entries, 3);
    assertEquals(memtable.tombstones, 1);
    assertEquals(memtable.rangeTombstones, 1);
    assertGreater(memtable.bytes, 0);
  }, QUIET));

test("stats() of tables and levels add up", LONG, () =>
  withDb(async (db) => {
    for (let table = 0; table < 3; table++) {
      for (let i = 0; i < 30; i++) await db.put(numbered("k", i), `${table}`);
      await db.delete("gone");
      await db.deleteRange("x", "y");
      await db.flush();
    }
    const stats = db.stats();
    const sum = (field: "tables" | "bytes" | "entries" | "tombstones") =>
      stats.levels.reduce((total, level) => total + level[field], 0);
    assertEquals(stats.tableCount, 3);
    assertEquals(stats.tableSizes.length, 3);
    assertEquals(
      stats.tableSizes.reduce((a, b) => a + b),
      stats.totalTableBytes,
    );
    assertEquals(sum("tables"), 3);
    assertEquals(sum("bytes"), stats.totalTableBytes);
    assertEquals(sum("entries"), 93);
    assertEquals(sum("tombstones"), 3);
    assertEquals(
      stats.levels.reduce((total, level) => total + level.rangeTombstones, 0),
      3,
    );
    assertGreater(stats.spaceAmplification, 2);
  }, { ...QUIET, durability: "buffered" }));

test("stats() of the log: commits, syncs, files and bytes", () =>
  withDb(async (db) => {
    for (let i = 0; i < 4; i++) await db.put(`k${i}`, filled(100));
    const { wal, lastSequence } = db.stats();
    assertEquals(wal.commits, 4);
    assertEquals(wal.syncs, 4);
    assertEquals(wal.commitsPerSync, 1);
    assertEquals(wal.files, 1);
    assertGreaterOrEqual(wal.bytes, 400);
    assertEquals(wal.lostTailBytes, 0);
    assertGreaterOrEqual(lastSequence, 4);
    await db.flush();
    assertEquals(db.stats().wal.files, 1);
    assertLess(db.stats().wal.bytes, 400);
  }, QUIET));

test(
  "stats() of the cache: a repeated read hits, the first one misses",
  LONG,
  () =>
    withDb(async (db) => {
      for (let i = 0; i < 500; i++) {
        await db.put(numbered("k", i), filled(100, i));
      }
      await db.flush();
      const before = db.stats();
      db.get("k_0250");
      const first = db.stats();
      assertEquals(first.cache.misses, before.cache.misses + 1);
      assertEquals(first.blockReads, before.blockReads + 1);
      db.get("k_0250");
      const second = db.stats();
      assertEquals(second.cache.hits, first.cache.hits + 1);
      assertEquals(second.cache.misses, first.cache.misses);
      assertEquals(second.blockReads, first.blockReads);
      assertGreater(second.cache.bytes, 0);
      assertEquals(second.cache.capacity, 1 << 20);
      assertEquals(before.cache.indexBytes, 0);
      assertGreater(first.cache.indexBytes, 0);
      assertEquals(second.cache.indexBytes, first.cache.indexBytes);
    }, { ...QUIET, durability: "buffered", blockCacheSize: 1 << 20 }),
);

test(
  "stats() with the cache off: capacity and bytes are 0",
  LONG,
  () =>
    withDb(async (db) => {
      await db.put("a", "1");
      await db.flush();
      const { blockReads } = db.stats();
      for (let i = 0; i < 3; i++) db.get("a");
      const { cache, blockReads: after } = db.stats();
      assertEquals([cache.capacity, cache.bytes, cache.hits], [0, 0, 0]);
      assertEquals(after, blockReads + 3);
    }, { ...QUIET, blockCacheSize: 0 }),
);

test("the cache keeps within its capacity", LONG, () =>
  withDb(async (db) => {
    for (let i = 0; i < 2000; i++) db.put(numbered("k", i), filled(100, i));
    await db.flush();
    for (let i = 0; i < 2000; i++) {
      db.get(numbered("k", i));
      const { bytes, capacity } = db.stats().cache;
      assert(bytes <= capacity, `${bytes} of ${capacity}`);
    }
    assertGreater(db.stats().cache.bytes, 0);
  }, { ...QUIET, durability: "buffered", blockCacheSize: 64 * 1024 }));

test(
  "stats() of filters: a lookup that they reject reads no data block",
  LONG,
  () =>
    withDb(async (db) => {
      for (let i = 0; i < 1000; i++) db.put(numbered("k", i), filled(20, i));
      await db.flush();
      const before = db.stats();
      for (let i = 0; i < 1000; i++) db.get(`${numbered("k", i)}x`);
      const { bloom, blockReads } = db.stats();
      const checks = bloom.checks - before.bloom.checks;
      const skips = bloom.skips - before.bloom.skips;
      const wrong = bloom.falsePositives - before.bloom.falsePositives;
      assertGreaterOrEqual(checks, 999); // k_0999x is beyond the last key
      assertEquals(skips + wrong, checks);
      assertLess(wrong, 30);
      assert(blockReads - before.blockReads <= wrong);
      // A key that is there is not a false positive.
      db.get("k_0500");
      assertEquals(db.stats().bloom.falsePositives, bloom.falsePositives);
    }, { ...QUIET, durability: "buffered" }),
);

test(
  "stats() with filters off: nothing is checked",
  LONG,
  () =>
    withDb(async (db) => {
      await db.put("a", "1");
      await db.put("c", "1");
      await db.flush();
      assertEquals(db.get("b"), undefined);
      assertEquals(db.stats().bloom, {
        checks: 0,
        skips: 0,
        falsePositives: 0,
      });
    }, { ...QUIET, bloomBitsPerKey: 0 }),
);

test(
  "stats() of jobs: bytes and runs of flushes and compactions",
  LONG,
  () =>
    withDb(async (db) => {
      for (let table = 0; table < 2; table++) {
        for (let i = 0; i < 100; i++) db.put(numbered("k", i), filled(100, i));
        await db.flush();
      }
      const flushed = db.stats();
      assertEquals(flushed.flush.runs, 2);
      assertEquals(flushed.flush.bytesWritten, flushed.totalTableBytes);
      assertGreaterOrEqual(flushed.flush.bytesRead, 20_000);
      assertEquals(flushed.compaction.runs, 0);
      assertEquals(flushed.compaction.bytesWritten, 0);
      await db.majorCompact();
      const { compaction, totalTableBytes, writeAmplification } = db.stats();
      assertEquals(compaction.runs, 1);
      assertEquals(compaction.bytesRead, flushed.totalTableBytes);
      assertEquals(compaction.bytesWritten, totalTableBytes);
      // Log, flush and a merge that halves: about two and a half.
      assertGreater(writeAmplification, 2);
      assertLess(writeAmplification, 4);
    }, { ...QUIET, durability: "buffered" }),
);

test(
  "stats() of stalls: writes that waited are counted, and timed",
  LONG,
  () =>
    withDb(async (db) => {
      assertEquals(db.stats().stalls, {
        count: 0,
        seconds: 0,
        refused: 0,
      });
      const waiting = [];
      for (let i = 0; i < 200; i++) {
        waiting.push(db.put(numbered("k", i), filled(500, i)));
      }
      await Promise.all(waiting);
      const { count, seconds } = db.stats().stalls;
      assertGreater(count, 0);
      assertGreater(seconds, 0);
    }, { ...QUIET, writeBufferSize: 1024, maxFrozenMemtables: 1 }),
);

test("stats() counts open scans and snapshots", () =>
  withDb((db) => {
    assertEquals([db.stats().openScans, db.stats().openSnapshots], [0, 0]);
    const snapshot = db.snapshot();
    const scan = snapshot.scan();
    assertEquals([db.stats().openScans, db.stats().openSnapshots], [1, 1]);
    scan[Symbol.dispose]();
    snapshot[Symbol.dispose]();
    assertEquals([db.stats().openScans, db.stats().openSnapshots], [0, 0]);
  }));

test("stats() is cheap enough to poll", LONG, () =>
  withDb(async (db) => {
    for (let table = 0; table < 10; table++) {
      await db.put(`${table}`, "v");
      await db.flush();
    }
    const start = performance.now();
    for (let i = 0; i < 1000; i++) db.stats();
    // A millisecond each would be no poll; it takes a few microseconds.
    assertLess(performance.now() - start, 1000);
  }, { ...QUIET, durability: "buffered" }));
