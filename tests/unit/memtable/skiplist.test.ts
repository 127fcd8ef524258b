/** The skip list against a sorted list. */
import { test } from "node:test";
import { Found, PUT, TOMBSTONE } from "../../../lib/cursor.ts";
import {
  ARENA_OVERHEAD,
  entryRoom,
  NODE_HEADER,
  rangeRoom,
} from "../../../lib/memtable/arena.ts";
import { ArenaCursor } from "../../../lib/memtable/arena_cursor.ts";
import { SkipList } from "../../../lib/memtable/skiplist.ts";
import {
  assert,
  assertEquals,
  assertGreaterOrEqual,
  assertLessOrEqual,
} from "../../assert.ts";
import { filled } from "../../engine/support/bytes.ts";
import { LONG } from "../../engine/support/configs.ts";
import { Random } from "../../engine/support/random.ts";
import {
  checkCursor,
  type Entry,
  entryAt,
  fromBytes,
  sorted,
  toBytes,
} from "../support/entries.ts";
import { around, longestKey, randomKey, smallKey } from "../support/keys.ts";
import { getFrom } from "../support/memtables.ts";

function newList(bytes = 1 << 20): SkipList {
  return new SkipList(new SharedArrayBuffer(bytes));
}

/** Adds an entry whose key and value lie amid other bytes. */
function add(list: SkipList, entry: Entry): void {
  const { sequence, kind, value } = entry;
  const key = toBytes(`${entry.key}junk`);
  const around = new Uint8Array(value.length + 5).fill(0xaa);
  around.set(value, 2);
  const end = 2 + value.length;
  list.add(sequence, kind, key, entry.key.length, around, 2, end);
}

/** Random entries with rising sequences, in the order in which they are added. */
function randomEntries(
  random: Random,
  count: number,
  key: (random: Random) => string,
  firstSequence: number,
): Entry[] {
  const entries: Entry[] = [];
  let sequence = firstSequence;
  for (let i = 0; i < count; i++) {
    const isPut = random.chance(75);
    entries.push({
      key: key(random),
      sequence,
      kind: isPut ? PUT : TOMBSTONE,
      value: filled(isPut ? random.below(50) : 0, i),
    });
    sequence += 1 + random.below(3);
  }
  return entries;
}

/** What a reader at `sequence` finds of a key, by brute force. The entries are in the order of their sequences. */
function newestVisible(
  entries: readonly Entry[],
  key: string,
  sequence: number,
): Entry | undefined {
  return sorted(
    entries.filter((entry) => entry.key === key && entry.sequence <= sequence),
  )[0];
}

function assertFinds(
  list: SkipList,
  key: string,
  sequence: number,
  expected: Entry | undefined,
  message: string,
): void {
  const found = new Found();
  getFrom(list, toBytes(`${key}junk`), key.length, sequence, found);
  const where = `${message}: ${JSON.stringify(key.slice(0, 40))} @${sequence}`;
  assertEquals(found.sequence, expected?.sequence ?? 0, where);
  if (expected === undefined) return;
  assertEquals(found.kind, expected.kind, where);
  const value = found.value.slice(found.start, found.end);
  assertEquals(fromBytes(value), fromBytes(expected.value), where);
}

const KINDS: [
  name: string,
  count: number,
  key: (random: Random) => string,
  firstSequence: number,
][] = [
  ["many versions of few keys", 400, smallKey, 1],
  ["keys of every kind", 1200, randomKey, 1],
  ["sequences across 2^32", 400, randomKey, 2 ** 32 - 300],
  ["sequences near the greatest", 200, randomKey, 2 ** 48 - 1000],
];

