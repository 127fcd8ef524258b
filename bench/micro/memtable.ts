/**
 * The memtable: inserts into a new one, lookups in one of 100,000 entries, a walk.
 *
 * @module
 */
import { shuffled } from "../data.ts";
import { Found, MAX_SEQUENCE, PUT } from "../../lib/cursor.ts";
import { hashKey, keyHash } from "../../lib/encoding/hash.ts";
import { ArenaPool, entryRoom, Memtable } from "../../lib/memtable/memtable.ts";
import {
  anyOf,
  bench,
  ENTRIES,
  expect,
  group,
  keys,
  missing,
  THOUSAND,
  value,
} from "./suite.ts";

const pool = new ArenaPool(ENTRIES * entryRoom(16, value.length), 2);

/** A memtable of so many entries, inserted in this order. */
export function memtableOf(count: number, entryAt: (i: number) => number) {
  const memtable = new Memtable(1, pool, 0);
  for (let i = 0; i < count; i++) {
    const key = keys[entryAt(i)] ?? value;
    memtable.add(i + 1, PUT, key, key.length, value, 0, value.length);
  }
  return memtable;
}

/** Defines the benchmarks. */
export function defineMemtable(): void {
  const order = shuffled(ENTRIES, 8);
  const full = memtableOf(ENTRIES, (i) => order[i] ?? 0);
  const found = new Found();
  const get = (key: Uint8Array) => {
    found.reset();
    hashKey(key, 0, key.length);
    full.get(key, key.length, keyHash.bits, MAX_SEQUENCE, found);
    return found.sequence;
  };
  expect(get(keys[5] ?? value) > 0, "a key of the memtable");
  expect(get(missing[5] ?? value) === 0, "a key not in the memtable");

  group("memtable", () => {
    bench("insert in order, new x1000", () => {
      memtableOf(THOUSAND, (i) => i).release();
    });
    bench("insert shuffled, new x1000", () => {
      memtableOf(THOUSAND, (i) => order[i] ?? 0).release();
    });
    bench("get of 100,000", () => get(keys[anyOf(ENTRIES)] ?? value));
    bench(
      "get missing of 100,000",
      () => get(missing[anyOf(ENTRIES)] ?? value),
    );
    const cursor = full.cursor();
    cursor.seekToFirst();
    bench("next", () => {
      if (!cursor.valid) cursor.seekToFirst();
      cursor.next();
      return cursor.keyStart;
    });
  });
}
