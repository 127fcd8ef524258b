/** Where a lookup leaves what it found: the highest sequence wins. */
import { test } from "node:test";
import { Found, MAX_SEQUENCE, PUT, TOMBSTONE } from "../../lib/cursor.ts";
import { assertEquals, assertGreater } from "../assert.ts";
import { filled } from "../engine/support/bytes.ts";
import { Random } from "../engine/support/random.ts";

const VALUE = filled(10);

test("nothing was found at first, and after a reset", () => {
  const found = new Found();
  assertEquals([found.sequence, found.kind], [0, TOMBSTONE]);
  found.offer(5, PUT, VALUE, 2, 4);
  found.reset();
  assertEquals([found.sequence, found.kind], [0, TOMBSTONE]);
  assertEquals(found.value.length, 0);
});

test("of all that is offered, in whatever order, the newest stays", () => {
  for (let seed = 1; seed <= 100; seed++) {
    const random = new Random(seed);
    const found = new Found();
    let newest = 0;
    let kind = TOMBSTONE;
    let start = 0;
    for (let i = 0; i < 20; i++) {
      const sequence = 1 + random.below(1000);
      const isNewer = sequence > newest;
      if (isNewer) newest = sequence;
      if (random.chance(30)) {
        found.offerTombstone(sequence);
        if (isNewer) kind = TOMBSTONE;
      } else {
        const offered = random.chance(50) ? PUT : TOMBSTONE;
        const at = random.below(10);
        found.offer(sequence, offered, VALUE, at, 10);
        if (isNewer) [kind, start] = [offered, at];
      }
      assertEquals(
        [found.sequence, found.kind],
        [newest, kind],
        `seed ${seed}`,
      );
      if (kind === PUT) assertEquals([found.start, found.end], [start, 10]);
    }
  }
});

test("of two with one sequence the first stays: they are the same entry", () => {
  const found = new Found();
  found.offer(5, PUT, VALUE, 1, 2);
  found.offer(5, PUT, VALUE, 3, 4);
  found.offerTombstone(5);
  assertEquals([found.kind, found.start], [PUT, 1]);
});

test("no sequence that the formats can hold is above the greatest", () => {
  assertEquals(MAX_SEQUENCE, 2 ** 48 - 1);
  assertGreater(Number.MAX_SAFE_INTEGER, MAX_SEQUENCE);
});