for (const [name, count, key, firstSequence] of KINDS) {
  for (const seed of [1, 2]) {
    const message = `seed ${seed}`;

    test(`a skip list is a sorted list: ${name}, ${message}`, LONG, () => {
      const random = new Random(seed);
      const entries = randomEntries(random, count, key, firstSequence);
      const list = newList();
      for (const entry of entries) add(list, entry);
      assertEquals(list.entries, count);
      const probes = around(entries.slice(0, 150).map((entry) => entry.key));
      const cursor = new ArenaCursor(list);
      checkCursor(cursor, sorted(entries), probes, random, message);
      const last = entries[count - 1].sequence;
      for (const probe of probes) {
        for (const sequence of [0, last, firstSequence + random.below(count)]) {
          const expected = newestVisible(entries, probe, sequence);
          assertFinds(list, probe, sequence, expected, message);
        }
      }
    });
  }
}

const ORDERS: [string, (keys: string[]) => string[]][] = [
  ["ascending", (keys) => keys.toSorted()],
  ["descending", (keys) => keys.toSorted().reverse()],
  [
    "mostly ascending",
    (keys) => keys.toSorted().map((key, i) => i % 9 === 0 ? `${key}x` : key),
  ],
];

for (const [name, order] of ORDERS) {
  test(`keys that come ${name} are found and walked over`, () => {
    const random = new Random(3);
    const unique = new Set(
      Array.from({ length: 500 }, () => randomKey(random)),
    );
    const entries = order([...unique]).map((key, i): Entry => ({
      key,
      sequence: i + 1,
      kind: PUT,
      value: filled(i % 7, i),
    }));
    const list = newList();
    for (const entry of entries) add(list, entry);
    const probes = around(entries.slice(0, 60).map((entry) => entry.key));
    checkCursor(
      new ArenaCursor(list),
      sorted(entries),
      probes,
      random,
      `seed 3, ${name}`,
    );
  });
}

test("keys of 64 KiB that differ at the end, among short ones", LONG, () => {
  const random = new Random(4);
  const entries = randomEntries(
    random,
    40,
    (r) => r.chance(60) ? longestKey(r) : randomKey(r),
    1,
  );
  const list = newList(8 << 20);
  for (const entry of entries) add(list, entry);
  const keys = entries.map((entry) => entry.key);
  const probes = around(keys.slice(0, 15));
  const cursor = new ArenaCursor(list);
  checkCursor(cursor, sorted(entries), probes, random, "seed 4");
  for (const key of keys) {
    const expected = newestVisible(entries, key, 1000);
    assertFinds(list, key, 1000, expected, "seed 4");
  }
});

/** Keys that begin with a prefix, and those that hints of eight bytes behind it may take for such. */
function keyAround(random: Random, prefix: string): string {
  const run = random.pick(["\0", "\xff", "\x7f"]).repeat(random.below(11));
  const rest = `${run}${smallKey(random)}`;
  switch (random.below(6)) {
    case 0:
      return prefix.slice(0, random.below(prefix.length + 1));
    case 1:
      return prefix.slice(0, random.below(prefix.length + 1)) + rest;
    case 2:
      return rest;
    default:
      return prefix + rest;
  }
}

test(
  "keys with and without a long shared prefix, however many came before",
  LONG,
  () => {
    for (let seed = 1; seed <= 12; seed++) {
      const random = new Random(seed);
      const prefix = random.pick([
        "p",
        "users/by-name/",
        "\0".repeat(9),
        "\xff".repeat(9),
        "a\xff\xff",
      ]);
      // At first all keys share the prefix; then there are others.
      const alike = random.pick([0, 15, 16, 17, 100, 300]);
      const entries: Entry[] = [];
      const list = newList();
      const count = random.pick([40, 300, 1200]);
      for (let sequence = 1; sequence <= count; sequence++) {
        const run = random.pick(["\0", "\xff"]).repeat(random.below(11));
        const key = sequence <= alike
          ? `${prefix}${run}${smallKey(random)}`
          : keyAround(random, prefix);
        entries.push({ key, sequence, kind: PUT, value: filled(3, sequence) });
        add(list, entries[entries.length - 1]);
      }
      const message = `seed ${seed}, prefix ${
        JSON.stringify(prefix)
      }, ${alike}`;
      const probes = [
        ...around(entries.slice(0, 80).map((entry) => entry.key)),
        ...Array.from({ length: 100 }, () => keyAround(random, prefix)),
      ];
      const cursor = new ArenaCursor(list);
      checkCursor(cursor, sorted(entries), probes, random, message);
      for (const probe of probes) {
        const expected = newestVisible(entries, probe, count);
        assertFinds(list, probe, count, expected, message);
      }
    }
  },
);

