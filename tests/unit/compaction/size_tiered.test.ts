/** The size-tiered picks, with hand-made metadata. */
import { test } from "node:test";
import {
  bucketsOf,
  LARGE_RUN_BYTES,
  LARGE_RUN_TABLE_BYTES,
  sizeTiered,
} from "../../../lib/compaction/size_tiered.ts";
import {
  type Levels,
  type Pick,
  type PickOptions,
  REST_BYTES_MOST,
  runsOf,
} from "../../../lib/compaction/strategy.ts";
import { EMPTY, utf8Bytes } from "../../../lib/encoding/bytes.ts";
import { resolveOptions } from "../../../lib/options.ts";
import { LEVEL_MAX } from "../../../lib/version/state.ts";
import type { CompactionOptions } from "../../../mod.ts";
import type { TableMeta } from "../../../lib/sstable/meta.ts";
import { compareByKey, firstOverlap } from "../../../lib/sstable/sorted_run.ts";
import {
  assert,
  assertEquals,
  assertGreater,
  assertLessOrEqual,
} from "../../assert.ts";
import { Random } from "../../engine/support/random.ts";
import { metaOf } from "../support/metas.ts";

function options(compaction: CompactionOptions = {}): PickOptions {
  const resolved = resolveOptions({ compaction }).options.compaction;
  return { ...resolved, tableSize: 1000 };
}

/** Tables of these sizes, numbered from 1. */
function tables(...sizes: number[]): TableMeta[] {
  return sizes.map((size, i) => metaOf({ number: i + 1, size }));
}

/** The tables that a pick merges into one of level 0. */
function merged(pick: Pick | undefined): readonly TableMeta[] | undefined {
  if (pick === undefined) return undefined;
  assert(pick.type === "merge");
  assertEquals(
    [pick.level, pick.outputSize, pick.grandparents],
    [0, Infinity, []],
  );
  return pick.runs.flat();
}

function sizes(pick: Pick | undefined): number[] | undefined {
  return merged(pick)?.map((meta) => meta.size);
}

function buckets(
  metas: TableMeta[],
  compaction?: CompactionOptions,
): number[][] {
  return bucketsOf([metas], options(compaction))
    .map((bucket) => bucket.map((run) => run.size))
    .filter((bucket) => bucket.length > 0);
}

test("tables below minTableSize share the small bucket", () => {
  const compaction = { minTableSize: 100 };
  assertEquals(
    buckets(tables(99, 1, 50, 100, 101), compaction),
    [[1, 50, 99], [100, 101]],
  );
  assertEquals(buckets(tables(0, 1), { minTableSize: 0 }), [[0], [1]]);
});

test("a table joins a bucket between low and high of its average, both included", () => {
  const compaction = { minTableSize: 0, bucketLow: 0.5, bucketHigh: 1.5 };
  assertEquals(buckets(tables(100, 150), compaction), [[100, 150]]);
  assertEquals(buckets(tables(100, 151), compaction), [[100], [151]]);
  // The average moves with the bucket: (100 + 150) / 2 * 1.5 = 187.5.
  assertEquals(buckets(tables(100, 150, 187), compaction), [[100, 150, 187]]);
  assertEquals(buckets(tables(100, 150, 188), compaction), [[100, 150], [188]]);
  assertEquals(
    buckets(tables(1000, 10, 100, 11, 110, 1100), compaction),
    [[10, 11], [100, 110], [1000, 1100]],
  );
  assertEquals(
    buckets(tables(100, 150), { minTableSize: 0, bucketHigh: 1.2 }),
    [[100], [150]],
  );
});

test("every table is in one bucket, and buckets are sorted by size", () => {
  for (let seed = 1; seed <= 200; seed++) {
    const random = new Random(seed);
    const made = tables(...Array.from(
      { length: random.below(40) },
      () => random.below(random.pick([60, 1000, 100_000])),
    ));
    const set = options({ minTableSize: random.below(500) });
    const all = bucketsOf([made], set).flat().flatMap((run) => run.tables);
    assertEquals(
      all.map((meta) => meta.number).sort((a, b) => a - b),
      made.map((meta) => meta.number),
      `seed ${seed}`,
    );
    for (const bucket of bucketsOf([made], set)) {
      for (let i = 1; i < bucket.length; i++) {
        assertLessOrEqual(bucket[i - 1].size, bucket[i].size, `seed ${seed}`);
      }
    }
  }
});

