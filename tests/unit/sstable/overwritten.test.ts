/** Tables whose cached blocks are overwritten by another thread while they are looked at. */
import { test } from "node:test";
import { BlockCache } from "../../../lib/cache/block_cache.ts";
import type { TableBlocks } from "../../../lib/cache/layout.ts";
import { Found } from "../../../lib/cursor.ts";
import { hashKey, keyHash } from "../../../lib/encoding/hash.ts";
import { Target } from "../../../lib/read/target.ts";
import { findInto, findValue, hasValue } from "../../../lib/read/view.ts";
import { Results } from "../../../lib/runtime/results.ts";
import { TableCursor } from "../../../lib/sstable/cursor.ts";
import type { Table } from "../../../lib/sstable/table.ts";
import { Version } from "../../../lib/version/version.ts";
import { assertEquals, assertGreater } from "../../assert.ts";
import { LONG } from "../../engine/support/configs.ts";
import { Random } from "../../engine/support/random.ts";
import { CacheUser } from "../support/cached_blocks.ts";
import {
  assertSameEntries,
  type Entry,
  toBytes,
  walk,
} from "../support/entries.ts";
import { randomKey } from "../support/keys.ts";
import {
  type Answer,
  answerOf,
  makeTable,
  newContext,
  openTable,
  randomEntries,
} from "../support/tables.ts";

/** A cache of which another thread replaces everything, now and then, after a block was found and before it is asked whether it is still there. */
class RacingCache extends BlockCache {
  races = 0;
  lost = 0;
  percent = 0;
  private readonly random = new Random(1);
  private other: CacheUser | undefined;
  private next = 0;

  private mayRace(): void {
    if (this.random.chance(this.percent)) this.race();
  }

  /** Replaces everything. */
  race(): void {
    this.races++;
    this.other ??= new CacheUser(BlockCache.attach(this.memory!)); // not off
    for (let i = 0; i < 300; i++) {
      this.next = (this.next + 1) % 100_000;
      this.other.touch(99, this.next, 500);
      this.other.touch(99, this.next, 500);
    }
  }

  override find(table: TableBlocks, ordinal: number, counts: boolean): boolean {
    const isFound = super.find(table, ordinal, counts);
    // What is in the fields is of this cache, not of the other thread's.
    if (isFound) this.mayRace();
    return isFound;
  }

  override isStill(segment: number, generation: number): boolean {
    if (this.random.chance(50)) this.mayRace();
    const isStill = super.isStill(segment, generation);
    if (!isStill) this.lost++;
    return isStill;
  }
}

/** Values are overwritten when they have been found and are about to be copied, the first time. */
class LateResults extends Results {
  raced: RacingCache | undefined;

  override copy(
    source: Uint8Array,
    start: number,
    end: number,
    words?: Int32Array,
  ): Uint8Array<ArrayBuffer> {
    this.raced?.race();
    this.raced = undefined;
    return super.copy(source, start, end, words);
  }
}

/** The same of values that go to memory of the program's. */
class LateTarget extends Target {
  raced: RacingCache | undefined;

  override take(found: Found): number {
    this.raced?.race();
    this.raced = undefined;
    return super.take(found);
  }
}

function withRaces(entries: readonly Entry[]): [Table, RacingCache] {
  const made = makeTable(entries, [], { blockSize: 512 });
  const cache = new RacingCache(64 * 1024, 512);
  return [openTable(made, { ...newContext(made.files), cache }), cache];
}

function lookUp(table: Table, key: string, sequence: number): Answer {
  const found = new Found();
  const bytes = toBytes(key);
  for (;;) {
    found.reset();
    hashKey(bytes, 0, key.length);
    const { line, bits } = keyHash;
    table.get(bytes, key.length, line, bits, sequence, found);
    const answer = answerOf(found);
    if (found.holds()) return answer;
  }
}

test("lookups are right all the same", LONG, () => {
  const random = new Random(5);
  const entries = randomEntries(random, 200, randomKey, 4);
  const [table, cache] = withRaces(entries);
  const [calm] = withRaces(entries);
  for (let i = 0; i < 4000; i++) {
    const { key, sequence } = random.pick(entries);
    const at = sequence + random.below(3) - 1;
    cache.percent = 0;
    lookUp(table, key, at); // It is cached now.
    cache.percent = 15;
    assertEquals(
      lookUp(table, key, at),
      lookUp(calm, key, at),
      `${key} @${at}`,
    );
    assertEquals(lookUp(table, `${key}?`, at), lookUp(calm, `${key}?`, at));
    const bytes = toBytes(key);
    const found = new Found();
    assertEquals(
      table.holdsOlder(bytes, bytes.length, at, found),
      entries.some((entry) => entry.key === key && entry.sequence < at),
    );
  }
  assertGreater(cache.races, 500);
  assertGreater(cache.lost, 200);
});

