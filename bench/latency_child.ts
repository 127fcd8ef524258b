/**
 * Measures how long a program's own thread waits for the store, on the runtime
 * that runs this file. Prints its {@linkcode LatencyResult} as one line of
 * JSON. Started by `latency.ts`.
 *
 * The writer behaves as a program does that writes all it can: it issues small
 * groups of buffered puts, awaits each group, and gives way to the event loop
 * every millisecond. Between groups it looks one key up that has been in a
 * table, and in the block cache, from the start. Beside it runs a chain of
 * timers, each of which notes how late it fires.
 *
 * @module
 */
import process from "node:process";
import { setImmediate, setTimeout } from "node:timers";
import { parseArgs } from "node:util";
import { type Db, open, type Options } from "../mod.ts";
import { checkValue, keyOf, Random, valueOf } from "./data.ts";
import { type Percentiles, Samples } from "./samples.ts";

/** What was found while one thing went on. */
export interface PhaseResult {
  readonly name: string;
  readonly seconds: number;
  readonly entries: number;
  /** A `get` of a cached key. */
  readonly get: Percentiles;
  /** How late a timer fires. */
  readonly lag: Percentiles;
  /** How late something would be handled that comes at any moment. */
  readonly lagAtAnyMoment: Percentiles;
  /** From issuing the first put of a group to its acknowledgement. */
  readonly write: Percentiles;
  readonly flushes: number;
  readonly compactions: number;
  readonly stalls: number;
  readonly stallSeconds: number;
  /** Blocks that a lookup did not find in the cache: first touched after a compaction. */
  readonly cacheMisses: number;
}

/** What one process found. */
export interface LatencyResult {
  readonly phases: PhaseResult[];
  /** Where flushes and compactions ran. */
  readonly background: string;
  readonly tables: number;
  /** Puts that are awaited together. */
  readonly group: number;
}

const GROUP = 16;
/** The entries that lookups choose from, and those that lie around them. */
const CACHED_KEYS = 1_000;
const FIRST_ENTRIES = 100_000;
/** How long the writer keeps the thread at a stretch. */
const TURN_MS = 1;
const TIMER_MS = 1;
const IDLE_SECONDS = 2;
const ROOM_MAX = 4_000_000;
/** More groups a second than any runtime writes. */
const GROUPS_PER_SECOND_MAX = 100_000;

/** Knuth's multiplier: odd, so that each entry gets a key number of its own. */
const SCATTER = 2654435761;
const keyNumber = (entry: number): number => Math.imul(entry, SCATTER) >>> 0;

const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve));
const wait = (ms: number) =>
  new Promise<void>((resolve) => setTimeout(resolve, ms));

/** A chain of timers, each of which notes how late it is. */
class LagMeter {
  readonly #samples: Samples;
  #isRunning = true;
  #due = 0;

  constructor(samples: Samples) {
    this.#samples = samples;
    this.#schedule();
  }

  #schedule(): void {
    this.#due = performance.now() + TIMER_MS;
    setTimeout(this.#fire, TIMER_MS);
  }

  readonly #fire = () => {
    if (!this.#isRunning) return;
    this.#samples.add(Math.max(0, performance.now() - this.#due));
    this.#schedule();
  };

  stop(): void {
    this.#isRunning = false;
  }
}

/** One phase's samples. */
interface Meters {
  readonly get: Samples;
  readonly write: Samples;
}

class Bench {
  readonly #db: Db;
  readonly #random = new Random(1);
  #entries = 0;

  constructor(db: Db) {
    this.#db = db;
  }

  /** Writes the keys that are looked up, and brings their blocks into the cache. */
  async prepare(): Promise<void> {
    while (this.#entries < FIRST_ENTRIES) await this.#writeGroup();
    await this.#db.flush();
    for (let i = 0; i < CACHED_KEYS; i++) this.#look(i);
  }

  #look(entry: number): void {
    const number = keyNumber(entry);
    checkValue(this.#db.get(keyOf(number)), number, 1);
  }

  #writeGroup(): Promise<void> {
    let done = Promise.resolve();
    for (let i = 0; i < GROUP; i++) {
      const number = keyNumber(this.#entries++);
      done = this.#db.put(keyOf(number), valueOf(number, 1));
    }
    return done;
  }

  #sampleGet(samples: Samples): void {
    const number = keyNumber(this.#random.below(CACHED_KEYS));
    const key = keyOf(number);
    const start = performance.now();
    const value = this.#db.get(key);
    samples.add(performance.now() - start);
    checkValue(value, number, 1);
  }

  async #step({ get, write }: Meters): Promise<void> {
    const start = performance.now();
    await this.#writeGroup();
    write.add(performance.now() - start);
    this.#sampleGet(get);
  }

