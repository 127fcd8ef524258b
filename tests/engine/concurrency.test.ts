/**
 * Many writers, readers and maintenance calls on one handle at once.
 *
 * @module
 */
import { test } from "node:test";
import type { Db, Options } from "../../mod.ts";
import { assert, assertEquals, assertGreater, assertLess } from "../assert.ts";
import { filled, keys, numbered, rows, text } from "./support/bytes.ts";
import { LONG } from "./support/configs.ts";
import { withDb } from "./support/database.ts";
import { Random } from "./support/random.ts";

/** Small buffers, so that flushes and compactions run all the time. */
const BUSY: Options = {
  writeBufferSize: 8192,
  blockSize: 512,
  blockCacheSize: 32 * 1024,
  durability: "buffered",
  compaction: { minThreshold: 2 },
};

/** Runs `count` writers, each of which awaits its own writes one by one. */
async function runWriters(
  db: Db,
  count: number,
  writes: number,
): Promise<void> {
  const writer = async (id: number) => {
    for (let i = 0; i < writes; i++) {
      await db.put(numbered(`w${id}`, i), `${id}:${i}`);
    }
  };
  await Promise.all(Array.from({ length: count }, (_, id) => writer(id)));
}

function expectWriters(db: Db, count: number, writes: number): void {
  for (let id = 0; id < count; id++) {
    for (let i = 0; i < writes; i++) {
      assertEquals(text(db.get(numbered(`w${id}`, i))), `${id}:${i}`);
    }
  }
}

test("64 writers share the syncs of the log", LONG, () =>
  withDb(async (db) => {
    await runWriters(db, 64, 20);
    const { syncs, commits, commitsPerSync } = db.stats().wal;
    assertEquals(commits, 64 * 20);
    assertLess(syncs, commits / 4);
    assertGreater(commitsPerSync, 4);
    assertEquals(commitsPerSync, commits / syncs);
    expectWriters(db, 64, 20);
  }));

test(
  "one writer that awaits each write gets one sync for each",
  LONG,
  () =>
    withDb(async (db) => {
      await runWriters(db, 1, 20);
      const { syncs, commits } = db.stats().wal;
      assertEquals([syncs, commits], [20, 20]);
    }),
);

test(
  "writers go on while flushes and compactions run",
  LONG,
  () =>
    withDb(async (db) => {
      await runWriters(db, 16, 300);
      await db.flush();
      assertGreater(db.stats().flush.runs, 10);
      assertGreater(db.stats().compaction.runs, 0);
      expectWriters(db, 16, 300);
      assertEquals(keys(db.scan()).length, 16 * 300);
    }, BUSY),
);

test(
  "explicit maintenance calls from everywhere at once come to an end",
  LONG,
  () =>
    withDb(async (db) => {
      const maintain = async () => {
        for (let i = 0; i < 5; i++) {
          await db.flush();
          await db.minorCompact();
          await db.tombstoneCompact();
          await db.majorCompact();
        }
      };
      await Promise.all([
        runWriters(db, 8, 100),
        maintain(),
        maintain(),
        maintain(),
      ]);
      await db.majorCompact();
      assertEquals(db.stats().tableCount, 1);
      expectWriters(db, 8, 100);
    }, BUSY),
);

test(
  "a writer that never awaits loses nothing, and reads what it wrote",
  LONG,
  () =>
    withDb(async (db) => {
      const waiting: Promise<void>[] = [];
      for (let i = 0; i < 5000; i++) {
        const key = numbered("k", i % 1000);
        waiting.push(db.put(key, `${i}`));
        if (i % 97 === 0) assertEquals(text(db.get(key)), `${i}`);
      }
      const seen = rows(db.scan());
      assertEquals(seen.length, 1000);
      assertEquals(seen[7], ["k_0007", "4007"]);
      await Promise.all(waiting);
      assertEquals(rows(db.scan()), seen);
    }, BUSY),
);

test(
  "promises of writes resolve in the order of the calls",
  LONG,
  () =>
    withDb(async (db) => {
      const order: number[] = [];
      const waiting = Array.from(
        { length: 200 },
        (_, i) => db.put(numbered("k", i), "v").then(() => order.push(i)),
      );
      await Promise.all(waiting);
      assertEquals(order, order.toSorted((a, b) => a - b));
    }, { durability: "sync", writeBufferSize: 4096 }),
);

