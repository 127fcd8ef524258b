/**
 * How reads grow with reader threads, and what sharing costs the owner.
 *
 * ```text
 * deno run -A bench/readers.ts [--seconds 3] [--entries 20000] [--threads 2]
 * ```
 *
 * Also under `bun` and `node`. Random reads of what is in caches: first by the
 * owner alone, then by one reader thread, then by more, all for the same time,
 * from a memtable and from tables. Before that, puts with and without a
 * handle given out. The time of processor for each read, starting the thread
 * included, tells how threads hinder each other also where other programs keep
 * the machine busy.
 *
 * @module
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import {
  isMainThread,
  parentPort,
  Worker,
  workerData,
} from "node:worker_threads";
import {
  attach,
  type Db,
  open,
  type ReadonlyDb,
  type ShareHandle,
} from "../mod.ts";
import { keyOf, Random, valueOf } from "./data.ts";

interface Task {
  readonly handle: ShareHandle;
  readonly entries: number;
  readonly seconds: number;
  readonly seed: number;
}

/** Reads random keys for some seconds; returns how many in one second. */
function readFor(
  db: Pick<ReadonlyDb, "get">,
  { entries, seconds, seed }: Omit<Task, "handle">,
): number {
  const random = new Random(seed);
  const keys = Array.from({ length: entries }, (_, i) => keyOf(i).slice());
  for (const key of keys) db.get(key); // Warms the caches up.
  const start = performance.now();
  let reads = 0;
  while (performance.now() - start < seconds * 1000) {
    for (let i = 0; i < 1000; i++) {
      const value = db.get(keys[random.below(entries)]);
      if (value === undefined) throw new Error("a key is missing");
    }
    reads += 1000;
  }
  return reads / ((performance.now() - start) / 1000);
}

function readInThread(task: Task): Promise<number> {
  const worker = new Worker(new URL(import.meta.url), { workerData: task });
  return new Promise((resolve, reject) => {
    worker.once("error", reject);
    worker.once("message", (rate: number) => {
      worker.terminate().then(() => resolve(rate), reject);
    });
  });
}

async function fill(db: Db, from: number, to: number): Promise<number> {
  const start = performance.now();
  for (let i = from; i < to; i++) {
    const write = db.put(keyOf(i), valueOf(i, 1));
    if (i % 1000 === 0) await write;
  }
  await db.sync();
  return (performance.now() - start) * 1000 / (to - from);
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seconds: { type: "string", default: "3" },
      entries: { type: "string", default: "20000" },
      threads: { type: "string", default: "2" },
    },
  });
  const entries = Number(values.entries);
  const seconds = Number(values.seconds);
  const directory = mkdtempSync(join(tmpdir(), "varve-bench-"));
  const db = await open(directory, { durability: "buffered" });
  try {
    await fill(db, 0, entries);
    const before = await fill(db, entries, entries * 4);
    const handle = db.share();
    const after = await fill(db, entries * 4, entries * 7);
    console.log(
      `put: ${before.toFixed(2)} us before share(), ${after.toFixed(2)} after`,
    );
    for (const place of ["memtable", "tables"]) {
      if (place === "tables") await db.majorCompact();
      const plan = { entries, seconds, seed: 7 };
      const owner = readFor(db, plan);
      const rates: number[] = [];
      const costs: number[] = [];
      for (let count = 1; count <= Number(values.threads); count++) {
        const cpu = process.cpuUsage();
        const all = await Promise.all(
          Array.from(
            { length: count },
            (_, seed) => readInThread({ handle, ...plan, seed }),
          ),
        );
        const rate = all.reduce((sum, rate) => sum + rate, 0);
        const { user, system } = process.cpuUsage(cpu);
        rates.push(rate);
        costs.push((user + system) * 1000 / (rate * seconds));
      }
      const told = rates.map((rate, i) =>
        `${i + 1} threads ${Math.round(rate)}/s (${
          (rate / rates[0]).toFixed(2)
        }; ${Math.round(costs[i])} ns of processor a read)`
      );
      console.log(`${place}: owner ${Math.round(owner)}/s, ${told.join(", ")}`);
    }
  } finally {
    await db.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

if (isMainThread) {
  await main();
  process.exit();
} else {
  const task = workerData as Task;
  using db = await attach(task.handle);
  parentPort?.postMessage(readFor(db, task));
}
