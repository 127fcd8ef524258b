/**
 * What is done in a run: calls of the engine, each checked against the model,
 * and what the world does to it meanwhile.
 *
 * @module
 */
import { attachWith } from "../../lib/attach.ts";
import type { ShareHandle } from "../../lib/share/handle.ts";
import { Batch, type Db } from "../../mod.ts";
import type { TextRange } from "../engine/support/key_text.ts";
import { openWith } from "../open.ts";
import { faultsFor, strikeAfter } from "./faults.ts";
import { cloneMessage } from "./message.ts";
import {
  type Change,
  type Model,
  rowOf,
  toByteRange,
  toBytes,
} from "./model.ts";
import { randomOptions } from "./options.ts";
import {
  type AnyReader,
  checkEverything,
  checkGets,
  checkRow,
  checkScan,
  must,
  orphansOf,
  PATH,
  stateOf,
} from "./oracles.ts";
import type { SeededDice } from "./random.ts";
import { codeOf, type Run, type RunPlan } from "./run.ts";

/** One kind of operation. */
export interface Operation {
  readonly name: string;
  /** How often it is drawn, before a seed has its say. */
  readonly weight: number;
  /** Whether it breaks something. */
  readonly breaks?: true;
  perform(run: Run, dice: SeededDice): Promise<void> | void;
}

/** Snapshots, scans and readers that are held at a time. */
const HELD_MOST = 3;
/** Calls that are left to themselves at a time. */
const PENDING_MOST = 24;

/** How often each operation is drawn under a seed: some hardly, some all the time. */
export function operationWeights(dice: SeededDice, plan: RunPlan): number[] {
  const withFaults = dice.chance(0.5);
  return OPERATIONS.map(({ name, weight, breaks }) => {
    const factor = dice.pick([0.1, 0.5, 1, 1, 1, 3]);
    if (breaks && plan.isCalm) return 0;
    if (name.startsWith("failure") && !withFaults) return 0;
    return weight * factor;
  });
}

// Data.

const LETTERS = ["\0", "a", "b", "m", "z", "\xff"];

/** Keys of few characters, so that they meet again, extremes included. */
function randomKey(dice: SeededDice): string {
  if (dice.chance(0.4)) return `k${dice.below(300)}`;
  const length = dice.pick([0, 1, 1, 2, 2, 3, 3]);
  let key = "";
  for (let i = 0; i < length; i++) key += dice.pick(LETTERS);
  return dice.chance(0.02) ? key + "k".repeat(300) : key;
}

function randomPut(run: Run, dice: SeededDice): Change {
  const length = dice.pick([0, 3, 10, 20, 20, 40, 100]);
  const row = rowOf(randomKey(dice), run.newValue(length));
  return { type: "put", row };
}

function randomBounds(dice: SeededDice): [string, string] | undefined {
  const [start, end] = [randomKey(dice), randomKey(dice)].sort();
  return start === end ? undefined : [start, end];
}

function randomRange(dice: SeededDice): TextRange {
  const range: TextRange = {};
  const low = dice.below(3);
  const high = dice.below(3);
  if (low === 1) range.gt = randomKey(dice);
  if (low === 2) range.gte = randomKey(dice);
  if (high === 1) range.lt = randomKey(dice);
  if (high === 2) range.lte = randomKey(dice);
  if (dice.chance(0.2)) range.prefix = randomKey(dice).slice(0, 2);
  return range;
}

function randomChange(run: Run, dice: SeededDice): Change {
  const fate = dice.below(10);
  const bounds = randomBounds(dice);
  if (fate < 6) return randomPut(run, dice);
  if (fate < 9 || bounds === undefined) {
    return { type: "delete", key: randomKey(dice) };
  }
  return { type: "deleteRange", start: bounds[0], end: bounds[1] };
}

// Writes.

/** Some writes are waited for, some are not. */
async function written(
  run: Run,
  dice: SeededDice,
  changes: readonly Change[],
  call: (db: Db, durability: "sync" | "buffered") => Promise<void>,
): Promise<void> {
  const own = dice.pick(["sync", "buffered", undefined] as const);
  const durability = own ?? run.life.options.durability ?? "sync";
  const isAwaited = dice.chance(0.4) || run.life.pending.size > PENDING_MOST;
  run.trace.number(changes.length);
  const acknowledged = run.write(
    changes,
    durability,
    (db) => call(db, durability),
  );
  if (isAwaited) await run.live(acknowledged);
}

