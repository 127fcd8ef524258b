/**
 * A tree of real tables in memory whose compactions are done at once, and
 * everything that was ever written to it as plain data.
 *
 * @module
 */
import { findCovered } from "../../../lib/compaction/covered.ts";
import {
  ElisionByLookup,
  ElisionByRange,
  keepTombstones,
} from "../../../lib/compaction/elision.ts";
import {
  inputOfRuns,
  type Job,
  mergeIntoTables,
} from "../../../lib/compaction/job.ts";
import { outputsMax } from "../../../lib/compaction/splitting.ts";
import type {
  MergePick,
  Pick,
  PickOptions,
  Strategy,
} from "../../../lib/compaction/strategy.ts";
import { Found } from "../../../lib/cursor.ts";
import { resolveOptions } from "../../../lib/options.ts";
import type { MemoryFileSystem } from "../../../lib/runtime/memory.ts";
import { lookUp } from "../../../lib/read/view.ts";
import type { TableMeta } from "../../../lib/sstable/meta.ts";
import { firstOverlap } from "../../../lib/sstable/sorted_run.ts";
import { TreeState } from "../../../lib/version/state.ts";
import { VersionSet } from "../../../lib/version/version_set.ts";
import type { CompactionOptions } from "../../../mod.ts";
import { assert, assertEquals } from "../../assert.ts";
import { toBytes } from "./entries.ts";
import { type Layer, visibleAt, visibleRows } from "./layers.ts";
import { fragmentsOf } from "./ranges.ts";
import {
  answerOf,
  DIRECTORY,
  layerOf,
  newContext,
  newFiles,
  writeTable,
} from "./tables.ts";

/** Options of a strategy, with tables that are small. */
export function pickOptions(
  compaction: CompactionOptions,
  tableSize: number,
): PickOptions {
  return { ...resolveOptions({ compaction }).options.compaction, tableSize };
}

/** Runs a job to its end that writes too little for anything to be waited for. */
export function runJob<T>(job: Job<T>): T {
  for (;;) {
    const { done, value } = job.next();
    if (done) return value;
    if (value !== undefined) throw new Error("the job has to be waited for");
  }
}

/** A tree without memtables. */
export class MiniTree {
  readonly files: MemoryFileSystem = newFiles();
  readonly context = newContext(this.files);
  readonly versions: VersionSet;
  readonly options: PickOptions;
  /** Everything ever flushed. */
  readonly written: Layer = { entries: [], ranges: [] };
  snapshots: number[] = [];
  /** The highest sequence flushed. */
  sequence = 0;
  /** Bytes that merges wrote. */
  mergedBytes = 0;
  /** The most bytes that one merge read. */
  largestMerge = 0;

  constructor(options: PickOptions) {
    this.options = options;
    this.versions = new VersionSet(
      DIRECTORY,
      new TreeState(),
      this.context,
    );
    this.versions.install({});
  }

  /** The tables by level. */
  get metas(): readonly (readonly TableMeta[])[] {
    return this.versions.current.metas;
  }

  /** Adds a table of level 0. */
  flush(layer: Layer): void {
    const number = this.versions.newFileNumber();
    const fragments = fragmentsOf(layer.ranges);
    const table = writeTable(this.files, number, layer.entries, fragments);
    if (table === undefined) return;
    this.versions.commit({ addTables: [{ level: 0, table }] });
    this.written.entries.push(...layer.entries);
    this.written.ranges.push(...layer.ranges);
    this.sequence = Math.max(this.sequence, table.newest);
  }

  /** Does what was picked. */
  do(pick: Pick): void {
    if (pick.type === "merge") return this.merge(pick);
    const { tables, level } = pick;
    const numbers = tables.map(({ number }) => number);
    const before = this.versions.current.tables
      .filter((t) => numbers.includes(t.meta.number));
    this.versions.commit({
      removeTables: numbers,
      addTables: tables.map((table) => ({ level, table })),
    });
    assertEquals(before.length, tables.length);
    const after = this.versions.current.levels[level];
    assert(before.every((table) => after.includes(table)));
  }

  private merge(pick: MergePick): void {
    this.begin(pick)();
  }

