/** Elision: a tombstone may go only if brute force finds nothing older under it outside. */
import { test } from "node:test";
import {
  ElisionByLookup,
  ElisionByRange,
  type TombstoneElision,
} from "../../../lib/compaction/elision.ts";
import type { Table } from "../../../lib/sstable/table.ts";
import {
  assert,
  assertEquals,
  assertFalse,
  assertGreater,
} from "../../assert.ts";
import { LONG } from "../../engine/support/configs.ts";
import { Random } from "../../engine/support/random.ts";
import { put, toBytes, tombstone } from "../support/entries.ts";
import { randomKey, smallKey } from "../support/keys.ts";
import { allEntries, type Layer, randomLayers } from "../support/layers.ts";
import { metaOf } from "../support/metas.ts";
import { covers, randomRange } from "../support/ranges.ts";
import { newContext, newFiles, tablesOf } from "../support/tables.ts";

const EXACT = { bloomFallback: true, rangeDrop: true };

function ofKey(
  elision: TombstoneElision,
  key: string,
  sequence: number,
): boolean {
  // Both ways in which callers hold keys: at the start of a buffer, and within.
  const bytes = toBytes(`>${key}<`);
  const within = elision.nothingOlder(bytes, 1, 1 + key.length, sequence);
  const bare = toBytes(`${key}junk`);
  assertEquals(elision.nothingOlder(bare, 0, key.length, sequence), within);
  return within;
}

function ofRange(
  elision: TombstoneElision,
  start: string,
  end: string,
  sequence: number,
): boolean {
  return elision.nothingOlderInRange(toBytes(start), toBytes(end), sequence);
}

interface Scene {
  readonly random: Random;
  readonly key: (random: Random) => string;
  readonly layers: Layer[];
  readonly tables: Table[];
  readonly operations: number;
}

function randomScene(seed: number): Scene {
  const random = new Random(seed);
  const key = random.chance(50) ? smallKey : randomKey;
  const operations = 10 + random.below(100);
  const layers = randomLayers(random, {
    operations,
    layers: 1 + random.below(4),
    key,
    rangePercent: 10,
    isInOrder: random.chance(50),
  });
  const tables = tablesOf(layers, undefined, random.pick([0, 1, 10]));
  return { random, key, layers, tables, operations };
}

test(
  "points: what may go by range or by lookup has nothing older outside",
  LONG,
  () => {
    let exact = 0;
    let byRange = 0;
    for (let seed = 1; seed <= 150; seed++) {
      const { random, key, layers, tables, operations } = randomScene(seed);
      const entries = allEntries(layers);
      const metas = tables.map((table) => table.meta);
      const range = new ElisionByRange(metas, Infinity);
      const lookup = new ElisionByLookup(tables, Infinity, EXACT);
      const filters = new ElisionByLookup(tables, Infinity, {
        ...EXACT,
        bloomFallback: false,
      });
      for (let i = 0; i < 40; i++) {
        const name = key(random);
        const sequence = 1 + random.below(operations + 10);
        const message = `seed ${seed}, ${JSON.stringify(name)} @${sequence}`;
        const isFree = !entries.some((entry) =>
          entry.key === name && entry.sequence < sequence
        );
        assertEquals(ofKey(lookup, name, sequence), isFree, message);
        if (isFree) exact++;
        for (const cautious of [range, filters]) {
          if (ofKey(cautious, name, sequence)) assert(isFree, message);
        }
        if (ofKey(range, name, sequence)) byRange++;
      }
    }
    assertGreater(exact, 1000);
    assertGreater(byRange, 100);
  },
);

test(
  "ranges: what may go by range or by lookup has nothing older outside",
  LONG,
  () => {
    let exact = 0;
    let byRange = 0;
    for (let seed = 1; seed <= 150; seed++) {
      const { random, key, layers, tables, operations } = randomScene(seed);
      const entries = allEntries(layers);
      const range = new ElisionByRange(
        tables.map((table) => table.meta),
        Infinity,
      );
      const lookup = new ElisionByLookup(tables, Infinity, EXACT);
      for (let i = 0; i < 40; i++) {
        const sequence = 1 + random.below(operations + 10);
        const wanted = randomRange(random, () => key(random), sequence);
        const { start, end } = wanted;
        const message = `seed ${seed}, ${JSON.stringify(wanted)}`;
        const isFree = !entries.some((entry) =>
          covers(wanted, entry.key) && entry.sequence < sequence
        );
        assertEquals(ofRange(lookup, start, end, sequence), isFree, message);
        if (isFree) exact++;
        if (!ofRange(range, start, end, sequence)) continue;
        assert(isFree, message);
        byRange++;
      }
    }
    assertGreater(exact, 500);
    assertGreater(byRange, 50);
  },
);

