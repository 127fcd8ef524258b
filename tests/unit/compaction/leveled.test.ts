/** The leveled picks: shape, cost and end over simulated workloads, and single decisions by hand. */
import { test } from "node:test";
import { leveled, shapeOf, spansOf } from "../../../lib/compaction/leveled.ts";
import { sizeTiered } from "../../../lib/compaction/size_tiered.ts";
import {
  bytesOf,
  LAST_LEVEL,
  type Levels,
  type MergePick,
  type MovePick,
  type Pick,
  type PickOptions,
  REST_BYTES_MOST,
} from "../../../lib/compaction/strategy.ts";
import { resolveOptions } from "../../../lib/options.ts";
import { mayOverlap, type TableMeta } from "../../../lib/sstable/meta.ts";
import type { CompactionOptions } from "../../../mod.ts";
import {
  assert,
  assertEquals,
  assertGreater,
  assertGreaterOrEqual,
  assertLess,
  assertLessOrEqual,
} from "../../assert.ts";
import { LONG } from "../../engine/support/configs.ts";
import { Random } from "../../engine/support/random.ts";
import { toBytes } from "../support/entries.ts";
import { FakeTree } from "../support/fake_tree.ts";
import { metaOf } from "../support/metas.ts";

const TABLE = 1000;

function options(compaction: CompactionOptions = {}): PickOptions {
  const resolved = resolveOptions({ compaction }).options.compaction;
  return { ...resolved, tableSize: TABLE };
}

let number = 1;

function table(
  smallest: string,
  largest: string,
  fields: Partial<TableMeta> = {},
): TableMeta {
  return metaOf({
    number: number++,
    size: TABLE,
    smallest: toBytes(smallest),
    largest: toBytes(largest),
    ...fields,
  });
}

/** Levels with these tables, the others empty. */
function levelsOf(tables: Record<number, TableMeta[]>): Levels {
  return Array.from({ length: LAST_LEVEL + 1 }, (_, i) => tables[i] ?? []);
}

/** Tables [first, first + 10), ... of a run. */
function run(count: number, fields: Partial<TableMeta> = {}): TableMeta[] {
  return Array.from({ length: count }, (_, i) => {
    const start = String(i * 10).padStart(5, "0");
    const end = String(i * 10 + 9).padStart(5, "0");
    return table(start, end, fields);
  });
}

function merge(pick: Pick | undefined): MergePick {
  assert(pick?.type === "merge", JSON.stringify(pick));
  return pick;
}

function move(pick: Pick | undefined): MovePick {
  assert(pick?.type === "move", JSON.stringify(pick));
  return pick;
}

type Workload = (random: Random, n: number, space: number) => number;

const WORKLOADS: Record<string, Workload> = {
  random: (random, _, space) => random.below(space),
  sequential: (_, n) => n,
  "sequential and random": (random, n, space) =>
    n % 2 === 0 ? n : random.below(space),
  "in stretches": (random, n, space) =>
    Math.floor(n / 500) * 7919 % space + random.below(300),
  backwards: (_, n) => 1_000_000 - n,
};

for (const [name, next] of Object.entries(WORKLOADS)) {
  test(
    `simulated, ${name}: the tree keeps its shape, at a bounded cost`,
    LONG,
    () => {
      for (let seed = 1; seed <= 3; seed++) {
        const random = new Random(seed);
        const set = { ...options({ minThreshold: 2 + random.below(4) }) };
        const tree = new FakeTree(set);
        const space = random.pick([300, 3000, 30_000]);
        const written = new Set<number>();
        let n = 0;
        for (let flush = 0; flush < 400; flush++) {
          const keys = Array.from(
            { length: 10 },
            () => next(random, n++, space),
          );
          for (const key of keys) written.add(key);
          tree.flush(keys);
          tree.settle(leveled, 500);
          const { base, targets } = shapeOf(tree.levels, set);
          const message = `seed ${seed}, flush ${flush}`;
          assertLess(tree.levels[0].length, set.minThreshold, message);
          tree.levels.slice(1).forEach((tables, i) => {
            if (i + 1 < base) assertEquals(tables.length, 0, message);
            else assertLessOrEqual(bytesOf(tables), targets[i + 1], message);
          });
          assertEquals(leveled.pressure(tree.levels, set), 0, message);
        }
        const message = `seed ${seed}, space ${space}`;
        assertEquals(tree.keys(), written, message);
        const all = bytesOf(tree.levels.flat());
        const last = bytesOf(tree.levels[LAST_LEVEL]);
        assertGreater(last / all, 0.75, message);
        const live = written.size * 100;
        assertLess(all, 1.35 * live + 10 * TABLE, message);
        assertLess(tree.mergedBytes / tree.flushedBytes, 25, message);
        // Base level, what came from level 0, and a wide merge's share.
        const bound = (10 * set.minThreshold + 35) * TABLE;
        assertLess(tree.largestMerge, bound, message);
        if (name === "sequential") assertEquals(tree.mergedBytes, 0, message);
      }
    },
  );
}

