/**
 * What a compaction strategy decides: which tables to merge or to move next,
 * and how badly that is needed. Pure.
 *
 * Lookups go by sequence, never by the order of levels. So a pick is right
 * whatever tables it takes, and at whatever level its outputs land, as long
 * as no two tables of one level >= 1 overlap afterwards.
 *
 * @module
 */
import type { ResolvedCompaction } from "../options.ts";
import { type TableMeta, tombstoneRatio } from "../sstable/meta.ts";

/** The last level that compactions use, unless size-tiered ones find all up to it taken. */
export const LAST_LEVEL = 6;

/** Tables by level: level 0 by falling highest sequence, each other level by key, without overlap. */
export type Levels = readonly (readonly TableMeta[])[];

/** Tables to merge. */
export interface MergePick {
  /** What it is. */
  readonly type: "merge";
  /** Sorted runs: the tables of each by key, without overlap. */
  readonly runs: readonly (readonly TableMeta[])[];
  /** Level of the outputs. */
  readonly level: number;
  /** Bytes after which an output ends at the next user key; Infinity: one table. */
  readonly outputSize: number;
  /** Tables of the level below the outputs' in the range of the merge, by key: an output also ends when it overlaps too many of their bytes. */
  readonly grandparents: readonly TableMeta[];
}

/** Tables that only change their level: they overlap neither each other nor what is there. */
export interface MovePick {
  /** What it is. */
  readonly type: "move";
  /** The tables. */
  readonly tables: readonly TableMeta[];
  /** Their new level. */
  readonly level: number;
}

/** What is to be done next. */
export type Pick = MergePick | MovePick;

/** What picks go by. */
export interface PickOptions extends ResolvedCompaction {
  /** Bytes that an output of leveled compaction aims at. */
  readonly tableSize: number;
}

/** A strategy: looks at tables, names some. */
export interface Strategy {
  /** The next routine work; `undefined` if none is due. */
  pickMinor(levels: Levels, options: PickOptions): Pick | undefined;
  /**
   * Routine work that can be done while a merge is under way which takes much
   * longer, none of whose tables it touches; `undefined` if there is none.
   */
  pickBeside(
    levels: Levels,
    underWay: MergePick,
    options: PickOptions,
  ): Pick | undefined;
  /**
   * What is not due, and yet worth merging while nothing is written: lookups
   * and scans get on faster; `undefined` if nothing is.
   *
   * @param credit Bytes that may be merged for no better reason. Flushes add
   * what they write, merges at rest take off what they read.
   */
  pickAtRest(
    levels: Levels,
    options: PickOptions,
    credit: number,
  ): Pick | undefined;
  /** Tables worth rewriting alone, each in its level, for their tombstones; the most worthwhile first. */
  pickTombstone(
    levels: Levels,
    options: PickOptions,
    now: number,
  ): MergePick[];
  /** All tables into a single run; `undefined` if they are one already, with nothing to leave out. */
  pickMajor(levels: Levels, options: PickOptions): Pick | undefined;
  /** How far compaction is behind: 0 if nothing is due, 1 if writes should stop until it has caught up. */
  pressure(levels: Levels, options: PickOptions): number;
}

/** The sorted runs of a tree: each table of level 0, and each other level. */
export function runsOf(levels: Levels): (readonly TableMeta[])[] {
  const [young = [], ...rest] = levels;
  return [
    ...young.map((table) => [table]),
    ...rest.filter((level) => level.length > 0),
  ];
}

/** A merge at rest reads at most so many bytes: a quarter of a minute's work, for which an explicit compaction may have to wait. */
export const REST_BYTES_MOST: number = 2 * 1024 * 1024 * 1024;

/** The bytes that a pick reads: none if it only moves tables. */
export function bytesReadBy(pick: Pick): number {
  return pick.type === "merge" ? bytesOf(pick.runs.flat()) : 0;
}

/** Bytes of tables. */
export function bytesOf(tables: readonly TableMeta[]): number {
  let bytes = 0;
  for (const table of tables) bytes += table.size;
  return bytes;
}

/** Whether there is nothing in a table that merging it alone could leave out. */
export function isClean(table: TableMeta): boolean {
  return table.tombstones === 0 && table.rangeTombstones === 0 &&
    table.olderVersions === 0;
}

/** The runs to merge into a single one; `undefined` if there is one at most and it is clean. */
export function uncleanRuns(
  levels: Levels,
): (readonly TableMeta[])[] | undefined {
  const runs = runsOf(levels);
  if (runs.length === 0) return undefined;
  return runs.length === 1 && runs[0].every(isClean) ? undefined : runs;
}

/** The tables that are rich in tombstones and old enough, each to be rewritten where it is; the richest first. */
export function pickByTombstones(
  levels: Levels,
  options: PickOptions,
  now: number,
): MergePick[] {
  const oldest = now - options.tombstoneInterval * 1000;
  const found: { readonly ratio: number; readonly pick: MergePick }[] = [];
  levels.forEach((tables, level) => {
    for (const table of tables) {
      if (table.tombstones + table.rangeTombstones === 0) continue;
      const ratio = tombstoneRatio(table);
      if (ratio < options.tombstoneRatio || table.created > oldest) continue;
      const runs = [[table]];
      found.push({
        ratio,
        pick: {
          type: "merge",
          runs,
          level,
          outputSize: Infinity,
          grandparents: [],
        },
      });
    }
  });
  return found.sort((a, b) =>
    b.ratio - a.ratio ||
    a.pick.runs[0][0].number - b.pick.runs[0][0].number
  ).map(({ pick }) => pick);
}

/**
 * Tables of like rank that wait, as pressure: none as long as what is due is
 * being merged and no second merge has become due beside it, 1 from eight
 * times `due` on.
 */
export function countPressure(count: number, due: number): number {
  return Math.min(1, Math.max(0, (count - 2 * due + 1) / (6 * due + 1)));
}