function put(run: Run, dice: SeededDice, change: Change): Promise<void> {
  if (change.type !== "put") throw new Error("it is a put");
  const { key, value } = change.row;
  return written(
    run,
    dice,
    [change],
    (db, durability) => db.put(toBytes(key), value, { durability }),
  );
}

/** Many writes in one turn, before the first of them reaches the log. */
async function burst(run: Run, dice: SeededDice): Promise<void> {
  const all: Promise<void>[] = [];
  const { process } = run.life;
  for (let i = 2 + dice.below(30); i > 0 && !process.isDead; i--) {
    all.push(put(run, dice, randomPut(run, dice)));
  }
  await Promise.all(all);
}

/** The same, and the first write of a log fails, or the first sync of the directory. */
function failingBurst(run: Run, dice: SeededDice): Promise<void> {
  const { faults } = run;
  const isWrite = dice.chance(0.6);
  faults.arm({
    strikes: ({ kind, path }) =>
      isWrite
        ? kind === "write" && path.endsWith(".vlog")
        : kind === "syncDirectory",
    fault: (operation) => dice.pick(faultsFor(operation)),
    forEver: false,
  });
  return burst(run, dice);
}

/** What was just written is deleted, and tables are merged, while the log may still be syncing: it may keep the one and lose the other. */
async function overtake(run: Run, dice: SeededDice): Promise<void> {
  const key = randomKey(dice);
  const row = rowOf(key, run.newValue(10));
  const write = (change: Change, durability: "sync" | "buffered") =>
    run.write(
      [change],
      durability,
      (db) => db.write(batchOf([change]), { durability }),
    );
  write({ type: "put", row }, "sync");
  await run.live(run.scheduler.sleep(0, run.life.process));
  write({ type: "delete", key }, "buffered");
  await maintained(run, dice, run.life.db.majorCompact(), true);
}

function batchOf(changes: readonly Change[]): Batch {
  const batch = new Batch();
  for (const change of changes) {
    if (change.type === "put") {
      batch.put(toBytes(change.row.key), change.row.value);
    } else if (change.type === "delete") batch.delete(toBytes(change.key));
    else {
      batch.deleteRange(
        toBytes(change.start),
        toBytes(change.end ?? ""),
      );
    }
  }
  return batch;
}

/** The range of a `clear`, as the batch that it is. */
function changesOfClear(range: TextRange): Change[] {
  const { gt, gte = "", lt, lte, prefix = "" } = range;
  const starts = [gt === undefined ? gte : `${gt}\0`, prefix];
  const start = starts.sort()[1];
  const ends = [lt, lte === undefined ? undefined : `${lte}\0`, behind(prefix)]
    .filter((end) => end !== undefined).sort();
  const end = ends[0];
  if (end !== undefined && end <= start) return [];
  return [{ type: "deleteRange", start, end }];
}

/** The first key behind all that begin with a prefix; `undefined` if there is none. */
function behind(prefix: string): string | undefined {
  const kept = prefix.replace(/\xff+$/, "");
  if (kept === "") return undefined;
  const last = kept.charCodeAt(kept.length - 1);
  return kept.slice(0, -1) + String.fromCharCode(last + 1);
}

// Reads.

function readSome(
  run: Run,
  reader: AnyReader,
  model: Model,
  dice: SeededDice,
): void {
  const keys = Array.from({ length: 1 + dice.below(6) }, () => randomKey(dice));
  run.attempt(() => checkGets(reader, model, keys));
  run.trace.number(model.print.a);
}

function scanSome(
  run: Run,
  reader: AnyReader,
  model: Model,
  dice: SeededDice,
): void {
  const limit = dice.chance(0.6) ? dice.below(12) : Infinity;
  const range = randomRange(dice);
  const reverse = dice.chance(0.5);
  run.attempt(() => checkScan(reader, model, range, reverse, limit));
}

