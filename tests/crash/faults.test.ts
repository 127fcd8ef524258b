/**
 * Operations on the disk that fail, each in its turn: what the database says,
 * what it goes on doing, and what is left.
 *
 * @module
 */
import process from "node:process";
import { test } from "node:test";
import { MemoryFileSystem } from "../../lib/runtime/memory.ts";
import { pause } from "../../lib/runtime/pause.ts";
import { type Db, type Options, VarveError } from "../../mod.ts";
import { assert, assertEquals, assertGreater } from "../assert.ts";
import { LONG } from "../engine/support/configs.ts";
import { rejectsWith } from "../engine/support/errors.ts";
import { diskError, kindOfPath, openIn } from "../engine/support/memory.ts";
import { Random } from "../engine/support/random.ts";
import { Disk, type Event } from "./support/disk.ts";
import type { Change } from "./support/kill_model.ts";
import { type Crash, examine, Ledger, stateOf } from "./support/ledger.ts";
import { openOn } from "./support/scenarios.ts";

const OPTIONS: Options = {
  writeBufferSize: 1024,
  blockSize: 256,
  maxFrozenMemtables: 1,
  blockCacheSize: 0,
  compaction: { minThreshold: 2 },
};

/** Options under which looking at what is left writes little. */
const READING: Options = {
  writeBufferSize: 16 * 1024,
  blockCacheSize: 0,
  compaction: { background: "off" },
};

/** Nothing in these workloads takes longer, but for what never ends. */
const PATIENCE_MS = 20_000;

/** How operations fail. */
type Mode = "once" | "from then on" | "half-way";

/** Fails operations of a disk from a given one on. */
class Saboteur {
  readonly #mode: Mode;
  readonly #target: number;
  #count = 0;
  /** What failed first. */
  struck: Event | undefined;
  /** What was done with the database then, and in which life. */
  phaseStruck = "";
  /** What is done with the database. */
  phase = "";
  /** Writes and syncs on files on which one had failed. */
  readonly retries: string[] = [];
  readonly #failedFiles: Set<string> = new Set();
  isOff = false;

  constructor(mode: Mode, target: number) {
    this.#mode = mode;
    this.#target = target;
  }

  readonly onEvent = (event: Event): number | void => {
    const { operation, path } = event;
    if (
      this.#failedFiles.has(path) &&
      (operation === "write" || operation === "sync")
    ) {
      this.retries.push(`${operation} ${path}`);
    }
    // What has that name later is another file.
    if (operation === "remove") this.#failedFiles.delete(path);
    if (this.isOff) return;
    const isTarget = this.#mode !== "half-way" || operation === "write";
    if (!isTarget) return;
    const number = this.#count++;
    const strikes = this.#mode === "from then on"
      ? number >= this.#target
      : number === this.#target;
    if (!strikes) return;
    if (this.struck === undefined) {
      this.struck = event;
      this.phaseStruck = this.phase;
    }
    // Numbers are given once; CURRENT.tmp is made anew under its own name.
    if (MUTATIONS.has(operation) && kindOfPath(path) !== "temporary") {
      this.#failedFiles.add(path);
    }
    if (this.#mode === "half-way") return (event.length ?? 0) >> 1;
    throw diskError("EIO");
  };

  /** Whether the failure was one after which nobody knows what is on the disk. */
  get mustLatch(): boolean {
    const { struck } = this;
    if (struck === undefined || this.phaseStruck !== this.phase) return false;
    const kind = kindOfPath(struck.path);
    return MUTATIONS.has(struck.operation) &&
      (kind === "log" || kind === "manifest");
  }

  /** Whether the failure was of a kind that leaves the log alone. */
  get mustNotLatch(): boolean {
    const { struck } = this;
    if (this.#mode === "from then on") return false;
    if (struck === undefined || this.phaseStruck !== this.phase) return true;
    return kindOfPath(struck.path) === "table" ||
      struck.operation === "read" || struck.operation === "remove";
  }

  toString(): string {
    const { struck } = this;
    return struck === undefined
      ? `${this.#mode}, not struck`
      : `${this.#mode}, operation ${this.#target} (${struck.operation} ${struck.path} ${
        struck.site ?? ""
      } in ${this.phaseStruck})`;
  }
}

const MUTATIONS = new Set(["write", "sync", "syncEnd"]);

async function bounded<T>(what: string, promise: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`${what} hangs`)),
      PATIENCE_MS,
    );
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** One run of the workload on a disk that fails. */
class Run {
  readonly disk: Disk;
  readonly ledger: Ledger = new Ledger();
  readonly #saboteur: Saboteur;
  readonly #random: Random;
  #stamps = 0;