test(
  "simulated: strategies may change at any time, and come to an end",
  LONG,
  () => {
    for (let seed = 1; seed <= 30; seed++) {
      const random = new Random(seed);
      const set = options({ minThreshold: 2 + random.below(4) });
      const tree = new FakeTree(set);
      const written = new Set<number>();
      for (let phase = 0; phase < 6; phase++) {
        const strategy = random.pick([leveled, sizeTiered]);
        for (let flush = 0; flush < 40; flush++) {
          const keys = Array.from({ length: 10 }, () => random.below(3000));
          for (const key of keys) written.add(key);
          tree.flush(keys);
          tree.settle(strategy, 500);
        }
        if (random.chance(30)) {
          const pick = strategy.pickMajor(tree.levels, set);
          if (pick !== undefined) tree.do(pick);
          assertEquals(tree.settle(strategy), 0, `seed ${seed}`);
        }
        assertEquals(tree.keys(), written, `seed ${seed}`);
      }
    }
  },
);

test("simulated: a table size that changes is no trap", LONG, () => {
  for (let seed = 1; seed <= 20; seed++) {
    const random = new Random(seed);
    const base = options({ minThreshold: 2 });
    const tree = new FakeTree(base);
    for (let phase = 0; phase < 6; phase++) {
      const tableSize = random.pick([200, 1000, 5000]);
      Object.assign(tree.options, { tableSize });
      for (let flush = 0; flush < 30; flush++) {
        tree.flush(Array.from({ length: 20 }, () => random.below(5000)));
        tree.settle(leveled, 2000);
      }
    }
  }
});

test("shapeOf(): the last level's size says where the base level is, and how large each level is", () => {
  const set = options({ minThreshold: 4 });
  const shape = (tables: number) => {
    const { base, targets } = shapeOf(levelsOf({ [LAST_LEVEL]: run(tables) }), {
      ...set,
    });
    return [base, targets.slice(base)];
  };
  assertEquals(shape(0), [6, [Infinity]]);
  assertEquals(shape(39), [6, [Infinity]]);
  assertEquals(shape(40), [5, [4000, Infinity]]);
  assertEquals(shape(399), [5, [39900, Infinity]]);
  assertEquals(shape(400), [4, [4000, 40000, Infinity]]);
  assertEquals(shapeOf([], set).base, LAST_LEVEL);
  // However large the tree, level 0 has a level of its own.
  const huge = [table("a", "b", { size: 2 ** 50 })];
  assertEquals(shapeOf(levelsOf({ [LAST_LEVEL]: huge }), set).base, 1);
  // A tree that has more levels keeps them.
  const deep = [...levelsOf({}), [], [table("a", "b")]];
  assertEquals(shapeOf(deep, set).last, LAST_LEVEL + 2);
});

test("spansOf(): one pass finds what each table of a run overlaps", () => {
  for (let seed = 1; seed <= 300; seed++) {
    const random = new Random(seed);
    const randomRun = () => {
      const cuts = [
        ...new Set(Array.from({ length: 40 }, () => random.below(100))),
      ].sort((a, b) => a - b);
      const tables: TableMeta[] = [];
      for (let i = 0; i + 1 < cuts.length; i += random.pick([1, 2])) {
        const name = (n: number) => String(n).padStart(3, "0");
        tables.push(table(name(cuts[i]), name(cuts[i + 1]), {
          size: 1 + random.below(1000),
          rangeTombstones: 1,
        }));
      }
      if (random.chance(30) && tables.length > 0) {
        const last = tables[tables.length - 1];
        tables.push({ ...last, smallest: toBytes("101"), unbounded: true });
      }
      return tables;
    };
    const [upper, lower] = [randomRun(), randomRun()];
    spansOf(upper, lower).forEach(({ from, to, bytes }, i) => {
      const { smallest, largest, unbounded } = upper[i];
      const end = unbounded
        ? toBytes("")
        : toBytes(`${String.fromCharCode(...largest)}\0`);
      const expected = lower.filter((t) => mayOverlap(t, smallest, end));
      assertEquals(lower.slice(from, to), expected, `seed ${seed}`);
      assertEquals(bytes, bytesOf(expected), `seed ${seed}`);
    });
  }
});