/** Goes on with a scan that was left open. */
function advance(run: Run, dice: SeededDice): void {
  const { scans } = run.life;
  const at = dice.below(HELD_MOST);
  const scan = scans[at];
  if (scan === undefined) return;
  const goesOn = run.attempt(() => {
    for (let i = dice.below(5); i >= 0; i--) {
      const { done, value } = scan.rest.next();
      if (done) {
        must(scan.at === scan.owed.length, () => "a held scan ended early");
        return false;
      }
      checkRow(scan.owed[scan.at++], value[0], value[1]);
    }
    return true;
  });
  if (!goesOn) scans.splice(at, 1); // One that failed is closed, too.
}

function holdScan(run: Run, dice: SeededDice): void {
  const { life, ledger } = run;
  if (life.scans.length >= HELD_MOST) return;
  const range = randomRange(dice);
  const reverse = dice.chance(0.5);
  const rows = run.attempt(() =>
    life.db.scan({ ...toByteRange(range), reverse })
  );
  if (rows === undefined) return;
  const owed = ledger.model.rows(range, reverse, Infinity);
  life.scans.push({ rest: rows[Symbol.iterator](), owed, at: 0 });
}

// Readers that share memory.

function attachReader(run: Run, dice: SeededDice): void {
  const { life } = run;
  if (life.readers.length >= HELD_MOST) return;
  const leaseSeconds = dice.pick([1, 60, 600]);
  life.isShared = true;
  const handle = run.attempt(() => life.db.share({ leaseSeconds }));
  if (handle === undefined) return;
  const reader = run.attempt(() =>
    attachWith(life.process.runtime, cloneMessage(handle) as ShareHandle)
  );
  if (reader !== undefined) life.readers.push({ reader, held: undefined });
}

/** A reader is in a state that was accepted, and not before what was acknowledged. */
function readShared(run: Run, dice: SeededDice): void {
  const { life, ledger } = run;
  if (life.readers.length === 0) return;
  const shared = dice.pick(life.readers);
  const { held } = shared;
  run.attempt(() => {
    if (held === undefined) {
      const snapshot = shared.reader.snapshot();
      const window = { first: ledger.written, last: ledger.last };
      const model = ledger.modelAt(stateOf(snapshot, ledger, window));
      shared.held = { snapshot, model };
      return;
    }
    readSome(run, held.snapshot, held.model, dice);
    scanSome(run, held.snapshot, held.model, dice);
    if (dice.chance(0.3)) {
      held.snapshot.close();
      shared.held = undefined;
    }
  });
}

// Maintenance.

async function maintained(
  run: Run,
  dice: SeededDice,
  call: Promise<unknown>,
  makesDurable: boolean,
): Promise<void> {
  const ended = run.maintain(call, makesDurable);
  if (dice.chance(0.6)) await run.live(ended);
}

/**
 * A thousand keys that are newer than a range delete, and behind them one that
 * is older: the tombstone must not go, though it takes long to find out why.
 */
async function refill(run: Run, dice: SeededDice): Promise<void> {
  const keys = Array.from(
    { length: 1002 + dice.below(50) },
    (_, i) => `r${String(i).padStart(4, "0")}`,
  );
  const durability = "buffered";
  const write = (changes: readonly Change[]) =>
    run.live(run.write(
      changes,
      durability,
      (db) => db.write(batchOf(changes), { durability }),
    ));
  const fill = (keys: readonly string[]) =>
    write(keys.map((key) => {
      return { type: "put", row: rowOf(key, run.newValue(3)) };
    }));
  const clear = () => write([{ type: "deleteRange", start: "r", end: "s" }]);
  const flush = () => run.live(run.maintain(run.life.db.flush(), true));
  // Not all of the first table is hidden, else it would go as a whole.
  await fill([...keys, "s"]).then(flush);
  await clear().then(flush);
  // So often that what is like the first one is merged with it.
  const { minThreshold = 2 } = run.life.options.compaction ?? {};
  for (let i = 1; i < Math.min(minThreshold, 4); i++) {
    await fill(keys.slice(0, -1)).then(flush);
  }
  await run.live(run.maintain(run.life.db.minorCompact(), false));
  await run.live(run.maintain(run.life.db.tombstoneCompact(), false));
  const { life, ledger } = run;
  run.attempt(() => {
    checkScan(life.db, ledger.model, { prefix: "r" }, false, Infinity);
  });
  await clear();
}

