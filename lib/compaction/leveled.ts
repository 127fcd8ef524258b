/**
 * Leveled compaction: below level 0, each level is one sorted run, ten times
 * as large as the one above it. A lookup asks one table of each.
 *
 * Level sizes are dynamic: they follow from what the last level holds, so that
 * it has about nine tenths of everything, whatever the tree's size. Levels
 * above the first that is worth having (the base level) are empty, and level 0
 * is merged straight into the base level.
 *
 * Source: RocksDB's level_compaction_dynamic_level_bytes, its picking by
 * least overlap (kMinOverlappingRatio) and its bound on grandparents.
 *
 * Invariant: each pick but a split takes something to a deeper level, and a
 * table is split at most once before it goes. So picks come to an end.
 *
 * Pure.
 *
 * @module
 */
import { compareBytes } from "../encoding/bytes.ts";
import { type TableMeta, tombstoneRatio } from "../sstable/meta.ts";
import { SPAN_MAX } from "./splitting.ts";
import {
  bytesOf,
  bytesReadBy,
  countPressure,
  LAST_LEVEL,
  type Levels,
  type MergePick,
  type Pick,
  pickByTombstones,
  type PickOptions,
  REST_BYTES_MOST,
  type Strategy,
  uncleanRuns,
} from "./strategy.ts";

/** How many times as large as the one above it a level is. */
const GROWTH = 10;
/** Tables' worth of bytes that one merge takes from a level, at most, where it can choose. */
const MERGE_TABLES_MAX = 25;
/** A table larger than this many times the aim is cut rather than moved. */
const MOVE_SIZE_MAX = 2;
/** Sizes of levels slow writes down, but only level 0 stops them. */
const LEVEL_PRESSURE_MAX = 0.9;

/** Which levels are in use, and how large they should be. */
export interface Shape {
  /** The last level. */
  readonly last: number;
  /** The first level below level 0 that is in use. */
  readonly base: number;
  /** Bytes that each level should have at most: 0 above the base level, Infinity for the last. */
  readonly targets: readonly number[];
}

/** The shape that the last level's size asks for. */
export function shapeOf(levels: Levels, options: PickOptions): Shape {
  const smallest = options.minThreshold * options.tableSize;
  const last = Math.max(LAST_LEVEL, levels.length - 1);
  const targets = new Array<number>(last + 1).fill(0);
  targets[last] = Infinity;
  let base = last;
  let target = bytesOf(levels[last] ?? []) / GROWTH;
  for (; base > 1 && target >= smallest; target /= GROWTH) {
    targets[--base] = target;
  }
  return { last, base, targets };
}

/** Tables [from, to) of a run, and their bytes. */
interface Span {
  readonly from: number;
  readonly to: number;
  readonly bytes: number;
}

function endsBeforeStartOf(a: TableMeta, b: TableMeta): boolean {
  return !a.unbounded && compareBytes(a.largest, b.smallest) < 0;
}

/** For each table of a run the tables of another that it overlaps: one pass over both. */
export function spansOf(
  upper: readonly TableMeta[],
  lower: readonly TableMeta[],
): Span[] {
  let from = 0;
  let to = 0;
  let before = 0; // Bytes of lower[0, from).
  let upTo = 0; // Bytes of lower[0, to).
  return upper.map((table) => {
    while (from < lower.length && endsBeforeStartOf(lower[from], table)) {
      before += lower[from++].size;
    }
    while (to < lower.length && !endsBeforeStartOf(table, lower[to])) {
      upTo += lower[to++].size;
    }
    return { from, to: Math.max(from, to), bytes: Math.max(0, upTo - before) };
  });
}

/** What stands for many tables in {@linkcode spansOf}: from the first key of any to the last. */
function hullOf(tables: readonly TableMeta[]): TableMeta {
  let hull = tables[0];
  for (const table of tables) {
    const { smallest } = table;
    if (compareBytes(smallest, hull.smallest) < 0) hull = { ...hull, smallest };
    const reachesFurther = !hull.unbounded &&
      (table.unbounded || compareBytes(table.largest, hull.largest) > 0);
    if (reachesFurther) {
      const { largest, unbounded } = table;
      hull = { ...hull, largest, unbounded };
    }
  }
  return hull;
}