test("pickMinor(): nothing below minThreshold, then the bucket with most", () => {
  const set = options({ minThreshold: 3, maxThreshold: 4 });
  const pick = (...all: number[]) =>
    sizes(sizeTiered.pickMinor([tables(...all)], set));
  assertEquals(pick(), undefined);
  assertEquals(pick(100, 100), undefined);
  assertEquals(pick(100, 5000, 100), undefined);
  assertEquals(pick(100, 100, 100), [100, 100, 100]);
  assertEquals(
    pick(5000, 100, 5001, 101, 102, 5002, 103),
    [100, 101, 102, 103],
  );
  // Of two that are as full, the one that costs less.
  assertEquals(pick(9000, 9000, 9000, 100, 100, 100), [100, 100, 100]);
  // Small ones count together, however different.
  assertEquals(pick(1, 10, 49), [1, 10, 49]);
});

test("pickMinor(): at most maxThreshold, the smallest of the bucket", () => {
  const set = options({ minThreshold: 2, maxThreshold: 3 });
  const made = tables(104, 101, 103, 100, 102);
  assertEquals(sizes(sizeTiered.pickMinor([made], set)), [100, 101, 102]);
});

test("pickMinor(): tables of one size go by their numbers, so that picks do not depend on the order given", () => {
  const set = options({ minThreshold: 2, maxThreshold: 2 });
  const made = tables(100, 100, 100);
  const numbers = (metas: TableMeta[]) =>
    merged(sizeTiered.pickMinor([metas], set))?.map((meta) => meta.number);
  assertEquals(numbers(made), [1, 2]);
  assertEquals(numbers(made.toReversed()), [1, 2]);
});

test("pickMinor() ends: merging what it picks leaves at last nothing to pick", () => {
  for (let seed = 1; seed <= 50; seed++) {
    const random = new Random(seed);
    const set = options({
      minThreshold: 2 + random.below(4),
      minTableSize: 50,
    });
    let number = 1;
    let left = Array.from(
      { length: 60 },
      () => metaOf({ number: number++, size: 1 + random.below(10_000) }),
    );
    let rounds = 0;
    for (;; rounds++) {
      const picked = merged(sizeTiered.pickMinor([left], set));
      if (picked === undefined) break;
      assert(picked.length >= set.minThreshold, `seed ${seed}`);
      const size = picked.reduce((sum, meta) => sum + meta.size, 0);
      left = left.filter((meta) => !picked.includes(meta));
      left.push(metaOf({ number: number++, size }));
    }
    assertLessOrEqual(rounds, 60, `seed ${seed}`);
  }
});

test("pickAtRest(): the smallest runs, down to one that those below it nearly outweigh", () => {
  const pick = (...all: number[]) =>
    sizes(sizeTiered.pickAtRest([tables(...all)], options(), 0));
  assertEquals(pick(), undefined);
  assertEquals(pick(100), undefined);
  assertEquals(pick(100, 75), [75, 100]);
  assertEquals(pick(100, 74), undefined);
  assertEquals(pick(100, 40, 35), [35, 40, 100]);
  // The larger one is not rewritten for so little, the small ones are merged.
  assertEquals(pick(1000, 100, 90), [90, 100]);
  // What is too small by itself goes along with what is larger.
  assertEquals(pick(100, 100, 1), [1, 100, 100]);
  const most = options({ minThreshold: 2, maxThreshold: 2 });
  assertEquals(
    sizes(sizeTiered.pickAtRest([tables(100, 80, 90)], most, 0)),
    [80, 90],
  );
});

/** What is under way is a merge of the tables of these numbers. */
function underWay(levels: Levels, level: number, ...numbers: number[]) {
  const run = levels.flat().filter(({ number }) => numbers.includes(number));
  return {
    type: "merge",
    runs: run.map((table) => [table]),
    level,
    outputSize: Infinity,
    grandparents: [],
  } as const;
}

