/** The option `compression`: tables are smaller, and read whatever a handle writes. */
import { test } from "node:test";
import { attachWith } from "../../lib/attach.ts";
import { MemoryFileSystem, memoryRuntime } from "../../lib/runtime/memory.ts";
import type { Db, Options } from "../../mod.ts";
import { assert, assertEquals, assertGreater, assertLess } from "../assert.ts";
import { numbered, text } from "./support/bytes.ts";
import { LONG } from "./support/configs.ts";
import { openIn, withMemoryDb } from "./support/memory.ts";
import { Random } from "./support/random.ts";

const COUNT = 2000;
const PLAIN: Options = {
  durability: "buffered",
  compaction: { background: "off" },
};
const ZSTD: Options = { ...PLAIN, compression: "zstd" };

function valueOf(i: number): string {
  return JSON.stringify({ id: i, name: `person ${i % 50}`, city: "Somewhere" });
}

async function fill(db: Db, from = 0, to = COUNT): Promise<void> {
  for (let i = from; i < to; i++) {
    await db.put(numbered("person", i), valueOf(i));
  }
  await db.flush();
}

/** Asks for everything that {@linkcode fill} put, on every way that there is. */
function assertFilled(db: Pick<Db, "get" | "scan">, count = COUNT): void {
  const rows = Array.from(
    db.scan(),
    ([key, value]) => [text(key), text(value)],
  );
  const expected = Array.from(
    { length: count },
    (_, i) => [numbered("person", i), valueOf(i)],
  );
  assertEquals(rows, expected);
  const backwards = Array.from(db.scan({ reverse: true }).keys(), text);
  assertEquals(backwards, expected.map(([key]) => key).reverse());
  const random = new Random(4);
  for (let n = 0; n < 500; n++) {
    const i = random.below(count);
    assertEquals(text(db.get(numbered("person", i))), valueOf(i));
  }
  assertEquals(db.get("person"), undefined);
}

test(
  "compressed tables take a third of the room or less, and hold the same",
  LONG,
  async () => {
    let plainBytes = 0;
    await withMemoryDb(async (db) => {
      await fill(db);
      plainBytes = db.stats().totalTableBytes;
    }, PLAIN);
    assertGreater(plainBytes, 50_000);
    await withMemoryDb(async (db) => {
      await fill(db);
      assertLess(db.stats().totalTableBytes, plainBytes / 3);
      assertFilled(db);
      assertFilled(db); // now from the cache
    }, ZSTD);
  },
);

test(
  "what is compressed is the choice of the handle that writes, and read by any",
  LONG,
  async () => {
    const files = new MemoryFileSystem();
    const sizes: number[] = [];
    const steps: [Options, (db: Db) => Promise<unknown>][] = [
      [PLAIN, (db) => fill(db, 0, COUNT / 2)],
      [ZSTD, (db) => fill(db, COUNT / 2)],
      [PLAIN, () => Promise.resolve()],
      [ZSTD, (db) => db.majorCompact()],
      [PLAIN, async (db) => {
        await fill(db, 0, 1); // A clean table alone stays as it is.
        await db.majorCompact();
      }],
    ];
    for (const [i, [options, step]] of steps.entries()) {
      const db = await openIn(files, options);
      if (i >= 2) assertFilled(db);
      await step(db);
      assertFilled(db, i === 0 ? COUNT / 2 : COUNT);
      sizes.push(db.stats().totalTableBytes);
      await db.close();
    }
    const [half, mixed, , small, large] = sizes;
    assertLess(mixed, half * 1.4);
    assertLess(small, large / 3);
    assertGreater(large, half * 1.9);
  },
);

test(
  "a reader of a shared database reads compressed tables",
  LONG,
  () =>
    withMemoryDb(async (db, files) => {
      await fill(db);
      using reader = attachWith({ ...memoryRuntime(), files }, db.share());
      assertFilled(reader);
      await db.majorCompact();
      assertFilled(reader);
    }, ZSTD),
);

test(
  "values that cannot be compressed take no more room than without",
  LONG,
  async () => {
    const sizes: number[] = [];
    for (const options of [PLAIN, ZSTD]) {
      await withMemoryDb(async (db) => {
        const random = new Random(9);
        for (let i = 0; i < 500; i++) {
          const value = Uint8Array.from(
            { length: 200 },
            () => random.below(256),
          );
          await db.put(numbered("noise", i), value);
        }
        await db.flush();
        sizes.push(db.stats().totalTableBytes);
        assertEquals(Array.from(db.scan().keys()).length, 500);
      }, options);
    }
    const [plain, zstd] = sizes;
    assert(zstd <= plain, `${zstd} beside ${plain}`);
  },
);
