/**
 * A reader thread of the stress test: reads in every way, and checks each
 * answer. Started by reader_stress.ts.
 *
 * @module
 */
import { parentPort, workerData } from "node:worker_threads";
import {
  attach,
  type ReadonlyDb,
  type ShareHandle,
  type Snapshot,
} from "../../../mod.ts";
import { Random } from "../../engine/support/random.ts";
import {
  GROUPS,
  keyOf,
  KEYS,
  mayBeAbsent,
  prefixOf,
  Progress,
  type ReaderReport,
  type ReaderTask,
  roundOf,
} from "./reader_model.ts";

/** What reads have in common, live or of a snapshot. */
type Readable = Pick<ReadonlyDb | Snapshot, "get" | "getMany" | "has" | "scan">;

/** For each group, between which rounds its state must be. */
interface Window {
  readonly from: number[];
  readonly to: number[];
}

/** A snapshot that is kept, with what it showed at first. */
interface Kept {
  readonly snapshot: Snapshot;
  readonly window: Window;
  readonly rounds: string;
  readonly until: number;
}

const PROBLEMS_MAX = 10;
const decoder = new TextDecoder();

class StressReader {
  readonly problems: string[] = [];
  readonly reads: Record<string, number> = {};
  readonly #db: ReadonlyDb;
  readonly #progress: Progress;
  readonly #random: Random;
  /** The last round of each group that was seen. */
  readonly #seen = new Array<number>(GROUPS).fill(0);
  readonly #kept: Kept[] = [];

  constructor(db: ReadonlyDb, progress: Progress, seed: number) {
    this.#db = db;
    this.#progress = progress;
    this.#random = new Random(seed);
  }