async function reopen(run: Run, dice: SeededDice): Promise<void> {
  await run.close();
  if (dice.chance(0.5)) run.options = randomOptions(dice);
  run.options = { ...run.options, createIfMissing: dice.chance(0.5) };
  await run.open(dice);
}

/** Nobody else gets the database while it is open. */
async function openTwice(run: Run, dice: SeededDice): Promise<void> {
  const { runtime } = run.life.process;
  const errorIfExists = dice.chance(0.3);
  const options = { ...run.options, errorIfExists };
  const before = run.faults.hits.length;
  try {
    const db = await run.live(openWith(runtime, PATH, options));
    await db.close();
  } catch (error) {
    if (codeOf(error) === (errorIfExists ? "EXISTS" : "LOCKED")) return;
    if (run.faults.hits.length === before) throw error;
    run.excuse(error);
    return;
  }
  must(false, () => "a second handle was given");
}

/** Waits until nothing is under way, and that this comes to pass is the point. */
async function waitForPeace(run: Run): Promise<void> {
  await run.settle();
  await run.live(run.scheduler.idle());
  const { frozenCount, lastError, openSnapshots, openScans } = run.life.db
    .stats();
  const { life, faults } = run;
  must(
    frozenCount === 0 || faults.hits.length > 0,
    () => `${frozenCount} memtables wait, and nothing flushes them`,
  );
  must(
    lastError === undefined || faults.hits.length > 0,
    () => `the last error is ${lastError}`,
  );
  if (lastError !== undefined) life.hasSurfaced = true;
  if (faults.hits.length === 0 && life.scans.length === 0) {
    const orphans = orphansOf(run.disk, life.db.stats());
    must(orphans.length === 0, () => `left over: ${orphans.join(" ")}`);
  }
  must(
    openScans <= life.scans.length &&
      (life.readers.length > 0 || openSnapshots === life.snapshots.length),
    () => `${openScans} scans and ${openSnapshots} snapshots are open`,
  );
}