test("pickBeside(): what is due among the other tables, if it is a quarter of what is under way at most", () => {
  const MB = 1024 * 1024;
  const pick = (large: number, ...small: number[]) => {
    const levels = [
      tables(...[large, large, large, large, ...small].map((s) => s * MB)),
    ];
    const busy = underWay(levels, 0, 1, 2, 3, 4);
    return sizes(sizeTiered.pickBeside(levels, busy, options()))
      ?.map((size) => size / MB);
  };
  assertEquals(pick(100, 20, 20, 20, 20), [20, 20, 20, 20]);
  assertEquals(pick(100, 20, 20, 20, 20, 20), [20, 20, 20, 20, 20]);
  assertEquals(pick(100, 20, 20, 20), undefined, "not due");
  assertEquals(pick(100, 25, 25, 25, 25), [25, 25, 25, 25]);
  assertEquals(pick(100, 26, 25, 25, 25), undefined, "too much");
  assertEquals(pick(100), undefined, "nothing else");
});

test("pickBeside(): not where the tables under way are, nor where they will be", () => {
  const size = LARGE_RUN_BYTES / 2;
  const large = (number: number) => metaOf({ number, size: size * 8 });
  const small = [3, 4, 5, 6].map((number) => metaOf({ number, size }));
  const levelOf = (levels: Levels, target: number) => {
    const busy = underWay(levels, target, 1, 2);
    const pick = sizeTiered.pickBeside(levels, busy, options());
    assert(pick?.type === "merge");
    assertEquals(pick.runs.flat(), small);
    return pick.level;
  };
  assertEquals(levelOf([[large(1), large(2), ...small]], 6), 5);
  assertEquals(levelOf([[large(1), large(2), ...small]], 5), 6);
  const atSix = [[large(1), ...small], [], [], [], [], [], [large(2)]];
  assertEquals(levelOf(atSix, 6), 5);
  assertEquals(levelOf(atSix, 5), 4);
});

test("pickBeside(): keys in order are moved, however many there are, and not to where others will be", () => {
  const keyed = (number: number, key: string) =>
    metaOf({
      number,
      size: 64 * 1024 * 1024,
      smallest: utf8Bytes(`${key}0`),
      largest: utf8Bytes(`${key}9`),
    });
  const small = ["a", "b", "c", "d"].map((key, i) => keyed(3 + i, key));
  const levels = [[keyed(1, "x"), keyed(2, "x"), ...small]];
  const busy = underWay(levels, 6, 1, 2);
  const pick = sizeTiered.pickBeside(levels, busy, options());
  assertEquals(pick, { type: "move", tables: small, level: 5 });
});

test("pickAtRest(): all that is small enough, whatever its sizes, once as much was flushed", () => {
  const pick = (credit: number, ...all: number[]) =>
    sizes(sizeTiered.pickAtRest([tables(...all)], options(), credit));
  assertEquals(pick(109, 100, 10), undefined);
  assertEquals(pick(110, 100, 10), [10, 100]);
  assertEquals(pick(1e15, 100), undefined);
  assertEquals(pick(1e15), undefined);
  // Otherwise what is worth it for its sizes.
  assertEquals(pick(109, 100, 10, 9), [9, 10]);
  const large = REST_BYTES_MOST;
  assertEquals(pick(1e15, large, 100, 10), [10, 100]);
  const most = options({ minThreshold: 2, maxThreshold: 2 });
  const two = sizeTiered.pickAtRest([tables(100, 20, 1)], most, 1e15);
  assertEquals(sizes(two), [1, 20]);
});

