/**
 * What the families of growth are made of: a scenario whose size is what
 * grows, and the measurements that several of them take.
 *
 * Everything that is read is read before it is timed, so that the page cache
 * has the files and the runtime has compiled what runs.
 *
 * @module
 */
import { Random } from "../data.ts";
import {
  type Bench,
  measure,
  measureEach,
  note,
  type Operation,
  runEach,
  type Scenario,
} from "../measure.ts";
import { entryBytes, type Shape, STANDARD } from "../shape.ts";
import { type Store, WINDOW } from "../stores/store.ts";
import {
  checkScan,
  checkSome,
  comeToRest,
  type Contents,
  inRandomOrder,
  lookUp,
  ofGeneration,
  putter,
  scanner,
  type Verify,
} from "../workloads.ts";

/** A scenario of growth; its size is what grows. */
export interface GrowthScenario extends Scenario {
  readonly family: string;
  /** What its curve is called beside others of the family. */
  readonly series: string;
  /** What its size is. */
  readonly grows: string;
  /** The sizes that are measured. */
  readonly sizes: readonly number[];
}

/** Puts of more bytes than that are not under way at once. */
const WINDOW_BYTES = 4 * 1024 * 1024;
const SEEK_ENTRIES = 10;
const READS = 200_000;
const SEEKS = 20_000;

/** What a share of the usual work comes to. */
export const shareOf = (bench: Bench, count: number): number =>
  Math.max(1, Math.round(count * bench.share));

/** Fills in random order: until all is acknowledged, and until the tree is at rest. */
export async function measureFill(
  bench: Bench,
  store: Store,
  count: number,
  shape: Shape = STANDARD,
): Promise<void> {
  const put = putter(store, inRandomOrder(count), 1, shape);
  const room = Math.floor(WINDOW_BYTES / entryBytes(shape));
  const window = Math.max(1, Math.min(WINDOW, room));
  const start = performance.now();
  const loop = { count, isAsync: false, window };
  await measureEach(bench, store, "fillrandom", loop, put);
  await store.settle();
  const seconds = (performance.now() - start) / 1000;
  note(bench, "fillrandom, settled", "ops/s", count / seconds);
  const bytes = count * entryBytes(shape);
  await comeToRest(store, bytes);
  bench.wrote(bytes);
  await checkSome(store, count, ofGeneration(1, shape), shape);
}

/** Reads of a store: what it holds, how many of each kind, and what their names end with. */
export class Reads {
  readonly #bench: Bench;
  readonly #store: Store;
  readonly #contents: Contents;
  readonly #shape: Shape;
  readonly #suffix: string;

  constructor(
    bench: Bench,
    store: Store,
    contents: Contents,
    { shape = STANDARD, suffix = "" }: { shape?: Shape; suffix?: string } = {},
  ) {
    this.#bench = bench;
    this.#store = store;
    this.#contents = contents;
    this.#shape = shape;
    this.#suffix = suffix;
  }

  async #warmed(
    name: string,
    count: number,
    operation: Operation,
  ): Promise<void> {
    const times = shareOf(this.#bench, count);
    await runEach(this.#store, times, operation);
    const loop = { count: times, isAsync: false };
    const full = name + this.#suffix;
    await measureEach(this.#bench, this.#store, full, loop, operation);
  }

  /** Lookups of random entries of some contents. */
  async #gets(
    name: string,
    { count, entryAt }: Contents,
    verify: Verify,
    reads: number,
  ): Promise<void> {
    const random = new Random(21);
    const look = lookUp(this.#store, verify, this.#shape);
    const operation = () => look(entryAt(random.below(count)) * 2);
    await this.#warmed(name, reads, operation);
  }

  /** Lookups of entries that are there. */
  async random(reads: number = READS): Promise<void> {
    const verify = ofGeneration(1, this.#shape);
    await this.#gets("readrandom", this.#contents, verify, reads);
  }

  /** Lookups of entries that are not there any more. */
  async missing(gone: Contents, verify: Verify): Promise<void> {
    await this.#gets("readmissing", gone, verify, READS);
  }

  /** Short scans from random places. */
  async seeks(): Promise<void> {
    const length = Math.min(SEEK_ENTRIES, this.#contents.count);
    const scan = scanner(this.#store, this.#contents, length, this.#shape);
    await this.#warmed("seekrandom", SEEKS, scan);
  }

  /** One scan over everything. */
  async all(): Promise<void> {
    const contents = this.#contents;
    const name = "readseq" + this.#suffix;
    const work = () => checkScan(this.#store, contents, false, this.#shape);
    await measure(this.#bench, name, "entries/s", contents.count, work);
  }
}
