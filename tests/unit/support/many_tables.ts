/**
 * More tables than there is memory or are files for, read by turns.
 *
 * @module
 */
import type { MemoryFileSystem } from "../../../lib/runtime/memory.ts";
import { TableCursor } from "../../../lib/sstable/cursor.ts";
import type { Table, TableContext } from "../../../lib/sstable/table.ts";
import { assert, assertEquals } from "../../assert.ts";
import { entryAt, put } from "./entries.ts";
import { fragmentsOf } from "./ranges.ts";
import { lookUpIn, openTable, tablePath, writeTable } from "./tables.ts";

const TABLES = 20;
const ENTRIES = 60;

/** Tables of several blocks, each with a range tombstone. */
export function makeManyTables(
  files: MemoryFileSystem,
  context: TableContext,
): Table[] {
  return Array.from({ length: TABLES }, (_, i) => {
    const number = i + 1;
    const entries = Array.from(
      { length: ENTRIES },
      (_, i) => put(`${i + 10}`, number, `table ${number} ${"x".repeat(50)}`),
    );
    const ranges = fragmentsOf([{ start: "a", end: "b", sequence: number }]);
    const meta = writeTable(files, number, entries, ranges);
    assert(meta !== undefined);
    return openTable({ files, path: tablePath(number), meta }, context);
  });
}

/** Walks over all tables at once, and looks in each between two steps; `check` comes after each look. */
export function readByTurns(
  tables: readonly Table[],
  check: () => void = () => {},
): void {
  const cursors = tables.map((table) => new TableCursor(table, false));
  for (const cursor of cursors) cursor.seekToFirst();
  for (let i = 0; i < ENTRIES; i++) {
    for (const [n, cursor] of cursors.entries()) {
      assertEquals(entryAt(cursor).key, `${i + 10}`);
      assertEquals(cursor.sequence, n + 1);
      cursor.next();
    }
    for (const [n, table] of tables.entries()) {
      assertEquals(lookUpIn(table, `${i + 10}`, 100).sequence, n + 1);
      assertEquals(table.fragments().length, 1);
      check();
    }
  }
  for (const cursor of cursors) assert(!cursor.valid);
}
