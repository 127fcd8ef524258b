/** Keys with very many versions in a memtable: scans and lookups pass them by a search, and are right all the same. */
import { test } from "node:test";
import type { Cursor } from "../../../lib/cursor.ts";
import { Found, PUT } from "../../../lib/cursor.ts";
import { ArenaCursor } from "../../../lib/memtable/arena_cursor.ts";
import { SharedMemtable } from "../../../lib/memtable/shared_memtable.ts";
import { SkipList } from "../../../lib/memtable/skiplist.ts";
import { MergingCursor } from "../../../lib/read/merging_cursor.ts";
import { RangeCover } from "../../../lib/read/range_cover.ts";
import { VisibleRows } from "../../../lib/read/visible.ts";
import { Results } from "../../../lib/runtime/results.ts";
import {
  assert,
  assertEquals,
  assertGreater,
  assertLess,
} from "../../assert.ts";
import { LONG } from "../../engine/support/configs.ts";
import { Random } from "../../engine/support/random.ts";
import { fromBytes, toBytes } from "../support/entries.ts";
import { smallKey } from "../support/keys.ts";
import {
  type Layer,
  randomLayers,
  type Row,
  visibleRows,
} from "../support/layers.ts";
import { getFrom, memtableOf } from "../support/memtables.ts";
import { fragmentsOf } from "../support/ranges.ts";

const VERSIONS = 20_000;
/** What a walk over three keys may look at: some searches, and nothing near the versions. */
const LOOKS_MAX = 400;

function rowsOf(
  cursors: readonly Cursor[],
  layers: readonly Layer[],
  sequence: number,
  reverse: boolean,
): Row[] {
  const rows = new VisibleRows(
    new MergingCursor(cursors, reverse),
    new RangeCover(layers.map(({ ranges }) => [fragmentsOf(ranges)]), sequence),
    sequence,
    { start: undefined, end: undefined },
    reverse,
    new Results(true),
  );
  const seen: Row[] = [];
  while (rows.next()) {
    assert(rows.key !== undefined && rows.value !== undefined);
    seen.push([fromBytes(rows.key), fromBytes(rows.value)]);
  }
  rows.close();
  return seen;
}

/** A list that counts how often an entry is looked at. */
class CountedList extends SkipList {
  looks = 0;

  override sequenceOf(node: number): number {
    this.looks++;
    return super.sequenceOf(node);
  }

  protected override compareKeys(a: number, b: number): number {
    this.looks++;
    return super.compareKeys(a, b);
  }
}

/** Keys a, hot and z; of the second there are as many versions as there are sequences between. */
function hotList(): CountedList {
  const list = new CountedList(new SharedArrayBuffer(4 << 20));
  const add = (sequence: number, key: string) => {
    const bytes = toBytes(key);
    const value = toBytes(`${sequence}`);
    list.add(sequence, PUT, bytes, bytes.length, value, 0, value.length);
  };
  add(1, "a");
  add(2, "z");
  for (let i = 1; i <= VERSIONS; i++) add(2 + i, "hot");
  add(3 + VERSIONS, "a");
  return list;
}

for (const reverse of [false, true]) {
  const direction = reverse ? "backwards" : "forwards";

  test(`a scan does not walk over the versions of a hot key, ${direction}`, () => {
    const list = hotList();
    // What a reader at each of these sees of the hot key: the newest, one in the middle, the oldest, none.
    for (const at of [VERSIONS + 3, 2 + VERSIONS / 2, 3, 2]) {
      const hot: Row[] = at > 2
        ? [["hot", `${Math.min(at, VERSIONS + 2)}`]]
        : [];
      const first = at > VERSIONS + 2 ? `${at}` : "1";
      const expected: Row[] = [["a", first], ...hot, ["z", "2"]];
      list.looks = 0;
      const seen = rowsOf([new ArenaCursor(list)], [], at, reverse);
      assertEquals(seen, reverse ? expected.reverse() : expected);
      assertLess(list.looks, LOOKS_MAX, `at ${at}`);
    }
  });

  test(
    `many versions in many memtables are seen as brute force sees them, ${direction}`,
    LONG,
    () => {
      let shown = 0;
      for (let seed = 1; seed <= 120; seed++) {
        const random = new Random(seed);
        const keys = [smallKey(random), smallKey(random), "hot", "hotter"];
        const operations = 1 + random.below(400);
        const layers = randomLayers(random, {
          operations,
          layers: 1 + random.below(3),
          key: () => random.pick(keys),
          rangePercent: random.pick([0, 0, 3]),
          isInOrder: random.chance(50),
          doublePercent: 5,
        });
        const memtables = layers.map(memtableOf);
        const shared = memtables.map(({ arena, newest, oldest }) =>
          new SharedMemtable(arena, newest, oldest)
        );
        for (let i = 0; i < 6; i++) {
          const sequence = random.below(operations + 2);
          const expected = visibleRows(layers, sequence);
          if (reverse) expected.reverse();
          for (const sources of [memtables, shared]) {
            const cursors = sources.map((source) => source.cursor());
            const seen = rowsOf(cursors, layers, sequence, reverse);
            assertEquals(seen, expected, `seed ${seed}, at ${sequence}`);
          }
          shown += expected.length;
        }
      }
      assertGreater(shown, 1000);
    },
  );
}

test("all versions of a key are passed in one step, from whichever of them", () => {
  const list = hotList();
  const cursor = new ArenaCursor(list);
  const key = toBytes("hot");
  for (const steps of [0, 1, 7, VERSIONS - 1]) {
    cursor.seek(key, key.length);
    for (let i = 0; i < steps; i++) cursor.next();
    list.looks = 0;
    cursor.passVersions(0);
    assertEquals(
      fromBytes(cursor.key.slice(cursor.keyStart, cursor.keyEnd)),
      "z",
    );
    assertEquals(list.looks, 1); // At the one that it stands on.
  }
  cursor.passVersions(0);
  assert(!cursor.valid);
});

test("a lookup at an old moment does not walk over the newer versions", () => {
  const list = hotList();
  const found = new Found();
  for (const at of [VERSIONS + 2, 2 + VERSIONS / 2, 3, 2]) {
    found.reset();
    list.looks = 0;
    getFrom(list, toBytes("hot"), 3, at, found);
    assertEquals(found.sequence, at > 2 ? at : 0);
    assertLess(list.looks, LOOKS_MAX, `at ${at}`);
  }
});
