/**
 * Hand-made metadata of tables.
 *
 * @module
 */
import { EMPTY } from "../../../lib/encoding/bytes.ts";
import type { TableMeta } from "../../../lib/sstable/meta.ts";

/** Metadata of a table of 100 entries, with what the test wants different. */
export function metaOf(fields: Partial<TableMeta>): TableMeta {
  return {
    number: 1,
    size: 1000,
    entries: 100,
    tombstones: 0,
    olderVersions: 0,
    rangeTombstones: 0,
    oldest: 1,
    newest: 100,
    created: 0,
    smallest: EMPTY,
    largest: EMPTY,
    unbounded: false,
    ...fields,
  };
}
