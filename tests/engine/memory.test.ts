/**
 * The shared memory of databases: V8 collects it late, so what a closed
 * database had is used by the next one (the soak).
 */
import { test } from "node:test";
import { attachWith } from "../../lib/attach.ts";
import { MemoryFileSystem, memoryRuntime } from "../../lib/runtime/memory.ts";
import type { Runtime } from "../../lib/runtime/runtime.ts";
import { attach, type Db, type Options } from "../../mod.ts";
import { open } from "../open.ts";
import {
  assert,
  assertEquals,
  assertFalse,
  assertLess,
  assertStrictEquals,
} from "../assert.ts";
import { withTempDir } from "../temp.ts";
import { numbered, text } from "./support/bytes.ts";
import { LONG } from "./support/configs.ts";
import { throwsWith } from "./support/errors.ts";
import { openIn, withMemoryDb } from "./support/memory.ts";
import {
  bytesFrom,
  type Made,
  watchSharedMemory,
} from "./support/shared_memory.ts";

const LIVES = 5;
/** Sizes that no other test has, so that nothing of theirs is used here. */
const BUFFER = 40_004;
const CACHE = 300_032;
const OPTIONS: Options = {
  durability: "buffered",
  writeBufferSize: BUFFER,
  blockCacheSize: CACHE,
};
/** As many bytes may be new in each life: control blocks, and words to wait at. */
const SMALL = 120_000;

/** Fills some memtables, and looks at all of it. */
async function use(db: Db, life: number): Promise<void> {
  for (let i = 0; i < 1000; i++) {
    await db.put(numbered("key", i), `value ${life} ${i}`.padEnd(100, "."));
  }
  await db.flush();
  for (let i = 0; i < 1000; i++) {
    const value = text(db.get(numbered("key", i)));
    assertEquals(value, `value ${life} ${i}`.padEnd(100, "."));
  }
}

/** Sees that no life but the first makes much memory. */
async function assertSteady(live: (life: number) => Promise<void>) {
  await watchSharedMemory(async (made: Made) => {
    await live(0);
    for (let life = 1; life < LIVES; life++) {
      const before = made.length;
      await live(life);
      assertLess(bytesFrom(made, before), SMALL, `life ${life}`);
    }
  });
}

for (const background of ["worker", "inline"] as const) {
  test(
    `a database that is opened again and again takes no more memory: ${background}`,
    LONG,
    () =>
      withTempDir((dir) =>
        assertSteady(async (life) => {
          await using db = await open(dir, {
            ...OPTIONS,
            compaction: { background },
          });
          await use(db, life);
        })
      ),
  );
}

test(
  "nor does one that readers looked at",
  LONG,
  () =>
    withTempDir((dir) =>
      assertSteady(async (life) => {
        await using db = await open(dir, OPTIONS);
        using reader = await attach(db.share());
        await use(db, life);
        assertEquals(reader.has(numbered("key", 0)), true);
      })
    ),
);

test("records that take an arena of their own take the same one again", () =>
  withMemoryDb((db) =>
    watchSharedMemory(async (made) => {
      const large = "x".repeat(10 * BUFFER);
      for (let life = 0; life < LIVES; life++) {
        await db.put("large", large);
        await db.flush();
      }
      const arenas = made.filter((m) => m.byteLength > 10 * BUFFER);
      assertEquals(arenas.length, 1);
    }), OPTIONS));

/** A runtime whose timers do nothing: what is attached with it gives no sign of life. */
function silent(): Runtime {
  return { ...memoryRuntime(), every: () => () => {} };
}

/** What readers of a database are given to look at. */
function memoryOf(db: Db): (SharedArrayBuffer | undefined)[] {
  const { arenas, cache, control } = db.share();
  return [...arenas, cache, control];
}

test(
  "what a reader may still look at is not used again, even if it was given up",
  LONG,
  () =>
    watchSharedMemory(async () => {
      for (const isGivenUp of [false, true]) {
        const files = new MemoryFileSystem();
        const db = await openIn(files, OPTIONS);
        const handle = db.share({ leaseSeconds: isGivenUp ? 0.12 : 60 });
        const first = memoryOf(db);
        const reader = attachWith({ ...silent(), files }, handle);
        const snapshot = reader.snapshot();
        for (let i = 0; isGivenUp && db.stats().openSnapshots > 0; i++) {
          assertLess(i, 2000);
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
        await db.close();
        await withMemoryDb((next) => {
          const second = memoryOf(next);
          assertFalse(second.some((memory) => first.includes(memory)));
          throwsWith("CLOSED", () => snapshot.get("a"));
          return Promise.resolve();
        }, OPTIONS);
      }
    }),
);

test("who comes with the handle of a closed database finds it closed, whatever its memory is now", () =>
  watchSharedMemory(async () => {
    const db = await openIn(new MemoryFileSystem(), OPTIONS);
    const handle = db.share();
    await db.put("a", "1");
    await db.close();
    await withMemoryDb(async (next, files) => {
      const memory = memoryOf(next);
      assert(memory.includes(handle.cache));
      assert(handle.arenas.every((arena) => memory.includes(arena)));
      await use(next, 1);
      throwsWith("CLOSED", () => attachWith({ ...silent(), files }, handle));
      assertEquals(next.get("a"), undefined);
      assertStrictEquals(text(next.get(numbered("key", 0)))?.at(-1), ".");
    }, OPTIONS);
  }));

test("a scan that is left open keeps its arena from the next database", () =>
  watchSharedMemory(async () => {
    const db = await openIn(new MemoryFileSystem(), OPTIONS);
    await db.put("a", "1");
    const scan = db.scan();
    const [active] = memoryOf(db);
    await db.close();
    await withMemoryDb((next) => {
      assertFalse(memoryOf(next).includes(active));
      return Promise.resolve();
    }, OPTIONS);
    scan.close();
    await withMemoryDb((next) => {
      assert(memoryOf(next).includes(active));
      return Promise.resolve();
    }, OPTIONS);
  }));
