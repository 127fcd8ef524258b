/** Rows side by side: growth, cuts, copies, and when there are enough. */
import { test } from "node:test";
import { RowBuffer, ROWS_MAX } from "../../lib/row_buffer.ts";
import {
  assert,
  assertEquals,
  assertFalse,
  assertGreaterOrEqual,
  assertLess,
  assertLessOrEqual,
  assertNotStrictEquals,
} from "../assert.ts";
import { filled } from "../engine/support/bytes.ts";
import { Random } from "../engine/support/random.ts";
import { ListCursor, put, toBytes } from "./support/entries.ts";

type Row = readonly [key: Uint8Array, value: Uint8Array];

function rowsIn({ bytes, places, count }: RowBuffer): Row[] {
  return Array.from({ length: count }, (_, row) => {
    const [keyStart, keyEnd, start, end] = places.subarray(4 * row);
    return [bytes.slice(keyStart, keyEnd), bytes.slice(start, end)];
  });
}

/** The three must be the same memory, all of it. */
function checkMemory({ bytes, view, words, places, used, count }: RowBuffer) {
  assertEquals(bytes.byteOffset, 0);
  assertEquals(bytes.length, bytes.buffer.byteLength);
  assert(view.buffer === bytes.buffer && words.buffer === bytes.buffer);
  assertEquals([view.byteOffset, view.byteLength], [0, bytes.length]);
  assertEquals([words.byteOffset, words.length], [0, bytes.length >>> 2]);
  assertLessOrEqual(used, bytes.length);
  assertLessOrEqual(4 * count, places.length);
}

const rowOf = (i: number, random: Random): Row => [
  filled(random.pick([0, 1, 15, 16, 17, 40, 300]), i),
  filled(random.pick([0, 3, 16, 100, 192, 193, 2000]), i + 1),
];

test("rows are there as they were added, whatever room there was", () => {
  const random = new Random(3);
  for (const room of [0, 1, 3, 64, 1000, 100_000]) {
    const buffer = new RowBuffer(room);
    assertEquals(buffer.bytes.length, room);
    const expected: Row[] = [];
    for (let i = 0; i < 400; i++) {
      const [key, value] = rowOf(i, random);
      buffer.add(key, value);
      expected.push([key, value]);
      checkMemory(buffer);
    }
    assertEquals(rowsIn(buffer), expected);
  }
});

test("an entry of a cursor is added like a key and a value", () => {
  const random = new Random(9);
  const entries = Array.from({ length: 200 }, (_, i) =>
    put(
      String(i).padStart(4, "0") + "k".repeat(random.pick([0, 12, 60, 300])),
      i + 1,
      "v".repeat(random.pick([0, 1, 16, 191, 192, 193, 900])),
    ));
  const buffer = new RowBuffer(10);
  const cursor = new ListCursor(entries);
  for (cursor.seekToFirst(); cursor.valid; cursor.next()) {
    buffer.addEntry(cursor);
    checkMemory(buffer);
  }
  const expected = entries.map(({ key, value }): Row => [toBytes(key), value]);
  assertEquals(rowsIn(buffer), expected);
});

test("a row that is larger than the room makes room, exactly or by doubling", () => {
  const buffer = new RowBuffer(100);
  buffer.add(filled(10), filled(1000));
  assertEquals([buffer.bytes.length, buffer.used], [1010, 1010]);
  assert(buffer.isFull);
  buffer.add(filled(1), filled(1));
  assertEquals([buffer.bytes.length, buffer.used], [2020, 1012]);
  assertEquals(rowsIn(buffer), [
    [filled(10), filled(1000)],
    [filled(1), filled(1)],
  ]);
  const before = buffer.bytes;
  buffer.cut(0, 0);
  buffer.add(filled(20), filled(2000));
  assert(buffer.bytes === before, "it fits exactly");
});

test("empty rows take places and no bytes", () => {
  const buffer = new RowBuffer(0);
  const none = new Uint8Array(0);
  for (let i = 0; i < ROWS_MAX; i++) {
    assertEquals(buffer.isFull, i > 0);
    buffer.add(none, none);
  }
  assertEquals([buffer.count, buffer.used], [ROWS_MAX, 0]);
  assertGreaterOrEqual(buffer.places.length, 4 * ROWS_MAX);
  assert(buffer.places.every((place) => place === 0));
});

test("places are reserved for as many rows as are asked for, and none is lost", () => {
  const buffer = new RowBuffer(64);
  assertEquals(buffer.places.length, 4);
  buffer.add(filled(3), filled(4));
  const before = rowsIn(buffer);
  buffer.reserve(500);
  assertGreaterOrEqual(buffer.places.length, 4 * 501);
  assertEquals([buffer.count, buffer.bytes.length], [1, 64]);
  assertEquals(rowsIn(buffer), before);
  for (let i = 1; i <= 500; i++) buffer.note(i, i + 1, i + 2, i + 3);
  assertEquals([...buffer.places.subarray(4, 12)], [1, 2, 3, 4, 2, 3, 4, 5]);
  assertEquals(buffer.count, 501);
  assertEquals(rowsIn(buffer)[0], before[0]);
});