test("many versions of a key are walked over backwards without a search for each", () => {
  const list = newList(4 << 20);
  const entries: Entry[] = [];
  for (let sequence = 1; sequence <= 20_000; sequence++) {
    const key = sequence % 100 === 0 ? `k${sequence}` : "m";
    entries.push({ key, sequence, kind: PUT, value: filled(0) });
    add(list, entries[entries.length - 1]);
  }
  let searches = 0;
  const seek = list.seek.bind(list);
  list.seek = (key, length) => {
    searches++;
    return seek(key, length);
  };
  const cursor = new ArenaCursor(list);
  let steps = 0;
  for (cursor.seekToLast(); cursor.valid; cursor.previous()) steps++;
  assertEquals(steps, 20_000);
  assertLessOrEqual(searches, 202);
});

/** A list of so many keys, some of them with two versions, in random order, with its keys. */
function largeList(
  count: number,
  key: (random: Random, i: number) => string,
): { list: SkipList; keys: string[] } {
  const random = new Random(count);
  const list = newList(1 << 24);
  const keys = new Set<string>();
  for (let i = 0; i < count; i++) {
    const name = key(random, i);
    keys.add(name);
    add(list, { key: name, sequence: i + 1, kind: PUT, value: filled(0, 0) });
  }
  return { list, keys: [...keys].sort() };
}

/** Checks the order of all nodes, and where every key is found. */
function checkLargeList(list: SkipList, keys: readonly string[]): void {
  const keyOf = (node: number) => {
    const start = list.keyStart(node);
    return fromBytes(list.bytes.subarray(start, start + list.keyLength(node)));
  };
  const seen: string[] = [];
  for (let node = list.first(); node !== 0; node = list.after(node)) {
    const key = keyOf(node);
    if (seen.at(-1) !== key) seen.push(key);
  }
  assertEquals(seen, keys);
  keys.forEach((key, i) => {
    const bytes = toBytes(key);
    assertEquals(keyOf(list.seek(bytes, bytes.length)), key);
    const node = list.seekBefore(bytes, bytes.length);
    assertEquals(node === 0 ? undefined : keyOf(node), keys[i - 1]);
  });
}

test("searches that begin at the index find what searches of all levels do", () => {
  // Hints decide; hints say nothing; close hints are one rounded number.
  const shapes: ((random: Random) => string)[] = [
    (random) => `key/${random.below(1_000_000)}`,
    (random) => `${"p".repeat(random.below(2) * 20)}${random.below(20_000)}`,
    (random) => `same${String.fromCharCode(random.below(40_000) & 0xff)}`,
  ];
  for (const shape of shapes) {
    const { list, keys } = largeList(12_000, shape);
    checkLargeList(list, keys);
  }
});

/** How many words of the arena a search reads. */
function wordsRead(list: SkipList, key: string): number {
  let reads = 0;
  const own = Object.getOwnPropertyDescriptor(list, "words");
  assert(own !== undefined);
  const words = new Proxy(list.words, {
    get: (target, name) => {
      reads++;
      return Reflect.get(target, name, target);
    },
  });
  Object.defineProperty(list, "words", { ...own, value: words });
  try {
    const bytes = toBytes(key);
    list.seek(bytes, bytes.length);
  } finally {
    Object.defineProperty(list, "words", own);
  }
  return reads;
}

