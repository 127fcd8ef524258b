/** The benchmark of growth: its bounds and tables, and what it checks answers with. */
import { test } from "node:test";
import { growth, shortSize } from "../../../bench/charts.ts";
import { keyOf, valueOf } from "../../../bench/data.ts";
import { isKept, verdictsOf } from "../../../bench/growth/bounds.ts";
import { FAMILIES, GROWTH } from "../../../bench/growth/families.ts";
import { lineOf, tableOf } from "../../../bench/growth/report.ts";
import type { Row } from "../../../bench/results.ts";
import { SCENARIOS } from "../../../bench/scenarios.ts";
import { shapeOf, STANDARD } from "../../../bench/shape.ts";
import { allBut, deletedIn, everything } from "../../../bench/workloads.ts";
import { assert, assertEquals, assertThrows } from "../../assert.ts";

function row(size: number, name: string, figure: number, more = {}): Row {
  return {
    round: 1,
    store: "leveled",
    runtime: "deno",
    size,
    scenario: "entries",
    name,
    unit: "ops/s",
    figure,
    count: 1,
    ...more,
  };
}

/** What a run of the family entries finds, at two sizes. */
function grown(share: { read: number; fill: number }, large: object): Row[] {
  const [small, most] = [100_000, 10_000_000];
  const reads = ["readrandom", "seekrandom"].flatMap((name) => [
    row(small, `${name}, uncached`, 300),
    row(most, `${name}, uncached`, 300 / share.read),
    row(small, name, 900),
    row(most, name, 90),
  ]);
  const fills = [
    row(10_000, "fillrandom, settled", 1),
    row(small, "fillrandom, settled", 500),
    row(most, "fillrandom, settled", 500 / share.fill),
  ];
  const others = Object.entries(large).map(([name, figure]) =>
    row(most, name, figure)
  );
  return [...reads, ...fills, ...others];
}

const AT_BOUNDS = {
  "write amplification": 12,
  "space amplification": 1.3,
  "open": 150,
  "peak memory, fill": 360 * 2 ** 20,
};

test("what is at its bound keeps it, from a hundred thousand entries on", () => {
  const verdicts = verdictsOf(grown({ read: 3, fill: 2.5 }, AT_BOUNDS));
  assertEquals(verdicts.filter((verdict) => !isKept(verdict)), []);
  assertEquals(verdicts.map(({ what }) => what), [
    "readrandom, uncached, growth from 100k to 10M",
    "seekrandom, uncached, growth from 100k to 10M",
    "readrandom, growth from 100k to 10M",
    "seekrandom, growth from 100k to 10M",
    "fillrandom, settled, growth from 100k to 10M",
    "write amplification, 10M",
    "space amplification, 10M",
    "open, 10M",
    "peak memory, fill, 10M",
  ]);
});

test("each bound is missed by what is beyond it", () => {
  const beyond = Object.entries(AT_BOUNDS)
    .map(([name, most]) => [name, most * 1.01]);
  const verdicts = verdictsOf(
    grown({ read: 3.1, fill: 2.6 }, Object.fromEntries(beyond)),
  );
  const bounded = verdicts.filter(({ most }) => Number.isFinite(most));
  assertEquals(bounded.length, 7);
  assertEquals(bounded.filter(isKept), []);
});

test("what was not measured misses its bound; without a bound nothing is missed", () => {
  const rows = [
    row(1000, "readseq", 1, { store: "size-tiered" }),
    row(1000, "space amplification", 3, { store: "size-tiered" }),
    row(0, "readrandom", 1, { scenario: "keys" }),
  ];
  assertEquals(
    verdictsOf(rows).map((verdict) => [verdict.what, isKept(verdict)]),
    [
      ["write amplification, 1k", false],
      ["space amplification, 1k", true],
      ["open, 1k", false],
      ["peak memory, fill, 1k", false],
    ],
  );
});

test("range tombstones and replay have bounds, on each runtime", () => {
  const rows = ["deno", "bun"].flatMap((runtime) => [
    row(0, "readrandom", 130, { scenario: "ranges", runtime }),
    row(10_000, "readrandom", 100, { scenario: "ranges", runtime }),
    row(0, "readseq", 131, { scenario: "ranges", runtime }),
    row(10_000, "readseq", 100, { scenario: "ranges", runtime }),
    row(1, "open, replay", runtime === "bun" ? 1001 : 1000, {
      scenario: "replay",
      unit: "ms",
      runtime,
    }),
  ]);
  assertEquals(verdictsOf(rows).map(lineOf).map((cells) => cells.join("; ")), [
    "readrandom, beside 10k range tombstones; leveled; deno; 1.30; 1.30; kept",
    "readseq, beside 10k range tombstones; leveled; deno; 1.31; 1.30; MISSED",
    "open, replay; leveled; deno; 1000.0; 1000.0; kept",
    "readrandom, beside 10k range tombstones; leveled; bun; 1.30; 1.30; kept",
    "readseq, beside 10k range tombstones; leveled; bun; 1.31; 1.30; MISSED",
    "open, replay; leveled; bun; 1001.0; 1000.0; MISSED",
  ]);
});