test("values are given out whole, and never another key's", LONG, () => {
  const random = new Random(7);
  const entries = randomEntries(random, 200, randomKey, 4);
  const [table, cache] = withRaces(entries);
  const [calm] = withRaces(entries);
  const view = { memtables: [], version: new Version([[table]]) };
  const found = new Found();
  const results = new Results(true);
  const target = new Target();
  const memory = new Uint8Array(1024);
  for (let i = 0; i < 1200; i++) {
    const { key, sequence } = random.pick(entries);
    const at = sequence + random.below(3) - 1;
    cache.percent = 0;
    lookUp(table, key, at); // It is cached now.
    cache.percent = 15;
    const { value } = lookUp(calm, key, at);
    const bytes = toBytes(key);
    const { length } = bytes;
    const given = findValue(view, bytes, length, at, found, results);
    assertEquals(given, value, `${key} @${at}`);
    const isThere = hasValue(view, bytes, length, at, found);
    assertEquals(isThere, value !== undefined);
    target.aim(memory, 3);
    const copied = findInto(view, bytes, length, at, found, target);
    assertEquals(copied, value?.length ?? -1);
    if (value !== undefined) assertEquals(memory.slice(3, 3 + copied), value);
  }
  assertGreater(cache.lost, 100);
});

test("a value that was overwritten before it was copied is looked up again", () => {
  const random = new Random(8);
  const entries = randomEntries(random, 200, randomKey, 4);
  const [table, cache] = withRaces(entries);
  const [calm] = withRaces(entries);
  const view = { memtables: [], version: new Version([[table]]) };
  const found = new Found();
  const results = new LateResults(true);
  const target = new LateTarget();
  const memory = new Uint8Array(1024);
  for (const { key, sequence } of entries) {
    const { value } = lookUp(calm, key, sequence);
    if (value === undefined) continue;
    const bytes = toBytes(key);
    const { length } = bytes;
    lookUp(table, key, sequence); // It is cached now.
    results.raced = cache;
    const given = findValue(view, bytes, length, sequence, found, results);
    assertEquals(given, value, key);
    lookUp(table, key, sequence);
    target.raced = cache;
    target.aim(memory, 0);
    const copied = findInto(view, bytes, length, sequence, found, target);
    assertEquals(memory.slice(0, copied), value, key);
  }
  assertGreater(cache.lost, 200);
});

test("an answer that a later table would add to is checked first", () => {
  const [table, cache] = withRaces([
    { key: "k", sequence: 5, kind: 0, value: toBytes("x") },
  ]);
  lookUp(table, "k", 9);
  const found = new Found();
  const key = toBytes("k");
  hashKey(key, 0, 1);
  const { line, bits } = keyHash;
  const get = () => table.get(key, 1, line, bits, 9, found);
  get();
  assertEquals([found.sequence, found.holds()], [5, true]);
  cache.percent = 100;
  while (found.holdsSoFar());
  cache.percent = 0;
  get();
  assertEquals(found.holds(), false);
  found.reset();
  get();
  assertEquals([found.sequence, found.holds()], [5, true]);
});

test("cursors are right all the same, forwards and backwards", LONG, () => {
  const random = new Random(6);
  const entries = randomEntries(random, 300, randomKey, 3);
  const [table, cache] = withRaces(entries);
  for (let round = 0; round < 60; round++) {
    cache.percent = 0;
    for (const { key } of entries) lookUp(table, key, 2 ** 40);
    cache.percent = 20;
    assertSameEntries(walk(new TableCursor(table, false)), entries, "walk");
    const cursor = new TableCursor(table, false);
    const { key } = random.pick(entries);
    cursor.seek(toBytes(key), key.length);
    const first = entries.findIndex((entry) => entry.key === key);
    assertEquals(cursor.sequence, entries[first].sequence);
    for (let i = first - 1; i >= 0; i--) {
      cursor.previous();
      assertEquals(cursor.sequence, entries[i].sequence);
    }
    cursor.close();
  }
  assertGreater(cache.lost, 50);
});
