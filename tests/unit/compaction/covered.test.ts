/** Tables that range tombstones hide: only those that no reader misses are named. */
import { test } from "node:test";
import { findCovered } from "../../../lib/compaction/covered.ts";
import type { Levels } from "../../../lib/compaction/strategy.ts";
import type { Fragment } from "../../../lib/memtable/range_tombstones.ts";
import type { TableMeta } from "../../../lib/sstable/meta.ts";
import { assert, assertEquals } from "../../assert.ts";
import { toBytes } from "../support/entries.ts";
import { metaOf } from "../support/metas.ts";
import { fragmentsOf, type Range } from "../support/ranges.ts";

interface Made {
  readonly meta: TableMeta;
  readonly ranges: readonly Fragment[];
}

let number = 1;

/** A table of points from `smallest` to `largest`, with sequences from `oldest` to `newest`. */
function points(
  smallest: string,
  largest: string,
  oldest: number,
  newest: number,
): Made {
  const meta = metaOf({
    number: number++,
    smallest: toBytes(smallest),
    largest: toBytes(largest),
    oldest,
    newest,
  });
  return { meta, ranges: [] };
}

/** A table of range deletes: [start, end, sequence]; an empty end is none. */
function deletes(...all: [start: string, end: string, sequence: number][]) {
  const ranges: Range[] = all.map(([start, end, sequence]) => ({
    start,
    end,
    sequence,
  }));
  const sequences = ranges.map(({ sequence }) => sequence);
  const fragments = fragmentsOf(ranges);
  const { end } = fragments[fragments.length - 1];
  const meta = metaOf({
    number: number++,
    entries: 0,
    rangeTombstones: fragments.length,
    smallest: fragments[0].start,
    largest: end,
    unbounded: end.length === 0,
    oldest: Math.min(...sequences),
    newest: Math.max(...sequences),
  });
  return { meta, ranges: fragments };
}

/** The numbers of the covered tables, less that of the first table. */
function covered(levels: Made[][], snapshots: number[] = []): number[] {
  const metas: Levels = levels.map((level) => level.map(({ meta }) => meta));
  const all = new Map(levels.flat().map((t) => [t.meta.number, t.ranges]));
  return findCovered(metas, (meta) => all.get(meta.number) ?? [], snapshots)
    .map((meta) => meta.number);
}

function isCovered(
  table: Made,
  others: Made[],
  snapshots: number[] = [],
): boolean {
  return covered([others, [table]], snapshots).includes(table.meta.number);
}

test("one range tombstone hides a table if it is newer and reaches past its last key", () => {
  const table = points("c", "f", 10, 20);
  assertEquals(isCovered(table, [deletes(["c", "g", 21])]), true);
  assertEquals(isCovered(table, [deletes(["a", "", 21])]), true);
  assertEquals(isCovered(table, [deletes(["c", "f\0", 21])]), true);
  assertEquals(isCovered(table, [deletes(["c", "f", 21])]), false);
  assertEquals(isCovered(table, [deletes(["c\0", "g", 21])]), false);
  assertEquals(isCovered(table, [deletes(["c", "g", 20])]), false);
  assertEquals(isCovered(table, [deletes(["c", "g", 15])]), false);
  assertEquals(isCovered(table, []), false);
});

test("several hide it together if they leave no gap, in whatever tables they are", () => {
  const table = points("c", "f", 10, 20);
  const [left, right] = [deletes(["a", "d", 30]), deletes(["d", "z", 40])];
  assertEquals(isCovered(table, [left, right]), true);
  assertEquals(isCovered(table, [right, left]), true);
  assertEquals(isCovered(table, [left]), false);
  assertEquals(isCovered(table, [right]), false);
  assertEquals(isCovered(table, [left, deletes(["d\0", "z", 40])]), false);
  assertEquals(isCovered(table, [left, deletes(["d", "z", 19])]), false);
  const lapping = deletes(["b", "e", 15], ["c", "z", 25]);
  assertEquals(isCovered(table, [lapping]), true);
});

test("a table without an end is hidden only by what has none", () => {
  const table = deletes(["c", "", 5]);
  assertEquals(isCovered(table, [deletes(["a", "z", 9])]), false);
  assertEquals(isCovered(table, [deletes(["a", "", 9])]), true);
});

test("a snapshot that sees the table and not what hides it keeps it", () => {
  const table = points("c", "f", 10, 20);
  const others = [deletes(["a", "z", 30])];
  for (const snapshot of [10, 15, 20, 29]) {
    assertEquals(isCovered(table, others, [snapshot]), false, `${snapshot}`);
  }
  for (const snapshot of [1, 9, 30, 99]) {
    assertEquals(isCovered(table, others, [snapshot]), true, `${snapshot}`);
  }
  assertEquals(isCovered(table, others, [9, 30]), true);
  // An older delete that hides it too does for the snapshot.
  const twice = [deletes(["a", "z", 21], ["a", "z", 30])];
  assertEquals(isCovered(table, twice, [25]), true);
});

test("a table's own range tombstones never hide it, and of two only the older one goes", () => {
  const own = deletes(["a", "z", 10]);
  assertEquals(covered([[own]]), []);
  const [older, newer] = [deletes(["b", "y", 10]), deletes(["a", "z", 11])];
  assertEquals(covered([[newer, older]]), [older.meta.number]);
  assertEquals(covered([[newer], [older]]), [older.meta.number]);
});

test("tables of one run hide one together, from wherever in the run it begins", () => {
  const run = [
    deletes(["a", "d", 30]),
    points("d", "dz", 25, 29),
    deletes(["e", "h", 31], ["h", "m", 40]),
    deletes(["m", "z", 35]),
  ];
  const goes = (table: Made) =>
    covered([[], run, [table]]).includes(table.meta.number);
  assertEquals(goes(points("a", "c", 10, 20)), true);
  assertEquals(goes(points("e", "y", 10, 20)), true);
  assertEquals(goes(points("l", "m", 10, 20)), true);
  assertEquals(goes(points("c", "f", 10, 20)), false); // the gap from d to e
  assertEquals(goes(points("l", "z", 10, 20)), false);
  assertEquals(goes(points("0", "b", 10, 20)), false);
});

test("looking for what is hidden costs a few looks at the range tombstones, not one at each", () => {
  const keyOf = (i: number) => String(i).padStart(6, "0");
  const count = 20_000;
  // Side by side, as a queue leaves them that is emptied from the front.
  const ranges = Array.from(
    { length: count },
    (_, i): [string, string, number] => [keyOf(i), keyOf(i + 1), 100 + i],
  );
  const queue = deletes(...ranges);
  let looks = 0;
  const watched = new Proxy(queue.ranges, {
    get(list, name): unknown {
      if (typeof name === "string" && /^\d+$/.test(name)) looks++;
      return Reflect.get(list, name);
    },
  });
  const hidden = points(keyOf(500), `${keyOf(502)}~`, 10, 20);
  const rest = points(keyOf(503), keyOf(count), 10, 20);
  const levels: Made[][] = [[{ ...queue, ranges: watched }], [hidden, rest]];
  assertEquals(covered(levels), [hidden.meta.number]);
  assert(looks > 0 && looks < 200, `${looks} looks`);
});