function overlapping(
  hull: TableMeta,
  lower: readonly TableMeta[],
): readonly TableMeta[] {
  const [{ from, to }] = spansOf([hull], lower);
  return lower.slice(from, to);
}

/** A merge of tables from above into a level, with all that they overlap there. */
function mergeInto(
  level: number,
  upper: readonly (readonly TableMeta[])[],
  levels: Levels,
  options: PickOptions,
): MergePick {
  const hull = hullOf(upper.flat());
  const lower = overlapping(hull, levels[level] ?? []);
  const all = hullOf([hull, ...lower]);
  return {
    type: "merge",
    runs: lower.length > 0 ? [...upper, lower] : upper,
    level,
    outputSize: options.tableSize,
    grandparents: overlapping(all, levels[level + 1] ?? []),
  };
}

/** Whether a table that overlaps nothing at `level` may just go there. */
function mayMove(
  table: TableMeta,
  level: number,
  levels: Levels,
  options: PickOptions,
): boolean {
  if (table.size > MOVE_SIZE_MAX * options.tableSize) return false;
  const below = overlapping(table, levels[level + 1] ?? []);
  if (bytesOf(below) > SPAN_MAX * options.tableSize) return false;
  // With nothing under it, a merge may leave its tombstones out.
  return tombstoneRatio(table) < options.tombstoneRatio || below.length > 0;
}

/** The oldest table of level 0 and those that overlap it, or each other, as far as one merge may take them. */
function oldestGroup(
  young: readonly TableMeta[],
  options: PickOptions,
): TableMeta[] {
  const waiting = young.slice().reverse();
  const group = waiting.splice(0, 1);
  let hull = group[0];
  let bytes = hull.size;
  for (let at = 0; at < waiting.length; at++) {
    const table = waiting[at];
    const isApart = endsBeforeStartOf(table, hull) ||
      endsBeforeStartOf(hull, table);
    if (isApart) continue;
    bytes += table.size;
    const isFull = group.length === options.maxThreshold ||
      bytes > MERGE_TABLES_MAX * options.tableSize;
    if (isFull) break;
    group.push(table);
    waiting.splice(at, 1);
    hull = hullOf([hull, table]);
    at = -1; // The hull has grown: those that were apart may not be now.
  }
  return group;
}

function pickYoung(
  levels: Levels,
  { base }: Shape,
  options: PickOptions,
): Pick {
  const group = oldestGroup(levels[0], options);
  const [table] = group;
  const isAlone = group.length === 1 &&
    overlapping(table, levels[base] ?? []).length === 0;
  if (isAlone && mayMove(table, base, levels, options)) {
    return { type: "move", tables: [table], level: base };
  }
  const upper = group.map((member) => [member]);
  return mergeInto(base, upper, levels, options);
}

/** What a table's going down is worth: its bytes, more for what it may hide below. */
function worthOf(table: TableMeta): number {
  const ofRanges = table.rangeTombstones > 0 ? 1 : 0;
  return table.size * (1 + 2 * tombstoneRatio(table) + ofRanges);
}

/** Whether cutting a table by what it overlaps would make merges notably smaller: even without the largest three, it overlaps too much. */
function isTooWide(
  overlapped: readonly TableMeta[],
  options: PickOptions,
): boolean {
  const sizes = overlapped.map(({ size }) => size).sort((a, b) => b - a);
  const rest = sizes.slice(3).reduce((sum, size) => sum + size, 0);
  return rest > (MERGE_TABLES_MAX - SPAN_MAX) * options.tableSize;
}

/** The table that costs least to take down for what it is worth. */
function cheapest(
  upper: readonly TableMeta[],
  spans: readonly Span[],
): number {
  let best = 0;
  let bestCost = Infinity;
  upper.forEach((table, i) => {
    const cost = spans[i].bytes / worthOf(table);
    if (cost >= bestCost) return;
    best = i;
    bestCost = cost;
  });
  return best;
}

