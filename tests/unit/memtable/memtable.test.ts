/** Memtables: lookups under range tombstones, what they count, their arenas. */
import { test } from "node:test";
import { Found, PUT, TOMBSTONE } from "../../../lib/cursor.ts";
import {
  ArenaPool,
  entryRoom,
  Memtable,
  rangeRoom,
} from "../../../lib/memtable/memtable.ts";
import {
  assert,
  assertEquals,
  assertFalse,
  assertGreaterOrEqual,
  assertNotStrictEquals,
  assertStrictEquals,
} from "../../assert.ts";
import { filled } from "../../engine/support/bytes.ts";
import { LONG } from "../../engine/support/configs.ts";
import { Random } from "../../engine/support/random.ts";
import {
  assertSameEntries,
  type Entry,
  fromBytes,
  put,
  sorted,
  toBytes,
  tombstone,
  walk,
} from "../support/entries.ts";
import { around, smallKey } from "../support/keys.ts";
import { addTo, getFrom } from "../support/memtables.ts";
import { newestCovering, randomRange, type Range } from "../support/ranges.ts";

const SIZE = 64 * 1024;

function newMemtable(pool = new ArenaPool(SIZE, 2)): Memtable {
  return new Memtable(3, pool, 0);
}

test(
  "lookups see points and range deletes by their age, at every sequence",
  LONG,
  () => {
    for (let seed = 1; seed <= 30; seed++) {
      const random = new Random(seed);
      const memtable = newMemtable();
      const entries: Entry[] = [];
      const ranges: Range[] = [];
      let sequence = 0;
      for (let i = 0; i < 80; i++) {
        sequence += 1 + random.below(2);
        if (random.chance(20)) {
          const range = randomRange(random, () => smallKey(random), sequence);
          ranges.push(range);
          memtable.addRange(sequence, toBytes(range.start), toBytes(range.end));
          continue;
        }
        const kind = random.chance(75) ? PUT : TOMBSTONE;
        const value = filled(kind === PUT ? random.below(9) : 0, sequence);
        const entry = { key: smallKey(random), sequence, kind, value };
        entries.push(entry);
        addTo(memtable, entry);
      }
      const found = new Found();
      for (const key of around(entries.map((entry) => entry.key))) {
        for (const reader of [random.below(sequence), sequence, 2 ** 47]) {
          const message = `seed ${seed}, ${JSON.stringify(key)} @${reader}`;
          found.reset();
          getFrom(memtable, toBytes(key), key.length, reader, found);
          const point = sorted(
            entries.filter((entry) =>
              entry.key === key && entry.sequence <= reader
            ),
          )[0];
          const covering = newestCovering(ranges, key, reader);
          const newest = Math.max(point?.sequence ?? 0, covering);
          assertEquals(found.sequence, newest, message);
          if (newest === 0) continue;
          if (point === undefined || covering > point.sequence) {
            assertEquals(found.kind, TOMBSTONE, message);
          } else {
            assertEquals(found.kind, point.kind, message);
            const value = found.value.slice(found.start, found.end);
            assertEquals(fromBytes(value), fromBytes(point.value), message);
          }
        }
      }
    }
  },
);

test("a lookup leaves alone what is newer than all that the memtable has", () => {
  const memtable = newMemtable();
  addTo(memtable, put("a", 5, "one"));
  memtable.addRange(6, toBytes("a"), toBytes("b"));
  const found = new Found();
  found.offer(9, PUT, filled(2), 0, 2);
  getFrom(memtable, toBytes("a"), 1, 100, found);
  assertEquals([found.sequence, found.kind], [9, PUT]);
});