  constructor(saboteur: Saboteur, seed: number) {
    this.#saboteur = saboteur;
    this.#random = new Random(seed);
    this.disk = new Disk(new MemoryFileSystem(), {
      onEvent: saboteur.onEvent,
      syncDelay: async () => {
        for (let n = this.#random.below(4); n > 0; n--) await pause();
      },
    });
  }

  get #where(): string {
    return String(this.#saboteur);
  }

  /** Awaits a call that may fail, but only in the ways that are promised. */
  async #attempt<T>(
    what: string,
    call: () => Promise<T>,
  ): Promise<T | undefined> {
    try {
      return await bounded(`${what}: ${this.#where}`, call());
    } catch (error) {
      this.#expectHonest(error, what);
      return undefined;
    }
  }

  #expectHonest(error: unknown, what: string): void {
    const isHonest = error instanceof VarveError &&
      ["IO", "READ_ONLY", "ABORTED"].includes(error.code);
    assert(isHonest, `${what}: ${error}: ${this.#where}`);
    assert(this.#saboteur.struck, `${what} failed before anything was broken`);
  }

  /** A life of the database, from opening to closing. */
  async live(life: number): Promise<void> {
    const saboteur = this.#saboteur;
    saboteur.phase = `opening in life ${life}`;
    const db = await this.#attempt("open", () => openOn(this.disk, OPTIONS));
    if (db === undefined) return;
    saboteur.phase = `using in life ${life}`;
    this.#readBack(db);
    await this.#writeAll(db, life);
    await this.#attempt("flush", () => this.ledger.barrier(() => db.flush()));
    await this.#attempt("minorCompact", () => db.minorCompact());
    await this.#writeAll(db, life);
    await this.#attempt("sync", () => this.ledger.barrier(() => db.sync()));
    await this.#attempt("majorCompact", () => db.majorCompact());
    await this.#probe(db);
    saboteur.phase = `closing in life ${life}`;
    // Whatever it says: what a close that succeeds has accepted is durable.
    await this.#attempt("close", () => this.ledger.barrier(() => db.close()));
    for (const error of this.ledger.errors) this.#expectHonest(error, "write");
  }

  /** What an opening shows is what may be there; a read may fail, never lie. */
  #readBack(db: Db): void {
    let state: string;
    try {
      state = stateOf(db, this.ledger.keys);
    } catch (error) {
      this.#expectHonest(error, "read");
      if (this.#saboteur.isOff) throw error;
      return this.#readAgain(db);
    }
    assertEquals(this.ledger.shown(state), undefined, this.#where);
  }

  /** One read failed. With everything failing, no other will do. */
  #readAgain(db: Db): void {
    const { isOff } = this.#saboteur;
    this.#saboteur.isOff = true;
    const state = stateOf(db, this.ledger.keys);
    this.#saboteur.isOff = isOff;
    assertEquals(this.ledger.shown(state), undefined, this.#where);
  }

  async #writeAll(db: Db, life: number): Promise<void> {
    const writers = [0, 1].map(async (writer) => {
      for (let n = 0; n < 5; n++) {
        const changes = this.#changes(writer, n);
        const level = (n + writer) % 3 === 0 ? "sync" : "buffered";
        await bounded(
          `write in life ${life}: ${this.#where}`,
          this.ledger.write(db, level, ...changes),
        );
        if (n % 3 === 2) await pause();
      }
    });
    await Promise.all(writers);
  }

