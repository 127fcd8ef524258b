/** Fragmented range tombstones against a brute-force model. */
import { test } from "node:test";
import {
  compareEnds,
  countStartingAtOrBefore,
  coveringSequence,
  type Fragment,
  type FragmentChunks,
  isBeforeEnd,
  RangeTombstones,
  visibleSequence,
} from "../../../lib/memtable/range_tombstones.ts";
import {
  assert,
  assertEquals,
  assertGreater,
  assertLessOrEqual,
} from "../../assert.ts";
import { LONG } from "../../engine/support/configs.ts";
import { Random } from "../../engine/support/random.ts";
import { toBytes } from "../support/entries.ts";
import { around, randomKey, smallKey } from "../support/keys.ts";
import {
  assertFragmented,
  newestCovering,
  randomRange,
  type Range,
} from "../support/ranges.ts";

/** Fragments must say of every probe what the ranges say, for every reader. */
function assertCovers(
  fragments: readonly Fragment[],
  ranges: readonly Range[],
  readers: readonly number[],
  message: string,
): void {
  const probes = around(ranges.flatMap(({ start, end }) => [start, end]));
  for (const probe of probes) {
    const key = toBytes(`>${probe}<`);
    for (const reader of readers) {
      assertEquals(
        coveringSequence(fragments, key, 1, key.length - 1, reader),
        newestCovering(ranges, probe, reader),
        `${message}: ${JSON.stringify(probe)} @${reader} of ${
          JSON.stringify(ranges)
        }`,
      );
    }
  }
}

function add(set: RangeTombstones, { start, end, sequence }: Range): void {
  set.add(toBytes(start), toBytes(end), sequence);
}

/** The bounds of fragments as they are now, for later comparison. */
function boundsOf(fragments: readonly Fragment[]): Uint8Array[][] {
  return fragments.map(({ start, end }) => [start.slice(), end.slice()]);
}

for (const [name, key] of [["few", smallKey], ["many", randomKey]] as const) {
  test(`fragments say what the deletes say: ${name} keys`, LONG, () => {
    for (let seed = 1; seed <= 60; seed++) {
      const random = new Random(seed);
      const set = new RangeTombstones();
      const ranges: Range[] = [];
      for (let sequence = 1; sequence <= 25; sequence++) {
        const range = randomRange(random, () => key(random), sequence);
        ranges.push(range);
        add(set, range);
        assertFragmented(set.list(), `seed ${seed}`);
      }
      assertEquals(set.size, set.list().length);
      const readers = [0, 1, random.below(25), 25, 2 ** 47];
      assertCovers(set.list(), ranges, readers, `seed ${seed}`);
    }
  });
}

test("deletes may come in any order of sequences, and twice", LONG, () => {
  for (let seed = 1; seed <= 60; seed++) {
    const random = new Random(seed);
    const set = new RangeTombstones();
    const ranges: Range[] = [];
    for (let i = 0; i < 20; i++) {
      const sequence = 1 + random.below(30);
      const range = randomRange(random, () => smallKey(random), sequence);
      ranges.push(range);
      add(set, range);
      if (random.chance(20)) add(set, random.pick(ranges));
    }
    assertFragmented(set.list(), `seed ${seed}`);
    assertCovers(set.list(), ranges, [3, 15, 31], `seed ${seed}`);
  }
});

test(
  "a list once handed out says the same to its readers, whatever is added later",
  LONG,
  () => {
    for (const key of [smallKey, randomKey]) {
      for (let seed = 1; seed <= 20; seed++) {
        const random = new Random(seed);
        const set = new RangeTombstones();
        const lists: {
          list: () => readonly Fragment[];
          bounds: Uint8Array[][];
          sequence: number;
        }[] = [];
        const ranges: Range[] = [];
        for (let sequence = 1; sequence <= 30; sequence++) {
          const range = randomRange(random, () => key(random), sequence);
          ranges.push(range);
          add(set, range);
          if (!random.chance(15)) continue;
          const flat = set.list();
          const chunks = set.chunks();
          for (const list of [() => flat, () => chunks.flat()]) {
            lists.push({ list, bounds: boundsOf(list()), sequence });
          }
        }
        for (const { list: listNow, bounds, sequence } of lists) {
          const list = listNow();
          const message = `seed ${seed}, list of @${sequence}`;
          assertEquals(boundsOf(list), bounds, message);
          // Whoever took the list reads at its sequence or before.
          const readers = [sequence, random.below(sequence)];
          assertCovers(list, ranges, readers, message);
        }
      }
    }
  },
);

