/**
 * What growth may cost, and whether it does.
 *
 * Reads are bounded without a block cache: with one, a store that fits into it
 * is compared with one that does not, which says nothing of the tree. Those
 * are shown beside, without a bound.
 *
 * @module
 */
import { shortSize } from "../charts.ts";
import type { Unit } from "../measure.ts";
import { distinct, medianOf, type Row } from "../results.ts";
import { CACHE_BYTES, WRITE_BUFFER_BYTES } from "../stores/store.ts";

/** A figure, and the most that it may be. */
export interface Verdict {
  readonly runtime: string;
  readonly series: string;
  readonly what: string;
  readonly unit: Unit;
  /** NaN if it was not measured. */
  readonly found: number;
  /** Infinity of what is only shown. */
  readonly most: number;
}

/** Whether a bound is kept; no figure at all does not keep it. */
export const isKept = ({ found, most }: Verdict): boolean => found <= most;

const MIB = 1024 * 1024;
/** From here on an operation may become dearer by the factors below. */
const GROWN_FROM = 100_000;
const READ_GROWTH_MAX = 3;
const FILL_GROWTH_MAX = 2.5;
const WRITE_AMPLIFICATION_MAX: Readonly<Record<string, number>> = {
  leveled: 12,
  "size-tiered": 7,
};
const SPACE_AMPLIFICATION_MAX: Readonly<Record<string, number>> = {
  leveled: 1.3,
};
const OPEN_MAX_MS = 150;
const REPLAY_MAX_MS = 1000;
const RANGES_MAX = 1.3;
/** Two frozen memtables and the active one. */
const MEMTABLES = 3;
/** What a process that fills may need beside memtables and block cache. */
const BESIDE_BYTES = 200 * MIB;
const FILL_MEMORY_MAX = MEMTABLES * WRITE_BUFFER_BYTES + CACHE_BYTES +
  BESIDE_BYTES;

/** The rows of one family, runtime and series; asked for figures. */
class Figures {
  readonly #rows: readonly Row[];
  readonly sizes: readonly number[];

  constructor(rows: readonly Row[]) {
    this.#rows = rows;
    this.sizes = distinct(rows, (row) => row.size).toSorted((a, b) => a - b);
  }

  at(size: number, name: string): number {
    const mine = this.#rows.filter((row) =>
      row.size === size && row.name === name
    );
    return medianOf(mine, (row) => row.figure);
  }

  /** How many times as dear something that is measured as a rate became. */
  growth(name: string, from: number, to: number): number {
    return this.at(from, name) / this.at(to, name);
  }
}

type Line = Pick<Verdict, "what" | "unit" | "found" | "most">;

function ofEntries(figures: Figures, series: string): Line[] {
  const from = figures.sizes.find((size) => size >= GROWN_FROM) ?? Infinity;
  const to = figures.sizes.at(-1) ?? 0;
  const grown = (name: string, most: number): Line => ({
    what: `${name}, growth from ${shortSize(from)} to ${shortSize(to)}`,
    unit: "ratio",
    found: figures.growth(name, from, to),
    most,
  });
  const atMost = (name: string, unit: Unit, most = Infinity): Line => ({
    what: `${name}, ${shortSize(to)}`,
    unit,
    found: figures.at(to, name),
    most,
  });
  return [
    ...(from < to
      ? [
        grown("readrandom, uncached", READ_GROWTH_MAX),
        grown("seekrandom, uncached", READ_GROWTH_MAX),
        grown("readrandom", Infinity),
        grown("seekrandom", Infinity),
        grown("fillrandom, settled", FILL_GROWTH_MAX),
      ]
      : []),
    atMost("write amplification", "ratio", WRITE_AMPLIFICATION_MAX[series]),
    atMost("space amplification", "ratio", SPACE_AMPLIFICATION_MAX[series]),
    atMost("open", "ms", OPEN_MAX_MS),
    atMost("peak memory, fill", "bytes", FILL_MEMORY_MAX),
  ];
}

function ofReplay(figures: Figures): Line[] {
  const found = figures.at(figures.sizes.at(-1) ?? 0, "open, replay");
  return [{ what: "open, replay", unit: "ms", found, most: REPLAY_MAX_MS }];
}

function ofRanges(figures: Figures): Line[] {
  const to = figures.sizes.at(-1) ?? 0;
  return ["readrandom", "readseq"].map((name) => ({
    what: `${name}, beside ${shortSize(to)} range tombstones`,
    unit: "ratio",
    found: figures.growth(name, 0, to),
    most: RANGES_MAX,
  }));
}

const BOUNDED: Readonly<
  Record<string, (figures: Figures, series: string) => Line[]>
> = { entries: ofEntries, replay: ofReplay, ranges: ofRanges };

/** Every bound of what was measured. */
export function verdictsOf(rows: readonly Row[]): Verdict[] {
  const groupOf = (row: Row) => [row.scenario, row.runtime, row.store] as const;
  const groups = distinct(rows, (row) => groupOf(row).join("\n"));
  return groups.flatMap((group) => {
    const mine = rows.filter((row) => groupOf(row).join("\n") === group);
    const [family = "", runtime = "", series = ""] = group.split("\n");
    const lines = BOUNDED[family]?.(new Figures(mine), series) ?? [];
    return lines.map((line) => ({ runtime, series, ...line }));
  });
}
