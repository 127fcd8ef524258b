/** The reports of the benchmarks: medians, ratios, charts; and YCSB's distribution. */
import { test } from "node:test";
import { chartsOf } from "../../../bench/charts.ts";
import { checkValueBetween, Random, valueOf } from "../../../bench/data.ts";
import { geometricMean, linesOf, ratioToBest } from "../../../bench/report.ts";
import type { Row } from "../../../bench/results.ts";
import { Zipfian } from "../../../bench/ycsb.ts";
import {
  assert,
  assertEquals,
  assertGreater,
  assertLess,
  assertThrows,
} from "../../assert.ts";

function row(store: string, figure: number, more: Partial<Row> = {}): Row {
  return {
    round: 1,
    store,
    runtime: "deno",
    size: 1000,
    scenario: "s",
    name: "readseq",
    unit: "ops/s",
    figure,
    count: 1,
    ...more,
  };
}

function ratiosOf(rows: Row[]): (number | undefined)[] {
  return linesOf(rows, 1000, "deno").map((line) => ratioToBest(line));
}

test("the ratio is to the best peer, of medians over the rounds", () => {
  const rows = [
    ...[90, 100, 900].map((figure) => row("varve", figure)),
    row("lmdb", 20),
    row("rocksdb", 50),
    row("rocksdb", 7, { runtime: "bun" }),
    row("rocksdb", 7, { size: 10 }),
  ];
  const [line, ...others] = linesOf(rows, 1000, "deno");
  assert(line !== undefined);
  assertEquals(others, []);
  assertEquals(ratioToBest(line), 2);
});

test("reads into the program's memory have a ratio of their own, with the writes of the others", () => {
  const write = { name: "fillseq" };
  const rows = [
    ...[row("varve", 100), row("varve-into", 300), row("lmdb", 50)],
    ...[row("varve", 30, write), row("lmdb", 60, write)],
  ];
  const lines = linesOf(rows, 1000, "deno");
  const ratios = (own: "varve" | "varve-into") =>
    lines.map((line) => [line.name, ratioToBest(line, own)]);
  assertEquals(ratios("varve"), [["fillseq", 0.5], ["readseq", 2]]);
  assertEquals(ratios("varve-into"), [["fillseq", 0.5], ["readseq", 6]]);
});

test("of times, less is better", () => {
  const time = { name: "open", unit: "ms" } as const;
  const rows = [row("varve", 10, time), row("lmdb", 5, time)];
  assertEquals(ratiosOf(rows), [0.5]);
});

test("without a peer there is no ratio", () => {
  assertEquals(ratiosOf([row("varve", 1)]), [undefined]);
  assertEquals(ratiosOf([row("varve", 1), row("varve-into", 2)]), [undefined]);
  assertLess(Math.abs(geometricMean([1, 4, 2]) - 2), 1e-9);
});

test("a chart has a bar for each store, and curves need two sizes", () => {
  const rows = [row("varve", 2), row("lmdb", 1)];
  const results = { machine: "", versions: ["deno 1"], rounds: 1, facts: [] };
  const [bars, ...others] = chartsOf({ ...results, rows });
  assertEquals(others, []);
  assertEquals(bars?.name, "bars-deno-1000");
  // Two of the legend, two bars, the second half as long.
  const widths = [...bars?.svg.matchAll(/<rect .*?width="(\d+)"/g) ?? []];
  assertEquals(widths.map(([, width]) => width), ["10", "10", "470", "235"]);
  const more = [...rows, row("varve", 2, { size: 10 })];
  const names = chartsOf({ ...results, rows: more }).map(({ name }) => name);
  assertEquals(names, ["bars-deno-1000", "bars-deno-10", "growth-deno"]);
});

test("Zipf's ranks fall off as they should", () => {
  const zipfian = new Zipfian(1000, new Random(1));
  const counts = new Uint32Array(1000);
  for (let i = 0; i < 100_000; i++) {
    const rank = zipfian.next();
    counts[rank] = (counts[rank] ?? 0) + 1;
  }
  // 1 / zeta(1000, 0.99), and by 2 ** 0.99 less.
  assertLess(Math.abs((counts[0] ?? 0) / 100_000 - 0.1292), 0.005);
  assertLess(Math.abs((counts[1] ?? 0) / 100_000 - 0.065), 0.005);
  assertGreater(counts.filter((count) => count > 0).length, 900);
});

test("a value between two generations passes, one outside does not", () => {
  checkValueBetween(valueOf(4, 1), 4, 1, 3);
  checkValueBetween(valueOf(4, 300), 4, 250, 301);
  assertThrows(() => checkValueBetween(valueOf(4, 4), 4, 1, 3));
  assertThrows(() => checkValueBetween(valueOf(4, 249), 4, 250, 301));
  assertThrows(() => checkValueBetween(valueOf(6, 1), 4, 1, 3));
  assertThrows(() => checkValueBetween(undefined, 4, 1, 3));
});