test("a table has a line for each point and a column for each figure", () => {
  const rows = [
    row(10, "readrandom", 1234),
    row(10, "memory", 3 * 2 ** 20, { unit: "bytes" }),
    row(20, "readrandom", 5),
    row(10, "readrandom", 6, { store: "size-tiered" }),
  ];
  assertEquals(tableOf(rows, "entries"), [
    ["entries", "entries", "readrandom, ops/s", "memory"],
    ["10", "leveled", "1,234", "3.0 MiB"],
    ["20", "leveled", "5", ""],
    ["10", "size-tiered", "6", ""],
  ]);
});

test("curves are drawn over what grows, from 0 on too, in the figure's unit", () => {
  const rows = [0, 30, 90].map((percent) =>
    row(percent, "memory", (percent + 1) * 2 ** 20, { unit: "bytes" })
  );
  const svg = growth(rows, "title", ["memory"]);
  const points = /points="([^"]+)"/.exec(svg)?.[1]?.split(" ") ?? [];
  assertEquals(points.map((point) => point.split(",")[0]), ["58", "98", "178"]);
  assert(svg.includes(">91.0 MiB<") && svg.includes(">1.0 MiB<"), svg);
  assertEquals([0, 90, 16, 1024, 2 ** 20, 100_000, 10_000_000].map(shortSize), [
    "0",
    "90",
    "16",
    "1Ki",
    "1Mi",
    "100k",
    "10M",
  ]);
});

test("scenarios have names of their own, and families sizes", () => {
  const names = [...SCENARIOS, ...GROWTH].map(({ name }) => name);
  assertEquals(new Set(names).size, names.length);
  assertEquals(GROWTH.filter(({ sizes }) => sizes.length === 0), []);
  assertEquals(FAMILIES.length, 7);
});

test("entries of any size are checked, each byte now and then", () => {
  assertEquals(shapeOf(16, 100), STANDARD);
  for (const [keyBytes, valueBytes] of [[8, 16], [256, 5000]] as const) {
    const { keyOf, valueOf, checkKey, checkValue } = shapeOf(
      keyBytes,
      valueBytes,
    );
    const key = keyOf(398).slice();
    assertEquals(key.length, keyBytes);
    assertEquals(String.fromCharCode(...key.subarray(-4)), "0398");
    checkKey(key, 398);
    assertThrows(() => checkKey(key, 400));
    const value = valueOf(398, 1).slice();
    assertEquals(value.length, valueBytes);
    for (let i = 0; i < 64; i++) checkValue(value, 398, 1);
    assertThrows(() => checkValue(value, 400, 1));
    assertThrows(() => checkValue(value, 398, 2));
    assertThrows(() => checkValue(undefined, 398, 1));
    assertThrows(() => checkValue(value.subarray(1), 398, 1));
    value[valueBytes - 1] = (value[valueBytes - 1] ?? 0) ^ 1;
    assertThrows(() => {
      for (let i = 0; i < 64; i++) checkValue(value, 398, 1);
    });
  }
});

test("the keys and values of the other benchmarks are the standard shape", () => {
  assertEquals(STANDARD.keyOf(12), keyOf(12));
  STANDARD.checkKey(keyOf(12), 12);
  STANDARD.checkValue(valueOf(12, 3), 12, 3);
  assertThrows(() => STANDARD.checkKey(keyOf(12).subarray(1), 12));
});

test("contents know what is left, and where a scan begins", () => {
  const left = allBut(deletedIn(8, [1, 2, 6], 2));
  assertEquals(left.count, 3);
  assertEquals([0, 1, 2].map(left.entryAt), [0, 4, 5]);
  assertEquals([0, 1, 3, 4, 5, 6, 7, 8].map(left.rankOf), [
    0,
    1,
    1,
    1,
    2,
    3,
    3,
    3,
  ]);
  const all = everything(3);
  assertEquals([all.count, all.entryAt(2), all.rankOf(2)], [3, 2, 2]);
});