test("pickAtRest(): no more than so many bytes, large runs among them", () => {
  const half = REST_BYTES_MOST / 2;
  const pick = (...levels: TableMeta[][]) => {
    const picked = sizeTiered.pickAtRest(levels, options(), 0);
    if (picked === undefined) return undefined;
    assert(picked.type === "merge");
    const read = picked.runs.map((run) => run.map(({ size }) => size));
    return { read, level: picked.level, outputSize: picked.outputSize };
  };
  const large = { level: 6, outputSize: LARGE_RUN_TABLE_BYTES };
  const small = { level: 0, outputSize: Infinity };
  assertEquals(pick(tables(half, half)), { read: [[half], [half]], ...large });
  assertEquals(pick(tables(half + 1, half)), undefined);
  const rest = pick(tables(half + 1, half, 10, 10));
  assertEquals(rest, { read: [[10], [10]], ...small });
  const run = [
    metaOf({ number: 1, size: half / 2, largest: utf8Bytes("b") }),
    metaOf({ number: 2, size: half / 2, smallest: utf8Bytes("c") }),
  ];
  const both = pick([metaOf({ number: 3, size: half })], [], [], [], run);
  assertEquals(both?.read, [[half / 2, half / 2], [half]]);
  assertEquals(both?.level, 6);
});

test("who writes a table now and then, and rests in between, writes each byte a few times more", () => {
  for (const count of [10, 30, 100]) {
    const set = options();
    const unit = LARGE_RUN_BYTES / 10;
    let number = 1;
    let levels: TableMeta[][] = [[], [], [], [], [], [], []];
    let written = 0;
    let credit = 0;
    const perform = (picked: Pick | undefined, isAtRest = false) => {
      if (picked === undefined) return false;
      assert(picked.type === "merge");
      const inputs = picked.runs.flat();
      const size = inputs.reduce((sum, table) => sum + table.size, 0);
      written += size;
      if (isAtRest) credit = Math.max(0, credit - size);
      levels = levels.map((tables) =>
        tables.filter((table) => !inputs.includes(table))
      );
      levels[picked.level].push(metaOf({ number: number++, size }));
      return true;
    };
    for (let i = 0; i < count; i++) {
      levels[0].push(metaOf({ number: number++, size: unit }));
      written += unit;
      credit += unit;
      while (perform(sizeTiered.pickMinor(levels, set)));
      while (perform(sizeTiered.pickAtRest(levels, set, credit), true));
    }
    // With the log, one more.
    assertLessOrEqual(written / (count * unit), count === 10 ? 4 : 6);
  }
});

test("pickTombstone(): by ratio and age, the highest ratio first", () => {
  const made = [
    metaOf({ number: 1, entries: 100, tombstones: 29 }),
    metaOf({ number: 2, entries: 100, tombstones: 30 }),
    metaOf({ number: 3, entries: 100, tombstones: 90, created: 5000 }),
    metaOf({ number: 4, entries: 0, rangeTombstones: 1 }),
    metaOf({ number: 5, entries: 100, tombstones: 60, created: 4000 }),
    metaOf({ number: 6, entries: 100, tombstones: 60 }),
    metaOf({ number: 7, entries: 100 }),
  ];
  const pick = (compaction: CompactionOptions, now: number) =>
    sizeTiered.pickTombstone([made], options(compaction), now)
      .map((pick) => merged(pick)?.[0].number);
  const ratio = { tombstoneRatio: 0.3 };
  assertEquals(pick(ratio, 5000), [4, 3, 5, 6, 2]);
  // Two seconds of grace at 6.5 s: what was written by 4.5 s.
  assertEquals(pick({ ...ratio, tombstoneInterval: 2 }, 6500), [4, 5, 6, 2]);
  assertEquals(pick({ ...ratio, tombstoneInterval: 2 }, 7000), [4, 3, 5, 6, 2]);
  assertEquals(pick({ tombstoneRatio: 1 }, 9000), [4]);
  assertEquals(pick({ tombstoneRatio: 0.001 }, 9000), [4, 3, 5, 6, 2, 1]);
});

test("pickMajor(): everything, unless it is one clean table", () => {
  const pick = (...made: TableMeta[]) =>
    merged(sizeTiered.pickMajor([made], options()))?.map((meta) => meta.number);
  const clean = metaOf({ number: 1 });
  assertEquals(pick(), undefined);
  assertEquals(pick(clean), undefined);
  assertEquals(pick(metaOf({ number: 2, tombstones: 1 })), [2]);
  assertEquals(pick(metaOf({ number: 2, rangeTombstones: 1 })), [2]);
  assertEquals(pick(metaOf({ number: 2, olderVersions: 1 })), [2]);
  assertEquals(pick(clean, metaOf({ number: 2 })), [1, 2]);
});

