/**
 * One writer, reader threads and compactions for some seconds: every answer
 * that a reader gets is checked.
 *
 * @module
 */
import process from "node:process";
import { Worker } from "node:worker_threads";
import { type Db, open } from "../../../mod.ts";
import { Random } from "../../engine/support/random.ts";
import { withTempDir } from "../../temp.ts";
import {
  GROUPS,
  keyOf,
  KEYS,
  kindOf,
  prefixOf,
  Progress,
  type ReaderReport,
  type ReaderTask,
  valueOf,
} from "./reader_model.ts";

/** What is to be done. */
export interface StressPlan {
  readonly seconds: number;
  readonly seed: number;
  readonly readers: number;
}

/** What was done. */
export interface StressResult {
  readonly rounds: number;
  readonly flushes: number;
  readonly compactions: number;
  readonly killed: number;
  readonly reads: Record<string, number>;
  readonly problems: readonly string[];
}

/** Writers at a time; each has groups of its own. */
const FIBERS = 3;
const THREAD = new URL("reader_thread.ts", import.meta.url);

function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

function writeRound(db: Db, group: number, round: number): Promise<void> {
  const kind = kindOf(round);
  if (kind === "range") return db.clear({ prefix: prefixOf(group) });
  const batch = db.batch();
  for (let place = 0; place < KEYS; place++) {
    const key = keyOf(group, place);
    if (kind === "points") batch.delete(key);
    else batch.put(key, valueOf(group, place, round));
  }
  return db.write(batch);
}

/** Writes rounds to every FIBERS-th group until it is over; returns how many. */
async function write(
  db: Db,
  progress: Progress,
  fiber: number,
  random: Random,
): Promise<number> {
  let rounds = 0;
  while (!progress.isOver) {
    const group = random.below(GROUPS / FIBERS) * FIBERS + fiber;
    const round = progress.begun(group) + 1;
    progress.begin(group, round);
    await writeRound(db, group, round);
    progress.finish(group, round);
    // Readers shall have their share of two cores.
    if (++rounds % 50 === 0) await sleep(random.below(10));
  }
  return rounds;
}

/** Compacts, and holds scans open, so that arenas get scarce. */
async function disturb(
  db: Db,
  progress: Progress,
  random: Random,
): Promise<void> {
  const scans: Disposable[] = [];
  while (!progress.isOver) {
    await sleep(random.below(150));
    if (random.chance(50)) scans.push(db.scan());
    while (scans.length > random.below(12)) scans.shift()?.[Symbol.dispose]();
    switch (random.below(5)) {
      case 0:
        await db.flush();
        break;
      case 1:
        await db.majorCompact();
        break;
      case 2:
        await db.minorCompact();
        break;
      case 3:
        await db.tombstoneCompact();
        break;
    }
  }
  for (const scan of scans) scan[Symbol.dispose]();
}

/** Starts readers and kills them in the middle of what they do; returns how many. */
async function kill(
  task: ReaderTask,
  progress: Progress,
  random: Random,
): Promise<number> {
  let killed = 0;
  while (!progress.isOver) {
    const victim = new Worker(THREAD, { workerData: task });
    await sleep(300 + random.below(500));
    await victim.terminate();
    killed++;
  }
  return killed;
}

function report(worker: Worker): Promise<ReaderReport> {
  return new Promise((resolve, reject) => {
    worker.once("message", resolve);
    worker.once("error", reject);
  });
}

/** Runs the stress test. */
export function runReaders(plan: StressPlan): Promise<StressResult> {
  const random = new Random(plan.seed);
  return withTempDir(async (dir) => {
    const db = await open(`${dir}/db`, {
      durability: "buffered",
      writeBufferSize: 32 * 1024,
      blockSize: 512,
      compaction: { minThreshold: 3, tombstoneRatio: 0.2 },
    });
    const progress = new Progress();
    const handle = db.share({ leaseSeconds: 30 });
    const task = (): ReaderTask => ({
      handle,
      progress: progress.memory,
      seed: random.below(2 ** 31),
    });
    const workers = Array.from(
      { length: plan.readers },
      () => new Worker(THREAD, { workerData: task() }),
    );
    const reports = Promise.all(workers.map(report));
    const work = Promise.all([
      ...Array.from(
        { length: FIBERS },
        (_, fiber) => write(db, progress, fiber, random),
      ),
      kill(task(), progress, random),
      disturb(db, progress, random),
    ]);
    const failed = Promise.all([reports, work]);
    await Promise.race([sleep(plan.seconds * 1000), failed]);
    progress.end();
    const [told, counts] = await failed;
    const { flush, compaction } = db.stats();
    await db.close();
    for (const worker of workers) await worker.terminate();
    const reads: Record<string, number> = {};
    for (const each of told) {
      for (const [what, count] of Object.entries(each.reads)) {
        reads[what] = (reads[what] ?? 0) + count;
      }
    }
    const numbers = counts.slice(0, FIBERS) as number[];
    return {
      rounds: numbers.reduce((sum, n) => sum + n, 0),
      killed: counts[FIBERS] as number,
      flushes: flush.runs,
      compactions: compaction.runs,
      reads,
      problems: told.flatMap((each) => each.problems),
    };
  });
}

/** Run as a program: the plan as JSON in, the result as JSON out. */
if (import.meta.main) {
  const plan = JSON.parse(process.argv[2]) as StressPlan;
  console.log(JSON.stringify(await runReaders(plan)));
  process.exit();
}
