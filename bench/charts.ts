/**
 * Draws results as SVG: bars by workload, and curves over the number of entries.
 *
 * A chart is text, a few kilobytes, without script or font. Its colours stand
 * out on light and on dark ground: text and lines are a middle grey, the ground
 * is left transparent.
 *
 * - `bars-RUNTIME-SIZE.svg`: for each workload a bar for each store, its length
 *   the rate as a share of the workload's fastest.
 * - `growth-RUNTIME.svg`: for each workload a small diagram, the cost of an
 *   operation over the number of entries, both logarithmic. Needs two sizes.
 *   `bench/growth.ts` draws such of its own, over whatever grows.
 *
 * @module
 */
import { mebibytes, thousands } from "./machine.ts";
import {
  distinct,
  medianOf,
  NATIVE,
  type Results,
  type Row,
} from "./results.ts";
import { RANKED } from "./scenarios.ts";
import { inStoreOrder } from "./stores/registry.ts";

/** A chart and the name of its file. */
export interface Chart {
  readonly name: string;
  readonly svg: string;
}

const GREY = "#808890";
/** By the order of the stores, more than there are; Varve's is the first. */
const COLOURS = [
  "#e4572e",
  "#4f86c6",
  "#7fb069",
  "#c490d1",
  "#d9a441",
  "#4fb3a5",
  "#9a8c98",
  "#b56576",
  "#6a6fc4",
  "#8d6e4f",
];
const FONT = 11;
const LINE = 16;

const escapeText = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");

const number = (value: number): string => String(Math.round(value * 10) / 10);

function text(
  x: number,
  y: number,
  content: string,
  anchor: "start" | "middle" | "end" = "start",
): string {
  const where = `x="${number(x)}" y="${number(y)}"`;
  const side = anchor === "start" ? "" : ` text-anchor="${anchor}"`;
  return `<text ${where}${side}>${escapeText(content)}</text>`;
}

function document(
  width: number,
  height: number,
  title: string,
  parts: readonly string[],
): string {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${
      Math.ceil(height)
    }" width="${width}" font-family="sans-serif" font-size="${FONT}" fill="${GREY}">`,
    `<title>${escapeText(title)}</title>`,
    ...parts,
    "</svg>",
    "",
  ].join("\n");
}

const colourOf = (index: number): string => COLOURS[index] ?? GREY;

const LEGEND_COLUMNS = 5;
const LEGEND_WIDTH = 134;

/** Title and legend, and where what follows them begins. */
function head(
  title: string,
  stores: readonly string[],
): { parts: string[]; bottom: number } {
  const parts = [text(8, LINE, title)];
  stores.forEach((store, i) => {
    const x = 8 + (i % LEGEND_COLUMNS) * LEGEND_WIDTH;
    const y = LINE * (2 + Math.floor(i / LEGEND_COLUMNS));
    const place = `x="${x}" y="${y - 9}" width="10" height="10"`;
    parts.push(
      `<rect ${place} fill="${colourOf(i)}"/>`,
      text(x + 14, y, store),
    );
  });
  const rows = Math.ceil(stores.length / LEGEND_COLUMNS);
  return { parts, bottom: LINE * (2 + rows) };
}

/** Units for each second; of a time, its inverse. */
const rateOf = ({ unit, figure }: Row): number =>
  unit === "ms" ? 1000 / figure : figure;

/** The median rate of a store in a workload; NaN if it was not measured. */
const rate = (rows: readonly Row[], name: string, store: string): number =>
  medianOf(
    rows.filter((row) => row.name === name && row.store === store),
    rateOf,
  );

const BAR = 7;
const LABELS_WIDTH = 130;
const BARS_WIDTH = 470;
const FIGURES_WIDTH = 80;

function bars(rows: readonly Row[], title: string): string {
  const stores = inStoreOrder(rows.map(({ store }) => store));
  const names = RANKED.filter((name) => rows.some((row) => row.name === name));
  const { parts, bottom } = head(title, stores);
  let y = bottom;
  for (const name of names) {
    const rates = stores.map((store) => rate(rows, name, store));
    const best = Math.max(...rates.filter((value) => !Number.isNaN(value)));
    const drawn = rates.map((value, i) => [value, colourOf(i)] as const)
      .filter(([value]) => !Number.isNaN(value));
    const height = Math.max(drawn.length * BAR, FONT);
    parts.push(
      text(LABELS_WIDTH - 6, y + height / 2 + 4, name, "end"),
      text(
        LABELS_WIDTH + BARS_WIDTH + 6,
        y + height / 2 + 4,
        `${thousands(best)}/s`,
      ),
    );
    drawn.forEach(([value, colour], i) => {
      const width = Math.max(1, BARS_WIDTH * value / best);
      parts.push(
        `<rect x="${LABELS_WIDTH}" y="${number(y + i * BAR)}" width="${
          number(width)
        }" height="${BAR - 1}" fill="${colour}"/>`,
      );
    });
    y += height + 7;
  }
  const width = LABELS_WIDTH + BARS_WIDTH + FIGURES_WIDTH;
  return document(width, y + 4, title, parts);
}

const CELL_WIDTH = 182;
const CELL_HEIGHT = 120;
const COLUMNS = 4;
const PLOT = { left: 58, top: 20, width: 120, height: 74 };

