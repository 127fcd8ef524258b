/** A memtable as other threads read it, against a sorted list. */
import { test } from "node:test";
import { Found, PUT, TOMBSTONE } from "../../../lib/cursor.ts";
import {
  FIRST_RANGE,
  HEAD,
  LAST_RANGE,
  PREFIX_LENGTH,
} from "../../../lib/memtable/arena.ts";
import { ArenaPool, Memtable } from "../../../lib/memtable/memtable.ts";
import { SharedMemtable } from "../../../lib/memtable/shared_memtable.ts";
import { assert, assertEquals, assertThrows } from "../../assert.ts";
import { LONG } from "../../engine/support/configs.ts";
import { Random } from "../../engine/support/random.ts";
import {
  checkCursor,
  type Entry,
  fromBytes,
  put,
  sorted,
  toBytes,
  tombstone,
} from "../support/entries.ts";
import { around, randomKey, smallKey } from "../support/keys.ts";
import { addTo, getFrom } from "../support/memtables.ts";

const MIB = 1 << 20;

function newMemtable(bytes = MIB): Memtable {
  return new Memtable(1, new ArenaPool(bytes, 1), bytes);
}

function attach(memtable: Memtable): SharedMemtable {
  return new SharedMemtable(memtable.arena, memtable.newest, memtable.oldest);
}

function randomEntries(random: Random, count: number): Entry[] {
  const key = random.pick([smallKey, randomKey]);
  return Array.from(
    { length: count },
    (_, i) =>
      random.chance(75)
        ? put(key(random), i + 1, `value ${i}`)
        : tombstone(key(random), i + 1),
  );
}

function look(
  memtable: { get: Memtable["get"] },
  key: string,
  sequence: number,
): [sequence: number, kind: number, value: string] {
  const found = new Found();
  getFrom(memtable, toBytes(`${key}junk`), key.length, sequence, found);
  const value = found.value.subarray(found.start, found.end);
  return [found.sequence, found.kind, fromBytes(value)];
}

/** The shared memtable must say what its owner's says. */
function assertSame(
  memtable: Memtable,
  entries: readonly Entry[],
  random: Random,
  message: string,
): void {
  const shared = attach(memtable);
  assertEquals(shared.entries, memtable.entries);
  const probes = around(entries.slice(0, 100).map((entry) => entry.key));
  checkCursor(shared.cursor(), sorted(entries), probes, random, message);
  for (const probe of probes) {
    for (const sequence of [0, random.below(memtable.newest), 1e9]) {
      assertEquals(
        look(shared, probe, sequence),
        look(memtable, probe, sequence),
        `${message}: ${JSON.stringify(probe)} @${sequence}`,
      );
    }
  }
}

for (const seed of [1, 2, 3, 4]) {
  test(
    `a shared memtable says what its owner's says, seed ${seed}`,
    LONG,
    () => {
      const random = new Random(seed);
      const entries = randomEntries(random, 900);
      const memtable = newMemtable();
      for (const entry of entries) addTo(memtable, entry);
      assertSame(memtable, entries, random, `seed ${seed}`);
    },
  );

  test(`hints that mislead cost time, not answers, seed ${seed}`, LONG, () => {
    const random = new Random(seed);
    const entries = randomEntries(random, 500);
    const memtable = newMemtable();
    for (const entry of entries) addTo(memtable, entry);
    const words = new Int32Array(memtable.arena);
    for (let node = words[HEAD - 1]; node !== 0; node = words[node - 1]) {
      if (random.chance(50)) words[node] = random.below(2 ** 32) | 0;
      if (random.chance(50)) words[node + 1] = random.below(2 ** 32) | 0;
    }
    if (random.chance(50)) words[PREFIX_LENGTH] = random.below(12);
    const shared = attach(memtable);
    const probes = around(entries.slice(0, 100).map((entry) => entry.key));
    checkCursor(shared.cursor(), sorted(entries), probes, random, "misled");
    for (const { key, sequence, kind, value } of entries) {
      const expected = [sequence, kind, fromBytes(value)];
      assertEquals(look(shared, key, sequence), expected, `seed ${seed}`);
    }
  });
}

test("what is added behind a shared memtable's back is found", () => {
  const memtable = newMemtable();
  addTo(memtable, put("b", 1, "one"));
  const shared = attach(memtable);
  for (let sequence = 2; sequence < 600; sequence++) {
    addTo(memtable, put(`k${sequence % 37}`, sequence, `value ${sequence}`));
    const key = `k${sequence % 37}`;
    const expected = [sequence, PUT, `value ${sequence}`];
    assertEquals(look(shared, key, sequence), expected);
  }
  assertEquals(look(shared, "k1", 36), [0, TOMBSTONE, ""]);
});