test("picks leave the list that they are given as it is", () => {
  const made = tables(300, 100, 200, 100, 100);
  const before = made.map((meta) => meta.number);
  const set = options({ minThreshold: 2 });
  sizeTiered.pickMinor([made], set);
  sizeTiered.pickAtRest([made], set, Infinity);
  sizeTiered.pickTombstone([made], set, 0);
  sizeTiered.pickMajor([made], set);
  assertEquals(made.map((meta) => meta.number), before);
});

test("a large run is made of many tables, in a level of its own", () => {
  const part = LARGE_RUN_BYTES / 4;
  const young = tables(part, part, part, part + 1);
  const first = sizeTiered.pickMinor([young], options());
  assert(first?.type === "merge");
  assertEquals([first.level, first.outputSize], [6, LARGE_RUN_TABLE_BYTES]);
  const just = sizeTiered.pickMinor(
    [tables(part, part, part, part)],
    options(),
  );
  assert(just?.type === "merge");
  assertEquals([just.level, just.outputSize], [0, Infinity]);

  // The next one goes beside it, and all of them into one of their levels.
  const run = (level: number) =>
    Array.from(
      { length: 4 },
      (_, i) => metaOf({ number: level * 10 + i, size: LARGE_RUN_TABLE_BYTES }),
    );
  const beside = sizeTiered.pickMinor(
    [young, [], [], [], [], [], run(6)],
    { ...options(), bucketHigh: 1.01 },
  );
  assert(beside?.type === "merge");
  assertEquals(beside.level, 5);
  const levels = [[], [], [], run(3), run(4), run(5), run(6)];
  const all = sizeTiered.pickMinor(levels, options());
  assert(all?.type === "merge");
  assertEquals([all.level, all.runs.length], [6, 4]);
  // Where six levels have large runs, there is a seventh.
  const many = tables(part, part, part, part, part, part, part);
  const full = [many, run(1), run(2), run(3), run(4), run(5), run(6)];
  const seventh = sizeTiered.pickMinor(full, options());
  assert(seventh?.type === "merge");
  assertEquals([seventh.level, seventh.outputSize], [7, LARGE_RUN_TABLE_BYTES]);
  assertEquals(seventh.runs.flat().length, 7);
});

test("a level is free for every large run, however many gigabytes are written: one table of them took memory without bound", () => {
  const narrow = { bucketLow: 0.9, bucketHigh: 1.1 };
  const many = { minThreshold: 12 };
  const cases = [
    { compaction: {}, above: 6 },
    { compaction: narrow, above: 6 },
    // So many runs are let be that six levels are too few.
    { compaction: many, above: 7 },
    { compaction: { ...narrow, ...many }, above: 7 },
  ];
  for (const { compaction, above } of cases) {
    const set = options(compaction);
    const random = new Random(1);
    const unit = 1024 * 1024;
    let number = 1;
    let levels: TableMeta[][] = [[]];
    const add = (level: number, size: number) => {
      while (levels.length <= level) levels.push([]);
      levels[level].push(metaOf({ number: number++, size }));
    };
    for (let flush = 0; flush < 2000; flush++) {
      add(0, (25 + random.below(8)) * unit);
      for (;;) {
        const pick = sizeTiered.pickMinor(levels, set);
        if (pick === undefined) break;
        assert(pick.type === "merge");
        const inputs = pick.runs.flat();
        levels = levels.map((level) =>
          level.filter((t) => !inputs.includes(t))
        );
        let left = inputs.reduce((sum, { size }) => sum + size, 0);
        const message = `flush ${flush}, ${left} bytes`;
        if (left > LARGE_RUN_BYTES) assertGreater(pick.level, 0, message);
        else assertEquals(pick.level, 0, message);
        if (pick.level > 0) assertEquals(levels[pick.level] ?? [], [], message);
        for (; left > 0; left -= pick.outputSize) {
          add(pick.level, Math.min(left, pick.outputSize));
        }
      }
    }
    assertGreater(levels.length, above);
  }
});

const MIB = 1024 * 1024;