test("no search walks over all that was added behind one node of the index", () => {
  const count = 20_000;
  const orders: Record<string, (i: number) => string> = {
    ascending: (i) => String(i).padStart(8, "0"),
    "ascending in ten places": (i) => `${i % 10}/${String(i).padStart(8, "0")}`,
    "with few hints": (i) => `${i % 2}${"same".repeat(3)}${(i * 7919) % count}`,
  };
  for (const [name, keyOf] of Object.entries(orders)) {
    const list = newList(1 << 22);
    for (let i = 0; i < count; i++) {
      add(list, {
        key: keyOf(i),
        sequence: i + 1,
        kind: PUT,
        value: filled(0),
      });
      if (i % 7 !== 0) continue;
      wordsRead(list, "0"); // If the index is due, this search makes it.
      const reads = wordsRead(list, keyOf(Math.max(0, i - 3)));
      assertLessOrEqual(reads, 500, `${name}, ${i + 1} entries`);
    }
  }
});

test("the index is made anew when the hints change", () => {
  const { list, keys } = largeList(
    6000,
    (random) => `prefix${random.below(1_000_000)}`,
  );
  const late: string[] = [];
  const random = new Random(2);
  const addLate = (key: string) => {
    late.push(key);
    add(list, { key, sequence: 9000, kind: PUT, value: filled(0, 0) });
  };
  for (const key of ["a", "prefi", "z"]) addLate(key);
  list.rehint();
  for (let i = 0; i < 50; i++) addLate(`late${random.below(1_000_000)}`);
  checkLargeList(list, [...keys, ...new Set(late)].sort());
});

test("an empty list holds nothing, wherever one looks", () => {
  const list = newList();
  const probes = around(["", "a"]);
  checkCursor(new ArenaCursor(list), [], probes, new Random(5), "empty");
  for (const key of probes) assertFinds(list, key, 1e9, undefined, "empty");
  assertEquals(list.entries, 0);
  assertEquals(list.used, ARENA_OVERHEAD);
});

test("an entry takes no more room than entryRoom() says", () => {
  const random = new Random(6);
  const list = newList(4 << 20);
  for (let sequence = 1; sequence <= 3000; sequence++) {
    const keyLength = random.below(30);
    const valueLength = random.below(30);
    const before = list.used;
    list.add(
      sequence,
      PUT,
      filled(keyLength, sequence),
      keyLength,
      filled(valueLength, sequence),
      0,
      valueLength,
    );
    const taken = list.used - before;
    assertLessOrEqual(taken, entryRoom(keyLength, valueLength));
    assertGreaterOrEqual(taken, keyLength + valueLength);
    assertEquals(list.used + list.room, 4 << 20);
  }
});

test("a range tombstone takes no more room than rangeRoom() says", () => {
  const list = newList();
  for (let length = 0; length < 50; length++) {
    const before = list.used;
    list.addRange(length + 1, filled(length), filled(50 - length));
    assertLessOrEqual(list.used - before, rangeRoom(length, 50 - length));
  }
});

test("a list filled to the last byte holds what was put in", () => {
  for (let spare = 0; spare < 8; spare++) {
    const random = new Random(spare);
    const list = newList(64 * 1024);
    const entries: Entry[] = [];
    for (let sequence = 1;; sequence++) {
      const key = randomKey(random);
      // The last value takes all that entryRoom() leaves.
      const left = list.room - entryRoom(key.length, 0) - spare;
      const length = left < 400 ? left : random.below(100);
      if (length < 0) break;
      const value = filled(length, sequence);
      entries.push({ key, sequence, kind: PUT, value });
      add(list, entries[entries.length - 1]);
      assertGreaterOrEqual(list.room, 0);
      if (left < 400) break;
    }
    const cursor = new ArenaCursor(list);
    checkCursor(cursor, sorted(entries), [], random, `seed ${spare}`);
  }
});

