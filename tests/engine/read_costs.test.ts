/**
 * What reads cost, by counts of blocks, file reads and bytes; never by time.
 *
 * @module
 */
import { test } from "node:test";
import { MemoryFileSystem, memoryRuntime } from "../../lib/runtime/memory.ts";
import type { File, FileSystem } from "../../lib/runtime/runtime.ts";
import type { Db, Options, ScanOptions } from "../../mod.ts";
import {
  assertEquals,
  assertGreater,
  assertLess,
  assertLessOrEqual,
} from "../assert.ts";
import { openWith } from "../open.ts";
import { filled, numbered } from "./support/bytes.ts";
import { LONG } from "./support/configs.ts";

const VALUE_LENGTH = 100;
const BLOCK_SIZE = 4096;
const QUIET: Options = {
  durability: "buffered",
  blockSize: BLOCK_SIZE,
  compaction: { background: "off" },
};

/** What was read from files since the last look. */
class Meter {
  reads = 0;
  bytes = 0;

  take(): { reads: number; bytes: number } {
    const { reads, bytes } = this;
    this.reads = 0;
    this.bytes = 0;
    return { reads, bytes };
  }
}

function metered(files: MemoryFileSystem, meter: Meter): FileSystem {
  const wrap = (file: File): File =>
    Object.assign(Object.create(file), {
      path: file.path,
      readAt(into: Uint8Array, position: number): number {
        const read = file.readAt(into, position);
        meter.reads++;
        meter.bytes += read;
        return read;
      },
      writeAt: file.writeAt.bind(file),
      size: file.size.bind(file),
      sync: file.sync.bind(file),
      syncNow: file.syncNow.bind(file),
      close: file.close.bind(file),
    });
  return Object.assign(Object.create(files), {
    open: (path: string, mode: "read" | "create") =>
      wrap(files.open(path, mode)),
    stat: files.stat.bind(files),
    list: files.list.bind(files),
    makeDirectory: files.makeDirectory.bind(files),
    rename: files.rename.bind(files),
    remove: files.remove.bind(files),
    syncDirectory: files.syncDirectory.bind(files),
    lock: files.lock.bind(files),
  });
}

/** Runs `body` with a database in memory whose reads of files are counted. */
async function withMeter(
  options: Options,
  body: (db: Db, meter: Meter) => Promise<void>,
): Promise<void> {
  const meter = new Meter();
  const files = metered(new MemoryFileSystem(), meter);
  const runtime = { ...memoryRuntime(), files };
  await using db = await openWith(runtime, "/db", { ...QUIET, ...options });
  await body(db, meter);
}

/** Puts entries and flushes them to `tables` tables that all span the same keys. */
async function fill(db: Db, entries: number, tables = 1): Promise<void> {
  for (let table = 0; table < tables; table++) {
    const writes: Promise<void>[] = [];
    for (let i = table; i < entries; i += tables) {
      writes.push(db.put(numbered("k", i, 6), filled(VALUE_LENGTH, i)));
    }
    await Promise.all(writes);
    await db.flush();
  }
  assertEquals(db.stats().tableCount, tables);
}

/** Data blocks that a call reads. */
function blocksOf(db: Db, call: () => void): number {
  const before = db.stats().blockReads;
  call();
  return db.stats().blockReads - before;
}

test(
  "a lookup that the filters reject reads no data block",
  LONG,
  () =>
    withMeter({ bloomBitsPerKey: 32 }, async (db, meter) => {
      await fill(db, 6000, 3);
      db.get(numbered("k", 3000, 6)); // Filters and indexes are in memory now.
      const before = db.stats().bloom;
      meter.take();
      const blocks = blocksOf(db, () => {
        // From where all tables have keys.
        for (let i = 3; i < 5003; i++) {
          assertEquals(db.get(`${numbered("k", i, 6)}x`), undefined);
          assertEquals(db.has(`${numbered("k", i, 6)}y`), false);
        }
      });
      const { checks, skips, falsePositives } = db.stats().bloom;
      assertEquals(falsePositives - before.falsePositives, 0);
      assertEquals(checks - before.checks, 30_000);
      assertEquals(skips - before.skips, 30_000);
      assertEquals(blocks, 0);
      assertEquals(meter.take(), { reads: 0, bytes: 0 });
    }),
);

test(
  "a lookup outside every table's keys reads nothing and asks no filter",
  LONG,
  () =>
    withMeter({}, async (db, meter) => {
      await fill(db, 1000, 2);
      meter.take();
      const before = db.stats();
      assertEquals(db.get("a"), undefined);
      assertEquals(db.get("z"), undefined);
      assertEquals(db.stats().bloom, before.bloom);
      assertEquals(db.stats().blockReads, before.blockReads);
      assertEquals(meter.take(), { reads: 0, bytes: 0 });
    }),
);