  #count(what: string): void {
    this.reads[what] = (this.reads[what] ?? 0) + 1;
  }

  #problem(text: string): void {
    if (this.problems.length < PROBLEMS_MAX) this.problems.push(text);
  }

  #done(): number[] {
    return Array.from({ length: GROUPS }, (_, g) => this.#progress.done(g));
  }

  #begun(): number[] {
    return Array.from({ length: GROUPS }, (_, g) => this.#progress.begun(g));
  }

  /** Checks the rounds of a group's keys, -2 for absence. Returns the one that all have. */
  #check(
    what: string,
    group: number,
    rounds: readonly number[],
    from: number,
    to: number,
    isLive: boolean,
  ): number {
    const [round] = rounds;
    const where = `${what} of group ${group}: rounds ${rounds}`;
    if (rounds.some((other) => other !== round)) {
      this.#problem(`${where} are torn`);
    } else if (round === -1) this.#problem(`${where} hold wrong values`);
    else if (round === -2) {
      if (!mayBeAbsent(from, to)) {
        this.#problem(`${where} are missing in ${from}-${to}`);
      }
    } else if (round < from || round > to) {
      this.#problem(`${where} are outside ${from}-${to}`);
    } else if (isLive) {
      if (round < this.#seen[group]) {
        this.#problem(`${where} come after ${this.#seen[group]}`);
      }
      this.#seen[group] = round;
    }
    return round;
  }

  #round(value: Uint8Array | undefined, group: number, place: number): number {
    return value === undefined ? -2 : roundOf(value, group, place);
  }

  #get(source: Readable, window: Window | undefined): void {
    const group = this.#random.below(GROUPS);
    const place = this.#random.below(KEYS);
    const from = window?.from[group] ?? this.#progress.done(group);
    const value = source.get(keyOf(group, place));
    const to = window?.to[group] ?? this.#progress.begun(group);
    const round = this.#round(value, group, place);
    this.#check("get", group, [round], from, to, window === undefined);
    this.#count("get");
  }

  #has(): void {
    const group = this.#random.below(GROUPS);
    const from = this.#progress.done(group);
    const has = this.#db.has(keyOf(group, this.#random.below(KEYS)));
    const to = this.#progress.begun(group);
    if (!has && !mayBeAbsent(from, to)) {
      this.#problem(`has() of group ${group} is false in ${from}-${to}`);
    }
    this.#count("has");
  }

  #getMany(source: Readable, window: Window | undefined): void {
    const group = this.#random.below(GROUPS);
    const from = window?.from[group] ?? this.#progress.done(group);
    const keys = Array.from({ length: KEYS }, (_, i) => keyOf(group, i));
    const values = source.getMany(keys);
    const to = window?.to[group] ?? this.#progress.begun(group);
    const rounds = values.map((value, i) => this.#round(value, group, i));
    this.#check("getMany", group, rounds, from, to, window === undefined);
    this.#count("getMany");
  }

  /** Rows of a group, or of all, forwards or backwards; they must come in order and be whole. */
  #scan(source: Readable, window: Window | undefined): string {
    const only = this.#random.chance(70)
      ? this.#random.below(GROUPS)
      : undefined;
    const reverse = this.#random.chance(40);
    const prefix = only === undefined ? undefined : prefixOf(only);
    const from = window?.from ?? this.#done();
    const scan = source.scan({ reverse, ...(prefix && { prefix }) });
    const to = window?.to ?? this.#begun();
    const rounds = Array.from(
      { length: GROUPS },
      () => new Array<number>(KEYS).fill(-2),
    );
    let last: string | undefined;
    for (const [keyBytes, value] of scan) {
      const key = decoder.decode(keyBytes);
      const isInOrder = last === undefined ||
        (reverse ? key < last : key > last);
      if (!isInOrder) this.#problem(`scan: ${key} after ${last}`);
      last = key;
      const [, group, place] = key.split("/").map(Number);
      rounds[group][place] = roundOf(value, group, place);
    }
    for (let group = 0; group < GROUPS; group++) {
      if (only !== undefined && group !== only) continue;
      const what = reverse ? "reverse scan" : "scan";
      const isLive = window === undefined;
      const seen = rounds[group];
      this.#check(what, group, seen, from[group], to[group], isLive);
    }
    this.#count(only === undefined ? "scan of all" : "scan");
    return only === undefined ? rounds.join() : "";
  }

  /** Takes a snapshot, to be looked at again later. */
  #keep(): void {
    if (this.#kept.length >= 4) return;
    const from = this.#done();
    const snapshot = this.#db.snapshot();
    const window = { from, to: this.#begun() };
    const rounds = this.#roundsOf(snapshot);
    const until = performance.now() + this.#random.below(800);
    this.#kept.push({ snapshot, window, rounds, until });
    this.#count("snapshot");
  }

  #roundsOf(snapshot: Snapshot): string {
    const rounds: string[] = [];
    for (let group = 0; group < GROUPS; group++) {
      const keys = Array.from({ length: KEYS }, (_, i) => keyOf(group, i));
      const values = snapshot.getMany(keys);
      rounds.push(values.map((v, i) => this.#round(v, group, i)).join());
    }
    return rounds.join(" ");
  }

  #lookAgain(): void {
    const at = this.#random.below(this.#kept.length || 1);
    const kept = this.#kept[at];
    if (kept === undefined) return;
    const { snapshot, window, rounds, until } = kept;
    this.#get(snapshot, window);
    this.#getMany(snapshot, window);
    this.#scan(snapshot, window);
    if (performance.now() < until) return;
    if (this.#roundsOf(snapshot) !== rounds) {
      this.#problem("a snapshot has changed");
    }
    snapshot.close();
    this.#kept.splice(at, 1);
    this.#count("snapshot read again");
  }

  /** One read of any kind. */
  step(): void {
    const kind = this.#random.below(100);
    if (kind < 50) this.#get(this.#db, undefined);
    else if (kind < 60) this.#has();
    else if (kind < 80) this.#getMany(this.#db, undefined);
    else if (kind < 92) this.#scan(this.#db, undefined);
    else if (kind < 94) this.#keep();
    else this.#lookAgain();
  }
}

async function main(): Promise<void> {
  const { handle, progress: memory, seed } = workerData as ReaderTask;
  const progress = new Progress(memory);
  using db = await attach(handle as ShareHandle);
  const reader = new StressReader(db, progress, seed);
  try {
    for (let i = 0; !progress.isOver; i++) {
      reader.step();
      // Timers shall run too, now and then.
      if (i % 500 === 0) await new Promise((resolve) => setTimeout(resolve));
    }
  } catch (error) {
    const text = error instanceof Error ? error.stack : String(error);
    reader.problems.push(`threw ${text}`);
  }
  const { reads, problems } = reader;
  parentPort?.postMessage({ reads, problems } satisfies ReaderReport);
}

await main();
