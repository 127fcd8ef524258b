/**
 * Flushes and compactions on a worker: off the program's thread, with the
 * same results, whatever becomes of the worker.
 *
 * Combination: its own.
 */
import { existsSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { Task } from "../../lib/compaction/tasks.ts";
import { openWith } from "../../lib/open.ts";
import type { Runtime } from "../../lib/runtime/runtime.ts";
import { fileName, parseFileName } from "../../lib/version/files.ts";
import type { CompactionOptions, Db, TreeEvent } from "../../mod.ts";
import {
  assert,
  assertEquals,
  assertGreater,
  assertGreaterOrEqual,
  assertLess,
} from "../assert.ts";
import { withTempDir } from "../temp.ts";
import { rejectsWith } from "./support/errors.ts";
import { type Killer, watchWorkers } from "./support/watched_worker.ts";

const NEVER: Killer = () => false;

const WORKER: CompactionOptions = { background: "worker", minThreshold: 2 };

/**
 * The block cache of runs that are repeated for each message: they fill no
 * more, and the engine's own 64 MiB are made of zeros at each opening.
 */
const CACHE_BYTES = 1024 * 1024;

function key(i: number): string {
  return `key${String(i).padStart(6, "0")}`;
}

/** Keys that are written. */
const KEYS = 400;

/** Puts, deletes and range deletes in rounds with a flush each; returns what must be there. */
async function fill(db: Db, rounds: number): Promise<Map<string, string>> {
  const model = new Map<string, string>();
  for (let round = 0; round < rounds; round++) {
    const batch = db.batch();
    for (let i = round; i < KEYS; i += 1 + round % 3) {
      const value = `${round}/${i}`.repeat(8);
      model.set(key(i), value);
      batch.put(key(i), value);
    }
    for (let i = round; i < KEYS; i += 17) {
      model.delete(key(i));
      batch.delete(key(i));
    }
    const start = round * 37 % (KEYS - 20);
    for (let i = start; i < start + 20; i++) model.delete(key(i));
    batch.deleteRange(key(start), key(start + 20));
    await db.write(batch, { durability: "buffered" });
    await db.flush();
  }
  return model;
}

function check(db: Db, model: ReadonlyMap<string, string>): void {
  const decoder = new TextDecoder();
  const found = new Map<string, string>();
  for (const [k, v] of db.scan()) {
    found.set(decoder.decode(k), decoder.decode(v));
  }
  const sorted = [...model].sort(([a], [b]) => a < b ? -1 : 1);
  assertEquals([...found], sorted);
  for (let i = 0; i < KEYS; i++) {
    const value = db.get(key(i));
    const text = value === undefined ? undefined : decoder.decode(value);
    assertEquals(text, model.get(key(i)));
  }
}

/** The table files of a directory must be those that the tree names. */
function checkNoOrphans(dir: string, db: Db): void {
  const files = readdirSync(dir).filter((name) => name.endsWith(".vtab"));
  assertEquals(files.length, db.stats().tableCount);
}

test("flushes and compactions are done by the worker, one for a database", async () => {
  await withTempDir(async (dir) => {
    const watched = await watchWorkers(NEVER);
    const db = await openWith(watched.runtime, dir, { compaction: WORKER });
    assertEquals(watched.started, 0, "it starts with the first task");
    const model = await fill(db, 6);
    await db.majorCompact();
    check(db, model);
    const { background, flush, compaction, workerRestarts } = db.stats();
    assertEquals([background, workerRestarts], ["worker", 0]);
    assertEquals(watched.started, 1);
    const runs = watched.passages.filter((p) => p === "owner: run").length;
    assertGreaterOrEqual(runs, flush.runs + compaction.runs);
    assertGreaterOrEqual(flush.runs, 6);
    assertGreater(compaction.runs, 0);
    await db.close();
  });
});

test("a worker is used again by the next database", async () => {
  const watched = await watchWorkers(NEVER);
  for (let i = 0; i < 3; i++) {
    await withTempDir(async (dir) => {
      const db = await openWith(watched.runtime, dir, { compaction: WORKER });
      check(db, await fill(db, 2));
      await db.close();
    });
  }
  assertEquals(watched.started, 1);
});

/** A run of everything that a worker does; the model of what must be there. */
async function run(
  dir: string,
  kill: Killer,
): Promise<{ messages: number; restarts: number; isWorker: boolean }> {
  const watched = await watchWorkers(kill);
  const db = await openWith(watched.runtime, dir, {
    blockCacheSize: CACHE_BYTES,
    compaction: { ...WORKER, tombstoneRatio: 0.1 },
  });
  const told: TreeEvent[] = [];
  db.events.addEventListener("worker", (event) => {
    told.push((event as CustomEvent<TreeEvent>).detail);
  });
  const model = await fill(db, 4);
  await db.tombstoneCompact();
  await db.majorCompact();
  check(db, model);
  const { workerRestarts, background, lastError } = db.stats();
  assertEquals(lastError, undefined);
  await db.close();
  const again = await openWith(watched.runtime, dir, {
    blockCacheSize: CACHE_BYTES,
    compaction: { background: "off" },
  });
  check(again, model);
  checkNoOrphans(dir, again);
  await again.close();
  assertEquals(told.length >= workerRestarts, true);
  return {
    messages: watched.passages.length,
    restarts: workerRestarts,
    isWorker: background === "worker",
  };
}

test("a worker that dies at any message costs nothing: nothing lost, no orphan, no hang", async () => {
  const { messages } = await withTempDir((dir) => run(dir, NEVER));
  assertGreater(messages, 10);
  let restarts = 0;
  for (const moment of ["before", "after"]) {
    for (let at = 0; at < messages; at++) {
      await withTempDir(async (dir) => {
        const result = await run(
          dir,
          (_, index, when) => index === at && when === moment,
        );
        assert(result.isWorker, `inline after a death at message ${at}`);
        restarts += result.restarts;
      });
    }
  }
  assertGreater(restarts, messages);
});

test("a worker that always dies: the work is done inline, and stats say so", async () => {
  await withTempDir(async (dir) => {
    const { restarts, isWorker } = await run(
      dir,
      (passage) => passage === "owner: run",
    );
    assertEquals(isWorker, false);
    assertGreater(restarts, 0);
  });
});

test("a worker whose module cannot be found: the work is done inline, and stats say so", async () => {
  await withTempDir(async (dir) => {
    const watched = await watchWorkers(NEVER);
    const db = await openWith(watched.runtime, dir, {
      compaction: WORKER,
      workerUrl: new URL("./no_such_worker.ts", import.meta.url),
    });
    const model = await fill(db, 3);
    check(db, model);
    assertEquals(db.stats().background, "inline");
    await db.close();
  });
});

test("workerUrl says where the worker's module is", async () => {
  await withTempDir(async (dir) => {
    const watched = await watchWorkers(NEVER);
    const db = await openWith(watched.runtime, dir, {
      compaction: WORKER,
      workerUrl: new URL("../../lib/worker.ts", import.meta.url).href,
    });
    const model = await fill(db, 3);
    check(db, model);
    assertEquals(db.stats().background, "worker");
    await db.close();
    for (const workerUrl of ["./worker.ts", "", 7 as unknown as string]) {
      await rejectsWith(
        "INVALID_CONFIG",
        () => openWith(watched.runtime, dir, { workerUrl }),
      );
    }
  });
});

test("close() during a compaction: ABORTED or done, soon, and no orphan", async () => {
  for (let delay = 0; delay < 12; delay++) {
    await withTempDir(async (dir) => {
      const watched = await watchWorkers(NEVER);
      const options = { compaction: { ...WORKER, background: "off" as const } };
      const filler = await openWith(watched.runtime, dir, options);
      const model = await fill(filler, 4);
      await filler.close();
      const db = await openWith(watched.runtime, dir, {
        compaction: { ...WORKER, minThreshold: 64 },
      });
      const compaction = db.majorCompact().then(() => "done", (e) => e.code);
      for (let i = 0; i < delay; i++) await watched.runtime.pause();
      const start = performance.now();
      await db.close();
      assertLess(performance.now() - start, 2500);
      assert(["done", "ABORTED"].includes(await compaction));
      const again = await openWith(watched.runtime, dir, options);
      check(again, model);
      checkNoOrphans(dir, again);
      await again.close();
    });
  }
});

test("a worker that is stuck does not keep close() waiting for ever, and its file numbers are not given again", async () => {
  await withTempDir(async (dir) => {
    // The worker never hears of anything, and cannot be ended: when nobody
    // waits for it any more it does what it was told long ago.
    const watched = await watchWorkers(NEVER);
    const { startWorker } = watched.runtime;
    const tasks: Task[] = [];
    const deaf: Runtime = {
      ...watched.runtime,
      later: (milliseconds, callback) =>
        watched.runtime.later(milliseconds / 20, callback),
      startWorker: async (events, url) => {
        const thread = await startWorker!(events, url); // Watched runtimes have it.
        const post = (message: unknown) => {
          const { type, task } = message as { type: string; task: Task };
          if (type === "run") tasks.push(task);
        };
        return { ...thread, post };
      },
    };
    const db = await openWith(deaf, dir, { compaction: WORKER });
    const told: unknown[] = [];
    db.events.addEventListener("worker", (event) => {
      told.push((event as CustomEvent).detail);
    });
    await db.put("a", "1");
    const flush = db.flush().catch((error) => error.code);
    while (tasks.length === 0) await watched.runtime.pause();
    const orphan = join(dir, fileNameOf(tasks[0]));
    writeFileSync(orphan, "begun");
    await db.close();
    assertEquals(await flush, "ABORTED");
    assertEquals(told, [
      { type: "worker", isReplaced: false, reason: "it did not answer" },
    ]);
    assert(existsSync(orphan), "what may still be written to was removed");
    // It may as well have written nothing so far.
    rmSync(orphan);
    const again = await openWith(watched.runtime, dir, { compaction: WORKER });
    // The log and the manifest of the new life were given the next numbers.
    const numbers = readdirSync(dir).map((name) => parseFileName(name)?.number);
    const number = parseFileName(fileNameOf(tasks[0]))?.number;
    assert(!numbers.includes(number), `${number} was given again`);
    assertEquals(again.get("a"), new TextEncoder().encode("1"));
    await again.close();
  });
});

/** The name of the file that a task writes. */
function fileNameOf(task: Task): string {
  assert(task.type !== "probe");
  return fileName("table", task.output.firstNumber);
}
