/**
 * Says what growth costs, in Markdown: a table for each family and runtime, a
 * line for each bound. And draws it: `growth-FAMILY-RUNTIME.svg`.
 *
 * @module
 */
import { type Chart, growth } from "../charts.ts";
import type { Unit } from "../measure.ts";
import { figureText } from "../report.ts";
import { distinct, medianOf, type Results, type Row } from "../results.ts";
import { printTable } from "../table.ts";
import { thousands } from "../machine.ts";
import { isKept, type Verdict } from "./bounds.ts";
import { GROWTH } from "./families.ts";

const growsOf = (family: string): string =>
  GROWTH.find((scenario) => scenario.family === family)?.grows ?? "size";

/** A cell whose text has its unit needs none in the header. */
const headOf = (name: string, unit: Unit): string =>
  unit === "bytes" || unit === "ratio" ? name : `${name}, ${unit}`;

/** The header and the lines of the table of one family on one runtime. */
export function tableOf(rows: readonly Row[], family: string): string[][] {
  const names = distinct(rows, (row) => row.name);
  const unitOf = (name: string) =>
    rows.find((row) => row.name === name)?.unit ?? "ops/s";
  const header = [
    growsOf(family),
    family,
    ...names.map((name) => headOf(name, unitOf(name))),
  ];
  const lines = distinct(rows, (row) => row.store).flatMap((series) => {
    const mine = rows.filter((row) => row.store === series);
    return distinct(mine, (row) => row.size).map((size) => [
      thousands(size),
      series,
      ...names.map((name) =>
        figureText(
          unitOf(name),
          medianOf(
            mine.filter((row) => row.size === size && row.name === name),
            (row) => row.figure,
          ),
        )
      ),
    ]);
  });
  return [header, ...lines];
}

/** A bound as a line of the last table. */
export function lineOf(verdict: Verdict): string[] {
  const { runtime, series, what, unit, found, most } = verdict;
  const isBounded = Number.isFinite(most);
  return [
    what,
    series,
    runtime,
    figureText(unit, found),
    isBounded ? figureText(unit, most) : "",
    isBounded ? isKept(verdict) ? "kept" : "MISSED" : "",
  ];
}

/** Each family on each runtime, with its rows. */
function groupsOf(rows: readonly Row[]): [string, string, Row[]][] {
  return distinct(rows, (row) => row.scenario).flatMap((family) =>
    distinct(rows, (row) => row.runtime).map((runtime) =>
      [
        family,
        runtime,
        rows.filter((row) =>
          row.scenario === family && row.runtime === runtime
        ),
      ] as [string, string, Row[]]
    ).filter(([, , mine]) => mine.length > 0)
  );
}

/** Prints everything. */
export function printGrowth(
  { machine, versions, rows }: Results,
  verdicts: readonly Verdict[],
): void {
  console.log(`${machine}. ${versions.join(", ")}.\n`);
  for (const [family, runtime, mine] of groupsOf(rows)) {
    console.log(`${family}, ${runtime}\n`);
    const [header = [], ...lines] = tableOf(mine, family);
    printTable(header, lines, 2);
  }
  if (verdicts.length === 0) return;
  const head = ["bound", "series", "runtime", "found", "at most", ""];
  printTable(head, verdicts.map(lineOf), 3);
}

/** The curves of everything that was measured at two sizes or more. */
export function growthCharts({ rows }: Results): Chart[] {
  return groupsOf(rows)
    .filter(([, , mine]) => distinct(mine, (row) => row.size).length > 1)
    .map(([family, runtime, mine]) => ({
      name: `growth-${family}-${runtime}`,
      svg: growth(
        mine,
        `${family} on ${runtime}: cost over ${growsOf(family)}`,
        distinct(mine, (row) => row.name),
      ),
    }));
}
