/** The bound on what tables keep in memory beside the block cache. */
import { test } from "node:test";
import {
  type PartOwner,
  TableMemory,
} from "../../../lib/cache/table_memory.ts";
import {
  assert,
  assertEquals,
  assertGreater,
  assertLessOrEqual,
  assertNotStrictEquals,
  assertStrictEquals,
} from "../../assert.ts";
import { makeManyTables, readByTurns } from "../support/many_tables.ts";
import { newContext, newFiles } from "../support/tables.ts";

class Owner implements PartOwner {
  wasUsed = false;
  hasPart = false;
  private readonly memory: TableMemory;

  constructor(memory: TableMemory) {
    this.memory = memory;
  }

  use(bytes: number): void {
    this.wasUsed = true;
    if (this.hasPart) return;
    this.hasPart = true;
    this.memory.add(this, bytes);
  }

  dropPart(): void {
    this.hasPart = false;
  }
}

function owners(memory: TableMemory, count: number): Owner[] {
  return Array.from({ length: count }, () => new Owner(memory));
}

test("what was not used lately is dropped first", () => {
  const memory = new TableMemory(40);
  const all = owners(memory, 6);
  for (const owner of all.slice(0, 4)) owner.use(10);
  assertEquals(memory.bytes, 40);
  for (const owner of all) owner.wasUsed = false;
  all[0].wasUsed = true;
  all[4].use(10);
  all[5].use(10);
  assertEquals(all.map(({ hasPart }) => hasPart), [
    true,
    false,
    false,
    true,
    true,
    true,
  ]);
  assertEquals(memory.bytes, 40);
});

test("when all were used lately one goes all the same; a part larger than all is kept alone", () => {
  const memory = new TableMemory(30);
  const all = owners(memory, 5);
  for (const owner of all.slice(0, 4)) owner.use(10);
  assertEquals(all.filter(({ hasPart }) => hasPart).length, 3);
  assert(all[3].hasPart);
  all[4].use(100);
  assertEquals(all.map(({ hasPart }) => hasPart).indexOf(true), 4);
  assertEquals(memory.bytes, 100);
  memory.remove(all[4]);
  memory.remove(all[4]);
  assertEquals(memory.bytes, 0);
});

test("a buffer is used again, but not the one that is still held", () => {
  const memory = new TableMemory(1);
  const first = memory.buffer(5000, new Uint8Array(1));
  assertGreater(first.bytes.length, 4999);
  assertStrictEquals(first.words.buffer, first.bytes.buffer);
  assertStrictEquals(memory.buffer(10, new Uint8Array(1)), first);
  const second = memory.buffer(10, first.bytes);
  assertNotStrictEquals(second, first);
  assertStrictEquals(memory.buffer(10, second.bytes), first);
  assertStrictEquals(memory.buffer(10, first.bytes), second);
  assertEquals(memory.buffer((1 << 21) - 1, first.bytes).bytes.length, 1 << 21);
  assertStrictEquals(memory.buffer(10, second.bytes), first);
});

test("many tables are read with little memory, cursors in the middle of them included", () => {
  const files = newFiles();
  const context = newContext(files, 64 * 1024, 16, 3000);
  const tables = makeManyTables(files, context);
  readByTurns(
    tables,
    () => assertLessOrEqual(context.memory.bytes, 3000),
  );
  assertGreater(context.memory.bytes, 0);
  for (const table of tables) table.close();
  assertEquals(context.memory.bytes, 0);
});
