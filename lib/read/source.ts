/**
 * What reads are made of: the owner's tree, or what another thread sees of it.
 *
 * @module
 */
import type { Results } from "../runtime/results.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { TableCursor } from "../sstable/cursor.ts";
import { LevelCursor, runChunks } from "../sstable/level_cursor.ts";
import { mayOverlap } from "../sstable/meta.ts";
import { tablesBetween } from "../sstable/sorted_run.ts";
import type { Version } from "../version/version.ts";
import type { Cursor } from "../cursor.ts";
import { EMPTY } from "../encoding/bytes.ts";
import type { FragmentChunks } from "../memtable/range_tombstones.ts";
import type { RowBuffer } from "../row_buffer.ts";
import { isEmptyRange } from "./bounds.ts";
import { MergingCursor } from "./merging_cursor.ts";
import { RangeCover } from "./range_cover.ts";
import type { Target } from "./target.ts";
import type { View } from "./view.ts";
import { type Bounds, type RowParts, VisibleRows } from "./visible.ts";

/** A moment that is kept readable. */
export interface Pin {
  /** What was written up to this sequence is seen. */
  readonly sequence: number;
}

/** Rows one by one. */
export interface Rows {
  /** The row's key; undefined while only values are wanted. */
  readonly key: Uint8Array | undefined;
  /** The row's value; undefined while only keys are wanted. */
  readonly value: Uint8Array | undefined;
  /** Which halves of rows the next calls make. */
  want(parts: RowParts): void;
  /** Moves to the next row; returns whether there is one. */
  next(): boolean;
  /** Adds the next rows to a buffer, until it is full or has `most`; returns whether there may be more. */
  fill(buffer: RowBuffer, most: number): boolean;
  /** Lets go of what the rows need. */
  close(): void;
}

/** Something to read from. */
export interface ReadSource {
  /** The runtime. */
  readonly runtime: Runtime;
  /** Makes results. */
  readonly results: Results;
  /** Throws `CLOSED` if it was closed. */
  checkOpen(): void;
  /** The value of a key, as the caller's own; `pin` is the moment, or else now. */
  value(
    key: Uint8Array,
    keyLength: number,
    pin: Pin | undefined,
  ): Uint8Array | undefined;
  /** Copies the value of a key to `target`, if it has room; returns its length, or -1 for absence. */
  valueInto(
    key: Uint8Array,
    keyLength: number,
    pin: Pin | undefined,
    target: Target,
  ): number;
  /** Whether a key has a value. */
  has(key: Uint8Array, keyLength: number, pin: Pin | undefined): boolean;
  /** The rows between bounds. */
  rows(bounds: Bounds, reverse: boolean, pin: Pin | undefined): Rows;
  /** Keeps this moment readable until {@linkcode ReadSource.unpin}. */
  pin(): Pin;
  /** Lets go of a moment. */
  unpin(pin: Pin): void;
}

/** The rows of a view at `sequence`. The view must be kept by whoever calls. */
export function rowsOf(
  view: View,
  bounds: Bounds,
  sequence: number,
  reverse: boolean,
  results: Results,
): VisibleRows {
  const cursors: Cursor[] = [];
  const fragments: FragmentChunks[] = [];
  if (!isEmptyRange(bounds)) {
    for (const memtable of view.memtables) {
      if (memtable.entries > 0) cursors.push(memtable.cursor());
      if (memtable.rangeTombstones > 0) {
        fragments.push(memtable.fragmentChunks());
      }
    }
    addTables(view.version, bounds, cursors, fragments);
  }
  return new VisibleRows(
    new MergingCursor(cursors, reverse),
    new RangeCover(fragments, sequence, reverse ? "descending" : "ascending"),
    sequence,
    bounds,
    reverse,
    results,
  );
}

/** Adds a cursor for each table of level 0 and for each other level, as far as they are in bounds, and their range tombstones. */
function addTables(
  version: Version,
  { start = EMPTY, end = EMPTY }: Bounds,
  cursors: Cursor[],
  fragments: FragmentChunks[],
): void {
  const [young = [], ...rest] = version.levels;
  for (const table of young) {
    if (!mayOverlap(table.meta, start, end)) continue;
    if (table.meta.entries > 0) cursors.push(new TableCursor(table, false));
    if (table.meta.rangeTombstones > 0) fragments.push([table.fragments()]);
  }
  for (const level of rest) {
    const tables = tablesBetween(level, start, end);
    let filled = 0;
    let ranges = 0;
    for (const { meta } of tables) {
      if (meta.entries > 0) filled++;
      ranges += meta.rangeTombstones;
    }
    if (filled > 0) {
      const run = filled === tables.length
        ? tables
        : tables.filter(({ meta }) => meta.entries > 0);
      cursors.push(new LevelCursor(run, false));
    }
    if (ranges > 0) fragments.push(runChunks(tables));
  }
}
