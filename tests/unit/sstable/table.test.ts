/** Tables: what is written comes back, by lookups and by cursors, and nothing else does. */
import { test } from "node:test";
import { Found, PUT, TOMBSTONE } from "../../../lib/cursor.ts";
import { hashKey, keyHash } from "../../../lib/encoding/hash.ts";
import { TableCursor } from "../../../lib/sstable/cursor.ts";
import { FOOTER_LENGTH } from "../../../lib/sstable/format.ts";
import type { Table } from "../../../lib/sstable/table.ts";
import {
  assert,
  assertEquals,
  assertGreater,
  assertLess,
  assertLessOrEqual,
} from "../../assert.ts";
import { LONG } from "../../engine/support/configs.ts";
import { throwsWith } from "../../engine/support/errors.ts";
import { Random } from "../../engine/support/random.ts";
import {
  assertSameEntries,
  checkCursor,
  type Entry,
  fromBytes,
  put,
  sorted,
  toBytes,
  tombstone,
  walk,
} from "../support/entries.ts";
import { around, longestKey, randomKey, smallKey } from "../support/keys.ts";
import {
  fragmentsOf,
  newestCovering,
  randomRange,
  type Range,
} from "../support/ranges.ts";
import {
  type Answer,
  lookUpIn,
  makeTable,
  newContext,
  newFiles,
  openTable,
  randomEntries,
  type Settings,
  tablePath,
  writeTable,
} from "../support/tables.ts";

/** What a lookup must find: the newest visible of points and covering ranges. */
function expectedAnswer(
  entries: readonly Entry[],
  ranges: readonly Range[],
  key: string,
  reader: number,
): Answer {
  const point = entries.find((entry) =>
    entry.key === key && entry.sequence <= reader
  );
  const covering = newestCovering(ranges, key, reader);
  if (point === undefined || covering > point.sequence) {
    return { sequence: covering, kind: TOMBSTONE, value: undefined };
  }
  const { sequence, kind, value } = point;
  return { sequence, kind, value: kind === PUT ? value : undefined };
}

interface Kind {
  readonly name: string;
  readonly entries: (random: Random) => Entry[];
  readonly settings: Settings;
  /** Keys that are looked for, with their neighbours. */
  readonly picks?: number;
}

const KINDS: Kind[] = [
  {
    name: "keys of every kind",
    entries: (random) => randomEntries(random, 400, randomKey),
    settings: { blockSize: 256 },
  },
  {
    name: "few keys, so many versions that one key spans blocks",
    entries: (random) => randomEntries(random, 60, smallKey, 60),
    settings: { blockSize: 256, bloomBitsPerKey: 1 },
  },
  {
    name: "large blocks, no filter",
    entries: (random) => randomEntries(random, 600, randomKey),
    settings: { blockSize: 64 * 1024, bloomBitsPerKey: 0 },
  },
  {
    name: "values larger than a block",
    entries: (random) =>
      randomEntries(
        random,
        40,
        randomKey,
        2,
        (r) => r.chance(20) ? 3000 + r.below(100_000) : r.below(10),
      ),
    settings: { blockSize: 1024, bloomBitsPerKey: 32 },
  },
  {
    name: "keys of 64 KiB",
    entries: (random) =>
      randomEntries(
        random,
        16,
        (r) => r.chance(50) ? longestKey(r) : randomKey(r),
        2,
      ),
    settings: { blockSize: 4096 },
    picks: 8,
  },
  {
    name: "one entry",
    entries: (random) => randomEntries(random, 1, randomKey, 1),
    settings: {},
  },
  {
    name: "one block for each entry",
    entries: (random) => randomEntries(random, 60, randomKey, 3, () => 256),
    settings: { blockSize: 256 },
  },
];