test(
  "the first lookup reads one block; a repeat of it, or of a key beside it, reads nothing",
  LONG,
  () =>
    withMeter({}, async (db, meter) => {
      await fill(db, 5000);
      db.get(numbered("k", 1, 6)); // The table is open now.
      meter.take();
      const key = numbered("k", 2500, 6);
      assertEquals(blocksOf(db, () => db.get(key)), 1);
      const { reads, bytes } = meter.take();
      assertEquals(reads, 1);
      assertLess(bytes, BLOCK_SIZE + 256);
      const { hits } = db.stats().cache;
      const again = blocksOf(db, () => {
        for (let i = 0; i < 100; i++) {
          assertEquals(db.get(key), filled(VALUE_LENGTH, 2500));
        }
      });
      assertEquals(again, 0);
      assertEquals(db.stats().cache.hits - hits, 100);
      assertEquals(meter.take(), { reads: 0, bytes: 0 });
    }),
);

/** How many arrays and buffers, views included, a call makes. */
function arraysMade(call: () => void): number {
  const { Uint8Array: Original } = globalThis;
  const { slice, subarray } = Original.prototype;
  let made = 0;
  globalThis.Uint8Array = new Proxy(Original, {
    construct(target, args): Uint8Array {
      made++;
      return new target(...args as [number]); // Any arguments of a constructor.
    },
  });
  Original.prototype.slice = function (...args): Uint8Array<ArrayBuffer> {
    made++;
    return slice.apply(this, args);
  };
  Original.prototype.subarray = function (...args) {
    made++;
    return subarray.apply(this, args);
  };
  try {
    call();
    return made;
  } finally {
    globalThis.Uint8Array = Original;
    Object.assign(Original.prototype, { slice, subarray });
  }
}

test(
  "a repeat lookup of a cached block reads nothing, checks no checksum, and makes nothing but its result",
  LONG,
  () =>
    withMeter({}, async (db, meter) => {
      await fill(db, 5000);
      const keys = [2500, 2501, 4000].map((i) => numbered("k", i, 6));
      for (const key of keys) db.get(key);
      meter.take();
      const { hits, misses } = db.stats().cache;
      let made = 0;
      const blocks = blocksOf(db, () => {
        made = arraysMade(() => {
          for (let i = 0; i < 100; i++) for (const key of keys) db.get(key);
        });
      });
      // Every block that is read is checked, and counted when it is.
      assertEquals(blocks, 0);
      assertEquals(meter.take(), { reads: 0, bytes: 0 });
      const after = db.stats().cache;
      assertEquals([after.hits - hits, after.misses - misses], [300, 0]);
      // The result, the view through which a value of 100 bytes is copied to
      // it, and a slab for every 163 of them.
      assertGreater(made, 299);
      assertLessOrEqual(made, 2 * 300 + 2);
      // Without a value there is no result: nothing at all is made.
      const bare = arraysMade(() => {
        for (let i = 0; i < 100; i++) {
          for (const key of keys) assertEquals(db.has(key), true);
        }
      });
      assertEquals(bare, 0);
      assertEquals(db.stats().cache.hits - after.hits, 300);
      assertEquals(meter.take(), { reads: 0, bytes: 0 });
    }),
);

test(
  "lookups with a cache that is too small for any block read each block, and are right",
  LONG,
  async () => {
    for (const blockCacheSize of [1, 1000, 5000, 20_000]) {
      await withMeter({ blockCacheSize }, async (db) => {
        await fill(db, 2000, 2);
        for (let i = 0; i < 2000; i += 7) {
          const value = filled(VALUE_LENGTH, i);
          assertEquals(db.get(numbered("k", i, 6)), value);
        }
        const { bytes, capacity } = db.stats().cache;
        assertEquals(capacity, blockCacheSize);
        assertLessOrEqual(bytes, capacity);
      });
    }
  },
);

test(
  "values of some ten KiB are cached",
  LONG,
  () =>
    withMeter({ blockCacheSize: 64 << 20 }, async (db) => {
      for (let i = 0; i < 50; i++) {
        await db.put(numbered("k", i, 6), filled(80_000, i));
      }
      await db.flush();
      const readAll = () => {
        for (let i = 0; i < 50; i++) {
          assertEquals(db.get(numbered("k", i, 6)), filled(80_000, i));
        }
      };
      assertEquals(blocksOf(db, readAll), 50);
      assertEquals(blocksOf(db, readAll), 0);
    }),
);

test(
  "lookups in many tables read a block of one of them: the filters spare the others",
  LONG,
  () =>
    withMeter({ bloomBitsPerKey: 32 }, async (db) => {
      await fill(db, 8000, 8);
      db.get(numbered("k", 0, 6));
      const blocks = blocksOf(db, () => {
        for (let i = 0; i < 8000; i += 400) {
          assertEquals(db.get(numbered("k", i, 6)), filled(VALUE_LENGTH, i));
        }
      });
      assertLessOrEqual(blocks, 20);
    }),
);

