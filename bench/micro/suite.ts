/**
 * What the micro-benchmarks share: mitata, and entries made beforehand.
 *
 * mitata is a package of `bench/peers`; this is the part of it that is used.
 *
 * @module
 */
import { keyOf, shuffled, valueOf } from "../data.ts";
import { loadPeer } from "../stores/load.ts";

interface Mitata {
  bench(name: string, work: () => unknown): unknown;
  group(name: string, define: () => void): void;
  run(options?: { filter?: RegExp; format?: string }): Promise<unknown>;
  do_not_optimize(value: unknown): void;
}

const mitata = loadPeer<Mitata>("mitata");

/** Entries of the structures that are searched. */
export const ENTRIES = 100_000;
/** What one call of a benchmark does, where its name says "x1000". */
export const THOUSAND = 1000;

/** Keys of entries by number, each in bytes of its own. */
export const keys: readonly Uint8Array[] = Array.from(
  { length: ENTRIES },
  (_, entry) => keyOf(entry * 2).slice(),
);
/** Keys that lie between those. */
export const missing: readonly Uint8Array[] = Array.from(
  { length: ENTRIES },
  (_, entry) => keyOf(entry * 2 + 1).slice(),
);
/** One value for all of them. */
export const value: Uint8Array = valueOf(0, 1).slice();

const order = shuffled(ENTRIES, 7);
let turn = 0;

/** A number in [0, bound), from a fixed random order. */
export function anyOf(bound: number): number {
  turn = turn + 1 === ENTRIES ? 0 : turn + 1;
  return (order[turn] ?? 0) % bound;
}

/** Defines benchmarks under a heading. */
export function group(name: string, define: () => void): void {
  mitata.group(name, define);
}

/** Calls before the first that is looked at: by its time mitata decides how to time the rest. */
const WARM_CALLS = 200;

/** Defines a benchmark; what the work returns is not optimised away. */
export function bench(name: string, work: () => unknown): void {
  for (let i = 0; i < WARM_CALLS; i++) mitata.do_not_optimize(work());
  mitata.bench(name, () => mitata.do_not_optimize(work()));
}

/** Runs what was defined and matches. */
export async function runAll(filter: RegExp): Promise<void> {
  await mitata.run({ filter });
}

/** Fails if a structure under test does not do what it is measured for. */
export function expect(holds: boolean, what: string): void {
  if (!holds) throw new Error(`wrong answer: ${what}`);
}