for (const { name, entries: make, settings, picks = 40 } of KINDS) {
  test(`a table is a sorted list: ${name}`, LONG, () => {
    const ways = [[1, "none"], [2, "none"], [1, "zstd"], [3, "zstd"]] as const;
    for (const [seed, compression] of ways) {
      const random = new Random(seed);
      const entries = make(random);
      const message = `seed ${seed}, ${compression}`;
      const made = makeTable(entries, [], { ...settings, compression });
      const probes = around(
        Array.from({ length: picks }, () => random.pick(entries).key),
      );
      for (const cacheBytes of [1 << 20, 0]) {
        const table = openTable(made, newContext(made.files, cacheBytes));
        for (const sequential of [false, true]) {
          const cursor = new TableCursor(table, sequential);
          assertEquals(cursor.newest, made.meta.newest);
          const where = `${message}, cache ${cacheBytes}, ${sequential}`;
          checkCursor(cursor, entries, probes, random, where);
          cursor.close();
        }
        for (const key of probes) {
          for (const reader of [0, random.below(2100), 2 ** 47]) {
            assertEquals(
              lookUpIn(table, key, reader),
              expectedAnswer(entries, [], key, reader),
              `${message}, ${JSON.stringify(key.slice(0, 50))} @${reader}`,
            );
          }
        }
        table.close();
      }
    }
  });
}

test("a key whose versions span blocks is found in each of them", () => {
  const entries: Entry[] = [put("a", 1), put("c", 1)];
  for (let sequence = 1; sequence <= 300; sequence++) {
    entries.push(put("b", sequence, `value ${sequence}`));
  }
  const table = openTable(makeTable(entries));
  assertGreater(table.blockCount, 10);
  for (let reader = 0; reader <= 301; reader++) {
    const { sequence, value } = lookUpIn(table, "b", reader);
    assertEquals(sequence, Math.min(reader, 300));
    if (value === undefined) continue;
    assertEquals(fromBytes(value), `value ${sequence}`);
  }
  assertEquals(lookUpIn(table, "c", 9).sequence, 1);
  const cursor = new TableCursor(table, false);
  checkCursor(cursor, sorted(entries), around(["b"]), new Random(1), "b");
});

test("lookups see points and range tombstones by their age", LONG, () => {
  for (let seed = 1; seed <= 10; seed++) {
    const random = new Random(seed);
    const entries = randomEntries(random, 50, smallKey);
    const ranges: Range[] = [];
    for (let i = 0; i < 10; i++) {
      const sequence = 1 + random.below(2000);
      ranges.push(randomRange(random, () => smallKey(random), sequence));
    }
    const fragments = fragmentsOf(ranges);
    const made = makeTable(entries, fragments, { bloomBitsPerKey: 20 });
    const table = openTable(made);
    assertEquals(table.fragments(), fragments, `seed ${seed}`);
    for (const key of around(entries.map((entry) => entry.key))) {
      for (const reader of [random.below(2100), 2 ** 47]) {
        assertEquals(
          lookUpIn(table, key, reader),
          expectedAnswer(entries, ranges, key, reader),
          `seed ${seed}, ${JSON.stringify(key)} @${reader}`,
        );
      }
    }
    assertSameEntries(walk(new TableCursor(table, false)), entries, "walk");
  }
});

test("a table of range tombstones only answers without a data block", () => {
  const ranges = [
    { start: "b", end: "d", sequence: 5 },
    { start: "f", end: "", sequence: 2 ** 40 },
  ];
  const made = makeTable([], fragmentsOf(ranges));
  const table = openTable(made);
  assertEquals(table.blockCount, 0);
  for (const key of ["", "a", "b", "c\xff", "d", "f", "\xff\xff"]) {
    assertEquals(
      lookUpIn(table, key, 2 ** 41).sequence,
      newestCovering(ranges, key, 2 ** 41),
      key,
    );
  }
  const cursor = new TableCursor(table, false);
  checkCursor(cursor, [], around(["b", "f"]), new Random(1), "empty");
});

test("sequences are stored relative to the lowest and come back exactly", () => {
  const base = 2 ** 47;
  const entries = [0, 1, 127, 128, 2 ** 20, 2 ** 33].map((n, i) =>
    put(`k${i}`, base + n, `${n}`)
  );
  const ranges = [{ start: "a", end: "b", sequence: base + 2 ** 35 }];
  const made = makeTable(entries, fragmentsOf(ranges));
  const table = openTable(made);
  assertSameEntries(walk(new TableCursor(table, false)), entries, "walk");
  assertEquals(table.fragments()[0].sequences, [base + 2 ** 35]);
  assertEquals(made.meta.oldest, base);
  assertEquals(made.meta.newest, base + 2 ** 35);
});

