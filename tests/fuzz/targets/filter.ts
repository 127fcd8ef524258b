/**
 * Filters: no false negative, and no more than a yes or no from whatever
 * bytes.
 *
 * @module
 */
import { hashKey, keyHash } from "../../../lib/encoding/hash.ts";
import {
  filterBuilder,
  isFilter,
  mayContain,
} from "../../../lib/sstable/filter.ts";
import { assert, assertEquals } from "../../assert.ts";
import { mutated, randomBytes } from "../support/mutate.ts";
import { FILLS, surrounded, type Target } from "../support/target.ts";

/** Filters. */
export const filter: Target = {
  name: "filter",
  run(random) {
    const builder = filterBuilder(1 + random.below(32), Infinity);
    const hashes = Array.from({ length: 1 + random.below(60) }, () => {
      const key = randomBytes(random, random.below(20));
      hashKey(key, 0, key.length);
      return { ...keyHash };
    });
    for (const { line, bits } of hashes) builder.add(line, bits);
    const valid = builder.finish();
    assert(valid !== undefined && isFilter(valid));
    for (const { line, bits } of hashes) {
      assert(mayContain(valid, line, bits), `${line} ${bits} is missing`);
    }
    const bytes = random.chance(30)
      ? randomBytes(random, 1 + 64 * random.below(4))
      : mutated(random, valid);
    const answers = FILLS.map((fill) => {
      const { bytes: whole, start } = surrounded(bytes, fill);
      const inside = whole.subarray(start, start + bytes.length);
      return isFilter(inside) &&
        hashes.map(({ line, bits }) => mayContain(inside, line, bits));
    });
    for (const other of answers) assertEquals(other, answers[0]);
  },
};
