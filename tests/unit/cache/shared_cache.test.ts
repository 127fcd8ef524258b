/** The block cache on several threads: no torn block is ever taken for whole, and threads that die harm nothing. */
import { test } from "node:test";
import { Worker } from "node:worker_threads";
import { BlockCache } from "../../../lib/cache/block_cache.ts";
import { assertEquals, assertGreater, assertLess } from "../../assert.ts";
import { LONG } from "../../engine/support/configs.ts";
import {
  HOLDER,
  LOST,
  REPORT_BYTES,
  STOP,
  TORN,
  useCache,
  WHOLE,
} from "../support/cache_child.ts";
import { CacheUser } from "../support/cached_blocks.ts";

const TABLES = 3;
const ORDINALS = 150;

/** A thread that uses the cache. */
class Thread {
  readonly report = new Int32Array(new SharedArrayBuffer(REPORT_BYTES));
  private readonly worker: Worker;
  private readonly ended: Promise<void>;

  constructor(
    memory: SharedArrayBuffer | undefined,
    seed: number,
    ordinals = ORDINALS,
  ) {
    const url = new URL("../support/cache_child.ts", import.meta.url);
    const { buffer: report } = this.report;
    const worker = new Worker(url, {
      workerData: { memory, report, seed, tables: TABLES, ordinals },
    });
    this.worker = worker;
    this.ended = new Promise((resolve, reject) => {
      worker.once("exit", () => resolve());
      worker.once("error", reject);
    });
    this.ended.catch(() => {}); // It is awaited later.
  }

  /** Waits until the thread runs; returns its holder number. */
  async started(): Promise<number> {
    const until = performance.now() + 20_000;
    while (Atomics.load(this.report, HOLDER) === 0) {
      if (performance.now() > until) {
        throw new Error("the thread did not start");
      }
      await pause(2);
    }
    return Atomics.load(this.report, HOLDER);
  }

  async stop(): Promise<void> {
    Atomics.store(this.report, STOP, 1);
    await this.ended;
  }

  async kill(): Promise<void> {
    await this.worker.terminate();
  }
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** Uses the cache on this thread for a while, giving way now and then. */
async function useHere(
  user: CacheUser,
  seed: number,
  milliseconds: number,
  ordinals = ORDINALS,
): Promise<Int32Array> {
  const report = new Int32Array(new SharedArrayBuffer(REPORT_BYTES));
  const end = performance.now() + milliseconds;
  for (let turn = 0; performance.now() < end; turn++) {
    const until = performance.now() + 20;
    const work = { seed: seed + turn, tables: TABLES, ordinals };
    useCache(user, work, report, () => performance.now() > until);
    await pause(0);
  }
  return report;
}

for (const capacity of [16 * 1024, 256 * 1024]) {
  test(
    `four threads use a cache of ${capacity} bytes: no torn block is taken for whole`,
    LONG,
    async () => {
      const cache = new BlockCache(capacity);
      const threads = [1, 2, 3].map((seed) => new Thread(cache.memory, seed));
      for (const thread of threads) await thread.started();
      const reports = [await useHere(new CacheUser(cache), 9, 1500)];
      for (const thread of threads) {
        await thread.stop();
        reports.push(thread.report);
      }
      for (const report of reports) {
        assertEquals(report[TORN], 0);
        assertGreater(report[WHOLE], 0);
      }
      assertGreater(cache.bytes, 0);
    },
  );
}

test(
  "a reader that dawdles sees that its block is gone",
  LONG,
  async () => {
    const cache = new BlockCache(64 * 1024);
    const user = new CacheUser(cache);
    const thread = new Thread(cache.memory, 5);
    await thread.started();
    const found = () =>
      Atomics.load(thread.report, WHOLE) + Atomics.load(thread.report, LOST);
    let lost = 0;
    // The thread may get its turn late.
    for (let i = 0; i < 300 || lost === 0 || found() === 0; i++) {
      user.touch(1, i % ORDINALS);
      if (!cache.find(user.table(1), i % ORDINALS, true)) continue;
      const { segment, generation } = cache;
      await pause(1);
      if (!cache.isStill(segment, generation)) lost++;
    }
    await thread.stop();
    assertEquals(thread.report[TORN], 0);
  },
);

test(
  "threads that are ended in the middle of it again and again harm nothing",
  LONG,
  async () => {
    // Room for what is lost each time, and a load that it does not hold.
    const cache = new BlockCache(8 * 1024 * 1024);
    const user = new CacheUser(cache);
    const steady = new Thread(cache.memory, 77, 8000);
    await steady.started();
    for (let round = 0; round < 12; round++) {
      const thread = new Thread(cache.memory, round, 8000);
      const holder = await thread.started();
      const report = await useHere(user, round, 10 + round % 5, 8000);
      await thread.kill();
      cache.abandon(holder);
      assertEquals(thread.report[TORN], 0, `round ${round}`);
      assertEquals(report[TORN], 0, `round ${round}`);
    }
    await steady.stop();
    assertEquals(steady.report[TORN], 0);
    // No lock is held for good: what is put in is found. Deno lets an ended
    // thread run on for two seconds, so that a put may meet one after another.
    const until = performance.now() + 20_000;
    for (let i = 0; i < 20; i++) {
      user.put(2, 9000 + i);
      user.put(2, 9000 + i); // Where the first one only left a ghost.
      while (user.get(2, 9000 + i) !== "whole") {
        assertLess(performance.now(), until, `block ${i} is not taken`);
        await pause(5);
        user.put(2, 9000 + i);
      }
    }
  },
);
