/**
 * Handles for reader threads: plain data that a program may have mixed up.
 *
 * @module
 */
import { attachWith } from "../../../lib/attach.ts";
import {
  MemoryFileSystem,
  memoryRuntime,
} from "../../../lib/runtime/memory.ts";
import type { ShareHandle } from "../../../lib/share/handle.ts";
import { assertEquals } from "../../assert.ts";
import { openWith } from "../../open.ts";
import type { Random } from "../../engine/support/random.ts";
import { PATH } from "../../engine/support/memory.ts";
import { refusalOf, type Target } from "../support/target.ts";

function oddValue(random: Random): unknown {
  return random.pick<unknown>([
    undefined,
    null,
    0,
    -1,
    NaN,
    2 ** 40,
    "",
    "/no/such/place",
    {},
    [],
    [1],
    [new SharedArrayBuffer(4)],
    new SharedArrayBuffer(0),
    new SharedArrayBuffer(6),
    new SharedArrayBuffer(64),
    new ArrayBuffer(4096),
  ]);
}

const NAMES: readonly (keyof ShareHandle)[] = [
  "format",
  "directory",
  "control",
  "arenas",
  "memtablesMax",
  "cache",
  "tableMemoryBytes",
  "leaseSeconds",
];

/** What stands in the control block where it says what it is. */
function changeWords(random: Random, handle: ShareHandle): ShareHandle {
  const control = new SharedArrayBuffer(handle.control.byteLength);
  new Uint8Array(control).set(new Uint8Array(handle.control));
  const words = new Int32Array(control);
  // An odd version would be waited for: the owner might be writing.
  const [place, word] = random.pick([[0, 0], [0, -1], [1, -1], [1, 0]]);
  words[place] = word;
  return { ...handle, control };
}

/** Handles. */
export const share: Target = {
  name: "share",
  async run(random) {
    const files = new MemoryFileSystem();
    const runtime = memoryRuntime(files);
    const db = await openWith({ ...runtime, files }, PATH, {
      writeBufferSize: 4096,
      blockCacheSize: 65_536,
      compaction: { background: "off" },
    });
    try {
      await db.put("key", "value");
      const handle = db.share();
      const name = random.pick(NAMES);
      const changed = random.chance(20)
        ? changeWords(random, handle)
        : { ...handle, [name]: oddValue(random) };
      try {
        using reader = attachWith(runtime, changed);
        const value = new TextDecoder().decode(reader.get("key"));
        assertEquals(value, "value", `${name}`);
      } catch (error) {
        refusalOf(error, ["INVALID_ARGUMENT", "CLOSED", "BUSY", "IO"]);
      }
    } finally {
      await db.close();
    }
  },
};
