/**
 * A process that opens a database, writes down what it finds in it, works on
 * it with several writers at once, and waits to be killed.
 *
 * Its one argument is a {@linkcode Task} as JSON. It prints `opening`,
 * `working`, `maintaining` (from its first compaction on), `closing` and
 * `closed` as it goes; what it does is in the journal
 * and in the dump, see `support/kill_model.ts`.
 *
 * @module
 */
import { openSync, renameSync, writeFileSync, writeSync } from "node:fs";
import process from "node:process";
import { setTimeout as wait } from "node:timers/promises";
import {
  type CompactionOptions,
  type Db,
  open,
  type Options,
} from "../../mod.ts";
import { Random } from "../engine/support/random.ts";
import {
  batchOf,
  type Change,
  digestOf,
  valueOf,
} from "./support/kill_model.ts";

/** What the process shall do. */
export interface Task {
  /** The directory of the database. */
  readonly dir: string;
  /** The file of the journal, which does not exist. */
  readonly journal: string;
  /** The file of the dump, which does not exist. */
  readonly dump: string;
  /** Distinguishes its values, and what it does, from those of others. */
  readonly name: string;
  readonly seed: number;
  /** Keys that were ever written, to be looked up one by one. */
  readonly keys: readonly string[];
  /** Where compactions run, and by which strategy. */
  readonly compaction: CompactionOptions;
  /** When to close the database; 0 for at once, absent for never. */
  readonly closeAfterMs?: number;
}

const WRITERS = 6;
const KEYS = 40;
const RANGE_KEYS = 40;
const BATCH_KEYS = 5;

/** Each pushes flushes, compactions or both into every moment. */
const SETTINGS: readonly Options[] = [
  { writeBufferSize: 512, maxFrozenMemtables: 1 },
  { writeBufferSize: 4096, maxFrozenMemtables: 2, blockCacheSize: 4096 },
  {
    writeBufferSize: 16384,
    maxFrozenMemtables: 4,
    bloomBitsPerKey: 0,
    compression: "zstd",
  },
  { writeBufferSize: 2048, maxFrozenMemtables: 16, blockCacheSize: 0 },
];

const decoder = new TextDecoder();

/** Writes down all that the database holds, and that gets and scans agree. */
function dump(db: Db, task: Task): void {
  const rows: [string, string][] = [];
  for (const [key, value] of db.scan()) {
    rows.push([decoder.decode(key), digestOf(value)]);
  }
  const found = new Map(rows);
  const reversed: string[] = [];
  for (const [key, value] of db.scan({ reverse: true })) {
    reversed.push(`${decoder.decode(key)} ${digestOf(value)}`);
  }
  const forwards = rows.map(([key, digest]) => `${key} ${digest}`);
  if (reversed.reverse().join("\n") !== forwards.join("\n")) {
    throw new Error("a reverse scan differs from a forward one");
  }
  for (const key of new Set([...task.keys, ...found.keys()])) {
    const value = db.get(key);
    const digest = value === undefined ? undefined : digestOf(value);
    if (digest !== found.get(key) || db.has(key) !== found.has(key)) {
      throw new Error(`a get of ${key} differs from a scan`);
    }
  }
  const { lostTailBytes } = db.stats().wal;
  // Under another name first: a dump is there as a whole or not at all.
  writeFileSync(`${task.dump}.part`, JSON.stringify({ rows, lostTailBytes }));
  renameSync(`${task.dump}.part`, task.dump);
}

/** The writers' common part: numbers, the journal, the end. */
class Workload {
  readonly #db: Db;
  readonly #task: Task;
  readonly #journal: number;
  #issued = 0;
  /** Set to end the work. */
  isOver = false;

  constructor(db: Db, task: Task, journal: number) {
    this.#db = db;
    this.#task = task;
    this.#journal = journal;
  }

