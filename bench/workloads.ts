/**
 * What is measured, and how.
 *
 * A scenario is a list of steps on one fresh directory; each step is a fresh
 * process. Its measurements are rates, or the time of one event. All answers
 * are checked: a workload that finds a wrong or missing value throws. Writes
 * are `buffered`, except for those named sync.
 *
 * Names are those of LevelDB's db_bench where it has them.
 *
 * @module
 */
import process from "node:process";
import { Batch, type Db, open, type Options } from "../mod.ts";
import {
  checkCount,
  checkKey,
  checkMissing,
  checkValue,
  keyOf,
  Random,
  shuffled,
  valueOf,
} from "./data.ts";

/** A store as the benchmarks use it. */
export type Store = Db<Uint8Array, Uint8Array>;

/** What a measurement's figure is. */
export type Unit = "ops/s" | "entries/s" | "ms";

/** One figure. */
export interface Measurement {
  readonly name: string;
  readonly unit: Unit;
  /** Operations or entries for each second; or milliseconds. */
  readonly figure: number;
  /** How many operations or entries were timed. */
  readonly count: number;
}

/** What a step is given. */
export interface Bench {
  /** Entries in the store. */
  readonly size: number;
  readonly directory: string;
  /** Whether a measurement is asked for. */
  isWanted(name: string): boolean;
  /** Takes a measurement. */
  report(measurement: Measurement): void;
  /** Takes what the store says of itself at the end. */
  finish(db: Store): void;
}

/** A list of steps on one directory. */
export interface Scenario {
  readonly name: string;
  /** The names of what it measures. */
  readonly measures: readonly string[];
  /** Each is run by a process of its own. */
  readonly steps: readonly ((bench: Bench) => Promise<void>)[];
  /** The first step ends by killing its process. */
  readonly isKilled?: true;
}

const PIPELINE_DEPTH = 1000;
const BATCH_ENTRIES = 1000;
const SYNC_WRITERS = 64;
const RANGE_KEYS = 100;
const SEEK_ENTRIES = 10;
const SCAN_ENTRIES = 100;
const CHECKED_READS = 1000;

/** More than any size that is measured needs: nothing is flushed. */
const BUFFER_FOR_ALL_BYTES = 256 * 1024 * 1024;

const openStore = (
  bench: Bench,
  options: Options = { durability: "buffered" },
): Promise<Store> => open(bench.directory, options);

/** Times something that does `count` operations. */
async function measure(
  bench: Bench,
  name: string,
  unit: "ops/s" | "entries/s",
  count: number,
  work: () => void | Promise<void>,
): Promise<void> {
  const start = performance.now();
  await work();
  const seconds = (performance.now() - start) / 1000;
  bench.report({ name, unit, figure: count / seconds, count });
}

// ---------------------------------------------------------------- writes

/** The entry written as `i`-th. */
const inOrder = (i: number): number => i;

function inRandomOrder(size: number): (i: number) => number {
  const order = shuffled(size, 7);
  return (i) => order[i] ?? 0;
}

/** One put at a time, as a program does that awaits each. */
async function putAwaited(
  db: Store,
  count: number,
  entryAt: (i: number) => number,
  generation: number,
): Promise<void> {
  for (let i = 0; i < count; i++) {
    const number = entryAt(i) * 2;
    await db.put(keyOf(number), valueOf(number, generation));
  }
}

/** Puts awaited once in a thousand. */
async function putPipelined(
  db: Store,
  count: number,
  entryAt: (i: number) => number,
  generation: number,
): Promise<void> {
  for (let i = 0; i < count; i++) {
    const number = entryAt(i) * 2;
    const done = db.put(keyOf(number), valueOf(number, generation));
    if (i % PIPELINE_DEPTH === PIPELINE_DEPTH - 1 || i === count - 1) {
      await done;
    }
  }
}

async function putBatches(db: Store, count: number): Promise<void> {
  for (let from = 0; from < count; from += BATCH_ENTRIES) {
    const batch = new Batch();
    const to = Math.min(count, from + BATCH_ENTRIES);
    for (let entry = from; entry < to; entry++) {
      batch.put(keyOf(entry * 2), valueOf(entry * 2, 1));
    }
    await db.write(batch);
  }
}

/** Each writer awaits its own puts; together they share syncs. */
async function putFromWriters(db: Store, count: number): Promise<void> {
  let next = 0;
  async function writer(): Promise<void> {
    while (next < count) {
      const number = next++ * 2;
      await db.put(keyOf(number), valueOf(number, 1));
    }
  }
  await Promise.all(Array.from({ length: SYNC_WRITERS }, writer));
}

