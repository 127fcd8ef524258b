/**
 * Random damage to every file: whatever is left, an answer is right or it is
 * `CORRUPTION`, and no file is lost.
 *
 * Every test name carries its seed; `VARVE_SEED=n` runs that seed alone.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import process from "node:process";
import { test } from "node:test";
import { MemoryFileSystem } from "../../lib/runtime/memory.ts";
import { type Db, type Options, VarveError } from "../../mod.ts";
import { assert, assertEquals, assertInstanceOf } from "../assert.ts";
import { filled, numbered } from "./support/bytes.ts";
import { LONG } from "./support/configs.ts";
import { kindOf } from "./support/files.ts";
import {
  closeQuietly,
  damage,
  namesIn,
  openIn,
  PATH,
} from "./support/memory.ts";
import { Random } from "./support/random.ts";

const OPTIONS: Options = {
  blockSize: 256,
  compaction: { background: "off", minThreshold: 2 },
};

const CASES = 250;
const SEEDS = process.env.VARVE_SEED === undefined
  ? [1, 2, Date.now() % 1_000_000_000]
  : [Number(process.env.VARVE_SEED)];

/** All rows, in both directions and key by key; throws what reading throws. */
function readAll(db: Db): string {
  const all = [...db.scan()];
  assertEquals([...db.scan({ reverse: true })].reverse(), all);
  for (const [key, value] of all) assertEquals(db.get(key), value);
  return String(all);
}

/** A disk with tables, range tombstones and a log, and what it may hold. */
async function makeDisk(): Promise<
  { disk: MemoryFileSystem; possible: Set<string> }
> {
  const files = new MemoryFileSystem();
  const db = await openIn(files, OPTIONS);
  for (let table = 0; table < 3; table++) {
    for (let i = table; i < 60; i += 2) {
      await db.put(numbered("k", i), filled(40, i + table));
    }
    await db.deleteRange(
      numbered("k", table * 7),
      numbered("k", table * 7 + 4),
    );
    await db.delete(numbered("k", 50 + table));
    await db.flush();
  }
  // Only the log's newest writes may be lost.
  const possible = new Set([readAll(db)]);
  for (let i = 0; i < 12; i++) {
    await db.put(numbered("log", i), filled(20, i));
    possible.add(readAll(db));
  }
  const disk = files.afterProcessDeath();
  await closeQuietly(db);
  return { disk, possible };
}

/** One way in which disks spoil bytes. */
function spoil(random: Random, bytes: Uint8Array): Uint8Array {
  const at = random.below(bytes.length + 1);
  const end = Math.min(bytes.length, at + 1 + random.below(64));
  switch (random.below(6)) {
    case 0:
      return bytes.map((byte, i) => i === at ? byte ^ 1 << (at & 7) : byte);
    case 1:
      return bytes.fill(0, at, end);
    case 2:
      return bytes.slice(0, at);
    case 3:
      return Buffer.concat([bytes, filled(random.below(80) + 1, at)]);
    case 4:
      return bytes.copyWithin(at, random.below(bytes.length + 1), end);
    default:
      for (let i = at; i < end; i++) bytes[i] = random.below(256);
      return bytes;
  }
}

/** Runs `work`; a `VarveError` with code CORRUPTION is an answer, others are not. */
async function orCorruption<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    assertInstanceOf(error, VarveError, String(error));
    assertEquals(error.code, "CORRUPTION", String(error));
    return undefined;
  }
}

async function checkDamaged(
  disk: MemoryFileSystem,
  possible: Set<string>,
): Promise<void> {
  const tables = namesIn(disk).filter((name) => kindOf(name) === "table");
  const db = await orCorruption(() => openIn(disk, OPTIONS));
  if (db === undefined) return;
  try {
    const found = await orCorruption(() =>
      Promise.resolve().then(() => readAll(db))
    );
    assert(found === undefined || possible.has(found), "a wrong answer");
    const left = namesIn(disk);
    assert(tables.every((name) => left.includes(name)), "a table is gone");
    await orCorruption(() => db.majorCompact());
    const after = await orCorruption(() =>
      Promise.resolve().then(() => readAll(db))
    );
    assert(after === undefined || possible.has(after), "wrong once compacted");
    assertEquals(
      after === undefined,
      found === undefined,
      "hidden by compaction",
    );
  } finally {
    await closeQuietly(db);
  }
}

for (const seed of SEEDS) {
  test(
    `pitfall: random damage never makes a wrong answer, VARVE_SEED=${seed}`,
    LONG,
    async () => {
      const { disk: whole, possible } = await makeDisk();
      const names = namesIn(whole).filter((name) => kindOf(name) !== "lock");
      const random = new Random(seed);
      for (let n = 0; n < CASES; n++) {
        const disk = whole.afterProcessDeath();
        const done: string[] = [];
        for (let i = random.pick([1, 1, 1, 2, 3]); i > 0; i--) {
          const name = random.pick(names);
          damage(disk, name, (bytes) => spoil(random, bytes));
          const size = disk.readFile(`${PATH}/${name}`).length;
          done.push(`${name} (now ${size} bytes)`);
        }
        try {
          await checkDamaged(disk, possible);
        } catch (error) {
          throw new Error(`case ${n}: ${done.join(", ")}`, { cause: error });
        }
      }
    },
  );
}
