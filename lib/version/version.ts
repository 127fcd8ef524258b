/**
 * A version: the set of tables at one moment. Immutable.
 *
 * Whoever reads over time (a scan, a job) retains the version; a table's file
 * lives as long as any version that names it has a user.
 *
 * Invariant: the tables of a level >= 1 are a sorted run; see
 * sstable/sorted_run.ts. Whoever makes a version has checked it.
 *
 * @module
 */
import { compareByKey } from "../sstable/sorted_run.ts";
import type { Table } from "../sstable/table.ts";
import type { TableMeta } from "../sstable/meta.ts";

/** A set of tables. */
export class Version {
  /** The tables of each level: of level 0 in the order that {@linkcode Version.tables} has, of every other by key. */
  readonly levels: readonly (readonly Table[])[];
  /** The highest sequence in each level; 0 of one without tables. */
  readonly newest: readonly number[];
  /** All tables, by falling highest sequence: a lookup that found something newer than the next table's highest can stop. */
  readonly tables: readonly Table[];
  private sortedMetas: readonly (readonly TableMeta[])[] | undefined;
  private users = 1;

  /** The version of these levels; it retains their tables until its last user lets go. */
  constructor(levels: readonly (readonly Table[])[]) {
    const byAge = (a: Table, b: Table) =>
      b.meta.newest - a.meta.newest || b.meta.number - a.meta.number;
    const byKey = (a: Table, b: Table) => compareByKey(a.meta, b.meta);
    this.levels = levels.map((level, i) =>
      [...level].sort(i === 0 ? byAge : byKey)
    );
    this.newest = levels.map((level) =>
      level.reduce((newest, { meta }) => Math.max(newest, meta.newest), 0)
    );
    this.tables = levels.flat().sort(byAge);
    for (const table of this.tables) table.retain();
  }

  /** What the manifest says of the tables of each level, in the order of {@linkcode Version.levels}. */
  get metas(): readonly (readonly TableMeta[])[] {
    return this.sortedMetas ??= this.levels.map((level) =>
      level.map((table) => table.meta)
    );
  }

  /** Counts one more user. */
  retain(): void {
    this.users++;
  }

  /** Counts one user less. */
  release(): void {
    // mutant version-stays-while-read: otherwise a scan loses its tables
    if (--this.users > 0) return;
    for (const table of this.tables) table.release();
  }
}
