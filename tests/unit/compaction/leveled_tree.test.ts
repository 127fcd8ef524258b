/** Strategies at work on real tables: no reader ever sees a difference, and the work ends. */
import { test } from "node:test";
import { leveled } from "../../../lib/compaction/leveled.ts";
import { sizeTiered } from "../../../lib/compaction/size_tiered.ts";
import type { PickOptions } from "../../../lib/compaction/strategy.ts";
import {
  assertEquals,
  assertGreater,
  assertLess,
  assertLessOrEqual,
} from "../../assert.ts";
import { LONG } from "../../engine/support/configs.ts";
import { Random } from "../../engine/support/random.ts";
import { put } from "../support/entries.ts";
import { keyOf } from "../support/keys.ts";
import { type Layer, layerFrom } from "../support/layers.ts";
import { MiniTree, pickOptions } from "../support/mini_tree.ts";

function options(random: Random): PickOptions {
  return pickOptions({
    minThreshold: 2 + random.below(3),
    maxThreshold: random.pick([4, 32]),
    tombstoneRatio: random.pick([0.1, 0.3, 1]),
    minTableSize: 0,
  }, random.pick([300, 500, 1000]));
}

test(
  "levels: after each merge, move and drop readers see what was written",
  LONG,
  () => {
    const seen = { moves: 0, merges: 0, cuts: 0, covered: 0, levels: 0 };
    for (let seed = 1; seed <= 60; seed++) {
      const random = new Random(seed);
      const tree = new MiniTree(options(random));
      const keys = random.pick([30, 300, 3000]);
      const rangePercent = random.pick([0, 0, 2, 10, 50]);
      const anyKey = () => keyOf(random.below(keys));
      const probes = Array.from({ length: 10 }, anyKey);
      // Some trees change their strategy, and go on as they are.
      const changes = random.chance(30);
      for (let round = 0; round < 25; round++) {
        const message = `seed ${seed}, round ${round}`;
        const count = 10 + random.below(30);
        const first = tree.sequence + 1;
        // All over the keys, near each other, or behind everything so far.
        const near = random.pick([-1, random.below(keys), first]);
        const key = near < 0 ? anyKey : () => keyOf(near + random.below(count));
        tree.flush(layerFrom(random, first, count, key, rangePercent));
        if (random.chance(20)) tree.snapshots.push(tree.sequence);
        if (random.chance(20)) tree.snapshots.shift();
        if (random.chance(50)) seen.covered += tree.dropCovered();
        const strategy = changes && round % 8 < 4 ? sizeTiered : leveled;
        for (let step = 0;; step++) {
          const pick = strategy.pickMinor(tree.metas, tree.options);
          if (pick === undefined) break;
          assertLessOrEqual(step, 200, `${message}: no end`);
          const before = tree.versions.current.tables.length;
          tree.do(pick);
          if (pick.type === "move") seen.moves++;
          else {
            seen.merges++;
            const inputs = pick.runs.flat().length;
            const outputs = tree.versions.current.tables.length - before +
              inputs;
            if (outputs > 1) seen.cuts++;
          }
        }
        if (random.chance(20)) {
          const [pick] = strategy.pickTombstone(tree.metas, tree.options, 1e15);
          if (pick !== undefined) tree.do(pick);
        }
        if (random.chance(3)) tree.major(strategy);
        if (round % 5 === 4 || random.chance(20)) tree.check(probes, message);
        const used = tree.metas.filter((level) => level.length > 0).length;
        seen.levels = Math.max(seen.levels, used);
      }
      tree.checkFiles();
      tree.snapshots = [];
      tree.settle(leveled);
      tree.major(leveled);
      tree.check(probes, `seed ${seed}, at the end`);
      assertLessOrEqual(
        tree.metas.filter((level) => level.length > 0).length,
        1,
      );
      assertEquals(tree.settle(leveled), 0, `seed ${seed}: major left work`);
    }
    assertGreater(seen.moves, 50, JSON.stringify(seen));
    assertGreater(seen.merges, 200, JSON.stringify(seen));
    assertGreater(seen.cuts, 100, JSON.stringify(seen));
    assertGreater(seen.covered, 20, JSON.stringify(seen));
    assertGreater(seen.levels, 2, JSON.stringify(seen));
  },
);

test(
  "a wide range tombstone goes down in pieces, and no merge of it takes much",
  LONG,
  () => {
    const random = new Random(7);
    const tree = new MiniTree(
      pickOptions({ minThreshold: 2, tombstoneRatio: 1 }, 500),
    );
    const keys = 4000;
    const add = (layer: Layer) => {
      tree.flush(layer);
      tree.settle(leveled);
    };
    const points = (count: number): Layer => {
      const used = new Set<number>();
      while (used.size < count) used.add(random.below(keys));
      const entries = [...used].map((n, i) =>
        put(keyOf(n), tree.sequence + 1 + i, "v".repeat(60))
      );
      return { entries, ranges: [] };
    };
    for (let i = 0; i < 40; i++) add(points(100));
    const all = tree.metas.flat().reduce((sum, { size }) => sum + size, 0);
    assertGreater(all, 200_000);
    tree.largestMerge = 0;
    // A snapshot keeps everything under the deletes, and so the deletes too.
    tree.snapshots = [tree.sequence];
    let widest = 0;
    for (let i = 0; i < 40; i++) {
      const sequence = tree.sequence + 1;
      const [start, end] = [keyOf(random.below(200)), keyOf(keys - i)];
      add({ entries: [], ranges: [{ start, end, sequence }] });
      add(points(20));
      const count = tree.metas.slice(1).reduce(
        (n, level) =>
          n + level.filter((table) => table.rangeTombstones > 0).length,
        0,
      );
      widest = Math.max(widest, count);
    }
    assertGreater(widest, 20);
    assertLess(tree.largestMerge, all / 4);
    const probes = Array.from({ length: 30 }, () => keyOf(random.below(keys)));
    tree.check(probes, "at the end");
    // What was written after the snapshot may be hidden from it and from all others.
    assertLess(tree.dropCovered(), 5);
    tree.snapshots = [];
    assertGreater(tree.dropCovered(), 100);
    tree.check(probes, "after the drop");
    tree.settle(leveled);
    tree.check(probes, "after all");
  },
);
