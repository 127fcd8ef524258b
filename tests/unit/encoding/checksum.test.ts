/** What checksums are seeded with: part of every format, so its values are pinned. */
import { test } from "node:test";
import { placeSeed } from "../../../lib/encoding/checksum.ts";
import { checksum } from "../../../lib/runtime/checksum.ts";
import { assertEquals } from "../../assert.ts";
import { filled } from "../../engine/support/bytes.ts";

test("seeds never change: files on disk were summed with them", () => {
  const pinned: [file: number, offset: number, seed: number][] = [
    [0, 0, 2654435761],
    [1, 0, 1013904226],
    [1, 36, 1013904198],
    [2, 36, 3668340023],
    [7, 4096, 4055621000],
    [7, 4294967296, 1951401955],
    [7, 4294971392, 1951406051],
    [1099511627776, 140737488355328, 2063792561],
  ];
  for (const [file, offset, seed] of pinned) {
    assertEquals(placeSeed(file, offset), seed, `file ${file} at ${offset}`);
  }
});

test("the same bytes have another checksum in each place", () => {
  const bytes = filled(100);
  const sums = new Set<number>();
  let places = 0;
  const offsets = [0, 1, 36, 4096, 4101, 2 ** 31, 2 ** 32, 2 ** 32 + 36];
  for (let file = 0; file < 200; file++) {
    for (const offset of offsets) {
      sums.add(checksum(bytes, placeSeed(file, offset)));
      places++;
    }
  }
  assertEquals(sums.size, places);
});

test("no two offsets of a file have the same seed", () => {
  const seeds = new Set<number>();
  for (let offset = 0; offset < 100_000; offset++) {
    seeds.add(placeSeed(12, offset));
  }
  assertEquals(seeds.size, 100_000);
});