test("covering() of the set is that of its list", () => {
  const random = new Random(9);
  const set = new RangeTombstones();
  for (let sequence = 1; sequence <= 40; sequence++) {
    add(set, randomRange(random, () => randomKey(random), sequence));
  }
  let covered = 0;
  for (let i = 0; i < 500; i++) {
    const key = toBytes(randomKey(random));
    const reader = random.below(45);
    const expected = coveringSequence(set.list(), key, 0, key.length, reader);
    assertEquals(set.covering(key, 0, key.length, reader), expected, "seed 9");
    if (expected > 0) covered++;
  }
  assertGreater(covered, 50);
});

test(
  "one delete over thousands of others keeps every one of them",
  LONG,
  () => {
    const ranges: Range[] = [];
    const set = new RangeTombstones();
    const name = (i: number) => `k${String(i).padStart(5, "0")}`;
    for (let i = 0; i < 3000; i++) {
      const range = {
        start: name(2 * i),
        end: name(2 * i + 1),
        sequence: i + 1,
      };
      ranges.push(range);
      add(set, range);
    }
    assertEquals(set.size, 3000);
    const wide = { start: "k", end: "", sequence: 5000 };
    ranges.push(wide);
    add(set, wide);
    // Each of the 3,000, the 3,000 gaps before and between, and the rest behind.
    assertEquals(set.size, 6001);
    assertFragmented(set.list(), "wide");
    for (const i of [0, 1, 2, 2999, 3000, 5998, 5999, 6000, 9999]) {
      const key = name(i);
      const bytes = toBytes(key);
      for (const reader of [1, 2999, 4999, 5000]) {
        assertEquals(
          coveringSequence(set.list(), bytes, 0, bytes.length, reader),
          newestCovering(ranges, key, reader),
          `${key} @${reader}`,
        );
      }
    }
  },
);

test("thousands of deletes, small and wide, at random", LONG, () => {
  for (let seed = 1; seed <= 4; seed++) {
    const random = new Random(seed);
    const name = (i: number) => `k${String(i).padStart(5, "0")}`;
    const set = new RangeTombstones();
    const ranges: Range[] = [];
    for (let sequence = 1; sequence <= 3000; sequence++) {
      const from = random.below(10_000);
      const length = 1 + random.below(random.chance(1) ? 5000 : 5);
      const end = random.chance(1) ? "" : name(from + length);
      ranges.push({ start: name(from), end, sequence });
      add(set, ranges[ranges.length - 1]);
    }
    assertFragmented(set.list(), `seed ${seed}`);
    assertEquals(set.size, set.list().length);
    for (let i = 0; i < 500; i++) {
      const key = name(random.below(10_010));
      const bytes = toBytes(key);
      const reader = random.below(3001);
      const expected = newestCovering(ranges, key, reader);
      const message = `seed ${seed}, ${key} @${reader}`;
      const { length } = bytes;
      assertEquals(set.covering(bytes, 0, length, reader), expected, message);
      assertEquals(
        coveringSequence(set.list(), bytes, 0, length, reader),
        expected,
        message,
      );
    }
  }
});