/** A scale from [low, high] to [0, length]: logarithmic, but not from 0 on. */
function scale(low: number, high: number, length: number) {
  if (low <= 0) return (value: number) => length * value / (high || 1);
  const span = Math.log(high / low) || 1;
  return (value: number) => length * Math.log(value / low) / span;
}

const timeText = (microseconds: number): string =>
  microseconds >= 1000
    ? `${number(microseconds / 1000)} ms`
    : `${Number(microseconds.toPrecision(2))} us`;

/** What a figure says of the cost: less is better. */
const costOf = (row: Row): number =>
  row.unit === "bytes" || row.unit === "ratio" ? row.figure : 1e6 / rateOf(row);

/** A cost of this unit, in a few letters. */
function costText(unit: Row["unit"], cost: number): string {
  if (unit === "bytes") return mebibytes(cost);
  if (unit === "ratio") return cost.toFixed(2);
  return unit === "MB/s" ? `${timeText(cost)}/MB` : timeText(cost);
}

/** The cost of one operation by size and store, in microseconds; or other figures. */
function growthCell(
  rows: readonly Row[],
  name: string,
  stores: readonly string[],
  sizes: readonly number[],
): string[] {
  const mine = rows.filter((row) => row.name === name);
  const unit = mine[0]?.unit ?? "ops/s";
  const curves = stores.map((store) =>
    sizes.map((size) => {
      const here = mine.filter((row) =>
        row.size === size && row.store === store
      );
      return [size, medianOf(here, costOf)] as const;
    }).filter(([, cost]) => !Number.isNaN(cost))
  );
  const costs = curves.flat().map(([, cost]) => cost);
  const [low, high] = [Math.min(...costs), Math.max(...costs)];
  const x = scale(sizes[0] ?? 1, sizes.at(-1) ?? 1, PLOT.width);
  const y = scale(low, high, PLOT.height);
  const bottom = PLOT.top + PLOT.height;
  const lines = curves.map((curve, i) => {
    const points = curve.map(([size, cost]) =>
      `${number(PLOT.left + x(size))},${number(bottom - y(cost))}`
    );
    return `<polyline points="${points.join(" ")}" fill="none" stroke="${
      colourOf(i)
    }" stroke-width="1.5"/>`;
  });
  return [
    text(PLOT.left, PLOT.top - 6, name),
    `<path d="M${PLOT.left} ${PLOT.top}V${bottom}H${
      PLOT.left + PLOT.width
    }" fill="none" stroke="${GREY}" stroke-width="0.5"/>`,
    text(PLOT.left - 3, PLOT.top + 6, costText(unit, high), "end"),
    text(PLOT.left - 3, bottom, costText(unit, low), "end"),
    text(PLOT.left, bottom + 13, shortSize(sizes[0] ?? 0)),
    text(
      PLOT.left + PLOT.width,
      bottom + 13,
      shortSize(sizes.at(-1) ?? 0),
      "end",
    ),
    ...lines,
  ];
}

/** A number in a few letters: `100k`, `10M`, `16Ki`. */
export function shortSize(size: number): string {
  if (size >= 1e6 && size % 1e5 === 0) return `${size / 1e6}M`;
  if (size > 0 && size % 2 ** 20 === 0) return `${size / 2 ** 20}Mi`;
  if (size > 0 && size % 2 ** 10 === 0) return `${size / 2 ** 10}Ki`;
  return size >= 1000 ? `${size / 1000}k` : `${size}`;
}

/** A small diagram for each of some workloads, with a curve for each store. */
export function growth(
  rows: readonly Row[],
  title: string,
  wanted: readonly string[] = RANKED,
): string {
  const stores = inStoreOrder(rows.map(({ store }) => store));
  const sizes = distinct(rows, (row) => row.size).toSorted((a, b) => a - b);
  const names = wanted.filter((name) => rows.some((row) => row.name === name));
  const { parts, bottom } = head(title, stores);
  names.forEach((name, i) => {
    const x = (i % COLUMNS) * CELL_WIDTH;
    const y = bottom + Math.floor(i / COLUMNS) * CELL_HEIGHT;
    parts.push(
      `<g transform="translate(${x} ${y})">`,
      ...growthCell(rows, name, stores, sizes),
      "</g>",
    );
  });
  const height = bottom + Math.ceil(names.length / COLUMNS) * CELL_HEIGHT;
  return document(COLUMNS * CELL_WIDTH, height, title, parts);
}

/** All charts of a run. */
export function chartsOf({ rows, versions }: Results): Chart[] {
  const charts: Chart[] = [];
  const runtimes = distinct(rows, (row) => row.runtime)
    .filter((runtime) => runtime !== NATIVE);
  for (const runtime of runtimes) {
    const here = rows.filter((row) =>
      row.runtime === runtime || row.runtime === NATIVE
    );
    const version = versions.find((text) => text.startsWith(runtime)) ?? "";
    const sizes = distinct(here, (row) => row.size);
    for (const size of sizes) {
      charts.push({
        name: `bars-${runtime}-${size}`,
        svg: bars(
          here.filter((row) => row.size === size),
          `${thousands(size)} entries, ${version}: longer is faster`,
        ),
      });
    }
    if (sizes.length > 1) {
      charts.push({
        name: `growth-${runtime}`,
        svg: growth(here, `Cost of one operation over entries, ${version}`),
      });
    }
  }
  return charts;
}
