/**
 * The workloads of LevelDB's db_bench, under its names, and reopening.
 *
 * Writes are `buffered`, except for those named sync. They are accepted one
 * after the other and acknowledged by the thousand, except for those named
 * awaited. A timed fill ends when everything is acknowledged.
 *
 * @module
 */
import process from "node:process";
import {
  checkLargeValue,
  checkMissing,
  checkValue,
  ENTRY_BYTES,
  KEY_BYTES,
  keyOf,
  LARGE_VALUE_BYTES,
  largeValueOf,
  Random,
  shuffled,
  valueOf,
} from "./data.ts";
import {
  type Bench,
  measure,
  measureEach,
  runEach,
  type Scenario,
} from "./measure.ts";
import type { OpenSettings, Store } from "./stores/store.ts";
import {
  awaitedPutter,
  checkScan,
  checkSome,
  comeToRest,
  deletedIn,
  everything,
  fillAndSettle,
  inOrder,
  inRandomOrder,
  lookUp,
  ofGeneration,
  type Order,
  putter,
  rangeDeleter,
  rangeStarts,
  scanner,
  type Verify,
} from "./workloads.ts";

const BATCH_ENTRIES = 1000;
const SYNC_WRITERS = 64;
const RANGE_KEYS = 100;
const RANGES_MAX = 1000;
const SEEK_ENTRIES = 10;
const SCAN_ENTRIES = 100;
const LARGE_VALUES_MAX = 1000;
/** Few enough that large values are not built anew while they are written. */
const LARGE_WINDOW = 16;

// ---------------------------------------------------------------- writes

/** What a timed write leaves is checked before and after it settles. */
async function finishFill(
  bench: Bench,
  store: Store,
  verify: Verify,
  count = bench.size,
): Promise<void> {
  await checkSome(store, count, verify);
  await comeToRest(store);
  await checkSome(store, count, verify);
  await store.close();
}

/** A scenario of one timed fill, accepted or each awaited. */
function fillScenario(
  name: string,
  orderOf: (size: number) => Order,
  isAwaited: boolean,
): Scenario {
  const step = async (bench: Bench) => {
    const { size } = bench;
    const store = await bench.open();
    const order = orderOf(size);
    const loop = { count: size, isAsync: isAwaited };
    const write = isAwaited
      ? awaitedPutter(store, order)
      : putter(store, order, 1);
    await measureEach(bench, store, name, loop, write);
    bench.wrote(size * ENTRY_BYTES);
    await finishFill(bench, store, ofGeneration(1));
  };
  return { name, measures: [name], steps: [step] };
}

async function fillBatch(bench: Bench): Promise<void> {
  const { size } = bench;
  const store = await bench.open();
  await measure(bench, "fillbatch", "ops/s", size, async () => {
    for (let from = 0; from < size; from += BATCH_ENTRIES) {
      const to = Math.min(size, from + BATCH_ENTRIES);
      await store.batch((put) => {
        for (let entry = from; entry < to; entry++) {
          put(keyOf(entry * 2), valueOf(entry * 2, 1));
        }
      });
    }
  });
  bench.wrote(size * ENTRY_BYTES);
  await finishFill(bench, store, ofGeneration(1));
}

async function fillLarge(bench: Bench): Promise<void> {
  const count = Math.min(LARGE_VALUES_MAX, Math.ceil(bench.size / 100));
  const store = await bench.open();
  const loop = { count, isAsync: false, window: LARGE_WINDOW };
  largeValueOf(0); // The first call makes what values are made of.
  await measureEach(bench, store, "fill100K", loop, (i) => {
    store.put(keyOf(i * 2), largeValueOf(i * 2));
  });
  bench.wrote(count * (KEY_BYTES + LARGE_VALUE_BYTES));
  await finishFill(bench, store, checkLargeValue, count);
}

async function overwrite(bench: Bench): Promise<void> {
  const { size } = bench;
  const store = await bench.open();
  await fillAndSettle(store, size);
  const order = shuffled(size, 8);
  const loop = { count: size, isAsync: false };
  const write = putter(store, (i) => order[i] ?? 0, 2);
  await measureEach(bench, store, "overwrite", loop, write);
  bench.wrote(2 * size * ENTRY_BYTES);
  await finishFill(bench, store, ofGeneration(2));
}

async function deleteRandom(bench: Bench): Promise<void> {
  const { size } = bench;
  const store = await bench.open();
  await fillAndSettle(store, size);
  const order = shuffled(size, 9);
  const loop = { count: size, isAsync: false };
  await measureEach(bench, store, "deleterandom", loop, (i) => {
    store.delete(keyOf((order[i] ?? 0) * 2));
  });
  await finishFill(bench, store, checkMissing);
}

/** Some of the entries, each write synced, by writers that each await their own. */
function syncScenario(name: string, share: number, writers: number): Scenario {
  const step = async (bench: Bench) => {
    const count = Math.ceil(bench.size * share);
    const store = await bench.open({ durability: "sync" });
    const write = awaitedPutter(store, inOrder());
    let next = 0;
    const writer = async () => {
      while (next < count) await write(next++);
    };
    await (writers === 1
      ? measureEach(bench, store, name, { count, isAsync: true }, write)
      : measure(bench, name, "ops/s", count, async () => {
        await Promise.all(Array.from({ length: writers }, writer));
      }));
    await checkSome(store, count, ofGeneration(1));
    await store.close();
  };
  return { name, measures: [name], steps: [step], isSynced: true };
}

// ----------------------------------------------------------------- reads

/** Fills in random order, brings the store to rest, and closes it. */
export async function prepare(bench: Bench): Promise<void> {
  const store = await bench.open();
  await fillAndSettle(store, bench.size);
  await store.close();
}