  /** Nothing but lookups: what runtime and machine do by themselves. */
  async idle({ get }: Meters): Promise<void> {
    const end = performance.now() + IDLE_SECONDS * 1000;
    while (performance.now() < end) {
      for (let i = 0; i < GROUP; i++) this.#sampleGet(get);
      await wait(TURN_MS);
    }
  }

  /** Writes as fast as the store takes it. */
  async atFullSpeed(entries: number, meters: Meters): Promise<void> {
    const end = this.#entries + entries;
    let turn = performance.now();
    while (this.#entries < end) {
      await this.#step(meters);
      if (performance.now() - turn < TURN_MS) continue;
      await nextTurn();
      turn = performance.now();
    }
  }

  /** Writes so many entries a second, as they fall due. */
  async atRate(
    perSecond: number,
    seconds: number,
    meters: Meters,
  ): Promise<void> {
    const start = performance.now();
    const first = this.#entries;
    for (;;) {
      const turn = performance.now();
      const elapsed = turn - start;
      if (elapsed >= seconds * 1000) return;
      const due = first + perSecond * elapsed / 1000;
      while (this.#entries < due && performance.now() - turn < TURN_MS) {
        await this.#step(meters);
      }
      // Behind its time it goes on at once, otherwise it waits.
      await (this.#entries < due ? nextTurn() : wait(TURN_MS));
    }
  }

  /** Runs a phase and gathers what it found. */
  async measure(
    name: string,
    expectedGroups: number,
    expectedSeconds: number,
    work: (meters: Meters) => Promise<void>,
  ): Promise<PhaseResult> {
    const room = Math.min(ROOM_MAX, Math.ceil(expectedGroups));
    const meters = { get: new Samples(room), write: new Samples(room) };
    const lag = new Samples(Math.ceil(expectedSeconds * 1000 / TIMER_MS));
    const before = this.#db.stats();
    const entries = this.#entries;
    const meter = new LagMeter(lag);
    const start = performance.now();
    await work(meters);
    const seconds = (performance.now() - start) / 1000;
    meter.stop();
    const after = this.#db.stats();
    return {
      name,
      seconds,
      entries: this.#entries - entries,
      get: meters.get.percentiles(),
      lag: lag.percentiles(),
      lagAtAnyMoment: lag.percentilesAtAnyMoment(TIMER_MS),
      write: meters.write.percentiles(),
      flushes: after.flush.runs - before.flush.runs,
      compactions: after.compaction.runs - before.compaction.runs,
      stalls: after.stalls.count - before.stalls.count,
      stallSeconds: after.stalls.seconds - before.stalls.seconds,
      cacheMisses: after.cache.misses - before.cache.misses,
    };
  }
}

async function main(): Promise<LatencyResult> {
  const { values } = parseArgs({
    options: {
      directory: { type: "string" },
      entries: { type: "string", default: "2000000" },
      seconds: { type: "string", default: "60" },
      options: { type: "string", default: "{}" },
    },
  });
  if (values.directory === undefined) throw new Error("no --directory");
  const entries = Number(values.entries);
  const seconds = Number(values.seconds);
  const options: Options = JSON.parse(values.options);
  const db = await open(values.directory, {
    durability: "buffered",
    ...options,
  });
  const bench = new Bench(db);
  await bench.prepare();
  const phases: PhaseResult[] = [];
  phases.push(
    await bench.measure(
      "idle",
      GROUPS_PER_SECOND_MAX * IDLE_SECONDS,
      IDLE_SECONDS,
      (meters) => bench.idle(meters),
    ),
  );
  const full = await bench.measure(
    "full speed",
    entries / GROUP + 1,
    Math.max(60, entries / 20_000),
    (meters) => bench.atFullSpeed(entries, meters),
  );
  phases.push(full);
  const rate = full.entries / full.seconds / 2;
  phases.push(
    await bench.measure(
      "half speed",
      rate * seconds / GROUP * 1.1 + 1,
      seconds + 1,
      (meters) => bench.atRate(rate, seconds, meters),
    ),
  );
  const { background, tableCount } = db.stats();
  await db.close();
  return { phases, background, tables: tableCount, group: GROUP };
}

process.stdout.write(JSON.stringify(await main()) + "\n");
