/** Visible rows against a brute-force model: random layers, readers, bounds, both directions. */
import { test } from "node:test";
import { MergingCursor } from "../../../lib/read/merging_cursor.ts";
import { RangeCover } from "../../../lib/read/range_cover.ts";
import { type Bounds, VisibleRows } from "../../../lib/read/visible.ts";
import { Results } from "../../../lib/runtime/results.ts";
import {
  assert,
  assertEquals,
  assertGreater,
  assertLess,
  assertLessOrEqual,
} from "../../assert.ts";
import { LONG } from "../../engine/support/configs.ts";
import { Random } from "../../engine/support/random.ts";
import {
  fromBytes,
  ListCursor,
  put,
  toBytes,
  tombstone,
} from "../support/entries.ts";
import { randomKey, smallKey } from "../support/keys.ts";
import {
  type Layer,
  randomLayers,
  type Row,
  visibleRows,
} from "../support/layers.ts";
import { fragmentsOf } from "../support/ranges.ts";

interface Reading {
  readonly sequence: number;
  readonly start?: string;
  readonly end?: string;
  readonly reverse: boolean;
}

function open(
  layers: readonly Layer[],
  { sequence, start, end, reverse }: Reading,
): { rows: VisibleRows; cursors: ListCursor[] } {
  const bounds: Bounds = {
    start: start === undefined ? undefined : toBytes(start),
    end: end === undefined ? undefined : toBytes(end),
  };
  const cursors = layers.map((layer) => new ListCursor(layer.entries));
  const rows = new VisibleRows(
    new MergingCursor(cursors, reverse),
    new RangeCover(
      layers.map((layer) => [fragmentsOf(layer.ranges)]),
      sequence,
      reverse ? "descending" : "ascending",
    ),
    sequence,
    bounds,
    reverse,
    new Results(true),
  );
  return { rows, cursors };
}

function readAll(rows: VisibleRows): Row[] {
  // Taken apart at the end: a row must stay as it was when it was handed out.
  const taken: [Uint8Array | undefined, Uint8Array | undefined][] = [];
  while (rows.next()) taken.push([rows.key, rows.value]);
  return taken.map(([key, value]) => {
    assert(key !== undefined && value !== undefined);
    return [fromBytes(key), fromBytes(value)];
  });
}

function expectedRows(layers: readonly Layer[], reading: Reading): Row[] {
  const { sequence, start, end, reverse } = reading;
  const rows = visibleRows(layers, sequence).filter(([key]) =>
    (start === undefined || key >= start) && (end === undefined || key < end)
  );
  return reverse ? rows.reverse() : rows;
}

function randomReading(
  random: Random,
  operations: number,
  key: (random: Random) => string,
): Reading {
  const bounds = {
    ...random.chance(50) ? { start: key(random) } : {},
    ...random.chance(50) ? { end: key(random) } : {},
  };
  const { start, end } = bounds;
  // Empty ranges are not walked over: the reader leaves out every source.
  const isEmpty = end !== undefined && (start ?? "") >= end;
  return {
    ...isEmpty ? {} : bounds,
    sequence: random.chance(40) ? operations : random.below(operations + 1),
    reverse: random.chance(50),
  };
}

const PLANS: [name: string, rangePercent: number, doublePercent: number][] = [
  ["points", 0, 0],
  ["points and doubles", 0, 30],
  ["a few range deletes", 5, 5],
  ["many range deletes", 40, 5],
];

for (const [name, rangePercent, doublePercent] of PLANS) {
  test(`rows are what brute force sees: ${name}`, LONG, () => {
    let shown = 0;
    for (let seed = 1; seed <= 250; seed++) {
      const random = new Random(seed);
      const key = random.chance(50) ? smallKey : randomKey;
      const operations = 1 + random.below(200);
      const layers = randomLayers(random, {
        operations,
        layers: 1 + random.below(6),
        key,
        rangePercent,
        isInOrder: random.chance(60),
        doublePercent,
      });
      for (let i = 0; i < 6; i++) {
        const reading = randomReading(random, operations, key);
        const expected = expectedRows(layers, reading);
        const { rows, cursors } = open(layers, reading);
        const message = `seed ${seed}, ${JSON.stringify(reading)}`;
        assertEquals(readAll(rows), expected, message);
        assert(!rows.next(), `${message}: a row behind the last`);
        rows.close();
        assert(cursors.every((cursor) => cursor.isClosed));
        shown += expected.length;
      }
    }
    assertGreater(shown, 1000);
  });
}

/** Layers that take turns, a stretch of keys each; some keys are in two of them. */
function layersInTurns(random: Random, keys: number): Layer[] {
  const layers: Layer[] = Array.from(
    { length: 2 + random.below(3) },
    () => ({ entries: [], ranges: [] }),
  );
  let layer = layers[0];
  let left = 0;
  for (let i = 0; i < keys; i++) {
    if (left-- === 0) {
      layer = random.pick(layers);
      left = random.below(random.pick([2, 12, 60]));
    }
    const key = `k${String(i).padStart(4, "0")}`;
    const sequence = 2 * i + 1;
    layer.entries.push(
      random.chance(10) ? tombstone(key, sequence) : put(key, sequence, key),
    );
    if (!random.chance(5)) continue;
    const other = random.pick(layers);
    if (other !== layer) other.entries.push(put(key, sequence + 1, "newer"));
  }
  return layers;
}