/** Brings the tree to rest as it would come to rest by itself. */
async function settle(db: Store): Promise<void> {
  await db.flush();
  while (await db.minorCompact());
}

/** Checks some of the entries, not timed. */
function checkSome(db: Store, size: number, generation: number): void {
  const random = new Random(11);
  for (let i = 0; i < Math.min(size, CHECKED_READS); i++) {
    const number = random.below(size) * 2;
    checkValue(db.get(keyOf(number)), number, generation);
  }
}

/** A scenario of one timed fill. */
function fillScenario(
  name: string,
  fill: (db: Store, size: number) => () => Promise<void>,
): Scenario {
  const step = async (bench: Bench) => {
    const db = await openStore(bench);
    const work = fill(db, bench.size);
    await measure(bench, name, "ops/s", bench.size, work);
    checkSome(db, bench.size, 1);
    await settle(db);
    checkSome(db, bench.size, 1);
    bench.finish(db);
    await db.close();
  };
  return { name, measures: [name], steps: [step] };
}

async function overwrite(bench: Bench): Promise<void> {
  const db = await openStore(bench);
  await putPipelined(db, bench.size, inRandomOrder(bench.size), 1);
  await settle(db);
  const order = shuffled(bench.size, 8);
  await measure(
    bench,
    "overwrite",
    "ops/s",
    bench.size,
    () => putAwaited(db, bench.size, (i) => order[i] ?? 0, 2),
  );
  await settle(db);
  checkSome(db, bench.size, 2);
  bench.finish(db);
  await db.close();
}

function syncScenario(
  name: string,
  share: number,
  write: (db: Store, count: number) => Promise<void>,
): Scenario {
  const step = async (bench: Bench) => {
    const count = Math.ceil(bench.size * share);
    const db = await openStore(bench, { durability: "sync" });
    await measure(bench, name, "ops/s", count, () => write(db, count));
    checkSome(db, count, 1);
    bench.finish(db);
    await db.close();
  };
  return { name, measures: [name], steps: [step] };
}

// ----------------------------------------------------------------- reads

/** Fills in random order, brings the tree to rest, and closes it. */
async function prepare(bench: Bench): Promise<void> {
  const db = await openStore(bench);
  await putPipelined(db, bench.size, inRandomOrder(bench.size), 1);
  await settle(db);
  await db.close();
}

/** Random reads among the first `among` entries. */
function readRandom(db: Store, count: number, among: number): void {
  const random = new Random(21);
  for (let i = 0; i < count; i++) {
    const number = random.below(among) * 2;
    checkValue(db.get(keyOf(number)), number, 1);
  }
}

function readMissing(db: Store, count: number): void {
  const random = new Random(22);
  for (let i = 0; i < count; i++) {
    const number = random.below(count) * 2 + 1;
    checkMissing(db.get(keyOf(number)), number);
  }
}

function readAll(db: Store, size: number, reverse: boolean): void {
  let seen = 0;
  for (const [key, value] of db.scan({ reverse })) {
    const number = (reverse ? size - 1 - seen : seen) * 2;
    checkKey(key, number);
    checkValue(value, number, 1);
    seen++;
  }
  checkCount("entries of a full scan", seen, size);
}

/** Scans of `length` entries from random places, present keys and missing ones. */
function scanRandom(
  db: Store,
  size: number,
  scans: number,
  length: number,
): void {
  const random = new Random(23);
  for (let i = 0; i < scans; i++) {
    // Not so near the end that a scan is cut short.
    const from = random.below((size - length) * 2);
    let number = from + (from & 1);
    let seen = 0;
    for (const [key, value] of db.scan({ gte: keyOf(from), limit: length })) {
      checkKey(key, number);
      checkValue(value, number, 1);
      number += 2;
      seen++;
    }
    checkCount(`entries from ${from}`, seen, length);
  }
}

/** Where each range that is deleted begins: random, so ranges may overlap. */
function rangeStarts(size: number): number[] {
  const random = new Random(24);
  const count = Math.min(1000, Math.floor(size / RANGE_KEYS));
  return Array.from({ length: count }, () => random.below(size - RANGE_KEYS));
}

async function deleteRanges(db: Store, starts: number[]): Promise<void> {
  for (const entry of starts) {
    const start = keyOf(entry * 2).slice(); // the next key takes its buffer
    await db.deleteRange(start, keyOf((entry + RANGE_KEYS) * 2));
  }
}

function readAfterDeletes(db: Store, size: number, starts: number[]): void {
  const isDeleted = new Uint8Array(size);
  for (const entry of starts) isDeleted.fill(1, entry, entry + RANGE_KEYS);
  const random = new Random(25);
  for (let i = 0; i < size; i++) {
    const entry = random.below(size);
    const value = db.get(keyOf(entry * 2));
    if (isDeleted[entry] === 1) checkMissing(value, entry * 2);
    else checkValue(value, entry * 2, 1);
  }
}

