/**
 * A version: the set of tables at one moment. Immutable.
 *
 * Whoever reads over time (a scan, a job) retains the version; a table's file
 * lives as long as any version that names it has a user.
 *
 * @module
 */
import type { Table } from "../sstable/table.ts";

/** A set of tables. */
export class Version {
  /** The tables of each level, in the order that {@linkcode Version.tables} has. */
  readonly levels: readonly (readonly Table[])[];
  /** All tables, by falling highest sequence: a lookup that found something newer than the next table's highest can stop. */
  readonly tables: readonly Table[];
  private users = 1;

  /** The version of these levels; it retains their tables until its last user lets go. */
  constructor(levels: readonly (readonly Table[])[]) {
    const byAge = (a: Table, b: Table) =>
      b.meta.newest - a.meta.newest || b.meta.number - a.meta.number;
    this.levels = levels.map((level) => [...level].sort(byAge));
    this.tables = levels.flat().sort(byAge);
    for (const table of this.tables) table.retain();
  }

  /** Counts one more user. */
  retain(): void {
    this.users++;
  }

  /** Counts one user less. */
  release(): void {
    if (--this.users > 0) return;
    for (const table of this.tables) table.release();
  }
}