  /** Makes the tables of a merge out of what is there now; what is returned puts them in. */
  begin(pick: MergePick): () => void {
    const { tables } = this.versions.current;
    const byNumber = new Map(tables.map((t) => [t.meta.number, t]));
    const runs = pick.runs.map((run) => {
      assertEquals(firstOverlap(run), undefined, "a run overlaps itself");
      return run.map(({ number }) => {
        const table = byNumber.get(number);
        assert(table !== undefined, "a table that is not there was picked");
        return table;
      });
    });
    const inside = runs.flat();
    assertEquals(new Set(inside).size, inside.length, "picked twice");
    const outside = tables.filter((table) => !inside.includes(table));
    const bytes = inside.reduce((sum, { meta }) => sum + meta.size, 0);
    this.largestMerge = Math.max(this.largestMerge, bytes);
    const count = outputsMax(bytes, pick);
    const elision = this.sequence % 3 === 0
      ? keepTombstones
      : this.sequence % 3 === 1
      ? new ElisionByRange(outside.map((table) => table.meta), Infinity)
      : new ElisionByLookup(outside, Infinity, {
        bloomFallback: true,
        rangeDrop: true,
      });
    const made = runJob(
      mergeIntoTables(
        inputOfRuns(runs),
        { snapshots: this.snapshots, elision },
        {
          files: this.files,
          directory: DIRECTORY,
          firstNumber: this.versions.reserveFileNumbers(count),
          count,
          blockSize: 256,
          bloomBitsPerKey: 10,
          compression: "none",
          created: 0,
        },
        pick,
      ),
    );
    this.mergedBytes += made.reduce((sum, { size }) => sum + size, 0);
    return () =>
      this.versions.commit({
        removeTables: inside.map(({ meta }) => meta.number),
        addTables: made.map((table) => ({ level: pick.level, table })),
      });
  }

  /** Merges until nothing is due; returns how often. */
  settle(strategy: Strategy, most = 1000): number {
    for (let rounds = 0;; rounds++) {
      const pick = strategy.pickMinor(this.metas, this.options);
      if (pick === undefined) return rounds;
      assert(rounds < most, `still not settled after ${rounds} rounds`);
      this.do(pick);
    }
  }

  /** Merges everything, as far as the strategy has anything to merge. */
  major(strategy: Strategy): void {
    const pick = strategy.pickMajor(this.metas, this.options);
    if (pick !== undefined) this.do(pick);
  }

  /** Removes what range tombstones hide wholly; returns how many tables. */
  dropCovered(): number {
    const tables = new Map(
      this.versions.current.tables.map((t) => [t.meta.number, t]),
    );
    const covered = findCovered(
      this.metas,
      ({ number }) => tables.get(number)?.fragments() ?? [],
      this.snapshots,
    );
    if (covered.length > 0) {
      this.versions.commit({
        removeTables: covered.map(({ number }) => number),
      });
    }
    return covered.length;
  }

  /** What readers see must be what was written: in the tables as data, and by lookups of some keys. */
  check(keys: readonly string[], message: string): void {
    const { current } = this.versions;
    for (const [level, tables] of this.metas.entries()) {
      if (level === 0) continue;
      assertEquals(firstOverlap(tables), undefined, `${message}: overlap`);
    }
    const layers = current.tables.map(layerOf);
    const view = { memtables: [], version: current };
    const found = new Found();
    for (const reader of [...this.snapshots, this.sequence]) {
      const where = `${message}, reader ${reader}`;
      assertEquals(
        visibleRows(layers, reader),
        visibleRows([this.written], reader),
        where,
      );
      for (const key of keys) {
        lookUp(view, toBytes(key), key.length, reader, found);
        assertEquals(
          answerOf(found).value,
          visibleAt([this.written], key, reader).value,
          `${where}, lookup of ${key}`,
        );
      }
    }
  }

  /** Table files must be those that the tree names, and no others. */
  checkFiles(): void {
    const files = this.files.list(DIRECTORY).filter((name) =>
      name.endsWith(".vtab")
    );
    assertEquals(files.length, this.versions.current.tables.length);
  }
}
