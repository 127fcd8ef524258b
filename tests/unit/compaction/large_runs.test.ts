/**
 * Large runs of size-tiered compaction, on real tables: the strategy is shown
 * each table 2^17 times as large as it is.
 */
import { test } from "node:test";
import { leveled } from "../../../lib/compaction/leveled.ts";
import { sizeTiered } from "../../../lib/compaction/size_tiered.ts";
import {
  type Levels,
  type MergePick,
  type Pick,
  type PickOptions,
  runsOf,
  type Strategy,
} from "../../../lib/compaction/strategy.ts";
import type { TableMeta } from "../../../lib/sstable/meta.ts";
import { assert, assertGreater, assertLess } from "../../assert.ts";
import { LONG } from "../../engine/support/configs.ts";
import { Random } from "../../engine/support/random.ts";
import { keyOf } from "../support/keys.ts";
import { layerFrom } from "../support/layers.ts";
import { MiniTree, pickOptions } from "../support/mini_tree.ts";

const SCALE = 2 ** 17;

/** The size-tiered strategy as it decides about a tree so many times as large. */
class Magnified implements Strategy {
  private readonly originals = new Map<TableMeta, TableMeta>();

  private show(levels: Levels): Levels {
    return levels.map((level) =>
      level.map((table) => {
        const shown = { ...table, size: table.size * SCALE };
        this.originals.set(shown, table);
        return shown;
      })
    );
  }

  private back(pick: Pick | undefined): Pick | undefined {
    const original = (shown: TableMeta) => this.originals.get(shown) ?? shown;
    if (pick === undefined) return undefined;
    if (pick.type === "move") {
      return { ...pick, tables: pick.tables.map(original) };
    }
    const runs = pick.runs.map((run) => run.map(original));
    return { ...pick, runs, outputSize: pick.outputSize / SCALE };
  }

  pickMinor(levels: Levels, options: PickOptions): Pick | undefined {
    return this.back(sizeTiered.pickMinor(this.show(levels), options));
  }

  pickBeside(
    levels: Levels,
    underWay: MergePick,
    options: PickOptions,
  ): Pick | undefined {
    const shown = this.show(levels);
    return this.back(sizeTiered.pickBeside(shown, underWay, options));
  }

  pickAtRest(
    levels: Levels,
    options: PickOptions,
    credit: number,
  ): Pick | undefined {
    return this.back(sizeTiered.pickAtRest(this.show(levels), options, credit));
  }

  pickTombstone(
    levels: Levels,
    options: PickOptions,
    now: number,
  ): MergePick[] {
    return sizeTiered.pickTombstone(levels, options, now);
  }

  pickMajor(levels: Levels, options: PickOptions): Pick | undefined {
    return this.back(sizeTiered.pickMajor(this.show(levels), options));
  }

  pressure(levels: Levels, options: PickOptions): number {
    return sizeTiered.pressure(this.show(levels), options);
  }
}

const magnified = new Magnified();

function options(random: Random): PickOptions {
  return pickOptions({
    minThreshold: 2 + random.below(4),
    maxThreshold: random.pick([5, 32]),
    tombstoneRatio: random.pick([0.1, 0.3, 1]),
    minTableSize: 0,
  }, random.pick([300, 1000]));
}

