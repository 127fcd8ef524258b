/**
 * The core workloads of YCSB (Cooper et al., "Benchmarking Cloud Serving Systems
 * with YCSB", 2010), with the entries of the other benchmarks:
 *
 * | workload | operations                                     | keys    |
 * | -------- | ---------------------------------------------- | ------- |
 * | A        | half reads, half updates                       | zipfian |
 * | B        | 95 % reads, 5 % updates                        | zipfian |
 * | C        | reads                                          | zipfian |
 * | D        | 95 % reads, 5 % inserts                        | latest  |
 * | E        | 95 % scans of 1 to 100 entries, 5 % inserts    | zipfian |
 * | F        | half reads, half reads followed by an update   | zipfian |
 *
 * One process runs them on one store in the order that YCSB recommends. Of a
 * store that does not see its own accepted writes, an older value of the run,
 * or none for an insert of the run, is a right answer while the workload runs;
 * afterwards all must be there.
 *
 * @module
 */
import {
  checkCount,
  checkKey,
  checkMissing,
  checkValueBetween,
  keyOf,
  Random,
  valueOf,
} from "./data.ts";
import { prepare } from "./db_bench.ts";
import {
  type Bench,
  measureEach,
  type Operation,
  type Scenario,
} from "./measure.ts";
import type { Store, VisitRow } from "./stores/store.ts";
import { checkSome, lookUp } from "./workloads.ts";

const SKEW = 0.99;
const SCAN_ENTRIES_MAX = 100;
const SCANS_MAX = 20_000;
const PARTS = 0x1_0000;

/** Ranks by Zipf's law, by the method of Gray et al. (SIGMOD 1994), as in YCSB. */
export class Zipfian {
  readonly #random: Random;
  readonly #count: number;
  readonly #zeta: number;
  readonly #eta: number;

  constructor(count: number, random: Random) {
    let zeta = 0;
    for (let rank = 1; rank <= count; rank++) zeta += 1 / rank ** SKEW;
    this.#random = random;
    this.#count = count;
    this.#zeta = zeta;
    this.#eta = (1 - (2 / count) ** (1 - SKEW)) /
      (1 - (1 + 0.5 ** SKEW) / zeta);
  }

  /** A rank in [0, count); 0 is the most frequent. */
  next(): number {
    const u = this.#random.below(0x1_0000_0000) / 0x1_0000_0000;
    const scaled = u * this.#zeta;
    if (scaled < 1) return 0;
    if (scaled < 1 + 0.5 ** SKEW) return 1;
    const rank = this.#count *
      (this.#eta * u - this.#eta + 1) ** (1 / (1 - SKEW));
    return Math.min(this.#count - 1, Math.floor(rank));
  }
}

/** Spreads the frequent ranks over all entries. */
function scatter(rank: number, count: number): number {
  let x = Math.imul(rank ^ 0x9e3779b9, 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return ((x ^ (x >>> 16)) >>> 0) % count;
}

/** A store under the workloads, and what it must hold. */
class Subject {
  readonly store: Store;
  readonly #size: number;
  readonly #random: Random = new Random(31);
  readonly #zipfian: Zipfian;
  /** How often each entry was written, and how often before this workload. */
  readonly #generations: Uint32Array;
  readonly #acknowledged: Uint32Array;
  #entries: number;
  #acknowledgedEntries: number;
  readonly #look: (number: number) => void | Promise<void>;

  constructor(store: Store, size: number) {
    this.store = store;
    this.#size = size;
    this.#zipfian = new Zipfian(size, this.#random);
    this.#generations = new Uint32Array(2 * size).fill(1, 0, size);
    this.#acknowledged = this.#generations.slice();
    this.#entries = size;
    this.#acknowledgedEntries = size;
    this.#look = lookUp(
      store,
      (value, number, start, end) => this.#check(value, number, start, end),
    );
  }

  #check(
    value: Uint8Array | undefined,
    number: number,
    start?: number,
    end?: number,
  ): void {
    const entry = number / 2;
    const last = this.#generations[entry] ?? 0;
    if (this.store.seesOwnWrites) {
      checkValueBetween(value, number, last, last, start, end);
      return;
    }
    const first = this.#acknowledged[entry] ?? 0;
    if (first === 0 && value === undefined) checkMissing(value, number);
    else checkValueBetween(value, number, first, last, start, end);
  }

  /** From now on everything that was written must be there. */
  acknowledge(): void {
    this.#acknowledged.set(this.#generations);
    this.#acknowledgedEntries = this.#entries;
  }

  /** One in so many parts of 65,536. */
  #isIn(share: number): boolean {
    return this.#random.below(PARTS) < share * PARTS;
  }