  #changes(writer: number, n: number): Change[] {
    const stamp = `${this.#stamps++}`;
    const put: Change = {
      kind: "put",
      key: `${writer}k${n % 4}`,
      stamp,
      length: 70,
    };
    if (n === 2) return [{ kind: "delete", key: `${writer}k0` }, put];
    if (n === 3) {
      const [start, end] = [`${writer}k0`, `${writer}k3`];
      return [{ kind: "range", start, end }, put];
    }
    return n === 4 ? [put, { ...put, key: `${writer}k9` }] : [put];
  }

  /** Whether the handle is latched is as it must be; reads go on. */
  async #probe(db: Db): Promise<void> {
    const saboteur = this.#saboteur;
    const wasOff = saboteur.isOff;
    saboteur.isOff = true;
    const { refused } = this.ledger;
    await bounded(
      `probe: ${this.#where}`,
      this.ledger.write(db, "sync", ...this.#changes(0, 0)),
    );
    const isRefused = this.ledger.refused > refused;
    if (saboteur.mustLatch) {
      assert(isRefused, `not latched: ${this.#where}`);
      for (const call of [() => db.sync(), () => db.flush()]) {
        const error = await call().then(() => undefined, (error) => error);
        assertEquals(error?.code, "READ_ONLY", this.#where);
      }
    }
    if (saboteur.mustNotLatch) assert(!isRefused, `latched: ${this.#where}`);
    if (isRefused) {
      const error = this.ledger.errors.at(-1);
      assert(error instanceof VarveError);
      assertEquals(error.code, "READ_ONLY", this.#where);
    }
    const state = stateOf(db, this.ledger.keys);
    assertEquals(state, this.ledger.states.at(-1), `reads: ${this.#where}`);
    saboteur.isOff = wasOff;
  }

  /** Crashes now, in every way. */
  async expectNothingLost(): Promise<void> {
    const { disk, ledger } = this;
    const random = new Random(1);
    const images: [Crash, MemoryFileSystem][] = [
      ["process death", disk.afterProcessDeath()],
      ["power loss", disk.afterPowerLoss()],
      ["power loss", disk.afterChaos(random)],
    ];
    for (const [crash, files] of images) {
      const window = ledger.window(crash);
      const { wrong } = await examine(files, ledger, window, READING);
      assertEquals(wrong, undefined, `${crash} after ${this.#where}`);
    }
  }
}

/** Runs everything with one operation failing; returns whether there was such an operation. */
async function sabotage(
  mode: Mode,
  target: number,
  seed: number,
): Promise<Saboteur> {
  const saboteur = new Saboteur(mode, target);
  const run = new Run(saboteur, seed);
  await run.live(0);
  await run.expectNothingLost();
  // Reopening clears everything, on the same disk, in the same process.
  if (mode === "from then on") saboteur.isOff = true;
  await run.live(1);
  await run.expectNothingLost();
  saboteur.isOff = true;
  await run.live(2);
  await run.expectNothingLost();
  assertGreater(run.ledger.issued, 0);
  assertEquals(saboteur.retries, [], String(saboteur));
  return saboteur;
}

for (const mode of ["once", "from then on", "half-way"] as const) {
  for (const seed of [1, 2]) {
    test(
      `faults: every operation fails in its turn, ${mode}: nothing promised is lost, nothing is retried (seed ${seed})`,
      LONG,
      async () => {
        let target = 0;
        const struck = new Map<string, number>();
        for (;; target++) {
          const { struck: event } = await sabotage(mode, target, seed);
          if (event === undefined) break;
          const kind = `${event.operation} ${kindOfPath(event.path)}`;
          struck.set(kind, (struck.get(kind) ?? 0) + 1);
        }
        assertGreater(target, mode === "half-way" ? 40 : 100);
        const kinds = [...struck].map(([kind, count]) => `${count} ${kind}`);
        console.log(`${mode}: ${target} operations: ${kinds.join(", ")}`);
      },
    );
  }
}

const BUFFERED: Options = {
  ...READING,
  durability: "buffered",
  writeBufferSize: 256,
  maxFrozenMemtables: 1,
};

test(
  "faults: close() does not succeed after a sync failed, unless all that was acknowledged is durable",
  LONG,
  async () => {
    let isBroken = false;
    const disk = new Disk(new MemoryFileSystem(), {
      onEvent({ operation }) {
        if (isBroken && operation === "sync") throw diskError();
      },
    });
    const db = await openOn(disk, BUFFERED);
    await db.put("acknowledged", "value");
    isBroken = true;
    await rejectsWith("IO", () => db.sync());
    isBroken = false;
    const isClosed = await db.close().then(() => true, () => false);
    await using again = await openIn(disk.afterPowerLoss(), READING);
    assert(!isClosed || again.has("acknowledged"));
  },
);

test(
  "faults: a write that fails while it waits for a flush rejects its own promise, and no other",
  LONG,
  async () => {
    const unhandled: unknown[] = [];
    const note = (reason: unknown) => unhandled.push(reason);
    process.on("unhandledRejection", note);
    try {
      let isBroken = false;
      const disk = new Disk(new MemoryFileSystem(), {
        onEvent({ operation, path }) {
          const isLog = kindOfPath(path) === "log";
          if (isBroken && operation === "write" && isLog) throw diskError();
        },
      });
      const db = await openOn(disk, BUFFERED);
      const writes: Promise<void>[] = [];
      while (db.stats().frozenCount <= 1) {
        writes.push(db.put(`key ${writes.length}`, "value ".repeat(10)));
      }
      await Promise.resolve(); // They are written; no flush has begun.
      isBroken = true;
      writes.push(db.put("last", "value"));
      const outcomes = await Promise.allSettled(writes);
      assertEquals(outcomes.at(-1)?.status, "rejected");
      for (let turns = 0; turns < 10; turns++) await pause();
      await db.close().catch(() => {});
    } finally {
      process.off("unhandledRejection", note);
    }
    assertEquals(unhandled, []);
  },
);