test("it is full when an eighth is left, or less than its longest row, or at 1024 rows", () => {
  const eighth = new RowBuffer(80);
  assertFalse(eighth.isFull);
  for (let used = 0; used < 72; used += 8) eighth.add(filled(3), filled(5));
  assertEquals([eighth.used, eighth.isFull], [72, true]);
  const long = new RowBuffer(80);
  long.add(filled(10), filled(20));
  assertFalse(long.isFull);
  long.add(filled(10), filled(10)); // 30 are left.
  assertFalse(long.isFull);
  long.add(filled(1), new Uint8Array(0));
  assert(long.isFull);
  long.clear(); // The rows to come may be shorter.
  for (let i = 0; i < 6; i++) long.add(filled(5), filled(5));
  assertFalse(long.isFull);
  const many = new RowBuffer(1_000_000);
  for (let i = 0; i < ROWS_MAX; i++) {
    assertFalse(many.isFull);
    many.add(filled(2), filled(2));
  }
  assert(many.isFull);
});

test("without a row it is never full", () => {
  const buffer = new RowBuffer(80);
  buffer.cut(0, 80);
  assertFalse(buffer.isFull);
  assertFalse(new RowBuffer(0).isFull);
});

test("what is cut off is forgotten, and written over", () => {
  const buffer = new RowBuffer(50);
  buffer.add(filled(5, 1), filled(20, 2));
  const { count, used } = buffer;
  const before = rowsIn(buffer);
  buffer.add(filled(7, 3), filled(500, 4));
  buffer.add(filled(7, 5), filled(50, 6));
  buffer.cut(count, used);
  assertEquals([buffer.count, buffer.used], [1, 25]);
  assertEquals(rowsIn(buffer), before);
  buffer.add(filled(3, 7), filled(4, 8));
  assertEquals(rowsIn(buffer), [...before, [filled(3, 7), filled(4, 8)]]);
  assertEquals(buffer.used, 32);
  buffer.cut(0, 0);
  assertEquals(rowsIn(buffer), []);
});

test("a copy has memory of its own, of what is used and no more", () => {
  const source = new RowBuffer(5000);
  for (let i = 0; i < 30; i++) source.add(filled(i, i), filled(3 * i, i + 1));
  const expected = rowsIn(source);
  const copy = new RowBuffer(7);
  copy.add(filled(4), filled(9));
  copy.copyFrom(source);
  checkMemory(copy);
  assertEquals(copy.bytes.length, source.used);
  assertEquals(copy.places.length, 4 * 30);
  assertEquals([copy.count, copy.used], [30, source.used]);
  assertNotStrictEquals(copy.bytes.buffer, source.bytes.buffer);
  assertNotStrictEquals(copy.places.buffer, source.places.buffer);
  source.bytes.fill(0xee);
  source.places.fill(-1);
  source.cut(0, 0);
  assertEquals(rowsIn(copy), expected);
});

test("a copy can be added to, and one of nothing is empty", () => {
  const copy = new RowBuffer(100);
  copy.copyFrom(new RowBuffer(1000));
  checkMemory(copy);
  const sizes = [copy.bytes.length, copy.places.length, copy.count, copy.used];
  assertEquals(sizes, [0, 0, 0, 0]);
  for (let i = 0; i < 50; i++) copy.add(filled(i, i), filled(i, i + 1));
  checkMemory(copy);
  assertEquals(rowsIn(copy)[49], [filled(49, 49), filled(49, 50)]);
  assertLess(copy.bytes.length, 8000);
});

test("memory that a program gave away is made anew by clear()", () => {
  for (const source of [undefined, new RowBuffer(1000)]) {
    const buffer = new RowBuffer(200);
    source?.add(filled(8), filled(90));
    if (source !== undefined) buffer.copyFrom(source);
    const { length } = buffer.bytes;
    for (const name of ["bytes", "places"] as const) {
      buffer.add(filled(4), filled(400));
      const { buffer: memory } = buffer[name];
      structuredClone(memory, { transfer: [memory] });
      buffer.clear();
      checkMemory(buffer);
      assertEquals([buffer.count, buffer.used], [0, 0]);
      assertGreaterOrEqual(buffer.bytes.length, length);
      for (let i = 0; i < 40; i++) buffer.add(filled(i, i), filled(9, i));
      assertEquals(rowsIn(buffer)[39], [filled(39, 39), filled(9, 39)]);
    }
  }
});