test("pickMinor(): runs that count are three at most, and one more for each fourfold of 2 GiB", () => {
  const pick = (mib: number[], compaction?: CompactionOptions) => {
    const picked = sizeTiered.pickMinor(
      [tables(...mib.map((size) => size * MIB))],
      options(compaction),
    );
    if (picked === undefined) return undefined;
    assert(picked.type === "merge");
    return picked.runs.flat().map(({ size }) => size / MIB);
  };
  assertEquals(pick([600, 250, 100]), undefined);
  // The smallest, down to one that those below it nearly outweigh,
  assertEquals(pick([700, 300, 140, 64]), [64, 140]);
  assertEquals(pick([760, 300, 140, 106]), [106, 140, 300]);
  assertEquals(pick([740, 300, 148, 111]), [111, 148, 300, 740]);
  // even if those below are less.
  assertEquals(pick([1200, 500, 200, 65]), [65, 200]);
  // What is small does not count, and is let be.
  assertEquals(pick([600, 250, 100, 63, 20, 7]), undefined);
  assertEquals(pick([600, 250, 100, 64, 20, 7]), [64, 100]);
  // Larger trees may have more.
  assertEquals(pick([1300, 450, 180, 117]), [117, 180]);
  assertEquals(pick([1300, 450, 180, 118]), undefined);
  assertEquals(pick([1300, 600, 180, 118, 64]), [64, 118, 180]);
  assertEquals(pick([5000, 2000, 760, 280, 100]), [100, 280]);
  assertEquals(pick([5000, 2000, 800, 300, 100]), undefined);
  // So may those of whom many of like size are to be let be,
  assertEquals(pick([1000, 400, 150, 70], { minThreshold: 5 }), undefined);
  assertEquals(pick([1000, 400, 150, 70], { minThreshold: 2 }), [70, 150]);
  // and no more are merged at once than may be.
  assertEquals(
    pick([740, 300, 148, 111], { minThreshold: 3, maxThreshold: 3 }),
    [111, 148, 300],
  );
});

test("the runs of a large tree are few, and each byte is written a few times: each run more made a scan of ten million entries dearer", () => {
  for (const compaction of [{}, { bucketLow: 0.9, bucketHigh: 1.1 }]) {
    const set = options(compaction);
    const random = new Random(2);
    let number = 1;
    let left: TableMeta[] = [];
    let total = 0;
    let written = 0;
    const bounds = [
      { mib: 2000, most: 3, dearest: 4.8 },
      { mib: 8000, most: 4, dearest: 5.6 },
      { mib: 32_000, most: 5, dearest: 7.2 },
    ];
    for (const { mib, most, dearest } of bounds) {
      while (total < mib * MIB) {
        const size = (25 + random.below(8)) * MIB;
        left.push(metaOf({ number: number++, size }));
        total += size;
        written += size;
        for (;;) {
          const pick = sizeTiered.pickMinor([left], set);
          if (pick === undefined) break;
          assert(pick.type === "merge");
          const inputs = pick.runs.flat();
          const sum = inputs.reduce((bytes, { size }) => bytes + size, 0);
          left = left.filter((table) => !inputs.includes(table));
          left.push(metaOf({ number: number++, size: sum }));
          written += sum;
        }
        const counted = left.filter((table) => table.size >= 64 * MIB);
        assertLessOrEqual(counted.length, most, `${total} bytes`);
      }
      assertLessOrEqual(written / total, dearest, `${mib} MiB`);
    }
  }
});

/** Tables of 20 MiB, each behind the one before. */
function ascending(
  count: number,
  first: number,
  fields: Partial<TableMeta> = {},
): TableMeta[] {
  return Array.from({ length: count }, (_, i) => {
    const number = first + i;
    const key = (rest: string) =>
      utf8Bytes(`${String(number).padStart(6, "0")}${rest}`);
    const [smallest, largest] = [key("a"), key("z")];
    return metaOf({ number, size: 20 * MIB, smallest, largest, ...fields });
  });
}

