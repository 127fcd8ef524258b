/** Writers that are faster than flushes and compactions: delayed if they await, refused past a bound if not; and what the program is told. */
import { test } from "node:test";
import type { Db, Options, TreeEvent } from "../../mod.ts";
import { VarveError } from "../../mod.ts";
import {
  assert,
  assertEquals,
  assertGreater,
  assertGreaterOrEqual,
  assertLess,
} from "../assert.ts";
import { open } from "../open.ts";
import { withTempDir } from "../temp.ts";
import { LONG } from "./support/configs.ts";

const VALUE = new Uint8Array(10_000);

async function withDb(
  options: Options,
  use: (db: Db) => Promise<void>,
): Promise<void> {
  await withTempDir(async (dir) => {
    const db = await open(dir, { durability: "buffered", ...options });
    try {
      await use(db);
    } finally {
      await db.close();
    }
  });
}

/** Collects what a database tells. */
function listen(db: Db): TreeEvent[] {
  const told: TreeEvent[] = [];
  for (const type of ["flush", "compaction", "stall", "worker", "error"]) {
    db.events.addEventListener(type, (event) => {
      const { detail } = event as CustomEvent<TreeEvent>;
      assertEquals(detail.type, event.type);
      told.push(detail);
    });
  }
  return told;
}

test(
  "a writer that never awaits is refused with BUSY past a bound, and what was refused is not there",
  LONG,
  () =>
    withDb({ writeBufferSize: 256 * 1024 }, async (db) => {
      const outcomes: Promise<boolean>[] = [];
      for (let i = 0; i < 4000; i++) {
        outcomes.push(
          db.put(`key${i}`, VALUE).then(() => true, (error) => {
            assert(error instanceof VarveError);
            assertEquals(error.code, "BUSY");
            return false;
          }),
        );
      }
      const { memtable, stalls } = db.stats();
      assertLess(memtable.bytes, 12 * 1024 * 1024);
      assertGreater(stalls.refused, 0);
      const accepted = await Promise.all(outcomes);
      assertGreater(accepted.filter((is) => is).length, 500);
      assertEquals(accepted.filter((is) => !is).length, stalls.refused);
      accepted.forEach((is, i) => assertEquals(db.has(`key${i}`), is));
      await db.put("afterwards", VALUE);
      assert(db.has("afterwards"));
    }),
);

test(
  "a writer that awaits is only delayed, however small the buffers",
  LONG,
  () =>
    withDb(
      { writeBufferSize: 16 * 1024, maxFrozenMemtables: 1 },
      async (db) => {
        const told = listen(db);
        for (let i = 0; i < 300; i++) await db.put(`key${i % 130}`, VALUE);
        const { stalls, frozenCount } = db.stats();
        assertEquals(stalls.refused, 0);
        assertLess(frozenCount, 4);
        assertGreater(stalls.count, 0);
        assertGreater(stalls.seconds, 0);
        await db.flush();
        await new Promise((resolve) => setTimeout(resolve, 20));
        const ends = told.filter((e) => e.type === "stall" && !e.begins);
        const begins = told.filter((e) => e.type === "stall" && e.begins);
        assertGreater(begins.length, 0);
        assertGreaterOrEqual(begins.length, ends.length);
        for (const end of ends) {
          assert(end.type === "stall" && end.seconds >= 0);
          assertEquals(end.reason, "flush");
        }
      },
    ),
);

test(
  "many writers that await their own writes are never refused",
  LONG,
  () =>
    withDb({ writeBufferSize: 64 * 1024 }, async (db) => {
      await Promise.all(Array.from({ length: 64 }, async (_, writer) => {
        for (let i = 0; i < 30; i++) await db.put(`${writer}/${i}`, VALUE);
      }));
      assertEquals(db.stats().stalls.refused, 0);
      assertEquals([...db.scan().keys()].length, 64 * 30);
    }),
);

for (const durability of ["buffered", "sync"] as const) {
  test(
    `the event loop has its turns while a program does nothing but await ${durability} writes`,
    LONG,
    () =>
      withDb({ durability }, async (db) => {
        const value = new Uint8Array(100);
        let ticks = 0;
        const timer = setInterval(() => ticks++, 1);
        const start = performance.now();
        for (let i = 0; performance.now() - start < 400; i++) {
          await db.put(`key${i}`, value);
        }
        clearInterval(timer);
        assertGreater(ticks, 20);
      }),
  );
}

test(
  "flushes and compactions are told as stats count them",
  LONG,
  () =>
    withDb({
      compaction: { strategy: "size-tiered", minThreshold: 2 },
    }, async (db) => {
      const told = listen(db);
      for (let round = 0; round < 4; round++) {
        for (let i = 0; i < 50; i++) await db.put(`key${i}`, `${round}`);
        await db.flush();
      }
      await db.majorCompact();
      await new Promise((resolve) => setTimeout(resolve, 50));
      const { flush, compaction } = db.stats();
      const flushes = told.filter((event) => event.type === "flush");
      const compactions = told.filter((event) => event.type === "compaction");
      assertEquals(flushes.length, flush.runs);
      assertEquals(compactions.length, compaction.runs);
      assertGreater(compactions.length, 0);
      const sum = (of: (event: { bytesRead: number }) => number) =>
        flushes.reduce((total, event) => total + of(event), 0);
      assertEquals(sum((event) => event.bytesRead), flush.bytesRead);
      for (const { entries } of flushes) assertEquals(entries, 50);
    }),
);

test(
  "a listener that calls the database breaks nothing",
  LONG,
  () =>
    withDb({}, async (db) => {
      let calls = 0;
      db.events.addEventListener("flush", () => {
        calls++;
        db.put("from a listener", `${calls}`);
      });
      await db.put("a", "1");
      await db.flush();
      await db.put("b", "2");
      await db.flush();
      assertEquals(calls, 2);
      assert(db.has("from a listener"));
    }),
);
