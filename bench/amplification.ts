/**
 * Measures what the strategies of compaction cost: bytes written, kept and
 * read for each byte of data. `deno task bench:amplification`; also runs under
 * `bun` and `node`.
 *
 * ```text
 *   --entries N         writes of each workload (default 2,000,000)
 *   --strategy S        may be repeated (default: size-tiered and leveled)
 *   --only NAME         a workload; may be repeated (default: all)
 *   --write-buffer N    bytes (default 2 MiB)
 *   --background B      worker or inline (default: the engine's)
 *   --directory DIR     where the stores are made (default: the temporary directory)
 * ```
 *
 * The write buffer is small against the data, as it is in a database that has
 * grown: the trees become as deep as larger ones would with larger buffers.
 * The block cache is off, so that blocks are counted and not luck. A model
 * knows what is alive, and every value that is read is checked against it.
 *
 * @module
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { type CompactionOptions, type Db, open } from "../mod.ts";
import {
  checkCount,
  checkMissing,
  checkValue,
  KEY_BYTES,
  keyOf,
  Random,
  shuffled,
  VALUE_BYTES,
  valueOf,
} from "./data.ts";
import { mebibytes, thousands } from "./machine.ts";
import { printTable } from "./table.ts";

const AWAIT_EVERY = 32;
/** Writes between two looks at the space, as a share of all. */
const LOOK_SHARE = 1 / 200;
/** Before this share of the writes, the space says little. */
const FIRST_LOOK_SHARE = 1 / 10;
const GETS = 20_000;
const SCANS = 1_000;
const SCAN_ENTRIES = 100;
/** The columns of the table that are text, not figures. */
const TEXT_COLUMNS = 2;
const ENTRY_BYTES = KEY_BYTES + VALUE_BYTES;

type Strategy = NonNullable<CompactionOptions["strategy"]>;
const STRATEGIES: readonly Strategy[] = ["size-tiered", "leveled"];

/** A database, and what it must hold. */
class Checked {
  readonly db: Db;
  /** Of each entry: which write of it counts; 0 if it is not there. */
  readonly #generations: Uint8Array;
  #alive = 0;
  /** The most bytes of tables for each byte that was alive. */
  mostSpace = 0;

  constructor(db: Db, keys: number) {
    this.db = db;
    this.#generations = new Uint8Array(keys);
  }

  get keys(): number {
    return this.#generations.length;
  }

  put(entry: number): Promise<void> {
    const old = this.#generations[entry] ?? 0;
    const generation = old % 255 + 1;
    this.#generations[entry] = generation;
    if (old === 0) this.#alive++;
    const number = entry * 2;
    return this.db.put(keyOf(number), valueOf(number, generation));
  }

