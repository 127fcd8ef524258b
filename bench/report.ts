/**
 * Says what a run found, in Markdown: for each size and runtime a table of all
 * stores, the ratios of Varve to the best peer with their geometric means, and
 * what memory and disk it took. From files of results, without measuring again:
 *
 * ```text
 * deno task bench:report FILE... [--charts DIR]
 * ```
 *
 * `--charts` draws them too (see `charts.ts`).
 *
 * @module
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type Chart, chartsOf } from "./charts.ts";
import { mebibytes, thousands } from "./machine.ts";
import type { Percentiles } from "./samples.ts";
import {
  distinct,
  type FactsRow,
  medianOf,
  NATIVE,
  readResults,
  type Results,
  type Row,
} from "./results.ts";
import { RANKED } from "./scenarios.ts";
import { inStoreOrder, isOwn, OWN, OWN_INTO } from "./stores/registry.ts";
import { printTable } from "./table.ts";

/** The medians of one row: a workload at a size on a runtime. */
interface Line {
  readonly name: string;
  readonly unit: Row["unit"];
  /** By store. */
  readonly figures: ReadonlyMap<string, number>;
}

/** How a figure compares: above 1 is better, whatever its unit. */
const ratioOf = (unit: Row["unit"], own: number, other: number): number =>
  unit === "ms" ? other / own : own / other;

/** The geometric mean; NaN of nothing. */
export function geometricMean(ratios: readonly number[]): number {
  const logs = ratios.map(Math.log);
  return Math.exp(logs.reduce((sum, log) => sum + log, 0) / logs.length);
}

/** The medians of everything at a size on a runtime, rows in the report's order. */
export function linesOf(
  rows: readonly Row[],
  size: number,
  runtime: string,
): Line[] {
  const here = rows.filter((row) =>
    row.size === size && row.runtime === runtime
  );
  const rank = (name: string) => {
    const found = RANKED.indexOf(name);
    return found < 0 ? RANKED.length : found;
  };
  const names = distinct(here, (row) => row.name)
    .toSorted((a, b) => rank(a) - rank(b));
  return names.map((name) => {
    const mine = here.filter((row) => row.name === name);
    const figures = distinct(mine, (row) => row.store).map((store) =>
      [
        store,
        medianOf(
          mine.filter((row) => row.store === store),
          (row) => row.figure,
        ),
      ] as const
    );
    return { name, unit: mine[0]?.unit ?? "ops/s", figures: new Map(figures) };
  });
}

/** How Varve is used: as most programs do, or with reads into memory of theirs. */
type Own = typeof OWN | typeof OWN_INTO;

/** What Varve came to; writes are the same however it reads. */
const ownFigure = ({ figures }: Line, own: Own): number | undefined =>
  figures.get(own) ?? figures.get(OWN);

/** Varve against the best of the others; undefined without either. */
export function ratioToBest(line: Line, own: Own = OWN): number | undefined {
  const mine = ownFigure(line, own);
  const ratios = [...line.figures]
    .filter(([store]) => !isOwn(store))
    .map(([, figure]) => ratioOf(line.unit, mine ?? NaN, figure));
  return mine === undefined || ratios.length === 0
    ? undefined
    : Math.min(...ratios);
}

/** In which of its uses Varve was measured. */
const ownsIn = (lines: readonly Line[]): Own[] =>
  [OWN, OWN_INTO].filter((own): own is Own =>
    lines.some(({ figures }) => figures.has(own))
  );

const UNIT_TEXTS: Readonly<Record<Row["unit"], (figure: number) => string>> = {
  "ops/s": thousands,
  "entries/s": thousands,
  "MB/s": (figure) => figure.toFixed(1),
  "ms": (figure) => figure.toFixed(1),
  "bytes": mebibytes,
  "ratio": (figure) => figure.toFixed(2),
};

/** A figure as it stands in a table; nothing of none. */
export const figureText = (
  unit: Row["unit"],
  figure: number | undefined,
): string =>
  figure === undefined || Number.isNaN(figure) ? "" : UNIT_TEXTS[unit](figure);

const ratioText = (ratio: number | undefined): string =>
  ratio === undefined || Number.isNaN(ratio) ? "" : ratio.toFixed(2);

function printFigures(rows: readonly Row[], size: number, runtime: string) {
  const lines = linesOf(rows, size, runtime);
  const stores = inStoreOrder(
    lines.flatMap(({ figures }) => [...figures.keys()]),
  );
  const hasPeers = runtime !== NATIVE && !stores.every(isOwn);
  const owns = hasPeers ? ownsIn(lines) : [];
  printTable(
    [
      `${thousands(size)} entries, ${runtime}`,
      "unit",
      ...stores,
      ...owns.map((own) => `${own} / best peer`),
    ],
    lines.map((line) => [
      line.name,
      line.unit,
      ...stores.map((store) => figureText(line.unit, line.figures.get(store))),
      ...owns.map((own) => ratioText(ratioToBest(line, own))),
    ]),
    2,
  );
}

/** Varve against figures of another store, by row. */
function ratiosTo(
  others: ReadonlyMap<string, number | undefined>,
  lines: readonly Line[],
  own: Own,
): Map<string, number | undefined> {
  return new Map(lines.map((line) => {
    const mine = ownFigure(line, own);
    const other = others.get(line.name);
    const ratio = mine === undefined || other === undefined
      ? undefined
      : ratioOf(line.unit, mine, other);
    return [line.name, ratio];
  }));
}