test("an arena that is used again shows nothing of its former content", () => {
  const random = new Random(7);
  const arena = new SharedArrayBuffer(256 * 1024);
  for (let round = 0; round < 5; round++) {
    const list = new SkipList(arena);
    assertEquals(list.entries, 0);
    list.addRange(1, toBytes("a"), toBytes("b"));
    const entries = randomEntries(random, 300, randomKey, 2);
    for (const entry of entries) add(list, entry);
    const probes = around(entries.slice(0, 30).map((entry) => entry.key));
    const cursor = new ArenaCursor(list);
    const message = `seed 7, round ${round}`;
    checkCursor(cursor, sorted(entries), probes, random, message);
  }
});

test("a cursor sees what is added behind it, and its place stays", () => {
  const list = newList();
  const entry = (key: string, sequence: number): Entry => ({
    key,
    sequence,
    kind: PUT,
    value: toBytes(key),
  });
  add(list, entry("b", 1));
  const cursor = new ArenaCursor(list);
  cursor.seekToFirst();
  add(list, entry("a", 2));
  add(list, entry("c", 3));
  assertEquals(entryAt(cursor), entry("b", 1));
  cursor.next();
  assertEquals(entryAt(cursor), entry("c", 3));
  cursor.previous();
  cursor.previous();
  assertEquals(entryAt(cursor), entry("a", 2));
});

test("range tombstones are chained in the arena in the order of their arrival", () => {
  // What a reader on another thread would walk over; see the layout in skiplist.ts.
  const list = newList();
  const ranges: [number, string, string][] = [
    [1, "", ""],
    [2 ** 32 + 5, "a", "bcd"],
    [2 ** 40, "\0\0\0\0\0", "\xff"],
  ];
  for (const [sequence, start, end] of ranges) {
    list.addRange(sequence, toBytes(start), toBytes(end));
    add(list, {
      key: "k",
      sequence: sequence + 1,
      kind: PUT,
      value: filled(3),
    });
  }
  const { words, bytes } = list;
  const read: [number, string, string][] = [];
  for (let record = words[1]; record !== 0; record = words[record]) {
    const start = (record + 5) * 4;
    const middle = start + words[record + 1];
    const sequence = words[record + 4] * 2 ** 32 + (words[record + 3] >>> 0);
    const end = middle + words[record + 2];
    read.push([
      sequence,
      fromBytes(bytes.slice(start, middle)),
      fromBytes(bytes.slice(middle, end)),
    ]);
  }
  assertEquals(read, ranges);
});

test("the heights of nodes keep searches short", () => {
  const list = newList(4 << 20);
  const count = 20_000;
  const random = new Random(8);
  for (let i = 1; i <= count; i++) {
    const key = toBytes(String(random.below(1e9)));
    list.add(i, PUT, key, key.length, key, 0, 0);
  }
  // A node of height h is there for every 2^(h-1): links are 2 for each.
  const perEntry = (list.used - ARENA_OVERHEAD) / count;
  assert(
    perEntry < NODE_HEADER * 4 + 4 * 2 + 14,
    `${perEntry} bytes for each entry`,
  );
});

test(
  "a lookup finds what was added around the place where one ended before",
  LONG,
  () => {
    const random = new Random(1);
    const list = newList(4 << 20);
    const newest = new Map<string, number>();
    const found = new Found();
    // Keys of 16 bytes whose hints tell them apart, and some whose hints do not.
    const keyOf = () =>
      random.chance(90)
        ? `${random.below(2000)}`.padStart(16, "0")
        : `same hint${random.below(200)}`;
    for (let sequence = 1; sequence <= 20_000; sequence++) {
      const key = keyOf();
      // Looked up now and again, before and after others are added beside it.
      for (const wanted of [keyOf(), key, keyOf()]) {
        const bytes = toBytes(wanted);
        found.reset();
        getFrom(list, bytes, bytes.length, sequence, found);
        assertEquals(found.sequence, newest.get(wanted) ?? 0, wanted);
      }
      if (random.chance(50)) continue;
      const bytes = toBytes(key);
      list.add(sequence, PUT, bytes, bytes.length, bytes, 0, 4);
      newest.set(key, sequence);
    }
  },
);
