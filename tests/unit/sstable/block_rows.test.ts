/** Rows taken many at once: those of the block, whichever part; and of damaged blocks nothing from outside. */
import { test } from "node:test";
import { ReadBuffer } from "../../../lib/cache/table_memory.ts";
import { PUT } from "../../../lib/cursor.ts";
import { RowBuffer } from "../../../lib/row_buffer.ts";
import { Block, BlockEntry } from "../../../lib/sstable/block.ts";
import { BlockBuilder } from "../../../lib/sstable/block_builder.ts";
import { type Taken, takeRows } from "../../../lib/sstable/block_rows.ts";
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
  type Entry,
  fromBytes,
  put,
  toBytes,
  tombstone,
} from "../support/entries.ts";

const START = 9;
const BEHIND = 7;

function build(
  entries: readonly Entry[],
  hasFingerprints: boolean,
): Uint8Array {
  const builder = new BlockBuilder(hasFingerprints);
  for (const { key, kind, sequence, value } of entries) {
    const bytes = toBytes(key);
    const { length } = bytes;
    const tag = value.length * 2 + kind;
    builder.add(bytes, 0, length, tag, sequence, value, 0, value.length, 7);
  }
  const bytes = new Uint8Array(START + builder.size + BEHIND);
  const end = builder.finish(bytes, START);
  return bytes.fill(0xee, end).slice(0, end + BEHIND);
}

function entriesOf(random: Random, count: number): Entry[] {
  const prefix = "p".repeat(random.pick([0, 1, 3, 4, 5, 13, 200]));
  return Array.from({ length: count }, (_, i) => {
    const key = prefix + String(i).padStart(3, "0") +
      "r".repeat(random.pick([0, 0, 1, 20, 200]));
    if (random.chance(20)) return tombstone(key, 5 + i);
    const length = random.pick([0, 1, 30, 100, 300]);
    return put(key, random.pick([1, 200, 2 ** 40]), "v".repeat(length) + i);
  });
}

/** A block with its cursor's key, as `TableCursor` has them. */
function openBlock(bytes: Uint8Array): [Block, ReadBuffer] | undefined {
  const block = new Block();
  const length = bytes.length - START - BEHIND;
  if (!block.reset(bytes, START, length)) return undefined;
  const key = new ReadBuffer(block.shared * 2);
  block.copyPrefix(key.bytes);
  return [block, key];
}

function rowsIn({ bytes, places, count }: RowBuffer): [string, string][] {
  return Array.from({ length: count }, (_, row) => {
    const [keyStart, keyEnd, start, end] = places.subarray(4 * row);
    return [
      fromBytes(bytes.slice(keyStart, keyEnd)),
      fromBytes(bytes.slice(start, end)),
    ];
  });
}

function rowsOf(entries: readonly Entry[]): [string, string][] {
  return entries.filter(({ kind }) => kind === PUT)
    .map(({ key, value }) => [key, fromBytes(value)]);
}

test(
  "any part of a block, in both directions, behind what the buffer has",
  LONG,
  () => {
    const random = new Random(4);
    for (let round = 0; round < 300; round++) {
      const entries = entriesOf(random, 1 + random.below(60));
      const opened = openBlock(build(entries, random.chance(50)));
      assert(opened !== undefined);
      const [block, key] = opened;
      const rows = new RowBuffer(256 * 1024);
      const expected: [string, string][] = [];
      for (let part = 0; part < 4; part++) {
        const low = random.below(entries.length);
        const high = low + 1 + random.below(entries.length - low);
        const isBack = random.chance(50);
        const taken = takeRows(
          rows,
          block,
          new BlockEntry(),
          key,
          low,
          high,
          isBack,
        );
        assertEquals(taken, "all");
        const some = entries.slice(low, high);
        expected.push(...rowsOf(isBack ? some.reverse() : some));
        assertEquals(rowsIn(rows), expected);
        assertLessOrEqual(rows.used, rows.bytes.length);
      }
    }
  },
);

test("a buffer without room stays as it is", () => {
  const entries = entriesOf(new Random(2), 40);
  const opened = openBlock(build(entries, true));
  assert(opened !== undefined);
  const [block, key] = opened;
  let least = 0;
  for (let room = 0; least === 0; room += 100) {
    const rows = new RowBuffer(room);
    const taken = takeRows(rows, block, new BlockEntry(), key, 0, 40, false);
    if (taken === "all") least = room;
    else {
      assertEquals([taken, rows.count, rows.used], ["none", 0, 0]);
      assertEquals(rows.bytes, new Uint8Array(room));
    }
  }
  assertGreater(least, 1000);
  assertLess(least, 40_000);
});

/** Takes all rows of a block that may be damaged; none may lie outside, nor anything be written behind the room that is needed. */
function takeDamaged(bytes: Uint8Array, room: number): Taken | undefined {
  const opened = openBlock(bytes);
  if (opened === undefined) return undefined;
  const [block, key] = opened;
  if (block.count > 100_000) return undefined; // A cursor takes 1024 at most.
  const high = Math.min(block.count, 1024);
  let last: Taken | undefined;
  for (const isBack of [false, true]) {
    const rows = new RowBuffer(room);
    const used = 16;
    rows.cut(0, used);
    last = takeRows(rows, block, new BlockEntry(), key, 0, high, isBack);
    assert(rows.bytes.subarray(0, used).every((byte) => byte === 0));
    if (last !== "all") continue;
    assertLessOrEqual(rows.used, room);
    for (const place of rows.places.subarray(0, 4 * rows.count)) {
      assert(place >= used && place <= rows.used, "a place outside");
    }
  }
  return last;
}

test("entries that lie on top of each other are damage: their keys have no room", () => {
  const long = put(`p${"r".repeat(250)}`, 5);
  const short = Array.from({ length: 30 }, (_, i) => put(`q${i + 10}`, 5));
  const bytes = build([long, ...short], false);
  const opened = openBlock(bytes);
  assert(opened !== undefined);
  const [block, key] = opened;
  for (let i = 1; i < 30; i++) {
    bytes.copyWithin(block.offsets + 2 * i, block.offsets, block.offsets + 2);
  }
  const rows = new RowBuffer(20_000);
  const taken = takeRows(rows, block, new BlockEntry(), key, 0, 31, false);
  assertEquals(taken, "damaged");
  // What is written for the entries themselves, their keys and the prefix.
  const most = 2 * bytes.length + 31 * 4 + 8;
  assert(rows.bytes.subarray(most).every((byte) => byte === 0));
});

test(
  "damaged blocks end in rows that lie in the buffer, or in an error",
  LONG,
  () => {
    const random = new Random(8);
    const counts = new Map<unknown, number>();
    for (let round = 0; round < 12; round++) {
      const entries = entriesOf(random, 2 + random.below(12));
      const good = build(entries, round % 2 === 0);
      const room = 16 + 4 * good.length + entries.length * 250;
      assertEquals(takeDamaged(good, room), "all");
      for (let at = START; at < good.length - BEHIND; at++) {
        const was = good[at];
        for (const byte of [0, 1, 0x7f, 0x80, 0xff, was ^ 1, was ^ 0x40]) {
          const bytes = good.slice();
          bytes[at] = byte;
          const taken = takeDamaged(bytes, room);
          counts.set(taken, (counts.get(taken) ?? 0) + 1);
        }
      }
    }
    for (const kind of ["all", "damaged", undefined]) {
      assertGreater(counts.get(kind) ?? 0, 20, `${kind}`);
    }
  },
);
