/**
 * A reader thread of the soak: reads while it is attached, and sees that no
 * key goes back to an older version.
 *
 * @module
 */
import { parentPort } from "node:worker_threads";
import { inspect } from "node:util";
import { attach, type ReadonlyDb, type ShareHandle } from "../../mod.ts";
import { assert } from "../assert.ts";
import { Random } from "../engine/support/random.ts";
import { keyOf, KEYS, versionOf } from "./workload.ts";

/** What the thread is told. */
export type Order = { readonly attach: ShareHandle } | {
  readonly detach: true;
};

/** What it answers: it let go, with how many reads it had done, or why it failed. */
export type Answer = { readonly detached: number } | { readonly error: string };

const READS_TOGETHER = 50;
const PAUSE_MS = 5;

const pause = () => new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
const random = new Random(1);
const seen = new Int32Array(KEYS);
let reads = 0;

/** A version that was read, unless the key was absent. */
function note(i: number, version: number): void {
  if (version === 0) return;
  assert(
    version >= seen[i],
    `key ${i} went back to ${version} from ${seen[i]}`,
  );
  seen[i] = version;
}

function readSome(db: ReadonlyDb): void {
  for (let n = 0; n < READS_TOGETHER; n++) {
    const i = random.below(KEYS);
    note(i, versionOf(i, db.get(keyOf(i))));
  }
  using snapshot = db.snapshot();
  const start = random.below(KEYS);
  let last = "";
  for (const [key, value] of snapshot.scan({ gte: keyOf(start), limit: 100 })) {
    const name = new TextDecoder().decode(key);
    assert(last < name, "rows out of order");
    last = name;
    const i = Number(name.slice("key ".length));
    note(i, versionOf(i, value));
  }
  reads += READS_TOGETHER + 1;
}

let isAttached = false;

/** Reads until it is told to let go. */
async function readOn(handle: ShareHandle): Promise<void> {
  using db = await attach(handle);
  while (isAttached) {
    readSome(db);
    await pause();
  }
}

if (parentPort === null) throw new Error("a worker thread, not a program");
const port = parentPort;
let reading: Promise<void> = Promise.resolve();
port.on("message", async (order: Order) => {
  try {
    if ("attach" in order) {
      isAttached = true;
      reading = readOn(order.attach);
    } else {
      isAttached = false;
    }
    await reading;
    if ("detach" in order) port.postMessage({ detached: reads });
  } catch (error) {
    port.postMessage({ error: inspect(error) });
  }
});