const AFTER_DELETES = "readrandom after deleterange";

/** The measurements of the scenario `reads`, in their order. */
class Reads {
  readonly #bench: Bench;
  readonly #store: Store;

  constructor(bench: Bench, store: Store) {
    this.#bench = bench;
    this.#store = store;
  }

  /** Lookups of the key numbers that a function of random numbers gives. */
  async #gets(
    name: string,
    numberOf: (random: Random) => number,
    verify: Verify,
  ): Promise<void> {
    if (!this.#bench.isWanted(name)) return;
    const store = this.#store;
    const random = new Random(21);
    const look = lookUp(store, verify);
    const loop = { count: this.#bench.size, isAsync: store.getsAsync };
    const operation = () => look(numberOf(random));
    await measureEach(this.#bench, store, name, loop, operation);
  }

  async gets(): Promise<void> {
    const { size } = this.#bench;
    const hot = Math.max(1, Math.floor(size / 100));
    const present = ofGeneration(1);
    await this.#gets("readrandom", (random) => random.below(size) * 2, present);
    await this.#gets("readhot", (random) => random.below(hot) * 2, present);
    await this.#gets(
      "readmissing",
      (random) => random.below(size) * 2 + 1,
      checkMissing,
    );
  }

  async #scanAll(name: string, reverse: boolean): Promise<void> {
    if (!this.#bench.isWanted(name)) return;
    const { size } = this.#bench;
    const work = () => checkScan(this.#store, everything(size), reverse);
    await measure(this.#bench, name, "entries/s", size, work);
  }

  async #scanSome(name: string, count: number, length: number): Promise<void> {
    if (!this.#bench.isWanted(name)) return;
    const store = this.#store;
    const operation = scanner(store, everything(this.#bench.size), length);
    const loop = { count, isAsync: store.scansAsync };
    await measureEach(this.#bench, store, name, loop, operation);
  }

  async scans(): Promise<void> {
    const { size } = this.#bench;
    await this.#scanAll("readseq", false);
    await this.#scanAll("readreverse", true);
    await this.#scanSome("seekrandom", Math.min(size, 50_000), SEEK_ENTRIES);
    await this.#scanSome("scan100", Math.min(size / 10, 5_000), SCAN_ENTRIES);
  }

  async rangeDeletes(): Promise<void> {
    const bench = this.#bench;
    if (!bench.isWanted("deleterange") && !bench.isWanted(AFTER_DELETES)) {
      return;
    }
    const { size } = bench;
    const starts = rangeStarts(
      size,
      RANGE_KEYS,
      Math.min(RANGES_MAX, Math.floor(size / RANGE_KEYS)),
    );
    const loop = { count: starts.length, isAsync: true };
    const operation = rangeDeleter(this.#store, starts, RANGE_KEYS);
    await measureEach(bench, this.#store, "deleterange", loop, operation);
    const isDeleted = deletedIn(size, starts, RANGE_KEYS);
    const numberOf = (random: Random) => random.below(size) * 2;
    await this.#gets(AFTER_DELETES, numberOf, (value, number, start, end) => {
      if (isDeleted[number / 2] === 1) checkMissing(value, number);
      else checkValue(value, number, 1, start, end);
    });
  }
}

async function read(bench: Bench): Promise<void> {
  const store = await bench.open();
  const reads = new Reads(bench, store);
  await reads.gets();
  await reads.scans();
  await reads.rangeDeletes();
  await store.close();
}

// ---------------------------------------------------------------- reopen

/** Fills, and dies before anything is in a table. */
export async function fillAndDie(bench: Bench): Promise<void> {
  const store = await bench.open({ keepInLog: true });
  const write = putter(store, inRandomOrder(bench.size), 1);
  await runEach(store, bench.size, write);
  process.kill(process.pid, "SIGKILL");
}

async function fillAndClose(bench: Bench): Promise<void> {
  const store = await bench.open();
  await runEach(store, bench.size, putter(store, inRandomOrder(bench.size), 1));
  await store.close();
}

/** Opens what another process left; the time to the first answer. */
export function reopenStep(name: string, settings: Partial<OpenSettings> = {}) {
  return async (bench: Bench) => {
    const start = performance.now();
    const store = await bench.open(settings);
    await lookUp(store, ofGeneration(1))(0);
    const figure = performance.now() - start;
    bench.report({ name, unit: "ms", figure, count: 1 });
    await checkScan(store, everything(bench.size));
    await store.close();
  };
}

/** Everything that is measured here, in the order of the report. */
export const DB_BENCH: readonly Scenario[] = [
  fillScenario("fillseq", inOrder, false),
  fillScenario("fillrandom", inRandomOrder, false),
  { name: "fillbatch", measures: ["fillbatch"], steps: [fillBatch] },
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
    hasReads: true,
  },
  { name: "deleterandom", measures: ["deleterandom"], steps: [deleteRandom] },
  {
    name: "fill100K",
    measures: ["fill100K"],
    steps: [fillLarge],
    hasLargeValues: true,
  },
  syncScenario("fillsync", 0.01, 1),
  syncScenario(`fillsync ${SYNC_WRITERS} writers`, 0.1, SYNC_WRITERS),
  fillScenario("fillseq awaited", inOrder, true),
  fillScenario("fillrandom awaited", inRandomOrder, true),
  {
    name: "reopen log",
    measures: ["reopen, unflushed log"],
    steps: [
      fillAndDie,
      reopenStep("reopen, unflushed log", { keepInLog: true }),
    ],
    isKilled: true,
  },
  {
    name: "reopen clean",
    measures: ["reopen, closed cleanly"],
    steps: [fillAndClose, reopenStep("reopen, closed cleanly")],
  },
];
