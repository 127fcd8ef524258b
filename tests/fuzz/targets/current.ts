/**
 * CURRENT.
 *
 * @module
 */
import { MemoryFileSystem } from "../../../lib/runtime/memory.ts";
import { readCurrent, writeCurrent } from "../../../lib/version/current.ts";
import { assertEquals } from "../../assert.ts";
import { mutated, randomBytes } from "../support/mutate.ts";
import { sealCurrent } from "../support/seals.ts";
import { decode, type Target } from "../support/target.ts";

const DIRECTORY = "/db";
const PATH = `${DIRECTORY}/CURRENT`;

/** A line is refused, or it is the very line that would be written. */
export const current: Target = {
  name: "current",
  run(random) {
    const files = new MemoryFileSystem();
    files.makeDirectory(DIRECTORY);
    writeCurrent(files, DIRECTORY, {
      manifest: random.below(10 ** random.below(9)),
      snapshotLength: random.below(10 ** random.below(9)),
    });
    const valid = files.readFile(PATH);
    let bytes = random.chance(10)
      ? randomBytes(random, random.below(100))
      : mutated(random, valid);
    if (random.chance(70)) bytes = sealCurrent(bytes);
    files.writeFile(PATH, bytes);
    const outcome = decode(bytes.length, () => readCurrent(files, DIRECTORY));
    if ("refused" in outcome) return;
    writeCurrent(files, DIRECTORY, outcome.value);
    assertEquals(files.readFile(PATH), bytes);
  },
};
