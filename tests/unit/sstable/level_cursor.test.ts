/** The level cursor: many tables as one, in every direction, opened when reached. */
import { test } from "node:test";
import {
  LevelCursor,
  runChunks,
  runFragments,
} from "../../../lib/sstable/level_cursor.ts";
import {
  countTablesFrom,
  firstOverlap,
  type HasMeta,
  tablesBetween,
} from "../../../lib/sstable/sorted_run.ts";
import { compareBytes } from "../../../lib/encoding/bytes.ts";
import { mayOverlap } from "../../../lib/sstable/meta.ts";
import type { Table } from "../../../lib/sstable/table.ts";
import {
  assert,
  assertEquals,
  assertFalse,
  assertLessOrEqual,
  assertStrictEquals,
} from "../../assert.ts";
import { LONG } from "../../engine/support/configs.ts";
import { Random } from "../../engine/support/random.ts";
import { checkCursor, type Entry, put, toBytes } from "../support/entries.ts";
import { around, randomKey, smallKey } from "../support/keys.ts";
import { metaOf } from "../support/metas.ts";
import { fragmentsOf, rangesOf } from "../support/ranges.ts";
import {
  newContext,
  newFiles,
  openTable,
  randomEntries,
  tablePath,
  writeTable,
} from "../support/tables.ts";

/** A run of tables with these entries, cut between keys where `cutsAt` says. */
function runOf(
  entries: readonly Entry[],
  cutsAt: () => boolean,
  context = newContext(newFiles()),
): Table[] {
  const files = context.files as ReturnType<typeof newFiles>;
  const parts: Entry[][] = [[]];
  entries.forEach((entry, i) => {
    const isNew = i > 0 && entries[i - 1].key !== entry.key;
    if (isNew && cutsAt()) parts.push([]);
    parts[parts.length - 1].push(entry);
  });
  return parts.filter((part) => part.length > 0).map((part, i) => {
    const meta = writeTable(files, i + 1, part);
    assert(meta !== undefined);
    return openTable({ files, path: tablePath(i + 1), meta }, context);
  });
}

test(
  "a run looks like one table, forwards, backwards and from any key",
  LONG,
  () => {
    for (let seed = 1; seed <= 60; seed++) {
      const random = new Random(seed);
      const name = random.chance(50) ? smallKey : randomKey;
      const entries = randomEntries(random, 1 + random.below(150), name);
      const percent = random.pick([0, 5, 30, 100]);
      const tables = runOf(entries, () => random.chance(percent));
      const metas = tables.map(({ meta }) => meta);
      assertEquals(firstOverlap(metas), undefined);
      const cursor = new LevelCursor(tables, random.chance(50));
      assertEquals(cursor.newest, Math.max(...metas.map((m) => m.newest)));
      assertFalse(cursor.valid);
      const probes = around(
        Array.from({ length: 20 }, () => random.pick(entries).key),
      );
      checkCursor(cursor, entries, probes, random, `seed ${seed}`);
      cursor.close();
      assertFalse(cursor.valid);
    }
  },
);

test("a table is opened when the walk reaches it, and not before", () => {
  const context = newContext(newFiles());
  const files = context.files as ReturnType<typeof newFiles>;
  const entries = Array.from(
    { length: 50 },
    (_, i) => put(`k${String(i).padStart(2, "0")}`, i + 1),
  );
  const tables = runOf(entries, () => true, context);
  assertEquals(tables.length, 50);
  files.resetCounts();
  const cursor = new LevelCursor(tables, false);
  assertEquals(files.counts.open, 0);
  const key = toBytes("k20");
  cursor.seek(key, 3);
  assertEquals([cursor.sequence, files.counts.open], [21, 1]);
  cursor.next();
  cursor.next();
  assertEquals([cursor.sequence, files.counts.open], [23, 3]);
  // Between two tables: only the one that has the entry.
  cursor.seek(toBytes("k30x"), 4);
  assertEquals([cursor.sequence, files.counts.open], [32, 4]);
  cursor.seekBefore(toBytes("k40"), 3);
  assertEquals([cursor.sequence, files.counts.open], [40, 5]);
  cursor.previous();
  assertEquals([cursor.sequence, files.counts.open], [39, 6]);
  cursor.seekBefore(toBytes("k00"), 3);
  assertFalse(cursor.valid);
  cursor.seek(toBytes("z"), 1);
  assertFalse(cursor.valid);
  assertLessOrEqual(files.counts.open, 7);
});

