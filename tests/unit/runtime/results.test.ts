import { test } from "node:test";
import { Results } from "../../../lib/runtime/results.ts";
import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertThrows,
} from "../../assert.ts";

const LENGTHS = [
  0,
  1,
  8,
  24,
  25,
  32,
  33,
  80,
  81,
  200,
  1000,
  1023,
  1024,
  1025,
  20_000,
];

function pattern(length: number, seed: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 31 + seed) & 0xff);
}

function shared(bytes: Uint8Array): Uint8Array {
  const copy = new Uint8Array(new SharedArrayBuffer(bytes.length));
  copy.set(bytes);
  return copy;
}

for (const slab of [true, false]) {
  const name = `Results(${slab})`;

  test(`${name}.copy() copies, never into shared memory`, () => {
    const results = new Results(slab);
    for (const make of [(bytes: Uint8Array) => bytes, shared]) {
      for (const length of LENGTHS) {
        const source = make(pattern(length + 9, length));
        const result = results.copy(source, 4, 4 + length);
        assertInstanceOf(result.buffer, ArrayBuffer);
        source.fill(0);
        assertEquals(result, pattern(length + 9, length).slice(4, 4 + length));
      }
    }
  });

  test(`${name}.copy() sees a source as it is then, wherever it lies`, () => {
    const results = new Results(slab);
    const size = 1027; // Its last word is not whole.
    const lying = [
      new Uint8Array(size),
      new Uint8Array(new ArrayBuffer(size + 8), 5, size),
      new Uint8Array(600_000),
    ];
    for (let round = 0; round < 3; round++) {
      for (const source of lying) {
        source.set(pattern(size, round));
        for (let length = 0; length < 120; length++) {
          for (const start of [length % 7, size - length]) {
            assertEquals(
              results.copy(source, start, start + length),
              source.slice(start, start + length),
              `${start}, ${length}`,
            );
          }
        }
      }
    }
  });

  test(`${name}.copy() copies by words what is there as words`, () => {
    const results = new Results(slab);
    const memory = new SharedArrayBuffer(2048);
    const source = new Uint8Array(memory);
    const words = new Int32Array(memory);
    source.set(pattern(2048, 5));
    const kept: [result: Uint8Array, expected: Uint8Array][] = [];
    for (let round = 0; round < 3; round++) {
      for (const length of LENGTHS.filter((length) => length <= 1024)) {
        for (let start = 0; start < 9; start++) {
          for (const from of [start, 2048 - length - start]) {
            const to = from + length;
            kept.push(
              [results.copy(source, from, to, words), source.slice(from, to)],
              [results.copy(source, from, to), source.slice(from, to)],
            );
          }
        }
      }
    }
    source.fill(0);
    for (const [result, expected] of kept) {
      assertInstanceOf(result.buffer, ArrayBuffer);
      assertEquals(result, expected);
      result.fill(0xee); // Nothing that any other result shows.
    }
  });

  test(`${name}.copyTwo() joins two pieces`, () => {
    const results = new Results(slab);
    for (const first of LENGTHS) {
      for (const second of LENGTHS) {
        const a = shared(pattern(first + 5, 1));
        const b = pattern(second + 5, 2);
        const result = results.copyTwo(a, 2, 2 + first, b, 3, 3 + second);
        assertInstanceOf(result.buffer, ArrayBuffer);
        assertEquals(result.length, first + second);
        assertEquals(result.slice(0, first), a.slice(2, 2 + first));
        assertEquals(result.slice(first), b.slice(3, 3 + second));
      }
    }
  });

  test(`${name} results share no byte`, () => {
    const results = new Results(slab);
    const kept: Uint8Array[] = [];
    for (let i = 0; i < 2000; i++) {
      kept.push(results.copy(new Uint8Array(97).fill(i & 0xff), 0, i % 98));
    }
    kept.forEach((result, i) => {
      assert(result.every((byte) => byte === (i & 0xff)), `result ${i}`);
    });
    kept[150]?.fill(0xaa);
    kept[150] = new Uint8Array(0);
    kept.forEach((result, i) => {
      assert(result.every((byte) => byte === (i & 0xff)), `result ${i}`);
    });
  });

  test(`${name}: the transfer of one result empties no other`, () => {
    const results = new Results(slab);
    const kept = results.copy(pattern(10, 1), 0, 10);
    const given = results.copy(pattern(10, 2), 0, 10);
    const transfer = () => structuredClone(given, { transfer: [given.buffer] });
    if (slab) assertThrows(transfer);
    else assertEquals(transfer(), pattern(10, 2));
    assertEquals(kept, pattern(10, 1));
    assertEquals(results.copy(pattern(10, 3), 0, 10), pattern(10, 3));
    const sliced = results.copy(pattern(10, 4), 0, 10).slice();
    structuredClone(sliced, { transfer: [sliced.buffer] });
    assertEquals(sliced.length, 0);
  });

  test(`${name} gives a fresh empty array`, () => {
    const results = new Results(slab);
    const empty = results.copy(pattern(4, 1), 2, 2);
    assertEquals(empty.buffer.byteLength, 0);
    assertEquals(
      results.copyTwo(pattern(4, 1), 2, 2, pattern(4, 1), 3, 3).buffer
        .byteLength,
      0,
    );
  });
}