test("chunks() are the list, and stay as they are, after thousands of adds each of which follows a look", () => {
  const random = new Random(11);
  const set = new RangeTombstones();
  const seen: { chunks: FragmentChunks; size: number }[] = [];
  for (let sequence = 1; sequence <= 3000; sequence++) {
    const from = `k${String(random.below(10_000)).padStart(5, "0")}`;
    add(set, { start: from, end: `${from}5`, sequence });
    const chunks = set.chunks();
    assert(chunks.every(({ length }) => length > 0));
    if (sequence % 100 === 0) {
      assertEquals(chunks.flat(), [...set.list()]);
      seen.push({ chunks, size: set.size });
    }
  }
  assertGreater(set.chunks().length, 20);
  for (const { chunks, size } of seen) {
    assertEquals(chunks.flat().length, size);
  }
});

test("an add after a look leaves all chunks but one or two as they were", () => {
  const random = new Random(12);
  const set = new RangeTombstones();
  for (let sequence = 1; sequence <= 5000; sequence++) {
    const before = new Set(set.chunks());
    const from = `k${String(random.below(10_000)).padStart(5, "0")}`;
    add(set, { start: from, end: `${from}5`, sequence });
    const fresh = set.chunks().filter((chunk) => !before.has(chunk));
    // Two if it was split; none is so large that copying it counts.
    assertLessOrEqual(fresh.length, 3, `add ${sequence}`);
    for (const { length } of fresh) assertLessOrEqual(length, 128);
  }
  assertGreater(set.chunks().length, 20);
});

test("the same range again makes no new fragment", () => {
  const set = new RangeTombstones();
  for (let sequence = 1; sequence <= 100; sequence++) {
    set.add(toBytes("a"), toBytes("m"), sequence);
  }
  assertEquals(set.size, 1);
  assertEquals(set.list()[0].sequences.length, 100);
});

test("fragments number no more than the bounds of their deletes", () => {
  const random = new Random(10);
  const set = new RangeTombstones();
  for (let sequence = 1; sequence <= 300; sequence++) {
    add(set, randomRange(random, () => randomKey(random), sequence));
  }
  assertLessOrEqual(set.size, 600);
});

test("compareEnds(): no end is the greatest end", () => {
  const ends = ["\0", "a", "a\0", "b", "\xff\xff", ""].map(toBytes);
  for (const [i, a] of ends.entries()) {
    for (const [j, b] of ends.entries()) {
      assertEquals(Math.sign(compareEnds(a, b)), Math.sign(i - j), `${i} ${j}`);
    }
  }
});

test("isBeforeEnd(): every key is before no end, and an end is not before itself", () => {
  const before = (key: string, end: string) =>
    isBeforeEnd(toBytes(`.${key}.`), 1, 1 + key.length, toBytes(end));
  assert(before("", ""));
  assert(before("\xff\xff\xff", ""));
  assert(before("", "\0"));
  assert(before("a", "a\0"));
  assert(!before("a", "a"));
  assert(!before("b", "a"));
});

test("visibleSequence(): the newest that a reader sees", () => {
  const fragment = {
    start: toBytes("a"),
    end: toBytes("b"),
    sequences: [3, 7, 2 ** 40],
  };
  const table: [reader: number, sequence: number][] = [
    [0, 0],
    [2, 0],
    [3, 3],
    [6, 3],
    [7, 7],
    [2 ** 40 - 1, 7],
    [2 ** 40, 2 ** 40],
    [2 ** 48, 2 ** 40],
  ];
  for (const [reader, sequence] of table) {
    assertEquals(visibleSequence(fragment, reader), sequence, `@${reader}`);
  }
});

test("countStartingAtOrBefore() counts", () => {
  const starts = ["", "b", "b\0", "d"];
  const fragments = starts.map((start) => ({
    start: toBytes(start),
    end: toBytes(`${start}\0`),
    sequences: [1],
  }));
  const table: [string, number][] = [
    ["", 1],
    ["a", 1],
    ["b", 2],
    ["b\0", 3],
    ["b\0\0", 3],
    ["d", 4],
    ["\xff", 4],
  ];
  for (const [key, count] of table) {
    const bytes = toBytes(key);
    assertEquals(
      countStartingAtOrBefore(fragments, bytes, 0, bytes.length),
      count,
      JSON.stringify(key),
    );
  }
  assertEquals(countStartingAtOrBefore([], toBytes("a"), 0, 1), 0);
});