test("a filter's verdict does not hide a range tombstone", () => {
  const entries = Array.from({ length: 500 }, (_, i) => put(`k${i}`, i + 1));
  const ranges = [{ start: "", end: "", sequence: 1000 }];
  const made = makeTable(entries, fragmentsOf(ranges), { bloomBitsPerKey: 32 });
  const context = newContext(made.files);
  const table = openTable(made, context);
  for (let i = 0; i < 200; i++) {
    assertEquals(lookUpIn(table, `k${i}`, 2000).sequence, 1000);
    assertEquals(lookUpIn(table, `x${i}`, 2000).sequence, 1000);
  }
  assertEquals(context.counters.blockReads, 0);
});

test("lookups are counted: blocks, filters asked, skipped, mistaken", () => {
  const entries = Array.from(
    { length: 1000 },
    (_, i) => put(`k${String(i).padStart(4, "0")}`, i + 1, "v"),
  );
  const made = makeTable(sorted(entries), [], { bloomBitsPerKey: 8 });
  const context = newContext(made.files);
  const { counters, cache } = context;
  const table = openTable(made, context);
  lookUpIn(table, "k0500", 2000);
  assertEquals([counters.blockReads, cache.misses, cache.hits], [1, 1, 0]);
  lookUpIn(table, "k0500", 2000);
  assertEquals([counters.blockReads, cache.misses, cache.hits], [1, 1, 1]);
  assertEquals([counters.bloomChecks, counters.bloomSkips], [2, 0]);
  // Too old for the reader: the key is there all the same.
  lookUpIn(table, "k0500", 3);
  assertEquals(counters.falsePositives, 0);
  const before = counters.blockReads;
  for (let i = 0; i < 900; i++) {
    lookUpIn(table, `k${String(i).padStart(4, "0")}x`, 2000);
  }
  assertEquals(counters.bloomChecks, 3 + 900);
  assertEquals(counters.bloomSkips + counters.falsePositives, 900);
  assertGreater(counters.falsePositives, 0);
  assertLess(counters.falsePositives, 60);
  assertLessOrEqual(counters.blockReads - before, counters.falsePositives);
});

test("a key outside the table's bounds asks no filter and opens no file", () => {
  const made = makeTable([put("b", 1), put("d", 2)]);
  const context = newContext(made.files);
  const table = openTable(made, context);
  made.files.resetCounts();
  lookUpIn(table, "a", 9);
  lookUpIn(table, "e", 9);
  assertEquals(made.files.counts.open, 0);
  assertEquals(context.counters.bloomChecks, 0);
});

test("keys that share leading bytes, and probes that lack some of them", () => {
  const entries = Array.from(
    { length: 300 },
    (_, i) => put(`user/${i + 100}`, i + 1),
  );
  const made = makeTable(sorted(entries), [], { bloomBitsPerKey: 0 });
  const context = newContext(made.files);
  const table = openTable(made, context);
  made.files.resetCounts();
  const outside = [
    "",
    "u",
    "user",
    "user/",
    "uzer/150",
    "user/1",
    "user/4",
    "user0150",
    "tser/150",
  ];
  for (const probe of outside) {
    assertEquals(lookUpIn(table, probe, 2000).sequence, 0, probe);
  }
  assertEquals(made.files.counts.open, 0);
  for (const probe of around(entries.map(({ key }) => key))) {
    const expected = entries.find(({ key }) => key === probe)?.sequence ?? 0;
    // Read from the file or from the cache, and from the cache.
    assertEquals(lookUpIn(table, probe, 2000).sequence, expected, probe);
    assertEquals(lookUpIn(table, probe, 2000).sequence, expected, probe);
  }
});

test("holdsOlder() looks at points older than a sequence only", () => {
  const table = openTable(makeTable([
    put("a", 10),
    put("b", 10),
    put("b", 5),
    tombstone("c", 7),
  ]));
  const found = new Found();
  const holds = (key: string, sequence: number) =>
    table.holdsOlder(toBytes(key), key.length, sequence, found);
  const table2: [string, number, boolean][] = [
    ["a", 10, false],
    ["a", 11, true],
    ["b", 10, true],
    ["b", 6, true],
    ["b", 5, false],
    ["c", 8, true],
    ["c", 7, false],
    ["d", 99, false],
  ];
  for (const [key, sequence, expected] of table2) {
    assertEquals(holds(key, sequence), expected, `${key} @${sequence}`);
  }
});

