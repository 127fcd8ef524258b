/**
 * What a merge keeps, against a brute-force model: every snapshot and a
 * latest reader see the same before and after, and nothing superfluous stays.
 */
import { test } from "node:test";
import {
  keepTombstones,
  type TombstoneElision,
} from "../../../lib/compaction/elision.ts";
import {
  keptFragments,
  MergeStream,
  stripeOf,
} from "../../../lib/compaction/merge_stream.ts";
import { TOMBSTONE } from "../../../lib/cursor.ts";
import { MergingCursor } from "../../../lib/read/merging_cursor.ts";
import {
  assert,
  assertEquals,
  assertGreater,
  assertLess,
} from "../../assert.ts";
import { LONG } from "../../engine/support/configs.ts";
import { Random } from "../../engine/support/random.ts";
import {
  assertSameEntries,
  type Entry,
  entryAt,
  fromBytes,
  ListCursor,
  put,
  tombstone,
} from "../support/entries.ts";
import { randomKey, smallKey } from "../support/keys.ts";
import {
  allEntries,
  allRanges,
  type Layer,
  randomLayers,
  visibleRows,
} from "../support/layers.ts";
import {
  assertFragmented,
  covers,
  fragmentsOf,
  rangesOf,
} from "../support/ranges.ts";

/** Merges layers into one; `steps` is how far each call may look. */
function merge(
  layers: readonly Layer[],
  snapshots: readonly number[],
  elision: TombstoneElision,
  steps = 1000,
): Layer & { readonly dropped: number } {
  const fragments = fragmentsOf(allRanges(layers));
  const cursor = new MergingCursor(
    layers.map((layer) => new ListCursor(layer.entries)),
    false,
  );
  const stream = new MergeStream(cursor, fragments, snapshots, elision);
  const entries: Entry[] = [];
  for (let calls = 0;; calls++) {
    assertLess(calls, 100_000, "the stream does not end");
    const entry = stream.next(steps);
    if (entry === undefined) break;
    if (entry !== null) entries.push(entryAt(entry));
  }
  const kept = keptFragments(fragments, snapshots, elision);
  assertFragmented(kept, "kept fragments");
  return { entries, ranges: rangesOf(kept), dropped: stream.dropped };
}

/** The exact elision: brute force over what is outside. */
function exactElision(outside: readonly Layer[]): TombstoneElision {
  const entries = allEntries(outside);
  return {
    nothingOlder(key, start, end, sequence) {
      const name = fromBytes(key.subarray(start, end));
      return !entries.some((entry) =>
        entry.key === name && entry.sequence < sequence
      );
    },
    nothingOlderInRange(start, end, sequence) {
      const range = { start: fromBytes(start), end: fromBytes(end), sequence };
      return !entries.some((entry) =>
        covers(range, entry.key) && entry.sequence < sequence
      );
    },
  };
}

const nothingOutside = exactElision([]);

function randomSnapshots(random: Random, operations: number): number[] {
  const sequences = new Set<number>();
  for (let i = random.below(4); i > 0; i--) {
    sequences.add(random.below(operations + 1));
  }
  return [...sequences].sort((a, b) => a - b);
}

interface Scene {
  readonly random: Random;
  readonly operations: number;
  readonly layers: Layer[];
  readonly snapshots: number[];
  readonly message: string;
}

function randomScene(seed: number): Scene {
  const random = new Random(seed);
  const operations = 1 + random.below(160);
  const layers = randomLayers(random, {
    operations,
    layers: 1 + random.below(6),
    key: random.chance(60) ? smallKey : randomKey,
    rangePercent: random.pick([0, 5, 30]),
    isInOrder: random.chance(50),
    doublePercent: random.pick([0, 10]),
  });
  const snapshots = randomSnapshots(random, operations);
  const message = `seed ${seed}, snapshots ${snapshots}`;
  return { random, operations, layers, snapshots, message };
}

/** Every snapshot and the latest reader must see of `after` what they saw of `before`. */
function assertSeesTheSame(
  after: readonly Layer[],
  before: readonly Layer[],
  { snapshots, operations, message }: Scene,
): void {
  for (const reader of [...snapshots, operations, 2 ** 47]) {
    assertEquals(
      visibleRows(after, reader),
      visibleRows(before, reader),
      `${message}, reader ${reader}`,
    );
  }
}

test("no reader sees a difference: everything merged", LONG, () => {
  for (let seed = 1; seed <= 400; seed++) {
    const scene = randomScene(seed);
    const { layers, snapshots, message } = scene;
    const merged = merge(layers, snapshots, nothingOutside);
    assertSeesTheSame([merged], layers, scene);
    const given = layers.reduce((sum, { entries }) => sum + entries.length, 0);
    assertEquals(merged.dropped, given - merged.entries.length, message);
  }
});

test(
  "no reader sees a difference: layers outside the merge, of any age",
  LONG,
  () => {
    let elided = 0;
    for (let seed = 1; seed <= 600; seed++) {
      const scene = randomScene(seed);
      const { random, layers, snapshots } = scene;
      const inside = layers.filter(() => random.chance(50));
      const outside = layers.filter((layer) => !inside.includes(layer));
      const kept = merge(inside, snapshots, keepTombstones);
      assertSeesTheSame([kept, ...outside], layers, scene);
      const exact = merge(inside, snapshots, exactElision(outside));
      assertSeesTheSame([exact, ...outside], layers, scene);
      elided += kept.entries.length - exact.entries.length;
    }
    assertGreater(elided, 500);
  },
);

