/**
 * Batches: what was put in comes out of the log that they are written to.
 *
 * @module
 */
import { encodedOf } from "../../../lib/write/batch.ts";
import { Batch } from "../../../mod.ts";
import { assertEquals } from "../../assert.ts";
import { refusalOf, type Target } from "../support/target.ts";
import {
  BEFORE,
  type LogOperation,
  newLog,
  replay,
} from "../../unit/support/logs.ts";
import { fromBytes, toBytes } from "../../unit/support/entries.ts";
import { randomBytes } from "../support/mutate.ts";

/** Batches. */
export const batch: Target = {
  name: "batch",
  run(random) {
    const made = new Batch();
    const expected: LogOperation[] = [];
    const someKey = () => {
      const length = random.chance(1) ? 65_536 + random.below(2) : 12;
      return fromBytes(randomBytes(random, random.below(length + 1)));
    };
    for (let i = random.below(20); i > 0; i--) {
      const kind = random.below(3);
      const [key, other] = [someKey(), kind === 1 ? "" : someKey()];
      try {
        if (kind === 0) made.put(toBytes(key), toBytes(other));
        else if (kind === 1) made.delete(toBytes(key));
        else made.deleteRange(toBytes(key), toBytes(other));
        const sequence = BEFORE + expected.length + 1;
        expected.push({ sequence, kind, key, value: other });
      } catch (error) {
        refusalOf(error, ["INVALID_ARGUMENT"]);
      }
    }
    assertEquals(made.size, expected.length);
    const { files, log } = newLog();
    const { bytes, length, count } = encodedOf(made);
    if (count > 0) log.appendEncoded(BEFORE + 1, count, bytes, 0, length);
    log.write();
    log.close();
    assertEquals(replay(files).operations, expected);
  },
};
