/** Lookups in memtables and tables against a brute-force model. */
import { test } from "node:test";
import { BlockCache } from "../../../lib/cache/block_cache.ts";
import { Found } from "../../../lib/cursor.ts";
import { ArenaPool, Memtable } from "../../../lib/memtable/memtable.ts";
import {
  findValue,
  hasValue,
  lookUp,
  releaseView,
  retainView,
} from "../../../lib/read/view.ts";
import { Results } from "../../../lib/runtime/results.ts";
import type { Table } from "../../../lib/sstable/table.ts";
import { Version } from "../../../lib/version/version.ts";
import {
  assert,
  assertEquals,
  assertGreater,
  assertLess,
} from "../../assert.ts";
import { LONG } from "../../engine/support/configs.ts";
import { Random } from "../../engine/support/random.ts";
import { put, toBytes } from "../support/entries.ts";
import { around, randomKey, smallKey } from "../support/keys.ts";
import {
  allEntries,
  allRanges,
  type Layer,
  randomLayers,
  visibleAt,
} from "../support/layers.ts";
import { memtableOf } from "../support/memtables.ts";
import { answerOf, newContext, newFiles, tablesOf } from "../support/tables.ts";

test("the highest visible sequence wins, in whatever layer it is", LONG, () => {
  let values = 0;
  for (let seed = 1; seed <= 80; seed++) {
    const random = new Random(seed);
    const operations = 20 + random.below(150);
    const key = random.chance(50) ? smallKey : randomKey;
    const isInOrder = random.chance(50);
    const layers = randomLayers(random, {
      operations,
      layers: 6,
      key,
      rangePercent: random.pick([0, 10, 30]),
      isInOrder,
      // A double in a memtable would be of a log replayed as a whole.
      doublePercent: isInOrder ? 0 : 10,
    });
    // Memtables hold only what is newer than any table.
    const inMemory = isInOrder ? random.below(4) : 0;
    const onDisk = layers.slice(0, 6 - inMemory);
    const memtables = layers.slice(6 - inMemory).reverse().map(memtableOf);
    const bits = random.pick([0, 1, 10]);
    const tables = tablesOf(onDisk, newContext(newFiles()), bits);
    const version = new Version([tables]);
    const view = { memtables, version };
    const found = new Found();
    const names = [
      ...allEntries(layers).map((entry) => entry.key),
      ...allRanges(layers).flatMap(({ start, end }) => [start, end]),
    ].slice(0, 60);
    for (const name of around(names)) {
      for (const reader of [random.below(operations), operations]) {
        lookUp(view, toBytes(`${name}junk`), name.length, reader, found);
        const expected = visibleAt(layers, name, reader);
        const message = `seed ${seed}, ${JSON.stringify(name)} @${reader}`;
        const { sequence, value } = answerOf(found);
        assertEquals(sequence, expected.sequence, message);
        assertEquals(value, expected.value, message);
        if (value !== undefined) values++;
      }
    }
  }
  assertGreater(values, 1000);
});

test("a memtable that knows the key settles it: no table is asked", () => {
  const context = newContext(newFiles());
  const [table] = tablesOf([{
    entries: [put("a", 1), put("b", 2)],
    ranges: [],
  }], context);
  const memtable = memtableOf({
    entries: [put("a", 5)],
    ranges: [{ start: "b", end: "c", sequence: 6 }],
  });
  const view = { memtables: [memtable], version: new Version([[table]]) };
  const found = new Found();
  lookUp(view, toBytes("a"), 1, 9, found);
  assertEquals(found.sequence, 5);
  lookUp(view, toBytes("b"), 1, 9, found);
  assertEquals(found.sequence, 6);
  assertEquals(context.counters.bloomChecks, 0);
  lookUp(view, toBytes("a"), 1, 4, found);
  assertEquals(found.sequence, 1);
});

test("a memtable that knows the key settles it: no older one is asked", () => {
  const young = memtableOf({ entries: [put("a", 5)], ranges: [] });
  const old = memtableOf({ entries: [put("a", 1), put("b", 2)], ranges: [] });
  let asked = 0;
  const get = old.get.bind(old);
  old.get = (...args) => {
    asked++;
    get(...args);
  };
  const view = { memtables: [young, old], version: new Version([]) };
  const found = new Found();
  lookUp(view, toBytes("a"), 1, 9, found);
  assertEquals([found.sequence, asked], [5, 0]);
  lookUp(view, toBytes("a"), 1, 4, found);
  assertEquals([found.sequence, asked], [1, 1]);
  lookUp(view, toBytes("b"), 1, 9, found);
  assertEquals([found.sequence, asked], [2, 2]);
});

test("a lookup never ended that pushed out of a small cache what it had found, each time anew", () => {
  const names = Array.from({ length: 40 }, (_, i) => `k${i + 10}`);
  // In each table one key alone, between two of which every table has a
  // version that is newer: whoever looks for it must ask all of them.
  const layers = names.slice(1, 11).map((name, n): Layer => {
    const [first, last] = [put(names[0], 1000 + n), put(names[39], 2000 + n)];
    const entries = [first, put(name, 1 + n, "v".repeat(3000)), last];
    return { entries, ranges: [] };
  });
  const found = new Found();
  const results = new Results(false);
  for (let seed = 1; seed <= 20; seed++) {
    const files = newFiles();
    const cache = new BlockCache(32 * 1024, 256);
    const tables = tablesOf(layers, { ...newContext(files), cache }, 0);
    const version = new Version([tables.reverse()]);
    const view = { memtables: [], version };
    let reads = 0;
    files.onOperation = (operation) => {
      if (operation === "read" && ++reads > 2000) throw new Error("no end");
    };
    const random = new Random(seed);
    for (let i = 0; i < 300; i++) {
      // Mostly the same few, so that their blocks are kept.
      const n = random.chance(80) ? random.below(3) : random.below(10);
      const key = toBytes(names[n + 1]);
      reads = 0;
      const value = findValue(view, key, key.length, 1e6, found, results);
      assertEquals(value?.length, 3000);
      if (seed % 2 === 0) continue;
      assert(hasValue(view, key, key.length, 1e6, found));
    }
  }
});