const AFTER_DELETES = "readrandom after deleterange";

async function read(bench: Bench): Promise<void> {
  const { size } = bench;
  const db = await openStore(bench);
  const timed = async (
    name: string,
    unit: "ops/s" | "entries/s",
    count: number,
    work: () => void | Promise<void>,
  ) => {
    if (bench.isWanted(name)) await measure(bench, name, unit, count, work);
  };
  const hot = Math.max(1, Math.floor(size / 100));
  const seeks = Math.min(size, 50_000);
  const scans = Math.min(size / 10, 5_000);
  const starts = rangeStarts(size);

  await timed("readrandom", "ops/s", size, () => readRandom(db, size, size));
  await timed("readhot", "ops/s", size, () => readRandom(db, size, hot));
  await timed("readmissing", "ops/s", size, () => readMissing(db, size));
  await timed("readseq", "entries/s", size, () => readAll(db, size, false));
  await timed("readreverse", "entries/s", size, () => readAll(db, size, true));
  await timed(
    "seekrandom",
    "ops/s",
    seeks,
    () => scanRandom(db, size, seeks, SEEK_ENTRIES),
  );
  await timed(
    "scan100",
    "entries/s",
    scans * SCAN_ENTRIES,
    () => scanRandom(db, size, scans, SCAN_ENTRIES),
  );
  if (bench.isWanted("deleterange") || bench.isWanted(AFTER_DELETES)) {
    const { length } = starts;
    const work = () => deleteRanges(db, starts);
    await measure(bench, "deleterange", "ops/s", length, work);
    await timed(
      AFTER_DELETES,
      "ops/s",
      size,
      () => readAfterDeletes(db, size, starts),
    );
  }
  bench.finish(db);
  await db.close();
}

// ---------------------------------------------------------------- reopen

const unflushed = {
  durability: "buffered",
  writeBufferSize: BUFFER_FOR_ALL_BYTES,
} as const;

async function fillAndDie(bench: Bench): Promise<void> {
  const db = await openStore(bench, unflushed);
  await putPipelined(db, bench.size, inRandomOrder(bench.size), 1);
  checkCount("tables before the kill", db.stats().tableCount, 0);
  process.kill(process.pid, "SIGKILL");
}

async function fillAndClose(bench: Bench): Promise<void> {
  const db = await openStore(bench);
  await putPipelined(db, bench.size, inRandomOrder(bench.size), 1);
  await db.close();
}

function reopenStep(name: string, options?: Options) {
  return async (bench: Bench) => {
    const start = performance.now();
    const db = await openStore(bench, options);
    const figure = performance.now() - start;
    bench.report({ name, unit: "ms", figure, count: 1 });
    readAll(db, bench.size, false);
    bench.finish(db);
    await db.close();
  };
}

/** Everything that is measured, in the order of the report. */
export const SCENARIOS: readonly Scenario[] = [
  fillScenario("fillseq", (db, size) => () => putAwaited(db, size, inOrder, 1)),
  fillScenario(
    "fillseq pipelined",
    (db, size) => () => putPipelined(db, size, inOrder, 1),
  ),
  fillScenario("fillrandom", (db, size) => {
    const order = inRandomOrder(size);
    return () => putAwaited(db, size, order, 1);
  }),
  fillScenario("fillrandom pipelined", (db, size) => {
    const order = inRandomOrder(size);
    return () => putPipelined(db, size, order, 1);
  }),
  fillScenario("fillbatch", (db, size) => () => putBatches(db, size)),
  { name: "overwrite", measures: ["overwrite"], steps: [overwrite] },
  {
    name: "reads",
    measures: [
      "readrandom",
      "readhot",
      "readmissing",
      "readseq",
      "readreverse",
      "seekrandom",
      "scan100",
      "deleterange",
      AFTER_DELETES,
    ],
    steps: [prepare, read],
  },
  syncScenario(
    "fillsync",
    0.01,
    (db, count) => putAwaited(db, count, inOrder, 1),
  ),
  syncScenario(`fillsync ${SYNC_WRITERS} writers`, 0.1, putFromWriters),
  {
    name: "reopen log",
    measures: ["reopen, unflushed log"],
    steps: [fillAndDie, reopenStep("reopen, unflushed log", unflushed)],
    isKilled: true,
  },
  {
    name: "reopen clean",
    measures: ["reopen, closed cleanly"],
    steps: [fillAndClose, reopenStep("reopen, closed cleanly")],
  },
];
