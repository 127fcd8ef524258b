/**
 * How reads grow with reader threads, and what sharing costs the owner.
 *
 * ```text
 * deno run -A bench/readers.ts [--seconds 2] [--entries 20000] [--threads 2] [--rounds 5]
 * ```
 *
 * Also under `bun` and `node`. Random reads of what is in caches, from a
 * memtable and from tables: by the owner alone, then by one reader thread and
 * by more in turn, round by round, with medians at the end. Each thread reads
 * for some time before its reads count, for compilers work on threads of their
 * own, and would be measured too. The owner is idle the while. Before that,
 * puts with and without a handle given out.
 *
 * The exit code is 1 if two threads read less than 1.7 times what one does from
 * tables.
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
import { median, thousands } from "./machine.ts";

/** What a reader thread begins with. */
interface Start {
  readonly handle: ShareHandle;
  readonly entries: number;
  readonly seed: number;
}

const RATIO_MIN = 1.7;
const WARM_SECONDS = 2;

/** Reads random keys that are there. */
class Reads {
  private readonly keys: Uint8Array[];
  private readonly random: Random;
  private readonly db: Pick<ReadonlyDb, "get">;

  constructor(db: Pick<ReadonlyDb, "get">, entries: number, seed: number) {
    this.db = db;
    this.random = new Random(seed);
    this.keys = Array.from({ length: entries }, (_, i) => keyOf(i).slice());
  }

  /** Reads for some seconds; returns how many in one second. */
  run(seconds: number): number {
    const start = performance.now();
    let reads = 0;
    while (performance.now() - start < seconds * 1000) {
      for (let i = 0; i < 1000; i++) this.one();
      reads += 1000;
    }
    return reads / ((performance.now() - start) / 1000);
  }

  private one(): void {
    const key = this.keys[this.random.below(this.keys.length)];
    if (this.db.get(key) === undefined) throw new Error("a key is missing");
  }
}

/** A thread that reads when it is told to. */
class ReaderThread {
  private readonly worker: Worker;

  constructor(start: Start) {
    this.worker = new Worker(new URL(import.meta.url), { workerData: start });
  }

  read(seconds: number): Promise<number> {
    return new Promise((resolve, reject) => {
      this.worker.once("error", reject);
      this.worker.once("message", (rate: number) => {
        this.worker.off("error", reject);
        resolve(rate);
      });
      this.worker.postMessage(seconds);
    });
  }
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

async function rateOf(
  threads: readonly ReaderThread[],
  seconds: number,
): Promise<number> {
  const rates = await Promise.all(
    threads.map((thread) => thread.read(seconds)),
  );
  return rates.reduce((sum, rate) => sum + rate, 0);
}

/** Measures rates by the number of threads, in rounds; returns the median ratio of two to one. */
async function compare(
  threads: readonly ReaderThread[],
  { seconds, rounds }: { seconds: number; rounds: number },
): Promise<number> {
  await rateOf(threads, WARM_SECONDS);
  const rates: number[][] = threads.map(() => []);
  for (let round = 0; round < rounds; round++) {
    for (let count = 1; count <= threads.length; count++) {
      // Not the same thread each time: they need not be equally fast.
      const first = round % (threads.length - count + 1);
      const chosen = threads.slice(first, first + count);
      rates[count - 1].push(await rateOf(chosen, seconds));
    }
  }
  const ratios = rates.map((all) =>
    median(all.map((rate, round) => rate / rates[0][round]))
  );
  rates.forEach((all, i) =>
    console.log(
      `  ${i + 1} threads ${thousands(median(all))}/s, ` +
        `${ratios[i].toFixed(2)} times as much as one`,
    )
  );
  return ratios[1];
}

async function main(): Promise<boolean> {
  const { values } = parseArgs({
    options: {
      seconds: { type: "string", default: "2" },
      entries: { type: "string", default: "20000" },
      threads: { type: "string", default: "2" },
      rounds: { type: "string", default: "5" },
    },
  });
  const entries = Number(values.entries);
  const plan = {
    seconds: Number(values.seconds),
    rounds: Number(values.rounds),
  };
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
    const own = new Reads(db, entries, 7);
    const threads = Array.from(
      { length: Math.max(2, Number(values.threads)) },
      (_, seed) => new ReaderThread({ handle, entries, seed }),
    );
    let ratio = NaN;
    for (const place of ["memtable", "tables"]) {
      if (place === "tables") await db.majorCompact();
      own.run(WARM_SECONDS);
      console.log(`${place}: owner ${thousands(own.run(plan.seconds))}/s`);
      ratio = await compare(threads, plan);
    }
    return ratio >= RATIO_MIN;
  } finally {
    await db.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

if (isMainThread) {
  const holds = await main();
  if (!holds) console.log(`two threads read less than ${RATIO_MIN} times one`);
  process.exit(holds ? 0 : 1);
} else {
  const { handle, entries, seed } = workerData as Start;
  const reads = new Reads(await attach(handle), entries, seed);
  parentPort?.on("message", (seconds: number) => {
    parentPort?.postMessage(reads.run(seconds));
  });
}