test("tables that cannot hold anything newer are not asked", () => {
  const context = newContext(newFiles());
  const layers: Layer[] = Array.from({ length: 10 }, (_, i) => ({
    entries: [put("a", 10 * i + 1), put("k", 10 * i + 2), put("z", 10 * i + 3)],
    ranges: [],
  }));
  const version = new Version([tablesOf(layers, context)]);
  const found = new Found();
  lookUp({ memtables: [], version }, toBytes("k"), 1, 1000, found);
  assertEquals(found.sequence, 92);
  assertEquals(context.counters.bloomChecks, 1);
  assertEquals(context.counters.blockReads, 1);
  // A key that no table has is for the filters alone.
  for (let i = 0; i < 100; i++) {
    lookUp({ memtables: [], version }, toBytes(`k${i}`), 3, 1000, found);
    assertEquals(found.sequence, 0);
  }
  assertEquals(context.counters.bloomChecks, 1 + 1000);
  assertLess(context.counters.blockReads, 1 + 40);
});

test("of a level >= 1 only the table that may hold the key is asked, however many there are", () => {
  for (const count of [10, 100]) {
    const context = newContext(newFiles(), 0, 200);
    const name = (i: number) => `k${String(i).padStart(4, "0")}`;
    const layers: Layer[] = Array.from({ length: count }, (_, i) => ({
      entries: [put(name(10 * i), i + 1), put(name(10 * i + 5), i + 1)],
      ranges: [],
    }));
    const files = context.files as ReturnType<typeof newFiles>;
    const old = tablesOf(layers, context);
    const version = new Version([[], [], old]);
    const view = { memtables: [], version };
    const found = new Found();
    files.resetCounts();
    const [key, absent] = [toBytes(name(45)), toBytes(name(46))];
    lookUp(view, key, key.length, 1000, found);
    assertEquals(found.sequence, 5);
    assertEquals(files.counts.open, 1);
    assertEquals(context.counters.bloomChecks, 1);
    assertEquals(context.counters.blockReads, 1);
    // Between two tables: by the bounds of the one that starts before.
    lookUp(view, absent, absent.length, 1000, found);
    assertEquals(found.sequence, 0);
    assertEquals(files.counts.open, 1);
    assertEquals(context.counters.bloomChecks, 1);
  }
});

test("a level that cannot hold anything newer is not asked, nor a table of it", () => {
  const context = newContext(newFiles());
  const at = (sequence: number): Layer => ({
    entries: [put("k", sequence)],
    ranges: [],
  });
  const [young, older, newer] = tablesOf([at(20), at(10), at(30)], context);
  const found = new Found();
  const key = toBytes("k");
  const up = (levels: Table[][]) => {
    context.counters.bloomChecks = 0;
    const view = { memtables: [], version: new Version(levels) };
    lookUp(view, key, 1, 1000, found);
    return [found.sequence, context.counters.bloomChecks];
  };
  assertEquals(up([[young], [older]]), [20, 1]);
  assertEquals(up([[young], [], [older], [newer]]), [30, 2]);
  assertEquals(up([[older], [young], [newer]]), [30, 3]);
});

test("a view keeps its memtables and tables until it is let go", () => {
  class CountingPool extends ArenaPool {
    given = 0;
    override give(arena: SharedArrayBuffer): void {
      this.given++;
      super.give(arena);
    }
  }
  const pool = new CountingPool(4096, 1);
  const memtable = new Memtable(1, pool, 0);
  const [table] = tablesOf([{ entries: [put("a", 1)], ranges: [] }]);
  const version = new Version([[table]]);
  let removed = 0;
  table.retire(() => removed++);
  const view = { memtables: [memtable], version };
  retainView(view);
  memtable.release();
  version.release();
  assertEquals([pool.given, removed], [0, 0]);
  releaseView(view);
  assertEquals([pool.given, removed], [1, 1]);
});

test("level 0 is ordered by newest sequences, every other level by keys, and all tables by newest sequences", () => {
  const layers: Layer[] = [["k", 1], ["k", 3], ["b", 4], ["a", 2]].map((
    [key, n],
  ) => ({ entries: [put(String(key), 10 * Number(n))], ranges: [] }));
  const [a, b, c, d] = tablesOf(layers);
  const version = new Version([[a, b], [c, d]]);
  const newest = (tables: readonly Table[]) => tables.map((t) => t.meta.newest);
  assertEquals(newest(version.tables), [40, 30, 20, 10]);
  assertEquals(version.levels.map(newest), [[30, 10], [20, 40]]);
  assertEquals(version.newest, [30, 40]);
  assertEquals(version.metas, [[b.meta, a.meta], [d.meta, c.meta]]);
});