test(
  "with the cache off every lookup reads its block, and no more",
  LONG,
  () =>
    withMeter({ blockCacheSize: 0 }, async (db, meter) => {
      await fill(db, 2000);
      db.get(numbered("k", 1, 6));
      meter.take();
      const blocks = blocksOf(db, () => {
        for (let i = 0; i < 50; i++) db.get(numbered("k", 1000, 6));
      });
      assertEquals(blocks, 50);
      assertEquals(meter.take().reads, 50);
    }),
);

/** What a scan of 100 rows costs. */
interface Cost {
  readonly blocks: number;
  readonly reads: number;
  readonly bytes: number;
}

const SCANS: [name: string, options: (entries: number) => ScanOptions][] = [
  ["from the start", () => ({ limit: 100 })],
  ["from the end", () => ({ limit: 100, reverse: true })],
  ["from the middle", (entries) => ({
    gte: numbered("k", entries / 2, 6),
    limit: 100,
  })],
  ["from the middle, in reverse", (entries) => ({
    lt: numbered("k", entries / 2, 6),
    limit: 100,
    reverse: true,
  })],
];

/** What each scan of 100 rows costs in a database of so many entries. */
async function costsOf(entries: number, tables: number): Promise<Cost[]> {
  const costs: Cost[] = [];
  await withMeter({ blockCacheSize: 0 }, async (db, meter) => {
    await fill(db, entries, tables);
    for (let i = 0; i < tables; i++) db.get(numbered("k", i, 6)); // Opens them.
    for (const [, options] of SCANS) {
      meter.take();
      const blocks = blocksOf(db, () => {
        assertEquals([...db.scan(options(entries)).keys()].length, 100);
      });
      costs.push({ blocks, ...meter.take() });
    }
  });
  return costs;
}

for (const tables of [1, 4]) {
  test(
    `a scan of 100 rows costs the same in 1,000 entries as in 100,000: ${tables} tables`,
    LONG,
    async () => {
      const small = await costsOf(1000, tables);
      const large = await costsOf(100_000, tables);
      for (const [i, [name]] of SCANS.entries()) {
        // 100 rows of some 110 bytes lie in 3 blocks of 4 KiB; each table may be
        // entered at the end of one, and its next row looked at in another.
        const blocksMax = 3 + 2 * tables;
        assertGreater(small[i].blocks, 0);
        assertLessOrEqual(small[i].blocks, blocksMax, `${name}, small`);
        assertLessOrEqual(large[i].blocks, blocksMax, `${name}, large`);
        // What is read ahead is bounded too: a block, and a chunk or two.
        const bytesMax = tables *
          (BLOCK_SIZE + 512 + 2 * (16 * 1024 + BLOCK_SIZE));
        assertLessOrEqual(large[i].bytes, bytesMax, `${name}, bytes`);
        assertLessOrEqual(large[i].reads, 3 * tables, `${name}, reads`);
      }
    },
  );
}

test(
  "a scan that is made and not walked over reads nothing",
  LONG,
  () =>
    withMeter({}, async (db, meter) => {
      await fill(db, 5000);
      db.get(numbered("k", 1, 6));
      meter.take();
      for (let i = 0; i < 10; i++) db.scan()[Symbol.dispose]();
      assertEquals(meter.take(), { reads: 0, bytes: 0 });
    }),
);

test(
  "a whole scan reads each block once, in few reads, and leaves the cache to lookups",
  LONG,
  () =>
    withMeter({ blockCacheSize: 1 << 20 }, async (db, meter) => {
      await fill(db, 50_000);
      db.get(numbered("k", 1, 6));
      const held = db.stats().cache.bytes;
      meter.take();
      let rows = 0;
      const blocks = blocksOf(db, () => {
        for (const _ of db.scan().keys()) rows++;
      });
      assertEquals(rows, 50_000);
      const { reads, bytes } = meter.take();
      const { totalTableBytes } = db.stats();
      assertLessOrEqual(blocks, Math.ceil(totalTableBytes / BLOCK_SIZE) * 1.1);
      assertLessOrEqual(bytes, totalTableBytes);
      assertLessOrEqual(reads, 10 + totalTableBytes / (200 * 1024));
      assertLessOrEqual(db.stats().cache.bytes - held, 2 * BLOCK_SIZE);
    }),
);

test(
  "rows that a range delete hides are not read: the leap goes over their blocks",
  LONG,
  () =>
    withMeter({ blockCacheSize: 0 }, async (db) => {
      await fill(db, 50_000);
      await db.deleteRange(numbered("k", 100, 6), numbered("k", 49_900, 6));
      await db.flush();
      for (const reverse of [false, true]) {
        let rows = 0;
        const blocks = blocksOf(db, () => {
          for (const _ of db.scan({ reverse })) rows++;
        });
        assertEquals(rows, 200);
        assertLessOrEqual(blocks, 20, `reverse ${reverse}`);
      }
    }),
);