test("level 0: nothing below minThreshold; then the oldest table and all that it overlaps, with what they overlap in the base level", () => {
  const set = options({ minThreshold: 3 });
  const last = run(10);
  const young = [
    table("00005", "00012", { newest: 40 }),
    table("00500", "00600", { newest: 30 }),
    table("00011", "00025", { newest: 20 }),
  ];
  const { length } = young;
  for (let count = 0; count < length; count++) {
    const levels = levelsOf({ 0: young.slice(0, count), 6: last });
    assertEquals(leveled.pickMinor(levels, set), undefined);
  }
  const pick = merge(leveled.pickMinor(levelsOf({ 0: young, 6: last }), set));
  assertEquals(pick.runs, [[young[2]], [young[0]], last.slice(0, 3)]);
  assertEquals(
    [pick.level, pick.outputSize, pick.grandparents],
    [6, TABLE, []],
  );
});

test("level 0: a merge takes maxThreshold tables at most, and one however large", () => {
  const set = options({ minThreshold: 2, maxThreshold: 3 });
  const young = [5, 4, 3, 2, 1].map((newest) => table("a", "z", { newest }));
  const pick = merge(leveled.pickMinor([young], set));
  assertEquals(pick.runs, [[young[4]], [young[3]], [young[2]]]);
  const huge = [young[0], table("a", "z", { newest: 0, size: 1e9 })];
  assertEquals(merge(leveled.pickMinor([huge], set)).runs, [[huge[1]]]);
});

test("a table that overlaps nothing where it goes is moved", () => {
  const set = options({ minThreshold: 2 });
  const young = [
    table("b", "c", { newest: 9 }),
    table("x", "y", { newest: 8 }),
  ];
  const last = [table("d", "e")];
  const pick = (levels: Record<number, TableMeta[]>) =>
    leveled.pickMinor(levelsOf(levels), set);
  assertEquals(move(pick({ 0: young, 6: last })), {
    type: "move",
    tables: [young[1]],
    level: 6,
  });
  const large = table("x", "y", { newest: 8, size: 5 * TABLE });
  const cut = merge(pick({ 0: [young[0], large], 6: last }));
  assertEquals([cut.runs, cut.level], [[[large]], 6]);
  // One that is mostly tombstones, with nothing under it, is rewritten without them.
  const dead = table("x", "y", { newest: 8, tombstones: 90 });
  assertEquals(merge(pick({ 0: [young[0], dead], 6: last })).runs, [[dead]]);
  // One level is not moved above too much of the next one.
  const above = table("00000", "00999");
  const six = run(110);
  const five = [table("01000", "02000", { size: 2 * TABLE })];
  const wide = merge(pick({ 4: [above], 5: five, 6: six }));
  assertEquals([wide.runs, wide.level], [[[above]], 5]);
  assertEquals(wide.grandparents.length, 100);
});

test("a level that is too large gives the table with least overlap for its weight", () => {
  const set = options({ minThreshold: 4 });
  const last = run(45);
  const five = [
    table("00000", "00025"),
    table("00040", "00045", { size: 2 * TABLE }),
    table("00100", "00135"),
    table("00200", "00235", { size: 2 * TABLE }),
  ];
  const pick = (tables: TableMeta[]) =>
    merge(leveled.pickMinor(levelsOf({ 5: tables, 6: last }), set));
  assertEquals(pick(five).runs, [[five[1]], [last[4]]]);
  // Tombstones make a table heavier, and so do range tombstones.
  const equal = [0, 100, 200, 300, 400].map((n) =>
    table(
      `00${String(n).padStart(3, "0")}`,
      `00${String(n + 5).padStart(3, "0")}`,
    )
  );
  assertEquals(pick(equal).runs[0], [equal[0]]);
  const dying = equal.slice();
  dying[3] = { ...equal[3], tombstones: 50 };
  assertEquals(pick(dying).runs[0], [dying[3]]);
  const ranged = equal.slice();
  ranged[2] = { ...equal[2], rangeTombstones: 1 };
  assertEquals(pick(ranged).runs[0], [ranged[2]]);
});