  delete(entry: number): Promise<void> {
    if (this.#generations[entry] !== 0) this.#alive--;
    this.#generations[entry] = 0;
    return this.db.delete(keyOf(entry * 2));
  }

  deleteRange(start: number, end: number): Promise<void> {
    for (let entry = start; entry < end; entry++) {
      if (this.#generations[entry] !== 0) this.#alive--;
    }
    this.#generations.fill(0, start, end);
    // Both bounds come in one buffer that is used again.
    return this.db.deleteRange(keyOf(start * 2).slice(), keyOf(end * 2));
  }

  /** Bytes of tables for each byte of keys and values that is alive. */
  space(): number {
    const { totalTableBytes } = this.db.stats();
    return totalTableBytes / (this.#alive * ENTRY_BYTES);
  }

  /** Looks an entry up. */
  check(entry: number): void {
    const number = entry * 2;
    const generation = this.#generations[entry] ?? 0;
    const value = this.db.get(keyOf(number));
    if (generation === 0) checkMissing(value, number);
    else checkValue(value, number, generation);
  }

  /** Looks up a key that never was. */
  checkAbsent(entry: number): void {
    const number = entry * 2 + 1;
    checkMissing(this.db.get(keyOf(number)), number);
  }

  checkAll(): void {
    let found = 0;
    for (const _ of this.db.scan().keys()) found++;
    checkCount("entries", found, this.#alive);
  }
}

/** One way to write. */
interface Workload {
  readonly name: string;
  /** How many different keys so many writes are made to. */
  keys(entries: number): number;
  /** What makes the `i`-th write of the run. */
  start(store: Checked): (i: number) => Promise<void>;
}

const OVERWRITES = 5;
const DELETED_SHARE = 0.3;
const WRITES_PER_RANGE = 1_000;
const KEYS_PER_RANGE_SHARE = 1 / 500;

const WORKLOADS: readonly Workload[] = [
  {
    name: "unique keys",
    keys: (entries) => entries,
    start(store) {
      const order = shuffled(store.keys, 7);
      return (i) => store.put(order[i] ?? 0);
    },
  },
  {
    name: "overwrites, uniform",
    keys: (entries) => Math.ceil(entries / OVERWRITES),
    start(store) {
      const random = new Random(11);
      return () => store.put(random.below(store.keys));
    },
  },
  {
    name: "overwrites, Zipf",
    keys: (entries) => Math.ceil(entries / OVERWRITES),
    start(store) {
      const random = new Random(13);
      const order = shuffled(store.keys, 7);
      const fineness = 2 ** 30;
      // The inverse of the distribution in which the r-th key has a share of 1 / r.
      return () => {
        const u = random.below(fineness) / fineness;
        return store.put(order[Math.floor(store.keys ** u) - 1] ?? 0);
      };
    },
  },
  {
    name: "deletes, 30 %",
    keys: (entries) => Math.ceil(entries / 2),
    start(store) {
      const random = new Random(17);
      return () => {
        const isDelete = random.below(1_000) < DELETED_SHARE * 1_000;
        const entry = random.below(store.keys);
        return isDelete ? store.delete(entry) : store.put(entry);
      };
    },
  },
  {
    name: "range deletes",
    keys: (entries) => Math.ceil(entries / 2),
    start(store) {
      const random = new Random(19);
      const width = Math.max(1, Math.floor(store.keys * KEYS_PER_RANGE_SHARE));
      return (i) => {
        const entry = random.below(store.keys);
        return i % WRITES_PER_RANGE === WRITES_PER_RANGE - 1
          ? store.deleteRange(entry, Math.min(entry + width, store.keys))
          : store.put(entry);
      };
    },
  },
];

async function load(
  store: Checked,
  workload: Workload,
  entries: number,
): Promise<void> {
  const write = workload.start(store);
  const step = Math.max(1, Math.floor(entries * LOOK_SHARE));
  for (let i = 0; i < entries; i++) {
    const done = write(i);
    if ((i + 1) % AWAIT_EVERY === 0) await done;
    if (i % step !== 0) continue;
    if (i >= entries * FIRST_LOOK_SHARE) {
      store.mostSpace = Math.max(store.mostSpace, store.space());
    }
    // A program gives way now and then; so may what runs beside it.
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
  await store.db.sync();
}

/** Lets everything be merged that is due. */
async function settle({ db }: Checked): Promise<void> {
  await db.flush();
  while (await db.minorCompact());
  while (await db.tombstoneCompact());
}

/** What reads cost in a tree that is at rest. */
interface ReadCosts {
  readonly blocksPresent: number;
  readonly blocksAbsent: number;
  readonly tables: number;
  readonly blocksScan: number;
}

function measureReads(store: Checked): ReadCosts {
  const { db, keys } = store;
  const random = new Random(23);
  const blocksOf = (times: number, read: () => void) => {
    const before = db.stats().blockReads;
    for (let i = 0; i < times; i++) read();
    return (db.stats().blockReads - before) / times;
  };
  const asked = db.stats().bloom.checks;
  const blocksPresent = blocksOf(GETS, () => store.check(random.below(keys)));
  const tables = (db.stats().bloom.checks - asked) / GETS;
  const blocksAbsent = blocksOf(
    GETS,
    () => store.checkAbsent(random.below(keys)),
  );
  const blocksScan = blocksOf(SCANS, () => {
    const gte = keyOf(random.below(keys) * 2);
    for (const _ of db.scan({ gte, limit: SCAN_ENTRIES }));
  });
  return { blocksPresent, blocksAbsent, tables, blocksScan };
}

async function run(
  directory: string,
  workload: Workload,
  strategy: Strategy,
): Promise<string[]> {
  const db = await open(directory, {
    durability: "buffered",
    writeBufferSize: Number(values["write-buffer"]),
    blockCacheSize: 0,
    compaction: {
      strategy,
      background: values.background as CompactionOptions["background"],
    },
  });
  const entries = Number(values.entries);
  const store = new Checked(db, workload.keys(entries));
  const start = performance.now();
  await load(store, workload, entries);
  const loaded = performance.now();
  await settle(store);
  const settled = performance.now();
  const space = store.space();
  const stats = db.stats();
  const reads = measureReads(store);
  store.checkAll();
  await db.close();
  const tableBytes = stats.flush.bytesWritten + stats.compaction.bytesWritten;
  // Without the log, whose part is the same whatever the strategy is.
  const written = tableBytes / (stats.flush.bytesWritten || NaN);
  return [
    workload.name,
    strategy,
    ((loaded - start) / 1000).toFixed(1),
    ((settled - loaded) / 1000).toFixed(1),
    stats.stalls.seconds.toFixed(1),
    stats.writeAmplification.toFixed(2),
    written.toFixed(2),
    store.mostSpace.toFixed(2),
    space.toFixed(2),
    mebibytes(stats.totalTableBytes),
    stats.levels.map(({ tables }) => tables).join("+"),
    reads.tables.toFixed(2),
    reads.blocksPresent.toFixed(2),
    reads.blocksAbsent.toFixed(3),
    reads.blocksScan.toFixed(1),
  ];
}

const { values } = parseArgs({
  options: {
    entries: { type: "string", default: "2000000" },
    strategy: { type: "string", multiple: true },
    only: { type: "string", multiple: true },
    "write-buffer": { type: "string", default: String(2 * 1024 * 1024) },
    background: { type: "string" },
    directory: { type: "string", default: tmpdir() },
  },
});
const workloads = WORKLOADS.filter(({ name }) =>
  values.only?.includes(name) ?? true
);
const strategies = STRATEGIES.filter((name) =>
  values.strategy?.includes(name) ?? true
);
if (workloads.length === 0 || strategies.length === 0) {
  throw new Error(
    `nothing to run: --only takes ${
      WORKLOADS.map(({ name }) => `"${name}"`).join(", ")
    }, --strategy ${STRATEGIES.join(", ")}`,
  );
}

const rows: string[][] = [];
for (const workload of workloads) {
  for (const strategy of strategies) {
    process.stderr.write(`${workload.name}, ${strategy}\n`);
    const parent = mkdtempSync(join(values.directory, "varve-amplification-"));
    try {
      rows.push(await run(join(parent, "store"), workload, strategy));
    } finally {
      rmSync(parent, { recursive: true, force: true });
    }
  }
}
console.log(
  `${thousands(Number(values.entries))} writes of ${ENTRY_BYTES} bytes each, ` +
    `write buffer ${mebibytes(Number(values["write-buffer"]))}; ` +
    `reads after everything due was merged, without a block cache\n`,
);
printTable(
  [
    "workload",
    "strategy",
    "s to load",
    "to settle",
    "stalled",
    "write ampl.",
    "tables / flushed",
    "space, at most",
    "space",
    "tables",
    "by level",
    "tables / get",
    "blocks / get",
    "blocks / absent",
    `blocks / scan of ${SCAN_ENTRIES}`,
  ],
  rows,
  TEXT_COLUMNS,
);