test("by range: the bounds and ages of tables decide, without a read", () => {
  const metas = [
    metaOf({ smallest: toBytes("b"), largest: toBytes("d"), oldest: 10 }),
    metaOf({ smallest: toBytes("x"), unbounded: true, oldest: 50 }),
  ];
  const elision = new ElisionByRange(metas, Infinity);
  const points: [key: string, sequence: number, mayGo: boolean][] = [
    ["a", 99, true],
    ["b", 99, false],
    ["d", 11, false],
    ["d", 10, true],
    ["e", 99, true],
    ["z", 50, true],
    ["z", 51, false],
  ];
  for (const [key, sequence, mayGo] of points) {
    assertEquals(ofKey(elision, key, sequence), mayGo, `${key} @${sequence}`);
  }
  const ranges: [
    start: string,
    end: string,
    sequence: number,
    mayGo: boolean,
  ][] = [
    ["", "b", 99, true],
    ["", "c", 99, false],
    ["", "c", 10, true],
    ["d", "e", 99, false],
    ["e", "x", 99, true],
    ["e", "", 99, false],
    ["e", "", 50, true],
  ];
  for (const [start, end, sequence, mayGo] of ranges) {
    const message = `${start} to ${end} @${sequence}`;
    assertEquals(ofRange(elision, start, end, sequence), mayGo, message);
  }
});

test("what memtables hold counts as outside, whatever its keys", () => {
  for (
    const make of [
      (oldest: number) => new ElisionByRange([], oldest),
      (oldest: number) => new ElisionByLookup([], oldest, EXACT),
    ]
  ) {
    assert(ofKey(make(Infinity), "k", 10));
    assert(ofKey(make(10), "k", 10));
    assertFalse(ofKey(make(9), "k", 10));
    assert(ofRange(make(10), "a", "", 10));
    assertFalse(ofRange(make(9), "a", "", 10));
  }
});

test("without the fallback a filter's maybe keeps the tombstone, and no block is read", () => {
  const context = newContext(newFiles());
  const entries = Array.from(
    { length: 300 },
    (_, i) => put(`k${i + 100}`, 500),
  );
  const tables = tablesOf(
    [{ entries: [...entries, put("a", 1), put("z", 1)], ranges: [] }],
    context,
    32,
  );
  const elision = new ElisionByLookup(tables, Infinity, {
    ...EXACT,
    bloomFallback: false,
  });
  // Every version of the key is newer, but only a lookup would tell.
  assertFalse(ofKey(elision, "k100", 400));
  assert(ofKey(elision, "k100x", 400));
  assertEquals(context.counters.blockReads, 0);
  const settling = new ElisionByLookup(tables, Infinity, EXACT);
  assert(ofKey(settling, "k100", 400));
  assertGreater(context.counters.blockReads, 0);
});

test("with rangeDrop off no range tombstone goes", () => {
  const elision = new ElisionByLookup([], Infinity, {
    ...EXACT,
    rangeDrop: false,
  });
  assertFalse(ofRange(elision, "a", "b", 5));
  assert(ofKey(elision, "a", 5));
});

test("by lookup: a table that its bounds or its age rule out is not opened", () => {
  const context = newContext(newFiles());
  const layer = { entries: [put("b", 10), put("d", 11)], ranges: [] };
  const [table] = tablesOf([layer], context);
  const files = context.files as ReturnType<typeof newFiles>;
  files.resetCounts();
  const elision = new ElisionByLookup([table], Infinity, EXACT);
  assert(ofKey(elision, "a", 99));
  assert(ofKey(elision, "e", 99));
  assert(ofKey(elision, "b", 10));
  assert(ofRange(elision, "e", "", 99));
  assert(ofRange(elision, "a", "z", 10));
  assertEquals(files.counts.open, 0);
  assertFalse(ofKey(elision, "b", 11));
  assertEquals(files.counts.open, 1);
});

test("an older tombstone outside counts as something older", () => {
  const tables = tablesOf([{ entries: [tombstone("k", 3)], ranges: [] }]);
  const elision = new ElisionByLookup(tables, Infinity, EXACT);
  assertFalse(ofKey(elision, "k", 9));
  assertFalse(ofRange(elision, "a", "z", 9));
});

test("a range over thousands of newer keys stays, rather than cost their reading", () => {
  const entries = Array.from(
    { length: 5000 },
    (_, i) => put(`k${i + 10_000}`, 100),
  );
  const context = newContext(newFiles());
  const tables = tablesOf(
    [{ entries: [...entries, put("z", 1)], ranges: [] }],
    context,
  );
  const elision = new ElisionByLookup(tables, Infinity, EXACT);
  assertFalse(ofRange(elision, "a", "", 50));
  assertFalse(ofRange(elision, "a", "", 100));
  const { blockCount } = tables[0];
  assert(context.counters.blockReads < blockCount, `${blockCount} blocks`);
  assert(ofRange(elision, "k10000", "k10500", 100));
});