test("neighbours that overlap nothing more go along", () => {
  const set = options({ minThreshold: 4 });
  const last = run(45);
  const five = [
    table("00000", "00001", { size: 900 }),
    table("00002", "00003"),
    table("00004", "00005", { size: 900 }),
    table("00008", "00012", { size: 900 }),
    table("00040", "00048", { size: 900 }),
  ];
  const pick = merge(leveled.pickMinor(levelsOf({ 5: five, 6: last }), set));
  assertEquals(pick.runs[0], five.slice(0, 3));
});

test("a wide table does not drag in a level: it is first cut by what it overlaps", () => {
  const set = options({ minThreshold: 2 });
  const last = run(400);
  const wide = table("00000", "03999", {
    size: 100,
    entries: 0,
    rangeTombstones: 1,
  });
  const above = [wide, table("09000", "09100", { size: 200 * TABLE })];
  const pick = merge(
    leveled.pickMinor(
      levelsOf({ 4: [], 5: above, 6: last }),
      { ...set, tombstoneRatio: 1 },
    ),
  );
  // The other one overlaps nothing, but is no cheaper than free.
  assertEquals([pick.runs, pick.level], [[[above[1]]], 6]);
  const alone = merge(
    leveled.pickMinor(
      levelsOf({ 5: [{ ...wide, size: 50 * TABLE }], 6: last }),
      set,
    ),
  );
  assertEquals([alone.level, alone.outputSize], [5, TABLE]);
  assertEquals(alone.runs.flat().length, 1);
  assertEquals(alone.grandparents, last);
});

test("levels above the base level are emptied straight into it", () => {
  const set = options();
  const [three, six] = [[table("b", "c")], [table("d", "e")]];
  const pick = move(leveled.pickMinor(levelsOf({ 3: three, 6: six }), set));
  assertEquals([pick.tables, pick.level], [[three[0]], 6]);
});

test("pickBeside(): nothing, whatever is due: the next merge may need the same tables", () => {
  const young = Array.from({ length: 12 }, () => table("a", "z"));
  const busy = run(40);
  const levels = levelsOf({ 0: young, 6: busy });
  assert(leveled.pickMinor(levels, options()) !== undefined);
  const underWay: MergePick = {
    type: "merge",
    runs: [busy],
    level: 6,
    outputSize: TABLE,
    grandparents: [],
  };
  assertEquals(leveled.pickBeside(levels, underWay, options()), undefined);
});

test("pickAtRest(): what is in level 0 goes down once as much was flushed as that reads", () => {
  const lower = run(5); // Of 1000 bytes each.
  const young = [table("00012", "00035"), table("00030", "00031")];
  const levels = levelsOf({ 0: young, [LAST_LEVEL]: lower });
  assertEquals(leveled.pickAtRest(levels, options(), 4999), undefined);
  const pick = merge(leveled.pickAtRest(levels, options(), 5000));
  assertEquals(pick.level, LAST_LEVEL);
  assertEquals(pick.runs, [[young[1]], [young[0]], lower.slice(1, 4)]);
  const settled = levelsOf({ [LAST_LEVEL]: lower });
  assertEquals(leveled.pickAtRest(settled, options(), Infinity), undefined);
  assertEquals(leveled.pickAtRest([], options(), Infinity), undefined);
});

test("pickAtRest(): a table that overlaps nothing is moved, whatever was flushed", () => {
  const young = table("00100", "00109");
  const levels = levelsOf({ 0: [young], [LAST_LEVEL]: run(5) });
  const pick = move(leveled.pickAtRest(levels, options(), 0));
  assertEquals(pick, { type: "move", tables: [young], level: LAST_LEVEL });
});

