/**
 * What a compaction strategy decides: which tables to merge next. Pure.
 *
 * @module
 */
import type { ResolvedCompaction } from "../options.ts";
import type { TableMeta } from "../sstable/meta.ts";

/** A strategy: looks at tables, names some. */
export interface Strategy {
  /** The tables of the next routine merge; `undefined` if none is due. */
  pickMinor(
    tables: readonly TableMeta[],
    options: ResolvedCompaction,
  ): TableMeta[] | undefined;
  /** The tables worth rewriting alone for their tombstones, the most worthwhile first. */
  pickTombstone(
    tables: readonly TableMeta[],
    options: ResolvedCompaction,
    now: number,
  ): TableMeta[];
  /** The tables to merge into a single run; `undefined` if they are one already. */
  pickMajor(tables: readonly TableMeta[]): TableMeta[] | undefined;
}