  #frequent(): number {
    return scatter(this.#zipfian.next(), this.#size);
  }

  #write(entry: number): void {
    const generation = (this.#generations[entry] ?? 0) + 1;
    this.#generations[entry] = generation;
    this.store.put(keyOf(entry * 2), valueOf(entry * 2, generation));
  }

  /** Reads, and updates as a share of the operations. */
  readOrUpdate(updates: number): Operation {
    return () => {
      const entry = this.#frequent();
      return this.#isIn(updates) ? this.#write(entry) : this.#look(entry * 2);
    };
  }

  /** Reads, half of them followed by a write of the same entry. */
  readModifyWrite(): Operation {
    return () => {
      const entry = this.#frequent();
      const isModified = this.#isIn(0.5);
      const read = this.#look(entry * 2);
      if (!isModified) return read;
      if (read instanceof Promise) return read.then(() => this.#write(entry));
      return this.#write(entry);
    };
  }

  /** Reads of what was inserted lately, and inserts. */
  readLatest(): Operation {
    return () => {
      if (this.#isIn(0.05)) return this.#write(this.#entries++);
      return this.#look((this.#entries - 1 - this.#zipfian.next()) * 2);
    };
  }

  /** Short scans, and inserts. */
  scan(): Operation {
    let number = 0;
    const visit: VisitRow = (key, value, keyStart, keyEnd, start, end) => {
      checkKey(key, number, keyStart, keyEnd);
      this.#check(value, number, start, end);
      number += 2;
    };
    const end = (first: number, limit: number) => {
      const seen = number / 2 - first;
      // Accepted inserts need not be seen yet.
      const surely = Math.min(limit, this.#acknowledgedEntries - first);
      const atMost = Math.min(limit, this.#entries - first);
      if (seen < surely || seen > atMost) {
        checkCount(`entries from ${first}`, seen, surely);
      }
    };
    return () => {
      if (this.#isIn(0.05)) {
        return this.#write(this.#entries++);
      }
      const first = this.#frequent();
      const limit = 1 + this.#random.below(SCAN_ENTRIES_MAX);
      number = first * 2;
      const scan = this.store.scan({ from: keyOf(number), limit }, visit);
      if (scan instanceof Promise) return scan.then(() => end(first, limit));
      return end(first, limit);
    };
  }

  /** Checks some of the entries, those inserted included. */
  checkSome(): Promise<void> {
    return checkSome(
      this.store,
      this.#entries,
      (value, number, start, end) => this.#check(value, number, start, end),
    );
  }
}

interface Workload {
  readonly name: string;
  readonly operation: (subject: Subject) => Operation;
  readonly isScan?: true;
}

const WORKLOADS: readonly Workload[] = [
  { name: "YCSB A", operation: (subject) => subject.readOrUpdate(0.5) },
  { name: "YCSB B", operation: (subject) => subject.readOrUpdate(0.05) },
  { name: "YCSB C", operation: (subject) => subject.readOrUpdate(0) },
  { name: "YCSB F", operation: (subject) => subject.readModifyWrite() },
  { name: "YCSB D", operation: (subject) => subject.readLatest() },
  { name: "YCSB E", operation: (subject) => subject.scan(), isScan: true },
];

async function run(bench: Bench): Promise<void> {
  const { size } = bench;
  const store = await bench.open();
  const subject = new Subject(store, size);
  for (const { name, operation, isScan } of WORKLOADS) {
    if (!bench.isWanted(name)) continue;
    const loop = isScan
      ? { count: Math.min(SCANS_MAX, size / 10), isAsync: store.scansAsync }
      : { count: size, isAsync: store.getsAsync };
    await measureEach(bench, store, name, loop, operation(subject));
    subject.acknowledge();
    await subject.checkSome();
  }
  await store.close();
}

/** The scenario of all six. */
export const YCSB: Scenario = {
  name: "ycsb",
  measures: WORKLOADS.map(({ name }) => name),
  steps: [prepare, run],
  hasReads: true,
};
