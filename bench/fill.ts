/**
 * Fills a store with many entries; then asks what the process needed for it,
 * and what a read costs against one in a small store. `deno task bench:fill`;
 * also runs under `bun` and `node`.
 *
 * ```text
 *   --entries N       in the large store (default 20,000,000; 2.3 GB)
 *   --small N         in the small store (default 500,000)
 *   --background B    worker or inline (default: the engine's)
 *   --strategy S      size-tiered or leveled (default: the engine's)
 *   --directory DIR   where the stores are made (default: the temporary directory)
 * ```
 *
 * Keys are written in random order; every 100th put is awaited. One process
 * does it all: it fills the large store, which is when its memory counts, reads
 * from it, fills the small one, and reads from that. Before reads are timed the
 * files are read once, so that the page cache has them. Reads are timed
 * without a block cache, so that both stores are equal but for their size, and
 * with the default one, which holds all of the small store and little of the
 * large one. The exit code is 1 if the memory, or what reads cost without the
 * block cache, is beyond its bound.
 *
 * @module
 */
import {
  closeSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readSync,
  rmSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { type CompactionOptions, type Db, open } from "../mod.ts";
import { checkValue, keyOf, Random, valueOf } from "./data.ts";
import {
  directoryBytes,
  mebibytes,
  peakMemoryBytes,
  thousands,
} from "./machine.ts";

const MIB = 1024 * 1024;
const AWAIT_EVERY = 100;
const REPORT_EVERY = 1_000_000;
const SAMPLE_EVERY = 10_000;
const READS = 500_000;
const WARM_READS = 500_000;

/** What a store with default options may have in memory: memtables and blocks. */
const WRITE_BUFFER_BYTES = 32 * MIB;
const MEMTABLES_MAX = 3; // Two frozen ones and the active one.
const CACHE_BYTES = 64 * MIB;
/** What the process may need beside them. */
const BESIDE_BYTES = 200 * MIB;
/** What a read may cost in the large store against the small one. */
const COST_RATIO_MAX = 2.5;

/** Knuth's multiplier: odd, so that each entry gets a key number of its own. */
const SCATTER = 2654435761;
const keyNumber = (entry: number): number => Math.imul(entry, SCATTER) >>> 0;

const { values } = parseArgs({
  options: {
    entries: { type: "string", default: "20000000" },
    small: { type: "string", default: "500000" },
    background: { type: "string" },
    strategy: { type: "string" },
    directory: { type: "string", default: tmpdir() },
  },
});

function openStore(directory: string, blockCacheSize: number): Promise<Db> {
  return open(directory, {
    durability: "buffered",
    writeBufferSize: WRITE_BUFFER_BYTES,
    maxFrozenMemtables: MEMTABLES_MAX - 1,
    blockCacheSize,
    compaction: {
      background: values.background as CompactionOptions["background"],
      strategy: values.strategy as CompactionOptions["strategy"],
    },
  });
}

/** The most memory that was seen, where the system does not keep count. */
let mostMemory = 0;

function sampleMemory(): void {
  mostMemory = Math.max(mostMemory, process.memoryUsage.rss());
}

function peakMemory(): number {
  return Math.max(mostMemory, peakMemoryBytes());
}

function report(db: Db, written: number, start: number): void {
  const { memtable, frozenCount, stalls, levels } = db.stats();
  console.log(
    `${thousands(written).padStart(11)} entries, ` +
      `${((performance.now() - start) / 1000).toFixed(1).padStart(6)} s: ` +
      `peak ${mebibytes(peakMemory())}, ` +
      `now ${mebibytes(process.memoryUsage.rss())}; ` +
      `memtables ${mebibytes(memtable.bytes)}, ${frozenCount} frozen, ` +
      `tables by level ${levels.map(({ tables }) => tables).join("+")}, ` +
      `stalled ${stalls.seconds.toFixed(1)} s`,
  );
}

/** Writes entries and lets everything due be merged. */
async function fill(directory: string, entries: number): Promise<void> {
  const db = await openStore(directory, CACHE_BYTES);
  const start = performance.now();
  for (let entry = 0; entry < entries; entry++) {
    const number = keyNumber(entry);
    const done = db.put(keyOf(number), valueOf(number, 1));
    const written = entry + 1;
    if (written % AWAIT_EVERY === 0) await done;
    if (written % SAMPLE_EVERY === 0) sampleMemory();
    if (written % REPORT_EVERY === 0) report(db, written, start);
  }
  await db.flush();
  const filled = performance.now();
  while (await db.minorCompact()) sampleMemory();
  const settled = performance.now();
  report(db, entries, start);
  const { background, writeAmplification } = db.stats();
  await db.close();
  sampleMemory();
  console.log(
    `filled in ${((filled - start) / 1000).toFixed(1)} s ` +
      `(${thousands(entries / (filled - start) * 1000)} entries/s), ` +
      `merged in a further ${((settled - filled) / 1000).toFixed(1)} s, ` +
      `background ${background}, write amplification ` +
      `${writeAmplification.toFixed(2)}, ` +
      `${mebibytes(directoryBytes(directory))} on disk`,
  );
}

/** Reads every file once, so that the page cache has it. */
function readFiles(directory: string): void {
  const buffer = new Uint8Array(MIB);
  for (const name of readdirSync(directory)) {
    const file = openSync(join(directory, name), "r");
    while (readSync(file, buffer) > 0);
    closeSync(file);
  }
}

/** The cost of a random read, in microseconds. */
function timeReads(db: Db, entries: number): number {
  const random = new Random(1);
  const read = () => {
    const number = keyNumber(random.below(entries));
    checkValue(db.get(keyOf(number)), number, 1);
  };
  for (let i = 0; i < WARM_READS; i++) read();
  const start = performance.now();
  for (let i = 0; i < READS; i++) read();
  return (performance.now() - start) / READS * 1000;
}

/** The cost of a random read with the default block cache, and without one. */
interface ReadCosts {
  readonly cached: number;
  readonly uncached: number;
}

async function measureReads(
  directory: string,
  entries: number,
): Promise<ReadCosts> {
  readFiles(directory);
  const costs: number[] = [];
  for (const cacheBytes of [CACHE_BYTES, 0]) {
    const db = await openStore(directory, cacheBytes);
    costs.push(timeReads(db, entries));
    sampleMemory();
    await db.close();
  }
  const [cached = NaN, uncached = NaN] = costs;
  console.log(
    `readrandom of ${thousands(entries)}: ${cached.toFixed(2)} us with the ` +
      `block cache, ${uncached.toFixed(2)} us without\n`,
  );
  return { cached, uncached };
}

async function main(): Promise<boolean> {
  const entries = Number(values.entries);
  const small = Number(values.small);
  const parent = mkdtempSync(join(values.directory, "varve-fill-"));
  try {
    const large = join(parent, "large");
    await fill(large, entries);
    const peak = peakMemory();
    const largeCosts = await measureReads(large, entries);
    rmSync(large, { recursive: true });
    const smallStore = join(parent, "small");
    await fill(smallStore, small);
    const smallCosts = await measureReads(smallStore, small);
    const ratio = largeCosts.uncached / smallCosts.uncached;
    const peakMax = WRITE_BUFFER_BYTES * MEMTABLES_MAX + CACHE_BYTES +
      BESIDE_BYTES;
    console.log(
      `peak memory of the fill ${mebibytes(peak)}, of at most ` +
        `${mebibytes(peakMax)}`,
    );
    console.log(
      `a read costs ${ratio.toFixed(2)} times as much, of at most ` +
        `${COST_RATIO_MAX}; with the default block cache ` +
        `${(largeCosts.cached / smallCosts.cached).toFixed(2)} times as much`,
    );
    return peak <= peakMax && ratio <= COST_RATIO_MAX;
  } finally {
    rmSync(parent, { recursive: true, force: true });
  }
}

if (!await main()) {
  console.log("a bound is broken");
  process.exitCode = 1;
}