test("range tombstones count up to where the memtable was followed", () => {
  const memtable = newMemtable();
  addTo(memtable, put("c", 1, "one"));
  memtable.addRange(2, toBytes("b"), toBytes("d"));
  const shared = attach(memtable);
  assertEquals(look(shared, "c", 9), [2, TOMBSTONE, ""]);
  memtable.addRange(3, toBytes("a"), toBytes("x"));
  memtable.addRange(4, toBytes("a"), toBytes(""));
  memtable.addRange(5, toBytes("c"), toBytes("d"));
  shared.follow(4);
  assertEquals(look(shared, "c", 9), [4, TOMBSTONE, ""]);
  assertEquals(look(shared, "c", 3), [3, TOMBSTONE, ""]);
  assertEquals(look(shared, "c", 2), [2, TOMBSTONE, ""]);
  assertEquals(look(shared, "z", 9), [4, TOMBSTONE, ""]);
  shared.follow(5);
  assertEquals(look(shared, "c", 9), [5, TOMBSTONE, ""]);
  assertEquals(shared.newest, 5);
  assertEquals(
    shared.fragments().map(({ start, end, sequences }) =>
      `${fromBytes(start)}-${fromBytes(end)} ${sequences}`
    ),
    ["a-b 3,4", "b-c 2,3,4", "c-d 2,3,4,5", "d-x 3,4", "x- 4"],
  );
});

test("range tombstones that no reader tells apart are left out", () => {
  const memtable = newMemtable();
  for (let sequence = 1; sequence <= 100; sequence++) {
    memtable.addRange(sequence, toBytes("a"), toBytes("b"));
  }
  const shared = new SharedMemtable(memtable.arena, 0, 1);
  shared.follow(100, [40, 100]);
  const [{ sequences }] = shared.fragments();
  assertEquals(sequences, [40, 100]);
});

test("range tombstones that lead in a circle are an error, and end", () => {
  const memtable = newMemtable(4096);
  memtable.addRange(1, toBytes("a"), toBytes("b"));
  memtable.addRange(2, toBytes("c"), toBytes("d"));
  const shared = new SharedMemtable(memtable.arena, 0, 1);
  const words = new Int32Array(memtable.arena);
  words[words[LAST_RANGE]] = words[FIRST_RANGE];
  assertThrows(() => shared.follow(9), Error, "used anew");
});

/** Reads of every kind; whatever they give or throw, they must end. */
function readAll(shared: SharedMemtable, random: Random): void {
  const attempt = (read: () => void) => {
    try {
      read();
    } catch (error) {
      assert(error instanceof Error);
    }
  };
  for (let i = 0; i < 20; i++) {
    const key = toBytes(randomKey(random));
    attempt(() => getFrom(shared, key, key.length, 1e9, new Found()));
    const cursor = shared.cursor();
    attempt(() => {
      cursor.seek(key, key.length);
      while (cursor.valid) cursor.next();
    });
    attempt(() => {
      cursor.seekBefore(key, key.length);
      while (cursor.valid) cursor.previous();
    });
    attempt(() => {
      cursor.seek(key, key.length);
      while (cursor.valid) cursor.passVersions(0);
    });
    attempt(() => cursor.seekToLast());
    attempt(() => shared.follow(1e9));
  }
}

test(
  "reads end over an arena that was used anew, whatever is in it",
  LONG,
  () => {
    for (let seed = 1; seed <= 60; seed++) {
      const random = new Random(seed);
      const memtable = newMemtable(16 * 1024);
      for (const entry of randomEntries(random, 100)) addTo(memtable, entry);
      const uses = new Int32Array(new SharedArrayBuffer(8));
      uses[1] = 7;
      const shared = new SharedMemtable(
        memtable.arena,
        memtable.newest,
        1,
        { words: uses, index: 1, use: 7 },
      );
      assert(shared.isIntact());
      uses[1] = 8;
      assert(!shared.isIntact());
      const words = new Int32Array(memtable.arena);
      // Small numbers are links that lead into the arena, in circles too.
      const most = random.pick([64, 4096, 2 ** 32]);
      for (let i = 0; i < words.length; i++) {
        if (random.chance(70)) words[i] = random.below(most) | 0;
      }
      readAll(shared, random);
    }
  },
);

test("a link that leads out of the arena is an error, not an answer", () => {
  const memtable = newMemtable(4096);
  addTo(memtable, put("a", 1));
  const words = new Int32Array(memtable.arena);
  const shared = attach(memtable);
  for (const link of [-1, 3, HEAD, words.length, 2 ** 31 - 1]) {
    words[HEAD - 1] = link;
    assertThrows(() => look(shared, "a", 9), Error);
  }
});