  get #nextStamp(): string {
    return `${this.#task.name}.${this.#issued}`;
  }

  log(line: string): void {
    writeSync(this.#journal, `${line}\n`);
  }

  /** Issues one write; resolves when it is acknowledged and that is reported. */
  async #write(
    changes: readonly Change[],
    level: "sync" | "buffered",
  ): Promise<void> {
    const number = this.#issued++;
    this.log(`W ${JSON.stringify({ number, level, changes })}`);
    await this.#issue(changes, { durability: level });
    this.log(`A ${number}`);
  }

  #issue(
    changes: readonly Change[],
    options: { durability: "sync" | "buffered" },
  ): Promise<void> {
    const db = this.#db;
    const [change] = changes;
    if (changes.length > 1) return db.write(batchOf(changes), options);
    if (change.kind === "put") {
      const value = valueOf(change.stamp, change.length);
      return db.put(change.key, value, options);
    }
    return change.kind === "delete"
      ? db.delete(change.key, options)
      : db.deleteRange(change.start, change.end, options);
  }

  /** One writer, in its own keys. Now and then it does not wait before it goes on. */
  async write(writer: number, random: Random): Promise<void> {
    while (!this.isOver) {
      const together: Promise<void>[] = [];
      for (let n = random.chance(15) ? 4 : 1; n > 0; n--) {
        const level = random.chance(50) ? "sync" : "buffered";
        together.push(this.#write(this.#changes(writer, random), level));
      }
      await Promise.all(together);
      if (random.chance(2)) await wait(random.below(5));
    }
  }

  #changes(writer: number, random: Random): Change[] {
    const chance = random.below(1000);
    const key = keyOf(writer, "k", random.below(KEYS));
    if (chance < 500) return [this.#put(key, random)];
    if (chance < 600) return [{ kind: "delete", key }];
    if (chance < 750) return this.#batch(writer, random);
    const i = random.below(RANGE_KEYS);
    if (chance < 950) {
      return [this.#put(keyOf(writer, "r", i), random)];
    }
    const end = keyOf(writer, "r", i + 1 + random.below(RANGE_KEYS));
    return [{ kind: "range", start: keyOf(writer, "r", i), end }];
  }

  #put(key: string, random: Random): Change {
    const chance = random.below(1000);
    const length = chance === 0
      ? 50_000 + random.below(400_000)
      : chance < 20
      ? 0
      : 20 + random.below(chance < 900 ? 60 : 1000);
    return { kind: "put", key, stamp: this.#nextStamp, length };
  }

  /** The same stamp under several keys, or none under any. */
  #batch(writer: number, random: Random): Change[] {
    const changes: Change[] = [];
    const stamp = this.#nextStamp;
    const kind = random.below(10);
    for (let i = 0; i < BATCH_KEYS; i++) {
      const key = keyOf(writer, "b", i);
      if (kind === 0) changes.push({ kind: "delete", key });
      else changes.push({ kind: "put", key, stamp, length: 24 });
    }
    if (kind === 1) {
      const start = keyOf(writer, "b", 0);
      const end = keyOf(writer, "b", BATCH_KEYS);
      changes.unshift({ kind: "range", start, end });
    }
    return changes;
  }

  /** Explicit maintenance between what the engine does on its own. */
  async maintain(random: Random): Promise<void> {
    const db = this.#db;
    while (!this.isOver) {
      const chance = random.below(10);
      if (chance < 4) await db.flush();
      else if (chance < 7) await db.minorCompact();
      else if (chance < 8) await db.tombstoneCompact();
      else if (chance < 9) await db.majorCompact();
      else await this.#read();
      const { flush, compaction, stalls } = db.stats();
      this.log(`S ${
        JSON.stringify({
          flushes: flush.runs,
          compactions: compaction.runs,
          stalls: stalls.count,
        })
      }`);
      await wait(random.below(20));
    }
  }

  /** A scan that stays open for a while, so that files wait for its end. */
  async #read(): Promise<void> {
    let last = "";
    for await (const [key] of this.#db.scan()) {
      const text = decoder.decode(key);
      if (text <= last) throw new Error(`${text} follows ${last} in a scan`);
      last = text;
      if (text.endsWith("7")) await wait(1);
    }
  }
}

function keyOf(writer: number, kind: string, i: number): string {
  return `w${writer}/${kind}${String(i).padStart(3, "0")}`;
}

function say(word: string): void {
  writeSync(1, `${word}\n`);
}

async function main(task: Task): Promise<void> {
  const random = new Random(task.seed);
  const journal = openSync(task.journal, "ax");
  say("opening");
  const db = await open(task.dir, {
    blockSize: 512,
    ...random.pick(SETTINGS),
    compaction: { ...task.compaction, minThreshold: 2 },
  });
  dump(db, task);
  const maintains = () => say("maintaining");
  db.events.addEventListener("compaction", maintains, { once: true });
  say("working");
  const load = new Workload(db, task, journal);
  const work: Promise<void>[] = [];
  if (task.closeAfterMs !== 0) {
    for (let i = 0; i < WRITERS; i++) {
      work.push(load.write(i, new Random(random.below(2 ** 31))));
    }
    work.push(load.maintain(new Random(random.below(2 ** 31))));
  }
  if (task.closeAfterMs === undefined) await Promise.all(work);
  // Whatever a writer throws ends the process, at once.
  else await Promise.race([wait(task.closeAfterMs), Promise.all(work)]);
  load.isOver = true;
  say("closing");
  // Not behind the writers: what they have issued is accepted, and so close() must keep it.
  const outcomes = Promise.allSettled(work);
  await db.close();
  load.log("C");
  for (const outcome of await outcomes) {
    if (outcome.status === "rejected" && !isCutShort(outcome.reason)) {
      throw outcome.reason;
    }
  }
  say("closed");
}

/** Maintenance calls and scans may be ended by close(). */
function isCutShort(reason: unknown): boolean {
  const code = reason instanceof Error && "code" in reason && reason.code;
  return code === "ABORTED" || code === "CLOSED";
}

await main(JSON.parse(process.argv[2]));
