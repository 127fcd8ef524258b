import { test } from "node:test";
import { FragmentSearch } from "../../../lib/memtable/fragment_search.ts";
import {
  coveringSequence,
  RangeTombstones,
} from "../../../lib/memtable/range_tombstones.ts";
import { assertEquals } from "../../assert.ts";
import { compareBytes, utf8Bytes } from "../../../lib/encoding/bytes.ts";

/** Keys that share nothing, much, their first four bytes behind a prefix, or are each other's prefixes. */
const KEYS = ["", "a", "k", "k\0", "k\0\0", "k00", "k0000", "k00001", "k000010"]
  .concat(Array.from({ length: 60 }, (_, i) => `k0000${i * 7}`))
  .concat(["k1", "k1\x7f", "k2", "l", "z\0"])
  .map(utf8Bytes);

for (const prefix of ["", "p", "prefix/of/all/"]) {
  test(`a search by integers finds what a search by bytes finds: prefix "${prefix}"`, () => {
    const keys = KEYS.map((key) => Uint8Array.of(...utf8Bytes(prefix), ...key));
    const probes = [...keys, ...KEYS, utf8Bytes(prefix)];
    let random = 12345;
    const below = (bound: number) => {
      random = (Math.imul(random, 1103515245) + 12345) & 0x7fffffff;
      return (random >>> 8) % bound;
    };
    for (let round = 0; round < 60; round++) {
      const ranges = new RangeTombstones();
      for (let sequence = 1; sequence <= 1 + round; sequence++) {
        const start = keys[below(keys.length)];
        const end = utf8Bytes(below(9) === 0 ? "" : `${prefix}k${below(90)}`);
        if (end.length === 0 || compareBytes(start, end) < 0) {
          ranges.add(start, end, sequence);
        }
      }
      if (ranges.size === 0) continue;
      const fragments = ranges.list();
      const search = new FragmentSearch(fragments);
      for (const key of probes) {
        for (const sequence of [0, 3, 30, 1000]) {
          assertEquals(
            search.covering(key, key.length, sequence),
            coveringSequence(fragments, key, 0, key.length, sequence),
          );
        }
      }
    }
  });
}