test(
  "nothing superfluous is kept when there is no snapshot and nothing outside",
  LONG,
  () => {
    for (let seed = 1; seed <= 300; seed++) {
      const { layers, message } = randomScene(seed);
      const { entries, ranges } = merge(layers, [], nothingOutside);
      assertEquals(ranges, [], message);
      const rows = entries.map(({ key, kind, value }) => {
        assertEquals(kind, 0, `${message}: a tombstone stays`);
        return [key, fromBytes(value)];
      });
      assertEquals(rows, visibleRows(layers, 2 ** 47), message);
    }
  },
);

test("a value is kept exactly if some reader sees it", LONG, () => {
  for (let seed = 1; seed <= 300; seed++) {
    const { layers, snapshots, message } = randomScene(seed);
    const { entries } = merge(layers, snapshots, nothingOutside);
    const kept = entries.filter(({ kind }) => kind !== TOMBSTONE)
      .map(({ value }) => fromBytes(value));
    // Values name their key and sequence, so each is seen in one way only.
    const seen = new Set(
      [...snapshots, 2 ** 47].flatMap((reader) =>
        visibleRows(layers, reader).map(([, value]) => value)
      ),
    );
    assertEquals(kept.sort(), [...seen].sort(), message);
  }
});

test(
  "a flush keeps every tombstone that is the newest of its stripe",
  LONG,
  () => {
    for (let seed = 1; seed <= 200; seed++) {
      const { layers, snapshots, message } = randomScene(seed);
      const { entries } = merge(layers, snapshots, keepTombstones);
      const kept = new Set(entries.map(({ sequence }) => sequence));
      const ranges = allRanges(layers);
      const newest = new Map<string, Entry>();
      for (const entry of allEntries(layers).reverse()) {
        newest.set(
          `${stripeOf(snapshots, entry.sequence)} ${entry.key}`,
          entry,
        );
      }
      for (const entry of newest.values()) {
        if (entry.kind !== TOMBSTONE) continue;
        const stripe = stripeOf(snapshots, entry.sequence);
        const isCovered = ranges.some((range) =>
          range.sequence > entry.sequence && covers(range, entry.key) &&
          stripeOf(snapshots, range.sequence) === stripe
        );
        assertEquals(kept.has(entry.sequence), !isCovered, message);
      }
    }
  },
);

test("merging what was merged changes nothing", LONG, () => {
  for (let seed = 1; seed <= 200; seed++) {
    const { layers, snapshots, message } = randomScene(seed);
    const once = merge(layers, snapshots, nothingOutside);
    const twice = merge([once], snapshots, nothingOutside);
    assertSameEntries(twice.entries, once.entries, message);
    assertEquals(twice.ranges, once.ranges, message);
    assertEquals(twice.dropped, 0, message);
  }
});

test(
  "how far one call looks makes no difference, but it looks no further",
  LONG,
  () => {
    for (let seed = 1; seed <= 60; seed++) {
      const { layers, snapshots, message } = randomScene(seed);
      const whole = merge(layers, snapshots, nothingOutside);
      for (const steps of [1, 2, 7]) {
        const sliced = merge(layers, snapshots, nothingOutside, steps);
        assertSameEntries(sliced.entries, whole.entries, message);
        assertEquals(sliced.dropped, whole.dropped, message);
      }
    }
    const versions = Array.from({ length: 100 }, (_, i) => put("k", 100 - i));
    const source = new ListCursor(versions);
    const cursor = new MergingCursor([source], false);
    const stream = new MergeStream(cursor, [], [], keepTombstones);
    assert(stream.next(10) !== null);
    const before = source.steps;
    assertEquals(stream.next(10), null);
    assertLess(source.steps - before, 12);
  },
);

test("a tombstone goes only below every snapshot", () => {
  const layers: Layer[] = [{
    entries: [put("a", 1), tombstone("a", 5), tombstone("b", 6)],
    ranges: [{ start: "c", end: "d", sequence: 7 }],
  }];
  const keptWith = (...snapshots: number[]) => {
    const { entries, ranges } = merge(layers, snapshots, nothingOutside);
    return [...entries, ...ranges].map(({ sequence }) => sequence)
      .sort((a, b) => a - b);
  };
  assertEquals(keptWith(), []);
  assertEquals(keptWith(7), []);
  assertEquals(keptWith(6), [7]);
  assertEquals(keptWith(5), [6, 7]);
  assertEquals(keptWith(4), [1, 5, 6, 7]);
  assertEquals(keptWith(0), [5, 6, 7]);
});

test("stripeOf(): a snapshot sees its own sequence", () => {
  const snapshots = [3, 7, 7 + 2 ** 40];
  const table: [sequence: number, stripe: number][] = [
    [0, 0],
    [3, 0],
    [4, 1],
    [7, 1],
    [8, 2],
    [7 + 2 ** 40, 2],
    [8 + 2 ** 40, 3],
  ];
  for (const [sequence, stripe] of table) {
    assertEquals(stripeOf(snapshots, sequence), stripe, `${sequence}`);
  }
  assertEquals(stripeOf([], 5), 0);
});

test("keptFragments() leaves the fragments that it was given as they are", () => {
  const fragments = fragmentsOf([
    { start: "a", end: "m", sequence: 3 },
    { start: "g", end: "", sequence: 9 },
    { start: "h", end: "k", sequence: 10 },
  ]);
  const before = JSON.stringify(rangesOf(fragments));
  const kept = keptFragments(fragments, [5], keepTombstones);
  assertEquals(JSON.stringify(rangesOf(fragments)), before);
  assertEquals(kept.map(({ sequences }) => sequences), [[3], [3, 9], [3, 10], [
    3,
    9,
  ], [9]]);
});
