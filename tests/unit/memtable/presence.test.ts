/** The filter of a skip list: what is there is never missed, what is not is rarely searched for. */
import { test } from "node:test";
import { Found, PUT } from "../../../lib/cursor.ts";
import { entryRoom } from "../../../lib/memtable/arena.ts";
import { Presence } from "../../../lib/memtable/presence.ts";
import { SkipList } from "../../../lib/memtable/skiplist.ts";
import { assert, assertEquals, assertLess } from "../../assert.ts";
import { LONG } from "../../engine/support/configs.ts";
import { Random } from "../../engine/support/random.ts";
import { toBytes } from "../support/entries.ts";
import { randomKey } from "../support/keys.ts";
import { getFrom } from "../support/memtables.ts";

const VALUE = new Uint8Array(100);

function listWithRoom(entries: number): SkipList {
  const bytes = entries * entryRoom(16, VALUE.length);
  return new SkipList(new SharedArrayBuffer(Math.ceil(bytes / 4) * 4));
}

function add(list: SkipList, key: string, sequence: number): void {
  const bytes = toBytes(key);
  list.add(sequence, PUT, bytes, bytes.length, VALUE, 0, VALUE.length);
}

/** The sequence that a lookup finds; 0 for nothing. */
function find(list: SkipList, key: string): number {
  const found = new Found();
  const bytes = toBytes(key);
  getFrom(list, bytes, bytes.length, 1e9, found);
  return found.sequence;
}

/** Counts the searches that lookups make from now on. */
function countSearches(list: SkipList): { count: number } {
  const searches = { count: 0 };
  const inner = list as unknown as { find(...of: unknown[]): number };
  const { find } = inner;
  inner.find = (...of) => {
    searches.count++;
    return find.apply(list, of);
  };
  return searches;
}

/** Looks up what is not there until every entry is in the filter. */
function catchUp(list: SkipList, entries: number): void {
  for (let i = 0; i < entries; i++) assertEquals(find(list, `not${i}`), 0);
}

test(
  "a filter misses nothing, however many entries came since the last lookup",
  LONG,
  () => {
    for (let seed = 0; seed < 20; seed++) {
      const random = new Random(seed);
      const list = new SkipList(new SharedArrayBuffer(1 << 20));
      const newest = new Map<string, number>();
      for (let sequence = 0; sequence < 1000;) {
        for (let n = random.below(60); n >= 0; n--) {
          const key = randomKey(random);
          add(list, key, ++sequence);
          newest.set(key, sequence);
        }
        for (let n = random.below(8); n >= 0; n--) {
          const key = randomKey(random);
          assertEquals(find(list, key), newest.get(key) ?? 0, key);
        }
      }
      for (const [key, sequence] of newest) {
        assertEquals(find(list, key), sequence, key);
      }
    }
  },
);

for (
  const [name, keyOf] of [
    ["keys in order", (i) => `${i}`.padStart(16, "0")],
    ["keys that share their hints", (i) => `users/and/${i}/name`],
    ["keys that differ in front", (i) => `${i} of these are here`],
  ] satisfies [string, (i: number) => string][]
) {
  test(`a key that is not there is rarely searched for: ${name}`, () => {
    const count = 20_000;
    const list = listWithRoom(count);
    // So that they share more than one prefix.
    add(list, "!", 1);
    add(list, "~", 2);
    for (let i = 0; i < count - 100; i++) add(list, keyOf(2 * i), i + 3);
    catchUp(list, count);
    const searches = countSearches(list);
    for (let i = 0; i < count; i++) {
      assertEquals(find(list, keyOf(2 * i + 1)), 0);
    }
    assertLess(searches.count, count * 0.03);
    assertEquals(find(list, keyOf(0)), 3);
    assert(searches.count > 0);
  });
}

test("a list that is filled and not read has no filter", () => {
  const list = listWithRoom(1000);
  const { presence } = list as unknown as {
    presence: { words: Int32Array };
  };
  for (let i = 0; i < 900; i++) add(list, `key ${i}`, i + 1);
  assertEquals(presence.words.length, 0);
  assertEquals(find(list, "key 5"), 6);
  assert(presence.words.length > 0);
});

test("one in twenty passes that is not there, at eight bits for each", () => {
  const random = new Random(1);
  const hash = () => random.below(0x1_0000_0000) | 0;
  const presence = new Presence(1 << 20);
  const added = Array.from({ length: (1 << 20) / 64 }, hash);
  for (const one of added) presence.add(one);
  assert(added.every((one) => presence.has(one)));
  let passed = 0;
  for (let i = 0; i < 10_000; i++) if (presence.has(hash())) passed++;
  assertLess(passed, 700);
  assert(passed > 300);
});