test(
  "scans held open over flushes, compactions and deletes see their moment",
  LONG,
  () =>
    withDb(async (db) => {
      const held: {
        rest: Iterator<[Uint8Array, Uint8Array]>;
        from: string[];
      }[] = [];
      for (let round = 0; round < 8; round++) {
        for (let i = 0; i < 200; i++) {
          await db.put(numbered("k", i), `${round}:${i}`);
        }
        const from = rows(db.scan()).map((row) => row.join("="));
        const scan = db.scan();
        held.push({ rest: scan[Symbol.iterator](), from });
        const reverse = db.scan({ reverse: true });
        held.push({
          rest: reverse[Symbol.iterator](),
          from: from.toReversed(),
        });
        await db.deleteRange(
          numbered("k", round * 20),
          numbered("k", round * 30 + 1),
        );
        if (round % 3 === 1) await db.flush();
        if (round % 3 === 2) await db.majorCompact();
        // Each open scan moves on a little between the changes.
        for (const { rest, from } of held) {
          for (let step = 0; step < 10; step++) {
            assertEquals(rows([rest.next().value!])[0].join("="), from.shift());
          }
        }
      }
      await db.clear();
      await db.majorCompact();
      for (const { rest, from } of held) {
        for (const expected of from) {
          assertEquals(rows([rest.next().value!])[0].join("="), expected);
        }
        assert(rest.next().done);
      }
      assertEquals(db.stats().openScans, 0);
    }, BUSY),
);

test(
  "for await scans run beside writers and see one moment each",
  LONG,
  () =>
    withDb(async (db) => {
      for (let i = 0; i < 1000; i++) db.put(numbered("k", i), "0");
      await db.flush();
      let running = true;
      const write = async () => {
        for (let round = 1; running; round++) {
          // All keys change in one batch: a scan must never see two rounds.
          await db.write(Array.from({ length: 1000 }, (_, i) => ({
            type: "put" as const,
            key: numbered("k", i),
            value: `${round}`,
          })));
        }
      };
      const read = async () => {
        for (let scan = 0; scan < 5; scan++) {
          const values = new Set<string | undefined>();
          let count = 0;
          for await (const [, value] of db.scan()) {
            values.add(text(value));
            if (++count % 200 === 0) {
              await new Promise((resolve) => setTimeout(resolve, 1));
            }
          }
          assertEquals(count, 1000);
          assertEquals(values.size, 1);
        }
      };
      const writing = write();
      try {
        await Promise.all([read(), read()]);
      } finally {
        running = false;
        await writing;
      }
    }, { ...BUSY, writeBufferSize: 64 * 1024 }),
);

test(
  "durable and buffered writers side by side",
  LONG,
  () =>
    withDb(async (db) => {
      const writer = async (id: number) => {
        const durability = id % 2 === 0 ? "sync" : "buffered";
        for (let i = 0; i < 50; i++) {
          await db.put(numbered(`w${id}`, i), `${id}:${i}`, { durability });
        }
      };
      await Promise.all(Array.from({ length: 10 }, (_, id) => writer(id)));
      expectWriters(db, 10, 50);
      assertLess(db.stats().wal.syncs, 5 * 50 + 1);
    }),
);

test(
  "writers of large and small values share the write buffer",
  LONG,
  () =>
    withDb(async (db) => {
      const sizes = new Map<string, number>();
      const writer = async (id: number) => {
        const random = new Random(id);
        for (let i = 0; i < 40; i++) {
          const size = random.pick([0, 10, 100, 5000, 20_000]);
          const key = numbered(`w${id}`, i);
          sizes.set(key, size);
          await db.put(key, filled(size, i));
        }
      };
      await Promise.all(Array.from({ length: 8 }, (_, id) => writer(id)));
      for (const [key, size] of sizes) {
        const i = Number(key.slice(-4));
        assertEquals(db.get(key), filled(size, i), key);
      }
    }, BUSY),
);

test(
  "close() while writers are at work: each write is durable or rejected",
  LONG,
  () =>
    withDb(async (db) => {
      const outcomes: Promise<unknown>[] = [];
      for (let i = 0; i < 500; i++) {
        outcomes.push(db.put(numbered("k", i), "v").then(() => "done"));
      }
      await Promise.all([db.close(), ...outcomes]);
      assertEquals(new Set(await Promise.all(outcomes)), new Set(["done"]));
    }, BUSY),
);