test(
  "large runs: after each merge, rewrite and drop readers see what was written",
  LONG,
  () => {
    const seen = {
      large: 0,
      levels: 0,
      together: 0,
      rewrites: 0,
      covered: 0,
      atRest: 0,
      moves: 0,
    };
    for (let seed = 1; seed <= 40; seed++) {
      const random = new Random(seed);
      const tree = new MiniTree(options(random));
      const keys = random.pick([100, 1000, 10_000]);
      const rangePercent = random.pick([0, 0, 1, 5]);
      let next = 0;
      const ascends = seed % 5 === 0;
      const anyKey = () => keyOf(ascends ? next++ : random.below(keys));
      const probes = Array.from({ length: 10 }, anyKey);
      // Some trees come from leveled compaction, or go there and back.
      const changes = random.chance(30);
      for (let round = 0; round < 60; round++) {
        const message = `seed ${seed}, round ${round}`;
        const first = tree.sequence + 1;
        tree.flush(layerFrom(random, first, 20, anyKey, rangePercent));
        if (random.chance(10)) tree.snapshots.push(tree.sequence);
        if (random.chance(15)) tree.snapshots.shift();
        if (random.chance(50)) seen.covered += tree.dropCovered();
        const strategy = changes && round % 20 < 7 ? leveled : magnified;
        for (let step = 0;; step++) {
          const pick = strategy.pickMinor(tree.metas, tree.options);
          if (pick === undefined) break;
          assertLess(step, 200, `${message}: no end`);
          if (pick.type === "move") seen.moves++;
          else if (strategy === magnified) {
            if (pick.level > 0) seen.large++;
            const large = pick.runs.filter((run) => run.length > 1);
            if (large.length > 1) seen.together++;
          }
          tree.do(pick);
        }
        if (random.chance(5)) {
          const credit = random.pick([0, Infinity]);
          const pick = strategy.pickAtRest(tree.metas, tree.options, credit);
          if (pick !== undefined) {
            tree.do(pick);
            seen.atRest++;
          }
        }
        if (random.chance(20)) {
          const [pick] = strategy.pickTombstone(tree.metas, tree.options, 1e15);
          if (pick !== undefined) {
            tree.do(pick);
            if (pick.level > 0) seen.rewrites++;
          }
        }
        if (random.chance(2)) tree.major(strategy);
        if (random.chance(20)) tree.check(probes, message);
        const used = tree.metas.slice(1).filter((level) => level.length > 0);
        seen.levels = Math.max(seen.levels, used.length);
      }
      tree.check(probes, `seed ${seed}, at the end`);
      tree.checkFiles();
      tree.snapshots = [];
      tree.major(magnified);
      tree.check(probes, `seed ${seed}, after a major compaction`);
      assertLess(runsOf(tree.metas).length, 2, `seed ${seed}`);
      assert(magnified.pickMinor(tree.metas, tree.options) === undefined);
    }
    assertGreater(seen.large, 50, JSON.stringify(seen));
    assertGreater(seen.levels, 2, JSON.stringify(seen));
    assertGreater(seen.atRest, 20, JSON.stringify(seen));
    assertGreater(seen.moves, 20, JSON.stringify(seen));
    assertGreater(seen.together, 10, JSON.stringify(seen));
    assertGreater(seen.rewrites, 5, JSON.stringify(seen));
    assertGreater(seen.covered, 5, JSON.stringify(seen));
  },
);

test(
  "large runs: readers see what was written while merges are done beside a larger one, and behind it",
  LONG,
  () => {
    const seen = { beside: 0, large: 0, moves: 0, rewrites: 0, tombstones: 0 };
    for (let seed = 1; seed <= 60; seed++) {
      const random = new Random(seed);
      const tree = new MiniTree(options(random));
      const keys = random.pick([100, 1000, 10_000]);
      const rangePercent = random.pick([0, 1, 5]);
      let next = 0;
      const ascends = seed % 6 === 0;
      const anyKey = () => keyOf(ascends ? next++ : random.below(keys));
      const probes = Array.from({ length: 10 }, anyKey);
      let underWay: { pick: MergePick; end: () => void } | undefined;
      const begin = (pick: Pick | undefined): void => {
        if (pick?.type === "merge") underWay = { pick, end: tree.begin(pick) };
        else if (pick !== undefined) tree.do(pick);
      };
      for (let round = 0; round < 80; round++) {
        const message = `seed ${seed}, round ${round}`;
        const first = tree.sequence + 1;
        tree.flush(layerFrom(random, first, 20, anyKey, rangePercent));
        if (random.chance(10)) tree.snapshots.push(tree.sequence);
        if (random.chance(15)) tree.snapshots.shift();
        while (underWay !== undefined) {
          const { metas, options } = tree;
          const pick = magnified.pickBeside(metas, underWay.pick, options);
          if (pick === undefined) break;
          seen.beside++;
          if (pick.type === "move") seen.moves++;
          else if (pick.level > 0) seen.large++;
          tree.do(pick);
        }
        if (random.chance(30)) tree.check(probes, message);
        if (underWay === undefined) {
          if (random.chance(20)) {
            const { metas, options } = tree;
            const [pick] = magnified.pickTombstone(metas, options, 1e15);
            if (pick !== undefined) seen.rewrites++;
            begin(pick);
          } else if (random.chance(10)) {
            begin(magnified.pickMajor(tree.metas, tree.options));
          } else begin(magnified.pickMinor(tree.metas, tree.options));
        } else if (random.chance(15)) {
          underWay.end();
          underWay = undefined;
        }
      }
      underWay?.end();
      tree.check(probes, `seed ${seed}, at the end`);
      tree.checkFiles();
      tree.snapshots = [];
      tree.settle(magnified);
      tree.check(probes, `seed ${seed}, settled`);
      for (const { tombstones } of tree.metas.flat()) {
        seen.tombstones += tombstones;
      }
    }
    assertGreater(seen.beside, 50, JSON.stringify(seen));
    assertGreater(seen.large, 10, JSON.stringify(seen));
    assertGreater(seen.moves, 0, JSON.stringify(seen));
    assertGreater(seen.rewrites, 10, JSON.stringify(seen));
    assertGreater(seen.tombstones, 100, JSON.stringify(seen));
  },
);
