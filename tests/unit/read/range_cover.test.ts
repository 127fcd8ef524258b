/** The cover of many sources' range tombstones against a brute-force model. */
import { test } from "node:test";
import type {
  Fragment,
  FragmentChunks,
} from "../../../lib/memtable/range_tombstones.ts";
import { type KeyOrder, RangeCover } from "../../../lib/read/range_cover.ts";
import {
  assert,
  assertEquals,
  assertExists,
  assertFalse,
  assertLess,
} from "../../assert.ts";
import { LONG } from "../../engine/support/configs.ts";
import { Random } from "../../engine/support/random.ts";
import { fromBytes, toBytes } from "../support/entries.ts";
import { around, randomKey, smallKey } from "../support/keys.ts";
import {
  covers,
  fragmentsOf,
  newestCovering,
  randomRange,
  type Range,
} from "../support/ranges.ts";

const ORDERS: [
  name: KeyOrder,
  order: (keys: string[], random: Random) => string[],
][] = [
  ["ascending", (keys) => keys.sort()],
  ["descending", (keys) => keys.sort().reverse()],
  ["any", (keys, random) => {
    for (let i = keys.length - 1; i > 0; i--) {
      const j = random.below(i + 1);
      [keys[i], keys[j]] = [keys[j], keys[i]];
    }
    return keys;
  }],
];

/** Fragments in chunks, cut anywhere. */
function chunksOf(
  fragments: readonly Fragment[],
  random: Random,
): FragmentChunks {
  const chunks: (readonly Fragment[])[] = [];
  for (let at = 0; at < fragments.length;) {
    const stop = at + 1 + random.below(random.chance(50) ? 3 : 20);
    chunks.push(fragments.slice(at, stop));
    at = stop;
  }
  return chunks;
}

for (const [name, order] of ORDERS) {
  test(
    `newest() is what brute force finds, for keys in ${name} order`,
    LONG,
    () => {
      for (let seed = 1; seed <= 60; seed++) {
        const random = new Random(seed);
        const key = random.chance(50) ? smallKey : randomKey;
        const sources: Range[][] = [];
        let sequence = 0;
        for (let i = 1 + random.below(4); i > 0; i--) {
          const count = random.chance(20) ? 0 : random.below(40);
          sources.push(Array.from(
            { length: count },
            () => randomRange(random, () => key(random), ++sequence),
          ));
        }
        const all = sources.flat();
        const reader = random.below(sequence + 2);
        const cover = new RangeCover(
          sources.map((ranges) => chunksOf(fragmentsOf(ranges), random)),
          reader,
          name,
        );
        const probes = around(all.flatMap(({ start, end }) => [start, end]));
        let expectedLast = 0;
        for (const probe of order(probes, random)) {
          const message = `seed ${seed}, ${JSON.stringify(probe)} @${reader}`;
          const bytes = toBytes(`>${probe}<`);
          const newest = cover.newest(bytes, 1, bytes.length - 1);
          expectedLast = newestCovering(all, probe, reader);
          assertEquals(newest, expectedLast, message);
          if (newest === 0) continue;
          // The fragment may be skipped as a whole: it must hold the key.
          const fragment = cover.covering;
          assertExists(fragment, message);
          const [start, end] = [
            fromBytes(fragment.start),
            fromBytes(fragment.end),
          ];
          assert(covers({ start, end, sequence: 0 }, probe), message);
          assert(fragment.sequences.includes(newest), message);
        }
      }
    },
  );
}

test("isEmpty: no sources, or none with a tombstone", () => {
  assert(new RangeCover([], 9).isEmpty);
  assert(new RangeCover([[], []], 9).isEmpty);
  assert(new RangeCover([[[]]], 9).isEmpty);
  assertEquals(new RangeCover([[]], 9).newest(toBytes("a"), 0, 1), 0);
  const one = fragmentsOf([{ start: "a", end: "b", sequence: 1 }]);
  assertFalse(new RangeCover([[], [one]], 9).isEmpty);
});

test("keys in order pay for each fragment once, and a leap for a search", () => {
  const name = (i: number) => `k${String(i).padStart(6, "0")}`;
  const count = 20_000;
  let looks = 0;
  const fragments: readonly Fragment[] = Array.from(
    { length: count },
    (_, i) => {
      const start = toBytes(name(2 * i));
      return {
        get start() {
          looks++;
          return start;
        },
        end: toBytes(name(2 * i + 1)),
        sequences: [i + 1],
      };
    },
  );
  const chunks = chunksOf(fragments, new Random(2));
  looks = 0;
  const cover = new RangeCover([chunks], 2 ** 40);
  for (let i = 0; i < 2 * count; i++) {
    const key = toBytes(name(i));
    const expected = i % 2 === 0 ? i / 2 + 1 : 0;
    assertEquals(cover.newest(key, 0, key.length), expected);
  }
  // A look or three at neighbours for each key; a search each would be 15.
  assertLess(looks / (2 * count), 4);
  looks = 0;
  const random = new Random(1);
  for (let i = 0; i < 1000; i++) {
    const key = toBytes(name(2 * random.below(count)));
    cover.newest(key, 0, key.length);
  }
  assertLess(looks / 1000, 40);
});
