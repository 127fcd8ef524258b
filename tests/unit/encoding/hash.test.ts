/** The hash of keys: part of the table format, so its values are pinned. */
import { test } from "node:test";
import { hashKey, keyHash } from "../../../lib/encoding/hash.ts";
import { assert, assertEquals, assertLess } from "../../assert.ts";
import { Random } from "../../engine/support/random.ts";
import { toBytes } from "../support/entries.ts";
import { randomKey } from "../support/keys.ts";

function hashOf(key: string): [line: number, bits: number] {
  hashKey(toBytes(key), 0, key.length);
  return [keyHash.line, keyHash.bits];
}

test("the hash never changes: filters on disk were made with it", () => {
  const pinned: [key: string, line: number, bits: number][] = [
    ["", 2628190328, -717207921],
    ["a", 3227997479, -1847763020],
    ["ab", 3968227763, 93122414],
    ["abc", 2817353686, -2017552412],
    ["abcd", 1425373955, -1471777265],
    ["abcde", 676231503, -1008072902],
    ["\x00", 1822669166, -286692960],
    ["\x00\x00\x00\x00\x00", 1056359219, 968011903],
    ["\xff\xff\xff\xff\xff\xff\xff", 214994532, -772917888],
    ["users/by-name/00000001", 2783801712, 82893450],
    ["\x80\x81\x82\x83", 1667178952, -1302896678],
  ];
  for (const [key, line, bits] of pinned) {
    assertEquals(
      hashOf(key),
      [line, bits],
      `${JSON.stringify(key)}: another hash needs another table version`,
    );
  }
});

test("the hash of a part of a buffer is that of its bytes", () => {
  const seed = 104;
  const random = new Random(seed);
  for (let i = 0; i < 500; i++) {
    const key = randomKey(random);
    const expected = hashOf(key);
    const [before, after] = [randomKey(random), randomKey(random)];
    const start = before.length;
    hashKey(toBytes(before + key + after), start, start + key.length);
    const message = `seed ${seed}, ${JSON.stringify([before, key, after])}`;
    assertEquals([keyHash.line, keyHash.bits], expected, message);
  }
});

test("lanes are a 32-bit number each, the first without sign", () => {
  const random = new Random(105);
  for (let i = 0; i < 1000; i++) {
    const [line, bits] = hashOf(randomKey(random));
    assertEquals(line, line >>> 0);
    assertEquals(bits, bits | 0);
  }
});

test("similar keys spread evenly over both lanes", () => {
  const buckets = 64;
  const keys = 64_000;
  const counts = [new Uint32Array(buckets), new Uint32Array(buckets)];
  const seen = new Set<number>();
  for (let i = 0; i < keys; i++) {
    const [line, bits] = hashOf(`user/${String(i).padStart(8, "0")}`);
    counts[0][line >>> 26]++;
    counts[1][bits >>> 26]++;
    seen.add(line);
  }
  // Chi squared with 63 degrees of freedom: 120 has a chance of one in 10,000.
  for (const lane of counts) {
    const mean = keys / buckets;
    let chi = 0;
    for (const count of lane) chi += (count - mean) ** 2 / mean;
    assertLess(chi, 120);
  }
  // 64,000 of 2^32 collide half a time on average.
  assert(keys - seen.size < 8, `${keys - seen.size} collisions`);
});

test("trailing zeros and lengths make a difference", () => {
  const hashes = new Set<string>();
  for (let length = 0; length < 40; length++) {
    hashes.add(hashOf("\0".repeat(length)).join());
    hashes.add(hashOf(`a${"\0".repeat(length)}`).join());
  }
  assertEquals(hashes.size, 80);
});