/** Everything that may happen, and how often. */
export const OPERATIONS: readonly Operation[] = [
  {
    name: "put",
    weight: 30,
    perform: (run, dice) => put(run, dice, randomPut(run, dice)),
  },
  {
    name: "delete",
    weight: 8,
    perform(run, dice) {
      const key = randomKey(dice);
      return written(
        run,
        dice,
        [{ type: "delete", key }],
        (db, durability) => db.delete(toBytes(key), { durability }),
      );
    },
  },
  {
    name: "deleteRange",
    weight: 4,
    perform(run, dice) {
      const bounds = randomBounds(dice);
      if (bounds === undefined) return;
      const [start, end] = bounds;
      return written(
        run,
        dice,
        [{ type: "deleteRange", start, end }],
        (db, durability) =>
          db.deleteRange(toBytes(start), toBytes(end), { durability }),
      );
    },
  },
  {
    name: "clear",
    weight: 0.5,
    perform(run, dice) {
      const range = randomRange(dice);
      return written(
        run,
        dice,
        changesOfClear(range),
        (db, durability) => db.clear(toByteRange(range), { durability }),
      );
    },
  },
  {
    name: "batch",
    weight: 6,
    perform(run, dice) {
      const changes = Array.from(
        { length: dice.below(8) },
        () => randomChange(run, dice),
      );
      return written(
        run,
        dice,
        changes,
        (db, durability) => db.write(batchOf(changes), { durability }),
      );
    },
  },
  {
    name: "fill",
    weight: 0.2,
    perform(run, dice) {
      const first = dice.below(1000);
      const length = dice.pick([20, 100, 300]);
      const changes = Array.from(
        { length: dice.pick([30, 60, 150]) },
        (_, i): Change => {
          const key = `f${String(first + i).padStart(4, "0")}`;
          return { type: "put", row: rowOf(key, run.newValue(length)) };
        },
      );
      return written(
        run,
        dice,
        changes,
        (db, durability) => db.write(batchOf(changes), { durability }),
      );
    },
  },
  { name: "fill, clear, fill", weight: 0.02, perform: refill },
  { name: "burst of puts", weight: 2, perform: burst },
  { name: "overtake a sync", weight: 0.3, perform: overtake },
  {
    name: "large put",
    weight: 0.5,
    perform(run, dice) {
      const value = run.newValue(500 + dice.below(6000));
      return put(run, dice, {
        type: "put",
        row: rowOf(randomKey(dice), value),
      });
    },
  },
  {
    name: "read",
    weight: 12,
    perform: (run, dice) => readSome(run, run.life.db, run.ledger.model, dice),
  },
  {
    name: "scan",
    weight: 8,
    perform: (run, dice) => scanSome(run, run.life.db, run.ledger.model, dice),
  },
  {
    name: "read everything",
    weight: 0.3,
    perform(run) {
      run.attempt(() => checkEverything(run.life.db, run.ledger.model));
    },
  },
  { name: "hold a scan", weight: 2, perform: holdScan },
  { name: "advance a scan", weight: 4, perform: advance },
  {
    name: "take a snapshot",
    weight: 2,
    perform({ life, ledger }) {
      if (life.snapshots.length >= HELD_MOST) return;
      const snapshot = life.db.snapshot();
      life.snapshots.push({ snapshot, model: ledger.model.copy() });
    },
  },
  {
    name: "read a snapshot",
    weight: 4,
    perform(run, dice) {
      const held = run.life.snapshots[dice.below(HELD_MOST)];
      if (held === undefined) return;
      readSome(run, held.snapshot, held.model, dice);
      scanSome(run, held.snapshot, held.model, dice);
    },
  },
  {
    name: "drop a snapshot",
    weight: 1.5,
    perform({ life }) {
      life.snapshots.shift()?.snapshot.close();
    },
  },
  { name: "attach a reader", weight: 0.8, perform: attachReader },
  { name: "read shared", weight: 4, perform: readShared },
  {
    name: "close a reader",
    weight: 0.3,
    perform({ life }) {
      life.readers.shift()?.reader.close();
    },
  },
  {
    name: "wait",
    weight: 12,
    perform: (run, dice) =>
      run.live(
        run.scheduler.sleep(dice.pick([0, 0, 0, 1, 5, 50]), run.life.process),
      ),
  },
  { name: "settle", weight: 3, perform: (run) => run.settle() },
  { name: "wait for peace", weight: 0.6, perform: waitForPeace },
  {
    name: "flush",
    weight: 2,
    perform: (run, dice) => maintained(run, dice, run.life.db.flush(), true),
  },
  {
    name: "sync",
    weight: 2,
    perform: (run, dice) => maintained(run, dice, run.life.db.sync(), true),
  },
  {
    name: "minorCompact",
    weight: 1.5,
    perform: (run, dice) =>
      maintained(run, dice, run.life.db.minorCompact(), false),
  },
  {
    name: "tombstoneCompact",
    weight: 1,
    perform: (run, dice) =>
      maintained(run, dice, run.life.db.tombstoneCompact(), false),
  },
  {
    name: "majorCompact",
    weight: 0.3,
    perform: (run, dice) =>
      maintained(run, dice, run.life.db.majorCompact(), true),
  },
  { name: "reopen", weight: 0.6, perform: reopen },
  { name: "open twice", weight: 0.3, perform: openTwice },
  {
    name: "jump of the clock",
    weight: 0.5,
    perform(run, dice) {
      const { scheduler, life } = run;
      if (dice.chance(0.5)) scheduler.now += dice.below(100_000);
      else life.process.wallOffset += dice.below(2e9) - 1e9;
    },
  },
  {
    name: "death of the worker",
    weight: 0.6,
    breaks: true,
    async perform(run, dice) {
      run.workerEndsIn = 1 + dice.below(dice.pick([5, 50]));
      if (dice.chance(0.6)) return;
      await maintained(run, dice, run.life.db.flush(), true);
      await waitForPeace(run);
    },
  },
  {
    name: "crash",
    weight: 0.9,
    breaks: true,
    perform(run, dice) {
      const crash = dice.chance(0.6) ? "power loss" : "process death";
      run.armCrash(crash, dice.below(60));
    },
  },
  {
    name: "failure in a burst",
    weight: 0.1,
    breaks: true,
    perform: failingBurst,
  },
  {
    name: "failure",
    weight: 0.4,
    breaks: true,
    perform(run, dice) {
      const { faults } = run;
      if (faults.isArmed) return;
      faults.arm(strikeAfter(dice, dice.below(150), dice.chance(0.3)));
    },
  },
];
