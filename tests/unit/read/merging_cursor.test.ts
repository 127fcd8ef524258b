/** The merge of cursors against a sorted list, in both directions. */
import { test } from "node:test";
import { MergingCursor } from "../../../lib/read/merging_cursor.ts";
import {
  assert,
  assertEquals,
  assertLessOrEqual,
  assertStrictEquals,
} from "../../assert.ts";
import { LONG } from "../../engine/support/configs.ts";
import { Random } from "../../engine/support/random.ts";
import {
  assertSameEntries,
  countBefore,
  type Entry,
  entryAt,
  ListCursor,
  put,
  sorted,
  toBytes,
} from "../support/entries.ts";
import { around, randomKey, smallKey } from "../support/keys.ts";
import { randomLayers } from "../support/layers.ts";

function rest(merge: MergingCursor, most = Infinity): Entry[] {
  const entries: Entry[] = [];
  for (; merge.top !== undefined && entries.length < most; merge.advance()) {
    entries.push(entryAt(merge.top));
  }
  return entries;
}

/** Random sources, some of them empty, some with entries that another has too. */
function randomSources(random: Random): Entry[][] {
  const key = random.chance(50) ? smallKey : randomKey;
  return randomLayers(random, {
    operations: random.below(200),
    layers: 1 + random.below(12),
    key,
    rangePercent: 0,
    isInOrder: random.chance(50),
    doublePercent: 10,
  }).map((layer) => layer.entries);
}

for (const reverse of [false, true]) {
  const direction = reverse ? "backwards" : "forwards";

  test(`a merge of cursors is one sorted list, ${direction}`, LONG, () => {
    for (let seed = 1; seed <= 60; seed++) {
      const random = new Random(seed);
      const sources = randomSources(random);
      const all = sorted(sources.flat());
      const cursors = sources.map((entries) => new ListCursor(entries));
      const merge = new MergingCursor(cursors, reverse);
      assertEquals(merge.top, undefined);
      if (reverse) merge.seekToLast();
      else merge.seekToFirst();
      const expected = reverse ? all.toReversed() : all;
      assertSameEntries(rest(merge), expected, `seed ${seed}`);
      const keys = Array.from(
        { length: 10 },
        () => random.pick(all)?.key ?? "",
      );
      for (const probe of around(keys)) {
        const bytes = toBytes(`${probe}junk`);
        const at = countBefore(all, probe);
        if (reverse) merge.seekBefore(bytes, probe.length);
        else merge.seek(bytes, probe.length);
        const from = reverse ? all.slice(0, at).reverse() : all.slice(at);
        assertSameEntries(
          rest(merge, 20),
          from.slice(0, 20),
          `seed ${seed}, from ${JSON.stringify(probe)}`,
        );
      }
      merge.close();
      assertEquals(merge.top, undefined);
      assert(cursors.every((cursor) => cursor.isClosed));
    }
  });

  test(
    `skipTop() and dropTop() move the source in front alone, ${direction}`,
    LONG,
    () => {
      for (let seed = 1; seed <= 60; seed++) {
        const random = new Random(seed);
        // Without doubles: which of two is in front would be anybody's guess.
        const sources = randomLayers(random, {
          operations: 150,
          layers: 1 + random.below(6),
          key: smallKey,
          rangePercent: 0,
          isInOrder: random.chance(50),
        }).map((layer) => layer.entries);
        let left = sorted(sources.flat());
        if (reverse) left.reverse();
        const merge = new MergingCursor(
          sources.map((entries) => new ListCursor(entries)),
          reverse,
        );
        if (reverse) merge.seekToLast();
        else merge.seekToFirst();
        while (merge.top !== undefined) {
          const message = `seed ${seed}, ${left.length} left`;
          const front = left[0];
          assertSameEntries([entryAt(merge.top)], [front], message);
          const source = sources.find((entries) =>
            entries.some(({ sequence }) => sequence === front.sequence)
          );
          assert(source !== undefined);
          const mine = new Set(source.map(({ sequence }) => sequence));
          const step = random.below(100);
          if (step < 3) {
            merge.dropTop();
            left = left.filter(({ sequence }) => !mine.has(sequence));
          } else if (step < 20) {
            const edge = reverse
              ? front.key.slice(0, random.below(front.key.length + 1))
              : `${front.key}\0${smallKey(random)}`;
            merge.skipTop(toBytes(edge));
            left = left.filter(({ key, sequence }) =>
              !mine.has(sequence) || (reverse ? key < edge : key >= edge)
            );
          } else {
            merge.advance();
            left.shift();
          }
        }
        assertEquals(left.length, 0, `seed ${seed}`);
      }
    },
  );
}

test("no sources: nothing, and moving on is harmless", () => {
  const merge = new MergingCursor([], false);
  merge.seekToFirst();
  assertEquals(merge.top, undefined);
  merge.advance();
  merge.skipTop(toBytes("a"));
  merge.dropTop();
  merge.seek(toBytes("a"), 1);
  assertEquals(merge.top, undefined);
  merge.close();
});

test("while one source stays in front, the others are not touched", () => {
  const front = new ListCursor(
    Array.from({ length: 100 }, (_, i) => put(`a${i + 100}`, i + 1)),
  );
  const behind = Array.from(
    { length: 20 },
    (_, i) => new ListCursor([put(`b${i}`, 1000 + i)]),
  );
  const merge = new MergingCursor([front, ...behind], false);
  merge.seekToFirst();
  for (let i = 0; i < 100; i++) {
    assertStrictEquals(merge.top, front);
    merge.advance();
  }
  assertEquals(behind.map((cursor) => cursor.steps), behind.map(() => 0));
  assertLessOrEqual(front.seeks, 1);
});
