/**
 * Layers of a tree as plain data: points and range deletes, spread over
 * sources as flushes and compactions leave them, and what readers see of all.
 *
 * @module
 */
import { PUT, TOMBSTONE } from "../../../lib/cursor.ts";
import type { Random } from "../../engine/support/random.ts";
import { type Entry, put, sorted, tombstone } from "./entries.ts";
import { newestCovering, randomRange, type Range } from "./ranges.ts";

/** One source: a memtable or a table. */
export interface Layer {
  readonly entries: Entry[];
  readonly ranges: Range[];
}

/** A row that a reader sees. */
export type Row = [key: string, value: string];

/** How layers are made. */
export interface LayerPlan {
  readonly operations: number;
  readonly layers: number;
  readonly key: (random: Random) => string;
  /** Of a hundred operations, how many are range deletes. */
  readonly rangePercent: number;
  /** Whether each layer has a stretch of sequences of its own, or any. */
  readonly isInOrder: boolean;
  /** Of a hundred points, how many are in a second layer too, as after the replay of a log whose memtable had become a table. */
  readonly doublePercent?: number;
}

/** Random layers; sequences go from 1 to `operations`. */
export function randomLayers(random: Random, plan: LayerPlan): Layer[] {
  const layers: Layer[] = Array.from(
    { length: plan.layers },
    () => ({ entries: [], ranges: [] }),
  );
  for (let sequence = 1; sequence <= plan.operations; sequence++) {
    const at = plan.isInOrder
      ? Math.floor((sequence - 1) * plan.layers / plan.operations)
      : random.below(plan.layers);
    const layer = layers[at];
    if (random.chance(plan.rangePercent)) {
      layer.ranges.push(randomRange(random, () => plan.key(random), sequence));
      continue;
    }
    const key = plan.key(random);
    const entry = random.chance(70)
      ? put(key, sequence, `${key}=${sequence}`)
      : tombstone(key, sequence);
    layer.entries.push(entry);
    if (random.chance(plan.doublePercent ?? 0)) {
      const other = layers[(at + 1) % layers.length];
      if (other !== layer) other.entries.push(entry);
    }
  }
  return layers;
}

/** A layer of `count` operations, from the sequence `first` on: four puts, with values of any length, to a delete. */
export function layerFrom(
  random: Random,
  first: number,
  count: number,
  key: () => string,
  rangePercent: number,
): Layer {
  const layer: Layer = { entries: [], ranges: [] };
  for (let sequence = first; sequence < first + count; sequence++) {
    if (random.chance(rangePercent)) {
      layer.ranges.push(randomRange(random, key, sequence));
    } else if (random.chance(80)) {
      const value = "v".repeat(random.below(60));
      layer.entries.push(put(key(), sequence, `${sequence}${value}`));
    } else layer.entries.push(tombstone(key(), sequence));
  }
  return layer;
}

/** All points of all layers, once each, in the order of cursors. */
export function allEntries(layers: readonly Layer[]): Entry[] {
  const unique = new Map<string, Entry>();
  for (const { entries } of layers) {
    for (const entry of entries) {
      unique.set(`${entry.sequence} ${entry.key}`, entry);
    }
  }
  return sorted([...unique.values()]);
}

/** All range deletes of all layers. */
export function allRanges(layers: readonly Layer[]): Range[] {
  return layers.flatMap((layer) => layer.ranges);
}

/** The entry or range delete that a reader at `sequence` sees of a key: its sequence, and the value if it is one. */
export function visibleAt(
  layers: readonly Layer[],
  key: string,
  sequence: number,
): { sequence: number; value: Uint8Array | undefined } {
  let point: Entry | undefined;
  for (const { entries } of layers) {
    for (const entry of entries) {
      if (entry.key !== key || entry.sequence > sequence) continue;
      if (point === undefined || entry.sequence > point.sequence) point = entry;
    }
  }
  const covering = newestCovering(allRanges(layers), key, sequence);
  if (point === undefined || covering > point.sequence) {
    return { sequence: covering, value: undefined };
  }
  const isValue = point.kind === PUT;
  return {
    sequence: point.sequence,
    value: isValue ? point.value : undefined,
  };
}

/** The rows that a reader at `sequence` sees, in order. */
export function visibleRows(layers: readonly Layer[], sequence: number): Row[] {
  const rows: Row[] = [];
  const ranges = allRanges(layers);
  let last: string | undefined;
  for (const { key, sequence: own, kind, value } of allEntries(layers)) {
    if (own > sequence || key === last) continue;
    last = key;
    if (kind === TOMBSTONE || newestCovering(ranges, key, sequence) > own) {
      continue;
    }
    rows.push([key, String.fromCharCode(...value)]);
  }
  return rows;
}
