/**
 * A tree of tables that are nothing but lists of keys: large enough to see
 * how a strategy shapes it, and what that costs.
 *
 * @module
 */
import { Splitter } from "../../../lib/compaction/splitting.ts";
import type {
  MergePick,
  Pick,
  PickOptions,
  Strategy,
} from "../../../lib/compaction/strategy.ts";
import { bytesOf } from "../../../lib/compaction/strategy.ts";
import type { TableMeta } from "../../../lib/sstable/meta.ts";
import { compareByKey, firstOverlap } from "../../../lib/sstable/sorted_run.ts";
import { assert, assertEquals } from "../../assert.ts";
import { metaOf } from "./metas.ts";

/** Bytes of an entry. */
const ENTRY = 100;

function bytesOfKey(key: number): Uint8Array {
  return Uint8Array.of(key >>> 24, key >>> 16, key >>> 8, key);
}

/** A tree whose keys are whole numbers. */
export class FakeTree {
  levels: TableMeta[][] = [];
  readonly options: PickOptions;
  /** Bytes that flushes wrote. */
  flushedBytes = 0;
  /** Bytes that merges wrote. */
  mergedBytes = 0;
  /** The most bytes that one merge read. */
  largestMerge = 0;
  moves = 0;
  readonly #keys = new Map<number, readonly number[]>();
  #number = 1;

  constructor(options: PickOptions) {
    this.options = options;
  }

  #make(keys: readonly number[]): TableMeta {
    const number = this.#number++;
    this.#keys.set(number, keys);
    return metaOf({
      number,
      size: keys.length * ENTRY,
      entries: keys.length,
      newest: number,
      smallest: bytesOfKey(keys[0]),
      largest: bytesOfKey(keys[keys.length - 1]),
    });
  }

  #keysOf(table: TableMeta): readonly number[] {
    const keys = this.#keys.get(table.number);
    assert(keys !== undefined, "a table that is not there was picked");
    return keys;
  }

  /** Adds a table of level 0. */
  flush(keys: Iterable<number>): void {
    const table = this.#make([...new Set(keys)].sort((a, b) => a - b));
    this.flushedBytes += table.size;
    this.#put(0, [table]);
  }

  #put(level: number, tables: readonly TableMeta[]): void {
    while (this.levels.length <= level) this.levels.push([]);
    const all = [...this.levels[level], ...tables];
    if (level === 0) all.sort((a, b) => b.newest - a.newest);
    else {
      all.sort(compareByKey);
      assertEquals(firstOverlap(all), undefined, `overlap in level ${level}`);
    }
    this.levels[level] = all;
  }

  #remove(tables: readonly TableMeta[]): void {
    const gone = new Set(tables);
    const before = this.levels.flat().length;
    this.levels = this.levels.map((level) => level.filter((t) => !gone.has(t)));
    assertEquals(this.levels.flat().length, before - gone.size);
  }

  /** Does what was picked. */
  do(pick: Pick): void {
    if (pick.type === "move") {
      this.moves++;
      this.#remove(pick.tables);
      this.#put(pick.level, pick.tables);
    } else this.#merge(pick);
  }

  #merge(pick: MergePick): void {
    const inputs = pick.runs.flat();
    this.largestMerge = Math.max(this.largestMerge, bytesOf(inputs));
    const keys = new Set<number>();
    for (const table of inputs) {
      for (const key of this.#keysOf(table)) keys.add(key);
    }
    const sorted = [...keys].sort((a, b) => a - b);
    const splitter = new Splitter(pick, []);
    const made: TableMeta[] = [];
    let output: number[] = [];
    for (const key of sorted) {
      const bytes = bytesOfKey(key);
      while (splitter.cutBefore(bytes, 0, 4, output.length * ENTRY)) {
        if (output.length > 0) made.push(this.#make(output));
        output = [];
      }
      output.push(key);
      splitter.added();
    }
    made.push(this.#make(output));
    this.mergedBytes += bytesOf(made);
    this.#remove(inputs);
    this.#put(pick.level, made);
  }

  /** Does what is due; returns in how many steps. */
  settle(strategy: Strategy, most = 10_000): number {
    for (let steps = 0;; steps++) {
      const pick = strategy.pickMinor(this.levels, this.options);
      if (pick === undefined) return steps;
      assert(steps < most, `still not settled after ${steps} steps`);
      this.do(pick);
    }
  }

  /** Every key that is in any table. */
  keys(): Set<number> {
    const keys = new Set<number>();
    for (const table of this.levels.flat()) {
      for (const key of this.#keysOf(table)) keys.add(key);
    }
    return keys;
  }
}
