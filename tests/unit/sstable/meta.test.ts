/** What the tree can tell of a table from its metadata. */
import { test } from "node:test";
import {
  mayHold,
  mayOverlap,
  type TableMeta,
  tombstoneRatio,
} from "../../../lib/sstable/meta.ts";
import { assertEquals } from "../../assert.ts";
import { toBytes } from "../support/entries.ts";
import { metaOf } from "../support/metas.ts";

function table(
  smallest: string,
  largest: string,
  unbounded = false,
): TableMeta {
  return metaOf({
    smallest: toBytes(smallest),
    largest: toBytes(largest),
    unbounded,
  });
}

test("mayHold(): from the smallest to the largest, both included", () => {
  const holds = (meta: TableMeta, key: string) =>
    mayHold(meta, toBytes(`${key}junk`), key.length);
  const bounded = table("b", "d");
  const keys = ["", "a\xff", "b", "b\0", "c", "d", "d\0", "\xff"];
  assertEquals(keys.filter((key) => holds(bounded, key)), [
    "b",
    "b\0",
    "c",
    "d",
  ]);
  const open = table("b", "", true);
  assertEquals(keys.filter((key) => !holds(open, key)), ["", "a\xff"]);
  const ofEmptyKey = table("", "");
  assertEquals(keys.filter((key) => holds(ofEmptyKey, key)), [""]);
});

test("mayOverlap(): ranges end before their end, tables at their largest", () => {
  const overlaps = (meta: TableMeta, start: string, end: string) =>
    mayOverlap(meta, toBytes(start), toBytes(end));
  const bounded = table("b", "d");
  const cases: [start: string, end: string, overlaps: boolean][] = [
    ["", "", true],
    ["", "a", false],
    ["", "b", false],
    ["", "b\0", true],
    ["a", "z", true],
    ["c", "c\0", true],
    ["d", "e", true],
    ["d\0", "e", false],
    ["d", "", true],
    ["d\0", "", false],
  ];
  for (const [start, end, expected] of cases) {
    const message = JSON.stringify([start, end]);
    assertEquals(overlaps(bounded, start, end), expected, message);
  }
  assertEquals(overlaps(table("b", "", true), "x", "y"), true);
  assertEquals(overlaps(table("b", "", true), "a", "b"), false);
});

test("tombstoneRatio(): both kinds of tombstones to both kinds of records", () => {
  const ratio = (
    entries: number,
    tombstones: number,
    rangeTombstones: number,
  ) => tombstoneRatio(metaOf({ entries, tombstones, rangeTombstones }));
  assertEquals(ratio(10, 3, 0), 0.3);
  assertEquals(ratio(9, 3, 1), 0.4);
  assertEquals(ratio(0, 0, 5), 1);
  assertEquals(ratio(4, 4, 0), 1);
  assertEquals(ratio(4, 0, 0), 0);
  assertEquals(ratio(0, 0, 0), 0);
});
