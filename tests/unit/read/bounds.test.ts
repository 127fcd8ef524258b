/** Bounds of ranges: what lies between them is what the range holds. */
import { test } from "node:test";
import { isEmptyRange, resolveBounds } from "../../../lib/read/bounds.ts";
import type { Bounds } from "../../../lib/read/visible.ts";
import { assert, assertEquals, assertFalse } from "../../assert.ts";
import { throwsWith } from "../../engine/support/errors.ts";
import type { TextRange } from "../../engine/support/key_text.ts";
import { holds } from "../../engine/support/model.ts";
import { Random } from "../../engine/support/random.ts";
import { fromBytes, toBytes } from "../support/entries.ts";
import { smallKey } from "../support/keys.ts";

function resolve(range: TextRange): Bounds {
  const encode = (bound: unknown) => toBytes(bound as string); // Given below.
  return resolveBounds(range, encode, encode);
}

function isBetween({ start, end }: Bounds, key: string): boolean {
  return (start === undefined || key >= fromBytes(start)) &&
    (end === undefined || key < fromBytes(end));
}

function randomRange(random: Random): TextRange {
  const range: TextRange = {};
  if (random.chance(70)) {
    range[random.pick(["gt", "gte"] as const)] = smallKey(random);
  }
  if (random.chance(70)) {
    range[random.pick(["lt", "lte"] as const)] = smallKey(random);
  }
  if (random.chance(30)) range.prefix = smallKey(random).slice(0, 2);
  return range;
}

test("a key is between the bounds exactly if the range holds it", () => {
  let held = 0;
  for (let seed = 1; seed <= 2000; seed++) {
    const random = new Random(seed);
    const range = randomRange(random);
    const bounds = resolve(range);
    let holdsAny = false;
    for (let i = 0; i < 30; i++) {
      const key = smallKey(random);
      const expected = holds(range, key);
      holdsAny ||= expected;
      const message = `seed ${seed}, ${JSON.stringify([range, key])}`;
      assertEquals(isBetween(bounds, key), expected, message);
      if (expected) held++;
    }
    if (holdsAny) assertFalse(isEmptyRange(bounds), `seed ${seed}`);
  }
  assert(held > 1000);
});

test("isEmptyRange(): exactly if no key at all lies between", () => {
  for (let seed = 1; seed <= 2000; seed++) {
    const random = new Random(seed);
    const range = randomRange(random);
    const bounds = resolve(range);
    // If any key does, the first bound itself does: it is the least one.
    const least = bounds.start === undefined ? "" : fromBytes(bounds.start);
    const message = `seed ${seed}, ${JSON.stringify(range)}`;
    assertEquals(isEmptyRange(bounds), !isBetween(bounds, least), message);
  }
});

test("no bounds: no bounds", () => {
  assertEquals(resolve({}), { start: undefined, end: undefined });
  assertEquals(resolve({ prefix: "" }), { start: toBytes(""), end: undefined });
  assertEquals(resolve({ prefix: "\xff" }).end, undefined);
});

test("bounds that exclude each other are INVALID_ARGUMENT", () => {
  throwsWith("INVALID_ARGUMENT", () => resolve({ gt: "a", gte: "a" }));
  throwsWith("INVALID_ARGUMENT", () => resolve({ lt: "a", lte: "a" }));
});
