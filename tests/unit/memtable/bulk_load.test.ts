/** Entries that are brought into a memtable in bulk: as if they were added one by one. */
import { test } from "node:test";
import { Found } from "../../../lib/cursor.ts";
import { BulkLoad } from "../../../lib/memtable/bulk_load.ts";
import { ArenaPool, Memtable } from "../../../lib/memtable/memtable.ts";
import { assert, assertEquals, assertLess } from "../../assert.ts";
import { Random } from "../../engine/support/random.ts";
import { type Entry, fromBytes, toBytes } from "../support/entries.ts";
import { addTo, getFrom } from "../support/memtables.ts";

function newMemtable(): Memtable {
  return new Memtable(1, new ArenaPool(1024 * 1024, 1), 0);
}

/** Entries as a log has them: sequences rise, keys come as they come. */
function randomEntries(random: Random, count: number, keys: number): Entry[] {
  return Array.from({ length: count }, (_, i) => {
    const isPut = random.chance(80);
    return {
      key: `a/key/${random.below(keys)}`,
      sequence: 10 + i,
      kind: isPut ? 0 : 1,
      value: toBytes(isPut ? `value ${i}` : ""),
    };
  });
}

/** Loads entries that lie in one buffer. */
function load(memtable: Memtable, entries: readonly Entry[]): void {
  const bulk = new BulkLoad();
  const text = entries.map(({ key, value }) => `${key}${fromBytes(value)}`);
  const bytes = toBytes(text.join(""));
  let at = 0;
  for (const { key, sequence, kind, value } of entries) {
    const middle = at + key.length;
    const end = middle + value.length;
    bulk.add(sequence, kind, bytes, at, middle, middle, end);
    at = end;
  }
  bulk.moveTo(memtable);
}

function contents(memtable: Memtable): unknown[] {
  const found: unknown[] = [];
  const cursor = memtable.cursor();
  for (cursor.seekToFirst(); cursor.valid; cursor.next()) {
    const { key, keyStart, keyEnd, value, valueStart, valueEnd } = cursor;
    found.push([
      fromBytes(key.subarray(keyStart, keyEnd)),
      cursor.sequence,
      cursor.kind,
      fromBytes(value.subarray(valueStart, valueEnd)),
    ]);
  }
  return found;
}

test("what was loaded is what adding it would have made, once and behind other entries", () => {
  const random = new Random(5);
  for (const [count, keys] of [[1, 1], [40, 5], [3000, 100], [3000, 100_000]]) {
    const entries = randomEntries(random, count, keys);
    const plain = newMemtable();
    for (const entry of entries) addTo(plain, entry);
    for (const first of [0, Math.floor(count / 3)]) {
      const loaded = newMemtable();
      load(loaded, entries.slice(0, first));
      load(loaded, entries.slice(first));
      assertEquals(contents(loaded), contents(plain));
      assertEquals(
        [loaded.oldest, loaded.newest, loaded.tombstones, loaded.entries],
        [plain.oldest, plain.newest, plain.tombstones, plain.entries],
      );
    }
  }
});

test("every version of a loaded key is found, by a reader of its time", () => {
  const entries = randomEntries(new Random(6), 2000, 50);
  const memtable = newMemtable();
  load(memtable, entries);
  const found = new Found();
  const last = new Map<string, Entry>();
  for (const entry of entries) {
    last.set(entry.key, entry);
    for (const { key, sequence, value } of last.values()) {
      if (sequence % 7 !== 0) continue;
      found.reset();
      const bytes = toBytes(key);
      getFrom(memtable, bytes, bytes.length, entry.sequence, found);
      assertEquals(found.sequence, sequence);
      const { start, end } = found;
      assertEquals(
        fromBytes(found.value.subarray(start, end)),
        fromBytes(value),
      );
    }
  }
});

test("hints are of what all loaded keys share: a lookup compares as many bytes as in a list that was filled at random", () => {
  const entries = Array.from({ length: 9000 }, (_, i): Entry => ({
    key: `common/prefix/${i < 5000 ? 100_000 + i : 900_000 + i}`,
    sequence: i + 1,
    kind: 0,
    value: toBytes("v"),
  }));
  const compared = (memtable: Memtable): number => {
    const list = (memtable as unknown as {
      nodes: { compareRest(...parameters: unknown[]): number };
    }).nodes;
    const { compareRest } = list;
    let calls = 0;
    list.compareRest = (...parameters) => {
      calls++;
      return compareRest.apply(list, parameters);
    };
    const found = new Found();
    for (const { key } of entries) {
      const bytes = toBytes(key);
      getFrom(memtable, bytes, bytes.length, 1e9, found);
      assert(found.sequence > 0);
    }
    return calls;
  };
  const loaded = newMemtable();
  load(loaded, entries);
  const plain = newMemtable();
  const order = [...entries];
  const random = new Random(7);
  for (let i = order.length - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [order[i], order[j]] = [order[j], order[i]];
  }
  for (const entry of order) addTo(plain, entry);
  assertLess(compared(loaded), compared(plain) * 1.2);
});