/** Takes in neighbours that overlap nothing more below: they go along for what they weigh. */
function withNeighbours(
  at: number,
  upper: readonly TableMeta[],
  spans: readonly Span[],
  options: PickOptions,
): readonly TableMeta[] {
  const { from, to, bytes } = spans[at];
  let room = MERGE_TABLES_MAX * options.tableSize - bytes - upper[at].size;
  const fits = (i: number) => {
    const span = spans[i];
    const isInside = span !== undefined && span.to > span.from &&
      span.from >= from && span.to <= to && upper[i].size <= room;
    if (isInside) room -= upper[i].size;
    return isInside;
  };
  let first = at;
  let stop = at + 1;
  while (first > 0 && fits(first - 1)) first--;
  while (stop < upper.length && fits(stop)) stop++;
  return upper.slice(first, stop);
}

function pickFrom(
  level: number,
  levels: Levels,
  { base }: Shape,
  options: PickOptions,
): Pick {
  const upper = levels[level];
  const target = Math.max(base, level + 1);
  const lower = levels[target] ?? [];
  const spans = spansOf(upper, lower);
  const at = cheapest(upper, spans);
  const table = upper[at];
  const overlapped = lower.slice(spans[at].from, spans[at].to);
  if (overlapped.length === 0 && mayMove(table, target, levels, options)) {
    return { type: "move", tables: [table], level: target };
  }
  if (isTooWide(overlapped, options)) {
    return {
      type: "merge",
      runs: [[table]],
      level,
      outputSize: options.tableSize,
      grandparents: overlapped,
    };
  }
  const tables = withNeighbours(at, upper, spans, options);
  return mergeInto(target, [tables], levels, options);
}

/** How far each level is over its size; level 0 by the number of its tables. Above 1 is due, in level 0 also 1. */
function scoresOf(
  levels: Levels,
  { base, last, targets }: Shape,
  options: PickOptions,
): number[] {
  return levels.map((tables, level) => {
    if (level === 0) return tables.length / options.minThreshold;
    if (tables.length === 0 || level === last) return 0;
    const bytes = bytesOf(tables);
    return level < base
      ? 1 + bytes / (options.minThreshold * options.tableSize)
      : bytes / targets[level];
  });
}

/** The leveled strategy. */
export const leveled: Strategy = {
  pickMinor(levels, options) {
    const shape = shapeOf(levels, options);
    const scores = scoresOf(levels, shape, options);
    let most = 0;
    scores.forEach((score, level) => {
      if (score > scores[most]) most = level;
    });
    if (scores.length === 0) return undefined;
    if (most > 0 && scores[most] > 1) {
      return pickFrom(most, levels, shape, options);
    }
    return scores[0] >= 1 ? pickYoung(levels, shape, options) : undefined;
  },

  // No merge takes long, and the next one may need the same tables.
  pickBeside: () => undefined,

  // What is in level 0 overlaps, and a scan asks each of its tables.
  pickAtRest(levels, options, credit) {
    if (levels.length === 0 || levels[0].length === 0) return undefined;
    const pick = pickYoung(levels, shapeOf(levels, options), options);
    const most = Math.min(credit, REST_BYTES_MOST);
    return bytesReadBy(pick) <= most ? pick : undefined;
  },

  pickTombstone: pickByTombstones,

  pickMajor(levels, options) {
    const runs = uncleanRuns(levels);
    if (runs === undefined) return undefined;
    return {
      type: "merge",
      runs,
      level: Math.max(LAST_LEVEL, levels.length - 1),
      outputSize: options.tableSize,
      grandparents: [],
    };
  },

  pressure(levels, options) {
    const shape = shapeOf(levels, options);
    const [young = 0, ...rest] = scoresOf(levels, shape, options);
    const largest = Math.max(0, ...rest.slice(shape.base - 1));
    const ofLevels = (largest - 1) / (GROWTH - 1);
    return Math.max(
      countPressure(young * options.minThreshold, options.minThreshold),
      Math.min(LEVEL_PRESSURE_MAX, ofLevels),
      0,
    );
  },
};