test("a memtable counts what it holds", () => {
  const memtable = newMemtable();
  assert(memtable.isEmpty);
  assertEquals([memtable.oldest, memtable.newest, memtable.bytes], [0, 0, 0]);
  memtable.addRange(7, toBytes("a"), toBytes("b"));
  assertFalse(memtable.isEmpty);
  addTo(memtable, put("a", 8, "ten bytes!"));
  addTo(memtable, tombstone("a", 9));
  assertEquals([memtable.oldest, memtable.newest], [7, 9]);
  assertEquals(memtable.entries, 2);
  assertEquals(memtable.tombstones, 1);
  assertEquals(memtable.rangeTombstones, 1);
  assertEquals(memtable.firstLog, 3);
  assertGreaterOrEqual(memtable.bytes, 12 + 2);
  assertGreaterOrEqual(memtable.room + memtable.bytes, SIZE);
});

test("bounds of range deletes are copied", () => {
  const memtable = newMemtable();
  const [start, end] = [toBytes("b"), toBytes("d")];
  memtable.addRange(1, start, end);
  start.fill(0x7a);
  end.fill(0x7a);
  const found = new Found();
  getFrom(memtable, toBytes("c"), 1, 9, found);
  assertEquals([found.sequence, found.kind], [1, TOMBSTONE]);
});

test("a cursor says how new its memtable is, and walks over the points only", () => {
  const memtable = newMemtable();
  const [b, a] = [put("b", 1, "one"), put("a", 2, "four")];
  addTo(memtable, b);
  addTo(memtable, a);
  memtable.addRange(3, toBytes("a"), toBytes("z"));
  const cursor = memtable.cursor();
  assertEquals(cursor.newest, 3);
  assertSameEntries(walk(cursor), [a, b], "walk");
  assertEquals(memtable.fragments().length, 1);
});

test("there is room for what was asked for, though it is more than the usual", () => {
  const pool = new ArenaPool(SIZE, 2);
  const room = entryRoom(100, 10 * SIZE) + rangeRoom(64, 64);
  const memtable = new Memtable(1, pool, room);
  assertGreaterOrEqual(memtable.room, room);
  addTo(memtable, put("k".repeat(100), 1, "v".repeat(10 * SIZE)));
  memtable.addRange(2, filled(64), filled(64, 2));
  assertGreaterOrEqual(memtable.room, 0);
  const found = new Found();
  getFrom(memtable, toBytes("k".repeat(100)), 100, 1, found);
  assertEquals(found.end - found.start, 10 * SIZE);
});

test("the pool gives arenas out again, and leaves to others what it may not keep", () => {
  const pool = new ArenaPool(SIZE, 1);
  const [a, b] = [pool.take(0), pool.take(SIZE)];
  assertNotStrictEquals(a, b);
  assertEquals(a.byteLength, b.byteLength);
  pool.give(a);
  pool.give(b); // One too many.
  const other = new ArenaPool(SIZE, 1);
  assertStrictEquals(other.take(0), b);
  assertNotStrictEquals(other.take(0), a);
  assertStrictEquals(pool.take(0), a);
});

test("an arena of another size is only taken for one of its own size", () => {
  const pool = new ArenaPool(SIZE, 4);
  const large = pool.take(SIZE + 1);
  assertGreaterOrEqual(large.byteLength, SIZE + 1);
  pool.give(large);
  assertNotStrictEquals(pool.take(0), large);
  assertStrictEquals(pool.take(SIZE + 1), large);
});

test("a pool that has ended leaves to others what it has, and what comes back", () => {
  const pool = new ArenaPool(SIZE + 8, 4);
  const [a, b] = [pool.take(0), pool.take(0)];
  pool.give(a);
  pool.end();
  const other = new ArenaPool(SIZE + 8, 4);
  assertStrictEquals(other.take(0), a);
  assertNotStrictEquals(other.take(0), b);
  pool.give(b);
  assertStrictEquals(other.take(0), b);
});

test("an arena goes back once the last reader let go, not before", () => {
  class WatchedPool extends ArenaPool {
    given = 0;
    override give(arena: SharedArrayBuffer): void {
      this.given++;
      super.give(arena);
    }
  }
  const pool = new WatchedPool(SIZE, 2);
  const memtable = newMemtable(pool);
  memtable.retain();
  memtable.retain();
  memtable.release();
  memtable.release();
  assertEquals(pool.given, 0);
  memtable.release();
  assertEquals(pool.given, 1);
});