test("before a key in a gap of the run stands the end of the table below it", () => {
  const entries = ["a", "b", "m", "n", "x"].map((key, i) => put(key, i + 1));
  let count = 0;
  const tables = runOf(entries, () => ++count % 2 === 0); // a b, m n, x
  assertEquals(tables.length, 3);
  const cursor = new LevelCursor(tables, false);
  const before = (key: string) => {
    cursor.seekBefore(toBytes(key), key.length);
    return cursor.valid ? cursor.sequence : undefined;
  };
  assertEquals(["c", "l", "o", "w", "y"].map(before), [2, 2, 4, 4, 5]);
});

test("range tombstones of a run: only tables that have some are opened", () => {
  const context = newContext(newFiles());
  const files = context.files as ReturnType<typeof newFiles>;
  const ranges = [
    undefined,
    { start: "b", end: "c", sequence: 1 },
    undefined,
    { start: "d", end: "f", sequence: 2 },
  ];
  const tables = ranges.map((range, i) => {
    const fragments = fragmentsOf(range === undefined ? [] : [range]);
    const key = String.fromCharCode(97 + i);
    const meta = writeTable(files, i + 1, [put(key, 9)], fragments);
    assert(meta !== undefined);
    return openTable({ files, path: tablePath(i + 1), meta }, context);
  });
  files.resetCounts();
  assertEquals(rangesOf(runFragments(tables)), [ranges[1], ranges[3]]);
  assertEquals(rangesOf(runFragments(tables.slice(0, 2))), [ranges[1]]);
  assertEquals(runFragments([tables[0], tables[2]]), []);
  const chunks = runChunks(tables);
  assertEquals(chunks.map(rangesOf), [[ranges[1]], [ranges[3]]]);
  // What a table has, and no copy of it: scans would pay for each.
  assertStrictEquals(chunks[1], tables[3].fragments());
  assertEquals(files.counts.open, 2);
});

test("tables between bounds are those that may overlap them", () => {
  for (let seed = 1; seed <= 300; seed++) {
    const random = new Random(seed);
    const names = [
      ...new Set(Array.from({ length: 30 }, () => smallKey(random))),
    ].sort();
    const tables: HasMeta[] = [];
    for (let i = 0; i + 1 < names.length; i += random.pick([1, 2])) {
      tables.push({
        meta: metaOf({
          smallest: toBytes(names[i]),
          largest: toBytes(names[i + 1]),
          rangeTombstones: 1,
          unbounded: i + 2 >= names.length && random.chance(50),
        }),
      });
    }
    for (const start of around(names.slice(0, 8))) {
      const count = countTablesFrom(tables, toBytes(`${start}x`), start.length);
      assertEquals(
        count,
        tables.filter(({ meta }) =>
          String.fromCharCode(...meta.smallest) <= start
        ).length,
      );
      for (const end of ["", random.pick(names), `${start}\0`]) {
        if (end !== "" && end <= start) continue;
        const [from, to] = [toBytes(start), toBytes(end)];
        // What touches the next table at the first key holds nothing of it.
        const expected = tables.filter(({ meta }, i) => {
          const next = tables[i + 1]?.meta.smallest;
          const touches = !meta.unbounded && next !== undefined &&
            compareBytes(meta.largest, from) === 0 &&
            compareBytes(next, from) === 0;
          return mayOverlap(meta, from, to) && !touches;
        });
        const message = `seed ${seed}, ${JSON.stringify([start, end])}`;
        assertEquals(tablesBetween(tables, from, to), expected, message);
      }
    }
  }
});

test("neighbours of a run touch only at the end of a range tombstone", () => {
  const table = (smallest: string, largest: string, rangeTombstones = 0) =>
    metaOf({
      smallest: toBytes(smallest),
      largest: toBytes(largest),
      rangeTombstones,
    });
  const overlaps = (...tables: ReturnType<typeof table>[]) =>
    firstOverlap(tables) !== undefined;
  assertFalse(overlaps());
  assertFalse(overlaps(table("a", "z")));
  assertFalse(overlaps(table("a", "b"), table("c", "d")));
  assert(overlaps(table("a", "c"), table("b", "d")));
  assert(overlaps(table("a", "b"), table("b", "d")));
  assertFalse(overlaps(table("a", "b", 1), table("b", "d")));
  assert(overlaps(table("b", "b", 1), table("b", "d")));
  const open = { ...table("a", "", 1), unbounded: true };
  assert(overlaps(open, table("b", "d")));
  assertFalse(overlaps(table("0", "1"), open));
});