/** Ratios by row: Varve on each runtime to its best peer there, and to native stores. */
function printRatios({ rows }: Results, size: number): void {
  const runtimes = distinct(rows, (row) => row.runtime)
    .filter((runtime) => runtime !== NATIVE);
  const native = linesOf(rows, size, NATIVE);
  const natives = inStoreOrder(
    native.flatMap(({ figures }) => [...figures.keys()]),
  );
  const columns: { title: string; ratios: Map<string, number | undefined> }[] =
    [];
  for (const runtime of runtimes) {
    const lines = linesOf(rows, size, runtime);
    for (const own of ownsIn(lines)) {
      const into = own === OWN ? "" : ", into";
      columns.push({
        title: `best peer, ${runtime}${into}`,
        ratios: new Map(lines.map((line) => [
          line.name,
          ratioToBest(line, own),
        ])),
      });
      for (const store of natives) {
        const others = native.map(({ name, figures }) =>
          [name, figures.get(store)] as const
        );
        columns.push({
          title: `${store}, ${runtime}${into}`,
          ratios: ratiosTo(new Map(others), lines, own),
        });
      }
    }
  }
  const shown = columns.filter(({ ratios }) =>
    [...ratios.values()].some((ratio) => ratio !== undefined)
  );
  if (shown.length === 0) return;
  const means = shown.map(({ ratios }) =>
    geometricMean(
      RANKED.map((name) => ratios.get(name)).filter((ratio) =>
        ratio !== undefined
      ),
    )
  );
  const present = RANKED.filter((name) =>
    shown.some(({ ratios }) => ratios.get(name) !== undefined)
  );
  printTable(
    [`${OWN} / other, ${thousands(size)}`, ...shown.map(({ title }) => title)],
    [
      ...present.map((name) => [
        name,
        ...shown.map(({ ratios }) => ratioText(ratios.get(name))),
      ]),
      ["geometric mean", ...means.map(ratioText)],
    ],
    1,
  );
}

/** A line for each key and each store that has rows of it. */
function linesByStore<T extends { store: string; runtime: string }>(
  rows: readonly T[],
  keyOf: (row: T) => string,
  cellsOf: (mine: readonly T[]) => string[],
): string[][] {
  const whoOf = ({ store, runtime }: T) => `${store}, ${runtime}`;
  return distinct(rows, keyOf).flatMap((key) =>
    distinct(rows, whoOf).flatMap((who) => {
      const mine = rows.filter((row) =>
        keyOf(row) === key && whoOf(row) === who
      );
      return mine.length === 0 ? [] : [[key, who, ...cellsOf(mine)]];
    })
  );
}

function printLatencies(rows: readonly Row[], size: number): void {
  const timed = rows.filter((row) =>
    row.size === size && row.latency !== undefined
  );
  const microseconds = (
    mine: readonly Row[],
    pick: (latency: Percentiles) => number,
  ) =>
    (medianOf(mine, ({ latency }) => latency && pick(latency)) * 1000)
      .toFixed(1);
  const lines = linesByStore(timed, (row) => row.name, (mine) => [
    microseconds(mine, (latency) => latency.p50),
    microseconds(mine, (latency) => latency.p99),
    microseconds(mine, (latency) => latency.p999),
  ]);
  if (lines.length === 0) return;
  const title = `one operation, us, ${thousands(size)}`;
  printTable([title, "store", "p50", "p99", "p99.9"], lines, 2);
}

function printFacts(facts: readonly FactsRow[], size: number): void {
  const here = facts.filter((row) => row.size === size);
  const lines = linesByStore(here, (row) => row.scenario, (mine) => [
    mebibytes(medianOf(mine, (row) => row.peakMemory)),
    mebibytes(medianOf(mine, (row) => row.diskBytes)),
    ratioText(medianOf(mine, (row) => row.writeAmplification ?? undefined)),
  ]);
  printTable(
    [
      `${thousands(size)} entries`,
      "store",
      "peak memory",
      "on disk",
      "write ampl.",
    ],
    lines,
    2,
  );
}

/** Prints everything. */
export function printReport(results: Results): void {
  const { machine, versions, rounds, rows, facts } = results;
  console.log(
    `${machine}. ${versions.join(", ")}. 16-byte keys, 100-byte values, ${
      rounds === 1 ? "1 round" : `medians of ${rounds} rounds`
    }.\n`,
  );
  for (const size of distinct(rows, (row) => row.size)) {
    for (const runtime of distinct(rows, (row) => row.runtime)) {
      if (rows.some((row) => row.size === size && row.runtime === runtime)) {
        printFigures(rows, size, runtime);
      }
    }
    printRatios(results, size);
    printLatencies(rows, size);
    printFacts(facts, size);
  }
}

/** Writes charts into a directory. */
export function writeCharts(
  charts: readonly Chart[],
  directory: string,
): void {
  mkdirSync(directory, { recursive: true });
  for (const { name, svg } of charts) {
    writeFileSync(join(directory, `${name}.svg`), svg);
  }
}

if (import.meta.main) {
  const { values, positionals } = parseArgs({
    args: Deno.args,
    options: { charts: { type: "string" } },
    allowPositionals: true,
  });
  const results = readResults(positionals);
  printReport(results);
  if (values.charts !== undefined) {
    writeCharts(chartsOf(results), values.charts);
  }
}
