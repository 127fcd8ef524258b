/**
 * What workloads are made of: fills, lookups and scans that are checked.
 *
 * Entries have the shape of `data.ts` where no other one is given.
 *
 * @module
 */
import { checkCount, Random, shuffled } from "./data.ts";
import { type Operation, runEach } from "./measure.ts";
import { type Shape, STANDARD } from "./shape.ts";
import type { Store, VisitRow } from "./stores/store.ts";

const CHECKED_READS = 1000;
/** How long a store is let alone: so long, or so long for each so many bytes that it holds. */
const REST_MILLISECONDS = 1000;
const REST_BYTES = 256 * 1024 * 1024;

/** Fails unless a value, or `value[start, end)`, is the right one for its key number. */
export type Verify = (
  value: Uint8Array | undefined,
  number: number,
  start?: number,
  end?: number,
) => void;

/** A value must be the one that this write of its key gave it. */
export const ofGeneration =
  (generation: number, shape: Shape = STANDARD): Verify =>
  (value, number, start, end) =>
    shape.checkValue(value, number, generation, start, end);

/** Which entries a store holds: all of a fill, or some. */
export interface Contents {
  readonly count: number;
  /** The entry before which so many others lie in the store. */
  entryAt(rank: number): number;
  /** How many entries in the store lie before this one, be it there or not. */
  rankOf(entry: number): number;
}

/** All entries of a fill. */
export const everything = (size: number): Contents => ({
  count: size,
  entryAt: (rank) => rank,
  rankOf: (entry) => entry,
});

/** The entries of a fill that were not deleted. */
export function allBut(isDeleted: Uint8Array): Contents {
  const ranks = new Uint32Array(isDeleted.length);
  const entries = new Uint32Array(isDeleted.length);
  let count = 0;
  for (let entry = 0; entry < isDeleted.length; entry++) {
    ranks[entry] = count;
    if (isDeleted[entry] === 0) entries[count++] = entry;
  }
  return {
    count,
    entryAt: (rank) => entries[rank] ?? 0,
    rankOf: (entry) => ranks[entry] ?? count,
  };
}

// ---------------------------------------------------------------- writes

/** The entry written as `i`-th. */
export type Order = (i: number) => number;

/** From the first entry to the last. */
export const inOrder = (): Order => (i) => i;

/** Each entry once, in random order. */
export function inRandomOrder(size: number): Order {
  const order = shuffled(size, 7);
  return (i) => order[i] ?? 0;
}

/** Puts entries in an order; each is accepted at once. */
export const putter = (
  store: Store,
  entryAt: Order,
  generation: number,
  shape: Shape = STANDARD,
) =>
(i: number): void => {
  const number = entryAt(i) * 2;
  store.put(shape.keyOf(number), shape.valueOf(number, generation));
};

/** Puts entries in an order; each is to be awaited. */
export const awaitedPutter =
  (store: Store, entryAt: Order): Operation => (i: number) => {
    const number = entryAt(i) * 2;
    const { keyOf, valueOf } = STANDARD;
    return store.putAcknowledged(keyOf(number), valueOf(number, 1));
  };

/**
 * Brings the files to rest, and gives the store a while for what it does when
 * it is let alone.
 *
 * @param bytes What it holds, if that may be much: then the while is longer.
 */
export async function comeToRest(store: Store, bytes = 0): Promise<void> {
  await store.settle();
  const milliseconds = REST_MILLISECONDS * Math.max(1, bytes / REST_BYTES);
  await new Promise((resolve) => setTimeout(resolve, milliseconds));
  await store.settle();
}

/** Fills in random order, and brings the store to rest. */
export async function fillAndSettle(store: Store, size: number): Promise<void> {
  await runEach(store, size, putter(store, inRandomOrder(size), 1));
  await comeToRest(store);
}

/** Where ranges of so many keys begin that are to be deleted: random, so they may overlap. */
export function rangeStarts(
  size: number,
  keys: number,
  count: number,
): number[] {
  const random = new Random(24);
  return Array.from({ length: count }, () => random.below(size - keys));
}

/** Deletes ranges of so many keys; each is to be awaited. */
export const rangeDeleter =
  (store: Store, starts: readonly number[], keys: number): Operation =>
  async (i) => {
    const { keyOf } = STANDARD;
    const first = (starts[i] ?? 0) * 2;
    const start = keyOf(first).slice(); // the next key takes its buffer
    await store.deleteRange(start, keyOf(first + 2 * keys));
  };

/** Of each entry, whether it lies in one of these ranges: 1 or 0. */
export function deletedIn(
  size: number,
  starts: readonly number[],
  keys: number,
): Uint8Array {
  const isDeleted = new Uint8Array(size);
  for (const entry of starts) isDeleted.fill(1, entry, entry + keys);
  return isDeleted;
}

// ----------------------------------------------------------------- reads

/** Looks a key number up, at once or by a promise, and checks what is found. */
export function lookUp(
  store: Store,
  verify: Verify,
  { keyOf }: Shape = STANDARD,
): (number: number) => void | Promise<void> {
  if (store.getsAsync) {
    return async (number) => verify(await store.get(keyOf(number)), number);
  }
  const { into } = store;
  if (into !== undefined) {
    return (number) => {
      const length = into.get(keyOf(number));
      if (length === undefined) verify(undefined, number);
      else verify(into.target, number, 0, length);
    };
  }
  return (number) =>
    verify(store.get(keyOf(number)) as Uint8Array | undefined, number);
}

/** Checks some of the entries, not timed. */
export async function checkSome(
  store: Store,
  size: number,
  verify: Verify,
  shape: Shape = STANDARD,
): Promise<void> {
  const random = new Random(11);
  const look = lookUp(store, verify, shape);
  for (let i = 0; i < Math.min(size, CHECKED_READS); i++) {
    await look(random.below(size) * 2);
  }
}

/** Scans, and checks that all entries are there in their order, with their values. */
export async function checkScan(
  store: Store,
  contents: Contents,
  reverse = false,
  { checkKey, checkValue }: Shape = STANDARD,
): Promise<void> {
  const { count } = contents;
  let seen = 0;
  const visit: VisitRow = (key, value, keyStart, keyEnd, start, end) => {
    const number = contents.entryAt(reverse ? count - 1 - seen : seen) * 2;
    checkKey(key, number, keyStart, keyEnd);
    checkValue(value, number, 1, start, end);
    seen++;
  };
  await store.scan({ reverse }, visit);
  checkCount("entries of a full scan", seen, count);
}

/** Scans of `length` entries from random places: keys that are there, and others. */
export function scanner(
  store: Store,
  contents: Contents,
  length: number,
  { keyOf, checkKey, checkValue }: Shape = STANDARD,
): Operation {
  const random = new Random(23);
  // Not so near the end that a scan is cut short.
  const last = contents.entryAt(contents.count - length);
  let first = 0;
  let seen = 0;
  const visit: VisitRow = (key, value, keyStart, keyEnd, start, end) => {
    const number = contents.entryAt(first + seen++) * 2;
    checkKey(key, number, keyStart, keyEnd);
    checkValue(value, number, 1, start, end);
  };
  const begin = () => {
    const from = random.below(last * 2);
    first = contents.rankOf((from + 1) >>> 1);
    seen = 0;
    return store.scan({ from: keyOf(from), limit: length }, visit);
  };
  const end = () => checkCount("entries of a scan", seen, length);
  if (!store.scansAsync) {
    return () => {
      begin();
      end();
    };
  }
  return async () => {
    await begin();
    end();
  };
}
