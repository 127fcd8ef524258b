/**
 * How something is measured: what a scenario is, and the loops that time it.
 *
 * All answers are checked: a workload that finds a wrong or missing value
 * throws. Of single operations, every sixteenth is timed by itself, so that the
 * clock does not become what is measured.
 *
 * @module
 */
import { type Percentiles, Samples } from "./samples.ts";
import { type OpenSettings, type Store, WINDOW } from "./stores/store.ts";

/** What a measurement's figure is; a ratio has no unit. */
export type Unit = "ops/s" | "entries/s" | "MB/s" | "ms" | "bytes" | "ratio";

/** One figure. */
export interface Measurement {
  readonly name: string;
  readonly unit: Unit;
  /** In the unit. */
  readonly figure: number;
  /** How many operations or entries were timed. */
  readonly count: number;
  /** Of single operations. A write that is not awaited ends when it is accepted. */
  readonly latency?: Percentiles;
}

/** What a step is given. */
export interface Bench {
  /** Entries in the store; in the scenarios of growth, what grows. */
  readonly size: number;
  /** For a scenario that opens its store by itself. */
  readonly directory: string;
  /** The share of the usual work that is wanted: below 1 for a quick look. */
  readonly share: number;
  /** Opens the store that is measured. */
  open(settings?: Partial<OpenSettings>): Promise<Store>;
  /** Whether a measurement is asked for. */
  isWanted(name: string): boolean;
  /** Takes a measurement. */
  report(measurement: Measurement): void;
  /** Takes how many bytes of keys and values this step gave the store. */
  wrote(bytes: number): void;
}

/** A list of steps on one fresh directory. */
export interface Scenario {
  readonly name: string;
  /** The names of what it measures. */
  readonly measures: readonly string[];
  /** Each is run by a process of its own. */
  readonly steps: readonly ((bench: Bench) => Promise<void>)[];
  /** The first step ends by killing its process. */
  readonly isKilled?: true;
  /** Its writes are synced. */
  readonly isSynced?: true;
  /** Its values are large. */
  readonly hasLargeValues?: true;
  /** It measures what lookups of single keys cost, among others. */
  readonly hasReads?: true;
}

/** An operation: what it returns, if anything, is awaited where `isAsync` says so. */
export type Operation = (i: number) => void | Promise<void>;

/** How a list of operations is run. */
export interface Loop {
  readonly count: number;
  /** Whether each operation is awaited before the next. */
  readonly isAsync: boolean;
  /** Operations after which the store is given time for its writes. */
  readonly window?: number;
}

const SAMPLE_EVERY = 16;

/** Reports a figure that no clock has measured. */
export function note(bench: Bench, name: string, unit: Unit, figure: number) {
  bench.report({ name, unit, figure, count: 1 });
}

/** Times something that does `count` operations. */
export async function measure(
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

/** Times operations, together and one in sixteen; to the end they are acknowledged. */
export async function measureEach(
  bench: Bench,
  store: Store,
  name: string,
  loop: Loop,
  operation: Operation,
): Promise<void> {
  const { count } = loop;
  const samples = new Samples(Math.ceil(count / SAMPLE_EVERY));
  const start = performance.now();
  await repeat(store, loop, operation, samples);
  const seconds = (performance.now() - start) / 1000;
  const latency = samples.percentiles();
  bench.report({
    name,
    unit: "ops/s",
    figure: count / seconds,
    count,
    latency,
  });
}

/** Runs operations, not timed, to the end they are acknowledged. */
export async function runEach(
  store: Store,
  count: number,
  operation: (i: number) => void,
): Promise<void> {
  await repeat(store, { count, isAsync: false }, operation, new Samples(1));
}

async function repeat(
  store: Store,
  { count, isAsync, window = WINDOW }: Loop,
  operation: Operation,
  samples: Samples,
): Promise<void> {
  for (let from = 0; from < count; from += window) {
    const to = Math.min(count, from + window);
    if (isAsync) await repeatAwaited(operation, from, to, samples);
    else repeatAtOnce(operation, from, to, samples);
    await store.room();
  }
  await store.acknowledged();
}

function repeatAtOnce(
  operation: Operation,
  from: number,
  to: number,
  samples: Samples,
): void {
  for (let i = from; i < to; i++) {
    if (i % SAMPLE_EVERY !== 0) {
      operation(i);
      continue;
    }
    const start = performance.now();
    operation(i);
    samples.add(performance.now() - start);
  }
}

async function repeatAwaited(
  operation: Operation,
  from: number,
  to: number,
  samples: Samples,
): Promise<void> {
  for (let i = from; i < to; i++) {
    if (i % SAMPLE_EVERY !== 0) {
      await operation(i);
      continue;
    }
    const start = performance.now();
    await operation(i);
    samples.add(performance.now() - start);
  }
}
