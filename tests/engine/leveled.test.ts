/** Leveled compaction through the public handle: several levels deep, nothing is lost and scans see everything once. */
import { test } from "node:test";
import type { Db, Options, Snapshot } from "../../mod.ts";
import { MemoryFileSystem } from "../../lib/runtime/memory.ts";
import {
  assert,
  assertEquals,
  assertGreater,
  assertLess,
  assertLessOrEqual,
} from "../assert.ts";
import { LONG } from "./support/configs.ts";
import {
  closeQuietly,
  namesOf,
  openIn,
  withMemoryDb,
} from "./support/memory.ts";
import { Random } from "./support/random.ts";

const OPTIONS: Options = {
  writeBufferSize: 16 * 1024,
  blockSize: 512,
  durability: "buffered",
  compaction: { strategy: "leveled", background: "inline", minThreshold: 2 },
};

const decoder = new TextDecoder();

function keyOf(n: number): string {
  return `k${String(n).padStart(6, "0")}`;
}

/** Compacts until nothing is due. */
async function settle(db: Db): Promise<void> {
  while (await db.minorCompact());
}

/** A model whose keys are whole numbers below a bound. */
class Numbers {
  readonly values: (string | undefined)[];

  constructor(keys: number) {
    this.values = new Array(keys).fill(undefined);
  }

  rows(start: number, end: number): string[] {
    const rows: string[] = [];
    for (let n = start; n < end; n++) {
      if (this.values[n] !== undefined) {
        rows.push(`${keyOf(n)}=${this.values[n]}`);
      }
    }
    return rows;
  }
}

function rowsOf(
  reader: Db | Snapshot,
  start: number,
  end: number,
  reverse: boolean,
): string[] {
  const scan = reader.scan({ gte: keyOf(start), lt: keyOf(end), reverse });
  const rows = [...scan].map(([key, value]) =>
    `${decoder.decode(key)}=${decoder.decode(value)}`
  );
  return reverse ? rows.reverse() : rows;
}

function compare(
  reader: Db | Snapshot,
  model: Numbers,
  random: Random,
  times: number,
): void {
  const count = model.values.length;
  for (let i = 0; i < times; i++) {
    const start = random.below(count);
    const end = Math.min(count, start + 1 + random.below(400));
    assertEquals(
      rowsOf(reader, start, end, random.chance(50)),
      model.rows(start, end),
    );
    for (let j = 0; j < 20; j++) {
      const n = random.below(count);
      const value = reader.get(keyOf(n));
      assertEquals(value && decoder.decode(value), model.values[n]);
    }
  }
}

for (const seed of [1, 2, 3]) {
  test(
    `a tree of several levels holds what was written, seed ${seed}`,
    LONG,
    async () => {
      const random = new Random(seed);
      const files = new MemoryFileSystem();
      const model = new Numbers(20_000);
      let db = await openIn(files, OPTIONS);
      let held: { snapshot: Snapshot; model: Numbers } | undefined;
      try {
        for (let round = 0; round < 40; round++) {
          let last: Promise<void> | undefined;
          for (let i = 0; i < 700; i++) {
            const n = random.below(20_000);
            if (random.chance(85)) {
              const value = `${round}.${i}${"v".repeat(random.below(120))}`;
              model.values[n] = value;
              last = db.put(keyOf(n), value);
            } else if (random.chance(98)) {
              model.values[n] = undefined;
              last = db.delete(keyOf(n));
            } else {
              const end = Math.min(20_000, n + 1 + random.below(1000));
              model.values.fill(undefined, n, end);
              last = db.deleteRange(keyOf(n), keyOf(end));
            }
          }
          await last;
          compare(db, model, random, 3);
          if (held !== undefined) compare(held.snapshot, held.model, random, 2);
          if (round % 9 === 3) {
            held?.snapshot.close();
            const copy = new Numbers(0);
            copy.values.push(...model.values);
            held = { snapshot: db.snapshot(), model: copy };
          }
          if (round % 13 === 7) {
            held?.snapshot.close();
            held = undefined;
            await db.close();
            db = await openIn(files, OPTIONS);
          }
        }
        await db.flush();
        await settle(db);
        const { levels } = db.stats();
        assertGreater(levels.filter(({ tables }) => tables > 0).length, 1);
        assertLess(levels[0].tables, 2);
        assertGreater(levels[6].tables, 20);
        assertEquals(rowsOf(db, 0, 20_000, false), model.rows(0, 20_000));
        held?.snapshot.close();
        assert(await db.majorCompact());
        const { levels: after, tableCount } = db.stats();
        assertLess(db.stats().spaceAmplification, 1.01);
        assertEquals(after[6].tables, tableCount);
        assertEquals(after[6].entries, model.rows(0, 20_000).length);
        assertEquals(after[6].tombstones + after[6].rangeTombstones, 0);
        assertEquals(rowsOf(db, 0, 20_000, true), model.rows(0, 20_000));
        assertEquals(namesOf(files, "table").length, tableCount);
        assertEquals(await db.majorCompact(), false);
        // The other strategy takes the tree as it is, and the other way round.
        await db.close();
        db = await openIn(files, {
          ...OPTIONS,
          compaction: { strategy: "size-tiered" },
        });
        for (let n = 0; n < 20_000; n += 7) void db.put(keyOf(n), "again");
        for (let n = 0; n < 20_000; n += 7) model.values[n] = "again";
        await db.flush();
        assert(await db.majorCompact());
        assertEquals(db.stats().tableCount, 1);
        await db.close();
        db = await openIn(files, OPTIONS);
        compare(db, model, random, 10);
      } finally {
        await closeQuietly(db);
      }
    },
  );
}

test("a range delete of everything removes the tables under it without reading them", () =>
  withMemoryDb(async (db, files) => {
    for (let n = 0; n < 5000; n++) void db.put(keyOf(n), "v".repeat(100));
    await db.flush();
    await settle(db);
    const { totalTableBytes } = db.stats();
    assertGreater(totalTableBytes, 400_000);
    await db.clear();
    await db.flush();
    const before = db.stats();
    while (await db.minorCompact());
    const after = db.stats();
    assertLess(after.totalTableBytes, 2000);
    assertLessOrEqual(after.tableCount, 2);
    assertEquals(after.blockReads, before.blockReads);
    assertLess(after.compaction.bytesRead - before.compaction.bytesRead, 5000);
    assertEquals(namesOf(files, "table").length, after.tableCount);
    assertEquals([...db.scan()], []);
  }, OPTIONS));

test("ascending keys are moved from level to level, and written once", () =>
  withMemoryDb(async (db) => {
    for (let n = 0; n < 20_000; n++) {
      const written = db.put(keyOf(n), "v".repeat(60));
      if (n % 500 === 0) await written;
    }
    await db.flush();
    await settle(db);
    const { compaction, flush, levels } = db.stats();
    assertGreater(flush.bytesWritten, 1_000_000);
    assertEquals(compaction.bytesWritten, 0);
    assertLess(levels[0].tables, 2);
    assertEquals([...db.scan().keys()].length, 20_000);
  }, OPTIONS));