test("filterLetsThrough(): every key of the table; everything without a filter", () => {
  const lets = (table: Table, key: string) => {
    hashKey(toBytes(key), 0, key.length);
    return table.filterLetsThrough(keyHash.line, keyHash.bits);
  };
  const entries = [put("a", 1), put("b", 2)];
  const filtered = openTable(makeTable(entries, [], { bloomBitsPerKey: 32 }));
  assert(lets(filtered, "a") && lets(filtered, "b"));
  const strangers = Array.from({ length: 100 }, (_, i) => `stranger ${i}`);
  assertLess(strangers.filter((key) => lets(filtered, key)).length, 5);
  const bare = openTable(makeTable(entries, [], { bloomBitsPerKey: 0 }));
  assert(strangers.every((key) => lets(bare, key)));
});

test("a cursor that walks on reads ahead: few reads, and none into the cache", () => {
  const entries = Array.from(
    { length: 5000 },
    (_, i) => put(`k${String(i).padStart(5, "0")}`, i + 1, "x".repeat(90)),
  );
  const made = makeTable(entries, [], { blockSize: 4096 });
  const context = newContext(made.files);
  const table = openTable(made, context);
  table.verify();
  made.files.resetCounts();
  assertSameEntries(walk(new TableCursor(table, false)), entries, "walk");
  // 500 KB: a block, then chunks of 16, 32, 64, 128, 256 KiB.
  assertLessOrEqual(made.files.counts.read, 8);
  assertEquals(context.counters.blockReads, table.blockCount);
  assertLessOrEqual(context.cache.bytes, 4096 + 1024);
});

test("a cursor takes blocks from the cache where it can", () => {
  const entries = Array.from(
    { length: 200 },
    (_, i) => put(`k${String(i).padStart(5, "0")}`, i + 1, "x".repeat(90)),
  );
  const made = makeTable(entries, [], { blockSize: 512 });
  const context = newContext(made.files);
  const table = openTable(made, context);
  for (const { key } of entries) lookUpIn(table, key, 9999);
  made.files.resetCounts();
  const { blockReads } = context.counters;
  assertSameEntries(walk(new TableCursor(table, false)), entries, "walk");
  assertEquals(made.files.counts.read, 0);
  assertEquals(context.counters.blockReads, blockReads);
});

/** Reads everything that a table has; throws what the reading throws. */
function readAll(table: Table, entries: readonly Entry[]): void {
  table.verify();
  const cursor = new TableCursor(table, false);
  assertSameEntries(walk(cursor), entries, "walk");
  for (const { key } of entries) lookUpIn(table, key, 2 ** 47);
}

test("any byte of a table changed is CORRUPTION when it is read", LONG, () => {
  const entries = randomEntries(new Random(3), 30, randomKey, 2, () => 10);
  const ranges = [{ start: "b", end: "c", sequence: 5 }];
  const made = makeTable(entries, fragmentsOf(ranges));
  const original = made.files.readFile(made.path);
  readAll(openTable(made), entries);
  for (let at = 0; at < original.length; at++) {
    const damaged = original.slice();
    damaged[at] ^= 1 << (at % 8);
    made.files.writeFile(made.path, damaged);
    const table = openTable(made);
    const error = throwsWith("CORRUPTION", () => readAll(table, entries));
    assert(error.message.includes(made.path), `${at}: ${error.message}`);
  }
});

test("a table of any other length is CORRUPTION", LONG, () => {
  const entries = [put("a", 1, "one"), put("b", 2, "two")];
  const made = makeTable(entries);
  const original = made.files.readFile(made.path);
  for (let length = 0; length < original.length; length++) {
    made.files.writeFile(made.path, original.subarray(0, length));
    throwsWith("CORRUPTION", () => openTable(made).verify());
  }
  const longer = new Uint8Array(original.length + 1);
  longer.set(original);
  made.files.writeFile(made.path, longer);
  throwsWith("CORRUPTION", () => openTable(made).verify());
});

test("the file of another table is CORRUPTION, though it is whole", () => {
  const files = newFiles();
  const first = writeTable(files, 1, [put("a", 1, "one")]);
  writeTable(files, 2, [put("a", 1, "two")]);
  assert(first !== undefined);
  files.writeFile(tablePath(1), files.readFile(tablePath(2)));
  const table = openTable({ files, path: tablePath(1), meta: first });
  throwsWith("CORRUPTION", () => table.verify());
});