test("pickAtRest(): no more than so many bytes", () => {
  const set = { ...options(), tableSize: REST_BYTES_MOST };
  const atRest = (size: number) => {
    const young = [table("00000", "00005")];
    const levels = levelsOf({ 0: young, [LAST_LEVEL]: run(1, { size }) });
    return leveled.pickAtRest(levels, set, Infinity);
  };
  const size = REST_BYTES_MOST - TABLE;
  assertEquals(merge(atRest(size)).runs.length, 2);
  assertEquals(atRest(size + 1), undefined);
});

test("pickMajor(): all runs into the last level, unless there is one and it is clean", () => {
  const set = options();
  const clean = run(3);
  const pick = (levels: Record<number, TableMeta[]>) =>
    leveled.pickMajor(levelsOf(levels), set);
  assertEquals(leveled.pickMajor([], set), undefined);
  assertEquals(pick({}), undefined);
  assertEquals(pick({ 6: clean }), undefined);
  assertEquals(pick({ 4: clean }), undefined);
  assertEquals(pick({ 0: [clean[0]] }), undefined);
  const [young, old] = [table("a", "b"), table("b", "c")];
  const all = merge(pick({ 0: [young, old], 3: clean }));
  assertEquals(all.runs, [[young], [old], clean]);
  assertEquals([all.level, all.outputSize], [LAST_LEVEL, TABLE]);
  for (
    const field of ["tombstones", "rangeTombstones", "olderVersions"] as const
  ) {
    const dirty = [clean[0], { ...clean[1], [field]: 1 }];
    assertEquals(merge(pick({ 6: dirty })).runs, [dirty], field);
  }
});

test("pickTombstone(): each table where it is, in one piece", () => {
  const five = table("a", "b", { tombstones: 40 });
  const zero = table("a", "b", { tombstones: 50 });
  const picks = leveled.pickTombstone(
    levelsOf({ 0: [zero, table("c", "d")], 5: [five] }),
    options(),
    1,
  );
  assertEquals(
    picks.map(({ runs, level, outputSize }) => [runs, level, outputSize]),
    [[[[zero]], 0, Infinity], [[[five]], 5, Infinity]],
  );
});

test("pressure() rises smoothly from nothing due to a stop, and levels alone do not stop writes", () => {
  const set = options({ minThreshold: 4 });
  for (const strategy of [leveled, sizeTiered]) {
    const pressures = Array.from(
      { length: 60 },
      (_, count) =>
        strategy.pressure(
          [Array.from({ length: count }, () => table("a", "z"))],
          set,
        ),
    );
    // Four are due, four more while they are merged are no reason to wait.
    assertEquals(pressures.slice(0, 8), Array(8).fill(0));
    assertGreater(pressures[8], 0);
    assertLess(pressures[12], 0.25);
    assertLess(pressures[31], 1);
    assertEquals(pressures[32], 1);
    pressures.forEach((pressure, i) => {
      if (i === 0) return;
      assertGreaterOrEqual(pressure, pressures[i - 1]);
      assertLess(pressure - pressures[i - 1], 0.05);
    });
  }
  const heavy = (size: number) =>
    leveled.pressure(
      levelsOf({ 5: [table("a", "b", { size })], 6: run(40) }),
      set,
    );
  assertEquals(heavy(4 * TABLE), 0);
  assertGreater(heavy(8 * TABLE), 0.05);
  assertLess(heavy(8 * TABLE), 0.2);
  assertEquals(heavy(1e9), 0.9);
});

test("picks leave the levels that they are given as they are", () => {
  const levels = levelsOf({
    0: [3, 2, 1].map((newest) => table("a", "z", { newest })),
    5: run(30),
    6: run(50),
  });
  const before = structuredClone(levels);
  const set = options({ minThreshold: 2 });
  leveled.pickMinor(levels, set);
  leveled.pickTombstone(levels, set, 0);
  leveled.pickMajor(levels, set);
  leveled.pressure(levels, set);
  assertEquals(levels, before);
});

test("a tree that does not reach the level that is aimed at: what lies above moves there, without a merge", () => {
  const set = options({ minThreshold: 2 });
  const [first, second] = [table("a", "b"), table("c", "d")];
  assertEquals(move(leveled.pickMinor([[], [first, second]], set)).level, 6);
  assertEquals(leveled.pickMinor([], set), undefined);
});
