/**
 * The number of entries grows, in either strategy: what a fill costs until its
 * last write is acknowledged and until the tree is at rest, what is written and
 * kept for each byte of data; then in a fresh process how long an open takes,
 * what reads cost, and memory; then, in another, reads without a block cache,
 * so that stores are equal but for their size.
 *
 * @module
 */
import process from "node:process";
import type { Options } from "../../mod.ts";
import { ENTRY_BYTES } from "../data.ts";
import { directoryBytes, peakMemoryBytes, readFiles } from "../machine.ts";
import { type Bench, note } from "../measure.ts";
import { openVarve } from "../stores/varve.ts";
import { everything, lookUp, ofGeneration } from "../workloads.ts";
import { type GrowthScenario, measureFill, Reads, shareOf } from "./parts.ts";

/** The strategies of compaction. */
export const STRATEGIES = ["size-tiered", "leveled"] as const;
/** The name of one of them. */
export type Strategy = typeof STRATEGIES[number];

/** How many entries, unless others are asked for. */
const SIZES = [10_000, 100_000, 1_000_000, 10_000_000];
const MILLION = 1_000_000;
/** The list that says in which order entries are written is not the store's. */
const ORDER_BYTES_EACH = Uint32Array.BYTES_PER_ELEMENT;

async function fill(bench: Bench, options: Options): Promise<void> {
  const count = shareOf(bench, bench.size);
  const store = await openVarve(bench.directory, options);
  await measureFill(bench, store, count);
  const { writeAmplification } = store.db.stats();
  await store.close();
  note(bench, "write amplification", "ratio", writeAmplification);
  const peak = peakMemoryBytes() - count * ORDER_BYTES_EACH;
  note(bench, "peak memory, fill", "bytes", peak);
  const bytes = directoryBytes(bench.directory);
  note(bench, "on disk", "bytes", bytes);
  const space = bytes / (count * ENTRY_BYTES);
  note(bench, "space amplification", "ratio", space);
}

async function openAndRead(bench: Bench, options: Options): Promise<void> {
  const count = shareOf(bench, bench.size);
  const before = process.memoryUsage.rss();
  const start = performance.now();
  const store = await openVarve(bench.directory, options);
  await lookUp(store, ofGeneration(1))(0);
  note(bench, "open", "ms", performance.now() - start);
  note(bench, "memory, open", "bytes", process.memoryUsage.rss());
  readFiles(bench.directory);
  const reads = new Reads(bench, store, everything(count));
  await reads.random();
  await reads.seeks();
  await reads.all();
  const after = process.memoryUsage.rss();
  note(bench, "memory, read", "bytes", after);
  const each = (after - before) / count;
  note(bench, "memory per million", "bytes", each * MILLION);
  const { indexBytes } = store.db.stats().cache;
  note(bench, "filters and indexes", "bytes", indexBytes);
  await store.close();
}

async function readUncached(bench: Bench, options: Options): Promise<void> {
  readFiles(bench.directory);
  const uncached = { ...options, blockCacheSize: 0 };
  const store = await openVarve(bench.directory, uncached);
  const contents = everything(shareOf(bench, bench.size));
  const reads = new Reads(bench, store, contents, { suffix: ", uncached" });
  await reads.random();
  await reads.seeks();
  await store.close();
}

function scenarioOf(strategy: Strategy): GrowthScenario {
  // On every open: another strategy would begin to build the tree anew.
  const options: Options = { compaction: { strategy } };
  const steps = [fill, openAndRead, readUncached];
  return {
    name: `growth of entries, ${strategy}`,
    family: "entries",
    series: strategy,
    grows: "entries",
    sizes: SIZES,
    measures: [],
    steps: steps.map((step) => (bench: Bench) => step(bench, options)),
  };
}

/** The family. */
export const ENTRIES: readonly GrowthScenario[] = STRATEGIES.map(scenarioOf);