test("two blocks of one length that changed places are CORRUPTION", () => {
  const entries = [
    put("a", 1, "x".repeat(300)),
    put("b", 2, "y".repeat(300)),
    put("c", 3, "z".repeat(300)),
  ];
  const made = makeTable(entries);
  const { offset, length } = openTable(made).handle(0);
  const next = openTable(made).handle(1);
  assertEquals(next.length, length);
  const bytes = made.files.readFile(made.path);
  const size = length + 5;
  const first = bytes.slice(offset, offset + size);
  bytes.copyWithin(offset, next.offset, next.offset + size);
  bytes.set(first, next.offset);
  made.files.writeFile(made.path, bytes);
  throwsWith("CORRUPTION", () => lookUpIn(openTable(made), "a", 9));
  throwsWith("CORRUPTION", () => lookUpIn(openTable(made), "b", 9));
  assertEquals(lookUpIn(openTable(made), "c", 9).sequence, 3);
});

test("properties that contradict the manifest are CORRUPTION", () => {
  const made = makeTable(
    [put("a", 2), put("a", 1), tombstone("b", 3)],
    fragmentsOf([{ start: "x", end: "y", sequence: 4 }]),
  );
  openTable(made).verify();
  const fields = [
    "entries",
    "tombstones",
    "rangeTombstones",
    "olderVersions",
    "oldest",
    "newest",
  ] as const;
  for (const field of fields) {
    const meta = { ...made.meta, [field]: made.meta[field] + 1 };
    throwsWith("CORRUPTION", () => openTable({ ...made, meta }).verify());
  }
});

test("a read error is IO, and the next read may succeed", () => {
  const made = makeTable([put("a", 1, "one")]);
  const table = openTable(made);
  made.files.onOperation = (operation) => {
    if (operation === "read") {
      throw Object.assign(new Error("made by the test"), { code: "EIO" });
    }
  };
  throwsWith("IO", () => lookUpIn(table, "a", 9));
  made.files.onOperation = undefined;
  assertEquals(lookUpIn(table, "a", 9).value, toBytes("one"));
});

test("a file closed behind the table's back is opened again", () => {
  const entries = Array.from(
    { length: 50 },
    (_, i) => put(`k${i + 10}`, i + 1, "x".repeat(100)),
  );
  const made = makeTable(entries);
  const context = newContext(made.files, 0);
  const table = openTable(made, context);
  const cursor = new TableCursor(table, false);
  cursor.seekToFirst();
  let steps = 0;
  for (; cursor.valid; cursor.next()) {
    steps++;
    table.closeFile();
  }
  assertEquals(steps, 50);
});

test("close() forgets what was read, so that a later read sees the file anew", () => {
  const made = makeTable([put("a", 1, "one")]);
  const context = newContext(made.files);
  const table = openTable(made, context);
  lookUpIn(table, "a", 9);
  assertGreater(context.cache.bytes, 0);
  table.close();
  assertEquals(context.memory.bytes, 0);
  assertEquals(lookUpIn(table, "a", 9).value, toBytes("one"));
});

test("a retired table's file is removed once its last user let go", () => {
  const made = makeTable([put("a", 1)]);
  const table = openTable(made);
  let removed = 0;
  table.retain();
  table.retain();
  table.retire(() => removed++);
  table.release();
  assertEquals(removed, 0);
  lookUpIn(table, "a", 9);
  table.release();
  assertEquals(removed, 1);
});

test("a table that is not retired is only closed by its last user", () => {
  const made = makeTable([put("a", 1)]);
  const table = openTable(made);
  table.retain();
  lookUpIn(table, "a", 9);
  table.release();
  assertEquals(made.files.stat(made.path)?.size, made.meta.size);
});

test("a table's file begins with its first block and ends with its footer", () => {
  const made = makeTable([put("a", 1, "one")]);
  const bytes = made.files.readFile(made.path);
  assertEquals(openTable(made).handle(0).offset, 0);
  assertEquals(fromBytes(bytes.slice(-8)), "varvetab");
  assertGreater(bytes.length, FOOTER_LENGTH);
  assertEquals(made.meta.size, bytes.length);
});
