/** What cursors read with is used again, and never by two at a time. */
import { test } from "node:test";
import { NO_BUFFER, ReadBuffer } from "../../../lib/cache/table_memory.ts";
import { TableCursor } from "../../../lib/sstable/cursor.ts";
import { LevelCursor } from "../../../lib/sstable/level_cursor.ts";
import {
  giveWorkspace,
  takeWorkspace,
} from "../../../lib/sstable/workspace.ts";
import { assert, assertEquals, assertThrows } from "../../assert.ts";
import { type Entry, entryAt, put } from "../support/entries.ts";
import { keyOf } from "../support/keys.ts";
import { makeTable, openTable, tablesOf } from "../support/tables.ts";

function entriesFrom(first: number, count: number): Entry[] {
  return Array.from(
    { length: count },
    (_, i) => put(keyOf(first + i), first + i + 1, `value ${first + i}`),
  );
}

test("a closed cursor's buffers are the next one's", () => {
  const entries = entriesFrom(0, 200);
  const table = openTable(makeTable(entries));
  const first = new TableCursor(table, false);
  first.seekToFirst();
  const { key, value } = first;
  first.close();
  const second = new TableCursor(table, false);
  second.seekToLast();
  assert(second.key === key && second.value === value);
  assertEquals(entryAt(second), entries[199]);
  second.close();
});

test("cursors that are open together have buffers of their own", () => {
  const entries = entriesFrom(0, 300);
  const table = openTable(makeTable(entries));
  for (let round = 0; round < 3; round++) {
    const cursors = Array.from(
      { length: 40 },
      () => new TableCursor(table, false),
    );
    cursors.forEach((cursor, i) => {
      const key = new TextEncoder().encode(keyOf(i * 7));
      cursor.seek(key, key.length);
    });
    for (let step = 0; step < 20; step++) {
      cursors.forEach((cursor, i) => {
        assertEquals(entryAt(cursor), entries[i * 7 + step]);
        cursor.next();
      });
    }
    // Twice is harmless: neither buffer is given to two cursors then.
    for (const cursor of cursors) cursor.close();
    for (const cursor of cursors) cursor.close();
  }
});

test("a cursor that was closed is not moved: its buffers may be another's", () => {
  const tables = tablesOf([
    { entries: entriesFrom(0, 50), ranges: [] },
    { entries: entriesFrom(50, 50), ranges: [] },
  ]);
  for (
    const cursor of [
      new TableCursor(tables[0], false),
      new TableCursor(tables[0], true),
      new LevelCursor(tables, false),
    ]
  ) {
    cursor.seekToFirst();
    cursor.close();
    assert(!cursor.valid);
    assertThrows(() => cursor.seekToFirst(), Error, "closed");
    assertThrows(() => cursor.seekToLast(), Error, "closed");
    assertThrows(() => cursor.next(), Error, "closed");
  }
});

test("large buffers are not kept", () => {
  const workspace = takeWorkspace();
  workspace.buffer = new ReadBuffer(1 << 20);
  workspace.chunk = new ReadBuffer(1 << 20);
  giveWorkspace(workspace);
  const again = takeWorkspace();
  assert(again === workspace);
  assertEquals([again.buffer, again.chunk], [NO_BUFFER, NO_BUFFER]);
  again.key = new ReadBuffer(1 << 20);
  giveWorkspace(again);
  assert(takeWorkspace() !== again);
});
