/**
 * Whole databases with one file changed: what opens answers in order and comes
 * to an end; what does not open stays as it is.
 *
 * @module
 */
import type { MemoryFileSystem } from "../../../lib/runtime/memory.ts";
import { parseFileName } from "../../../lib/version/files.ts";
import type { Db, Options } from "../../../mod.ts";
import { assert, assertEquals } from "../../assert.ts";
import { kindOf } from "../../engine/support/files.ts";
import {
  closeQuietly,
  namesIn,
  openIn,
  PATH,
} from "../../engine/support/memory.ts";
import type { Random } from "../../engine/support/random.ts";
import { makeSpecimens, type Specimen } from "../../crash/support/specimens.ts";
import { endLimit, setLimit } from "../support/allocations.ts";
import { mutated } from "../support/mutate.ts";
import {
  sealCurrent,
  sealLog,
  sealManifest,
  sealTable,
} from "../support/seals.ts";
import { putTogether, takeApart } from "../support/table_parts.ts";
import { refusalOf, type Target } from "../support/target.ts";

const OPTIONS: Options = {
  writeBufferSize: 4096,
  maxFrozenMemtables: 16,
  blockSize: 256,
  blockCacheSize: 4096,
  compaction: { background: "off", minThreshold: 2 },
};
/** No buffer of a small database is larger. */
const BUFFER_MAX = 2 * 1024 * 1024;
/** More rows than the bytes of all files could hold. */
const ROWS_MAX = 20_000;

let made: Promise<Specimen[]> | undefined;
const specimens = () => made ??= makeSpecimens();

/** A table with one of its parts changed. */
function changeTable(random: Random, bytes: Uint8Array, number: number) {
  const parts = takeApart(bytes, number);
  const part = random.pick(
    ["ranges", "filter", "properties", "block"] as const,
  );
  if (part !== "block") parts[part] = mutated(random, parts[part]);
  else if (parts.blocks.length > 0) {
    const block = random.pick(parts.blocks);
    block.content = mutated(random, block.content);
  }
  return putTogether(parts);
}

/** A file with some bytes changed, and checksums that match. */
function change(random: Random, name: string, bytes: Uint8Array): Uint8Array {
  const number = parseFileName(name)?.number ?? 0;
  switch (kindOf(name)) {
    case "current":
      return sealCurrent(mutated(random, bytes));
    case "manifest":
      return sealManifest(mutated(random, bytes), number);
    case "log":
      return sealLog(mutated(random, bytes), number);
    default:
      return random.chance(60)
        ? changeTable(random, bytes, number)
        : sealTable(mutated(random, bytes), number, []);
  }
}

/** Makes a table of another length one that the manifest knows, as far as that is possible in place. */
function fitLength(bytes: Uint8Array, length: number): Uint8Array {
  if (bytes.length === length) return bytes;
  const fitted = new Uint8Array(length);
  const spare = length - bytes.length;
  if (spare < 0) return bytes;
  // What is missing goes in front of the footer.
  fitted.set(bytes.subarray(0, bytes.length - 72));
  fitted.set(bytes.subarray(bytes.length - 72), length - 72);
  return fitted;
}

/** The names and bytes of all files, but for the lock. */
function contents(files: MemoryFileSystem): [string, Uint8Array][] {
  return namesIn(files).filter((name) => kindOf(name) !== "lock")
    .map((name) => [name, files.readFile(`${PATH}/${name}`)]);
}

/** Runs `call`; whether it came to an end without a refusal. */
async function attempt(call: () => unknown): Promise<boolean> {
  try {
    await call();
    return true;
  } catch (error) {
    refusalOf(error, ["CORRUPTION", "READ_ONLY"]);
    return false;
  }
}

function keysOf(db: Db, reverse: boolean): string[] {
  const keys: string[] = [];
  for (const [key] of db.scan({ reverse })) {
    keys.push(Array.from(key, (b) => String.fromCharCode(b)).join(""));
    assert(keys.length < ROWS_MAX, "a scan without end");
  }
  return keys;
}

/** The same rows by the chunk; whatever the files hold, they lie in their chunk. */
function walkInChunks(db: Db, reverse: boolean): void {
  let rows = 0;
  for (const chunk of db.scan({ reverse }).chunks()) {
    for (const place of chunk.places) {
      assert(place >= 0 && place <= chunk.bytes.length, "a row outside");
    }
    rows += chunk.length;
    assert(rows < ROWS_MAX, "a scan without end");
  }
}

/** Reads and rewrites everything. */
async function use(
  db: Db,
  keys: readonly string[],
  isOrdered: boolean,
): Promise<void> {
  await attempt(() => {
    for (const reverse of [false, true]) walkInChunks(db, reverse);
  });
  await attempt(() => {
    const forwards = keysOf(db, false);
    const backwards = keysOf(db, true);
    if (!isOrdered) return;
    assertEquals(forwards, [...new Set(forwards)].sort(), "order of rows");
    assertEquals(backwards, forwards.toReversed());
  });
  for (const key of keys) await attempt(() => db.get(key));
  await attempt(() => db.put("written", "after the damage"));
  await attempt(() => db.flush());
  await attempt(() => db.majorCompact());
  await attempt(() => keysOf(db, false));
}

/** Databases. */
export const database: Target = {
  name: "database",
  async run(random) {
    const specimen = random.pick(await specimens());
    const files = specimen.files.afterProcessDeath();
    const name = random.pick(
      namesIn(files).filter((n) => !["lock", "foreign"].includes(kindOf(n))),
    );
    const path = `${PATH}/${name}`;
    const bytes = files.readFile(path);
    const changed = change(random, name, bytes);
    files.writeFile(
      path,
      kindOf(name) === "table" ? fitLength(changed, bytes.length) : changed,
    );
    const before = contents(files);
    const report = `${specimen.name}, ${name}`;
    let db: Db | undefined;
    setLimit(BUFFER_MAX);
    try {
      const isOpen = await attempt(async () => {
        db = await openIn(files, OPTIONS);
      });
      if (!isOpen) {
        assertEquals(contents(files), before, `${report}: files changed`);
      } else if (db !== undefined) {
        // The order of a table's keys is trusted: who wrote it has checked it.
        await use(db, specimen.keys, kindOf(name) !== "table");
      }
    } catch (error) {
      throw new Error(report, { cause: error });
    } finally {
      if (db !== undefined) await closeQuietly(db);
      endLimit();
    }
  },
};