test("rows are what brute force sees: sources that take turns", LONG, () => {
  for (let seed = 1; seed <= 200; seed++) {
    const random = new Random(seed);
    const keys = 1 + random.below(300);
    const layers = layersInTurns(random, keys);
    const key = () => `k${String(random.below(keys)).padStart(4, "0")}`;
    for (let i = 0; i < 6; i++) {
      const reading = randomReading(random, 2 * keys, key);
      const expected = expectedRows(layers, reading);
      const { rows } = open(layers, reading);
      const message = `seed ${seed}, ${JSON.stringify(reading)}`;
      assertEquals(readAll(rows), expected, message);
      assert(!rows.next(), `${message}: a row behind the last`);
      rows.close();
    }
  }
});

test("two walks at once do not disturb each other's runs", () => {
  const random = new Random(5);
  const layers = layersInTurns(random, 400);
  const readings = [false, true].map((reverse) => ({ sequence: 900, reverse }));
  const walks = readings.map((reading) => open(layers, reading).rows);
  const seen: string[][] = [[], []];
  for (let isGoing = true; isGoing;) {
    isGoing = false;
    walks.forEach((rows, i) => {
      if (!rows.next()) return;
      isGoing = true;
      if (rows.key !== undefined) seen[i].push(fromBytes(rows.key));
    });
  }
  readings.forEach((reading, i) => {
    const expected = expectedRows(layers, reading).map(([key]) => key);
    assertEquals(seen[i], expected);
  });
});

test("a source ahead of the others is asked for runs, and not for each entry", () => {
  const name = (i: number) => `k${String(i).padStart(5, "0")}`;
  const many = Array.from({ length: 8000 }, (_, i) => put(name(i + 1), i + 1));
  for (const reverse of [false, true]) {
    const far = put(name(reverse ? 0 : 9000), 9000);
    const layers: Layer[] = [
      { entries: [far], ranges: [] },
      { entries: many, ranges: [] },
    ];
    const { rows, cursors } = open(layers, { sequence: 9999, reverse });
    assertEquals(readAll(rows).length, 8001);
    assertGreater(cursors[1].runs, 0);
    assertLess(cursors[1].runs, 8000 / 4);
  }
});

test("keys only, values only", () => {
  const layers: Layer[] = [{ entries: [put("a", 1, "x")], ranges: [] }];
  for (const reverse of [false, true]) {
    const keys = open(layers, { sequence: 9, reverse }).rows;
    keys.want("keys");
    assert(keys.next());
    assertEquals([keys.key, keys.value], [toBytes("a"), undefined]);
    const values = open(layers, { sequence: 9, reverse }).rows;
    values.want("values");
    assert(values.next());
    assertEquals([values.key, values.value], [undefined, toBytes("x")]);
  }
});

for (const reverse of [false, true]) {
  const direction = reverse ? "backwards" : "forwards";

  test(`what a newer source's range delete hides is leapt over, ${direction}`, () => {
    const old = Array.from(
      { length: 10_000 },
      (_, i) => put(`k${String(i).padStart(5, "0")}`, i + 1, "old"),
    );
    const ranges = [{ start: "k00010", end: "k09990", sequence: 20_000 }];
    const layers: Layer[] = [{ entries: [], ranges }, {
      entries: old,
      ranges: [],
    }];
    const { rows, cursors } = open(layers, { sequence: 30_000, reverse });
    assertEquals(readAll(rows).length, 20);
    assertLess(cursors[1].steps, 50);
    assertLessOrEqual(cursors[1].seeks, 3);
  });

  test(`many range deletes side by side cost a leap each, ${direction}`, () => {
    const name = (i: number) => `k${String(i).padStart(5, "0")}`;
    const old = Array.from({ length: 20_000 }, (_, i) => put(name(i), i + 1));
    const ranges = Array.from({ length: 100 }, (_, i) => ({
      start: name(i * 200),
      end: name(i * 200 + 199),
      sequence: 50_000 + i,
    }));
    const layers: Layer[] = [{ entries: [], ranges }, {
      entries: old,
      ranges: [],
    }];
    const { rows, cursors } = open(layers, { sequence: 60_000, reverse });
    assertEquals(readAll(rows).length, 100);
    assertLess(cursors[1].steps + cursors[1].seeks, 100 * 8);
  });

  test(`an older reader does not see the delete, nor its leaps, ${direction}`, () => {
    const old = Array.from(
      { length: 100 },
      (_, i) => put(`k${i + 100}`, i + 1),
    );
    const ranges = [{ start: "", end: "", sequence: 200 }];
    const layers: Layer[] = [{ entries: old, ranges }];
    assertEquals(
      readAll(open(layers, { sequence: 199, reverse }).rows).length,
      100,
    );
    assertEquals(readAll(open(layers, { sequence: 200, reverse }).rows), []);
  });
}

test("a first row is found without walking over the rest", () => {
  const entries = Array.from(
    { length: 1000 },
    (_, i) => put(`k${i + 1000}`, i + 1),
  );
  for (const reverse of [false, true]) {
    const { rows, cursors } = open([{ entries, ranges: [] }], {
      sequence: 5000,
      reverse,
    });
    assert(rows.next());
    assertLessOrEqual(cursors[0].seeks + cursors[0].steps, 3);
  }
});
