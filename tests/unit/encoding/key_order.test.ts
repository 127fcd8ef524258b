/** Keys sorted in bulk: as one comparison after the other would sort them. */
import { test } from "node:test";
import { compareBytes } from "../../../lib/encoding/bytes.ts";
import {
  type KeyPlaces,
  orderOfKeys,
} from "../../../lib/encoding/key_order.ts";
import { assertEquals } from "../../assert.ts";
import { Random } from "../../engine/support/random.ts";

/** Places of keys that lie one behind the other, a stranger's byte between them. */
function placesOf(keys: readonly Uint8Array[]): KeyPlaces {
  const starts = new Float64Array(keys.length);
  const lengths = new Uint32Array(keys.length);
  const total = keys.reduce((sum, { length }) => sum + length + 1, 0);
  const bytes = new Uint8Array(total).fill(0x55);
  let at = 0;
  keys.forEach((key, i) => {
    bytes.set(key, at);
    starts[i] = at;
    lengths[i] = key.length;
    at += key.length + 1;
  });
  return { bytes, starts, lengths, count: keys.length };
}

function sortedPlainly(keys: readonly Uint8Array[]): number[] {
  return keys.map((_, i) => i)
    .sort((a, b) => compareBytes(keys[a], keys[b]) || a - b);
}

/** Keys of `letters` different bytes, as long as `longest` at most, behind a prefix. */
function randomKeys(
  random: Random,
  count: number,
  letters: number,
  longest: number,
  prefix: number,
): Uint8Array[] {
  return Array.from({ length: count }, () => {
    const key = new Uint8Array(prefix + random.below(longest + 1)).fill(7);
    for (let i = prefix; i < key.length; i++) {
      const letter = random.below(letters);
      key[i] = letter === letters - 1 ? 0xff : letter;
    }
    return key;
  });
}

test("keys are sorted by their bytes, equal ones by their number", () => {
  const random = new Random(1);
  for (const count of [0, 1, 2, 16, 17, 100, 3000]) {
    for (const letters of [1, 2, 3, 256]) {
      for (const longest of [0, 1, 4, 9, 40]) {
        for (const prefix of [0, 5]) {
          const keys = randomKeys(random, count, letters, longest, prefix);
          assertEquals(
            [...orderOfKeys(placesOf(keys))],
            sortedPlainly(keys),
            `${count} keys, ${letters} letters, up to ${longest} bytes`,
          );
        }
      }
    }
  }
});

test("many keys that are the same but for the zeros at their end are sorted by length", () => {
  const keys = Array.from(
    { length: 500 },
    (_, i) => new Uint8Array(i * 7 % 100),
  );
  assertEquals([...orderOfKeys(placesOf(keys))], sortedPlainly(keys));
});

test("keys that share 64 KiB took more calls than the stack has room for", () => {
  const keys = Array.from({ length: 40 }, (_, i) => {
    const key = new Uint8Array(65_536).fill(0x61);
    key[65_535] = i * 37 % 40;
    return key;
  });
  keys.push(new Uint8Array(1)); // Without it, what all share is left out.
  assertEquals([...orderOfKeys(placesOf(keys))], sortedPlainly(keys));
});