test("tables that do not overlap are one run as they are: keys in ascending order were written again and again", () => {
  const set = options();
  const four = ascending(4, 1);
  const levels = [four.toReversed(), [], [], [], [], [], ascending(3, 5)];
  const picks = [
    sizeTiered.pickMinor(levels, set),
    sizeTiered.pickAtRest([four.toReversed()], set, 0),
    sizeTiered.pickMajor([four.toReversed()], set),
  ];
  picks.forEach((pick, i) => {
    assert(pick?.type === "move");
    assertEquals([pick.level, pick.tables.length], [i === 0 ? 5 : 6, 4]);
    assertEquals(new Set(pick.tables), new Set(four));
  });
  // Those that are in the level that the others come into stay there.
  const joined = sizeTiered.pickMajor(levels, set);
  assert(joined?.type === "move");
  assertEquals([joined.level, joined.tables.length], [6, 4]);
  assertEquals(new Set(joined.tables), new Set(four));

  const type = (tables: TableMeta[]) =>
    sizeTiered.pickMinor([tables], set)?.type;
  const with5 = (fields: Partial<TableMeta>) =>
    type([...four, ...ascending(1, 5, fields)]);
  assertEquals(with5({}), "move");
  assertEquals(with5({ size: 16 * MIB }), "move");
  assertEquals(with5({ size: 16 * MIB - 1 }), "merge");
  assertEquals(with5({ tombstones: 1 }), "merge");
  assertEquals(with5({ rangeTombstones: 1 }), "merge");
  assertEquals(with5({ olderVersions: 1 }), "merge");
  assertEquals(with5({ smallest: four[3].largest }), "merge");
  assertEquals(with5({ smallest: EMPTY }), "merge");
});

test("keys in ascending order are never merged, in however few runs they are left", () => {
  const set = options();
  let levels: TableMeta[][] = [[]];
  for (let flush = 1; flush <= 2000; flush++) {
    levels[0].unshift(...ascending(1, flush));
    for (;;) {
      const pick = sizeTiered.pickMinor(levels, set);
      if (pick === undefined) break;
      assert(pick.type === "move", `flush ${flush}`);
      const { level, tables } = pick;
      levels = levels.map((all) => all.filter((t) => !tables.includes(t)));
      while (levels.length <= level) levels.push([]);
      levels[level] = [...levels[level], ...tables].sort(compareByKey);
      assertEquals(firstOverlap(levels[level]), undefined);
    }
    assertLessOrEqual(runsOf(levels).length, 9, `flush ${flush}`);
  }
  assertEquals(levels.flat().length, 2000);
});

test("pressure(): of what is fuller, a bucket or the tree", () => {
  const pressure = (...mib: number[]) =>
    sizeTiered.pressure([tables(...mib.map((size) => size * MIB))], options());
  assertEquals(pressure(...Array(7).fill(29)), 0);
  assertEquals(pressure(...Array(32).fill(29)), 1);
  // Nothing of these is of like size.
  const runs = [64, 128, 256, 512, 1024, 2048, 4096, 8192, 16_384, 32_768];
  assertEquals(pressure(...runs.slice(0, 7)), 0);
  assertEquals(pressure(...runs), 0);
  const many = Array.from({ length: 24 }, (_, i) => 64 * 1.6 ** i);
  assertGreater(pressure(...many), 0);
});

test("a large run for which no level is left becomes one table of level 0, and nothing is put beside what is there", () => {
  // No two levels are of like size, so that none of them is merged.
  const levels = Array.from({ length: LEVEL_MAX + 1 }, (_, level) => [
    metaOf({ number: level + 1, size: (LARGE_RUN_BYTES + 1) * 10 ** level }),
  ]);
  const more = [1000, 1001, 1002].map((number) =>
    metaOf({ number, size: LARGE_RUN_BYTES + 1 })
  );
  levels[0].push(...more);
  const merged = (pick: Pick | undefined) => {
    assert(pick?.type === "merge");
    assertEquals(pick.runs.flat(), levels[0]);
    return [pick.level, pick.outputSize];
  };
  const isFull = sizeTiered.pickMinor(levels, options());
  assertEquals(merged(isFull), [0, Infinity]);
  levels[LEVEL_MAX] = [];
  const hasOne = sizeTiered.pickMinor(levels, options());
  assertEquals(merged(hasOne), [LEVEL_MAX, LARGE_RUN_TABLE_BYTES]);
});
