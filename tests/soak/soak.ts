/**
 * The soak, in the process that main.ts starts for it.
 *
 * @module
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { Worker } from "node:worker_threads";
import { type Db, open, type Options, type Snapshot } from "../../mod.ts";
import { Random } from "../engine/support/random.ts";
import { makeTempDir, removeDir } from "../temp.ts";
import type { Answer, Order } from "./reader_thread.ts";
import { type Sample, sample, SAMPLES_MIN, verdict } from "./samples.ts";
import { Workload } from "./workload.ts";

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "60" },
    seed: { type: "string", default: String(Date.now() % 1_000_000_000) },
    strategy: { type: "string", default: "size-tiered" },
  },
});

const READERS = 2;
const SNAPSHOTS_MAX = 4;
const WRITES_EACH = 100;
const READS_EACH = 50;
const PAUSE_MS = 10;
/** A run has so many samples, and is opened again so often, but not more often than these. */
const SAMPLES = 240;
const SAMPLE_MS_MIN = 500;
const LIVES = 20;
const LIFE_MS_MIN = 10_000;
const PROGRESS_SAMPLES = 10;

const options: Options = {
  durability: "buffered",
  // Small, so that compactions of every size come round within a quarter of a
  // short run: between two of the largest the files grow.
  writeBufferSize: 256 * 1024,
  blockCacheSize: 4 * 1024 * 1024,
  compaction: { strategy: values.strategy as "size-tiered" | "leveled" },
};

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Threads that read, but for while the database is opened again. */
class Readers {
  private readonly threads: Worker[] = [];
  /** Reads of all threads. */
  reads = 0;
  /** What went wrong in any of them. */
  error: string | undefined;

  constructor(count: number) {
    for (let i = 0; i < count; i++) {
      const url = new URL("./reader_thread.ts", import.meta.url);
      const thread = new Worker(url);
      thread.on("error", (error) => this.error ??= String(error));
      thread.on("message", (answer: Answer) => {
        if ("error" in answer) this.error ??= answer.error;
      });
      this.threads.push(thread);
    }
  }

  private tell(thread: Worker, order: Order): void {
    thread.postMessage(order);
  }

  attach(db: Db): void {
    for (const thread of this.threads) {
      this.tell(thread, { attach: db.share() });
    }
  }

  async detach(): Promise<void> {
    const counts = await Promise.all(this.threads.map((thread) => {
      const answered = new Promise<number>((resolve) =>
        thread.once(
          "message",
          (answer: Answer) =>
            resolve("detached" in answer ? answer.detached : 0),
        )
      );
      this.tell(thread, { detach: true });
      return answered;
    }));
    this.reads = counts.reduce((sum, count) => sum + count, 0);
  }

  async end(): Promise<void> {
    await Promise.all(this.threads.map((thread) => thread.terminate()));
  }
}

/** One soak. */
class Soak {
  readonly samples: Sample[] = [];
  readonly readers: Readers = new Readers(READERS);
  readonly workload: Workload;
  lives = 0;
  private readonly random: Random;
  private readonly directory: string;
  private readonly sampleMs: number;
  private readonly lifeMs: number;
  private snapshots: { snapshot: Snapshot; versions: Int32Array }[] = [];
  private nextSample = performance.now();

  constructor(directory: string, seed: number, ms: number) {
    this.directory = directory;
    this.random = new Random(seed);
    this.workload = new Workload(this.random);
    this.sampleMs = Math.max(SAMPLE_MS_MIN, ms / SAMPLES);
    this.lifeMs = Math.max(LIFE_MS_MIN, ms / LIVES);
  }

  /** Works from an opening to the closing. */
  async live(end: number): Promise<void> {
    const db = await open(this.directory, options);
    if (this.lives++ === 0) await this.workload.fill(db);
    this.workload.readAll(db);
    this.readers.attach(db);
    const closing = Math.min(end, performance.now() + this.lifeMs);
    while (performance.now() < closing) await this.round(db);
    this.workload.readAll(db);
    await this.readers.detach();
    for (const { snapshot } of this.snapshots.splice(0)) snapshot.close();
    await db.close();
  }

  private async round(db: Db): Promise<void> {
    const { workload, random, snapshots } = this;
    await workload.write(db, WRITES_EACH);
    workload.read(db, workload.versions, READS_EACH);
    if (random.chance(5) && snapshots.length < SNAPSHOTS_MAX) {
      const snapshot = db.snapshot();
      snapshots.push({ snapshot, versions: workload.versions.slice() });
    }
    for (const { snapshot, versions } of snapshots) {
      workload.read(snapshot, versions, 5);
    }
    if (random.chance(4)) snapshots.shift()?.snapshot.close();
    if (this.readers.error !== undefined) throw new Error(this.readers.error);
    if (performance.now() >= this.nextSample) this.takeSample(db);
    await pause(PAUSE_MS);
  }

  private takeSample(db: Db): void {
    this.nextSample = performance.now() + this.sampleMs;
    const taken = sample(this.directory, this.workload.liveBytes);
    this.samples.push(taken);
    if (this.samples.length % PROGRESS_SAMPLES !== 0) return;
    const { rss, handles, disk, live } = taken;
    const mib = (bytes: number) => `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
    console.log(
      `life ${this.lives}, ${this.workload.checks} checks: memory ${
        mib(rss)
      }, ` +
        `${handles ?? "?"} handles, disk ${mib(disk)}, live ${mib(live)}, ` +
        `${db.stats().tableCount} tables`,
    );
  }
}

async function main(): Promise<number> {
  const ms = Number(values.minutes) * 60_000;
  if (ms < SAMPLES_MIN * SAMPLE_MS_MIN) {
    throw new Error(`--minutes ${values.minutes} is too short`);
  }
  console.log(`seed ${values.seed}`);
  const directory = makeTempDir("varve-soak-");
  const soak = new Soak(directory, Number(values.seed), ms);
  let failed = 0;
  try {
    const end = performance.now() + ms;
    while (performance.now() < end) await soak.live(end);
  } catch (error) {
    failed++;
    console.log(error);
  } finally {
    await soak.readers.end();
    removeDir(directory);
  }
  const { lives, workload, readers, samples } = soak;
  console.log(
    `${lives} lives, ${workload.checks} checks, ${readers.reads} reads of ` +
      `threads, ${samples.length} samples`,
  );
  const findings = verdict(samples);
  for (const { what, isFlat } of findings) {
    console.log(`${isFlat ? "ok  " : "FAIL"} ${what}`);
    if (!isFlat) failed++;
  }
  const answers = 1;
  console.log(`${findings.length + answers - failed} passed, ${failed} failed`);
  return failed;
}

process.exit(await main() > 0 ? 1 : 0);
