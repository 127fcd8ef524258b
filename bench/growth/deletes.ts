/**
 * What reads cost beside what is deleted: a growing share of single keys, in
 * tables that nothing has merged and after everything was; and range tombstones.
 *
 * @module
 */
import type { Options } from "../../mod.ts";
import { checkMissing, shuffled } from "../data.ts";
import { type Bench, runEach } from "../measure.ts";
import type { Store } from "../stores/store.ts";
import { openVarve, type VarveStore } from "../stores/varve.ts";
import {
  allBut,
  deletedIn,
  inRandomOrder,
  putter,
  rangeDeleter,
  rangeStarts,
} from "../workloads.ts";
import { type GrowthScenario, Reads, shareOf } from "./parts.ts";
import { STANDARD } from "../shape.ts";

const PERCENTS = [0, 30, 60, 90];
const TOMBSTONE_ENTRIES = 500_000;

const RANGES = [0, 10_000];
const RANGE_KEYS = 10;
const RANGE_ENTRIES = 1_000_000;

/** Nothing is merged but by a call. */
const UNMERGED: Options = { compaction: { background: "off" } };

const fill = (store: Store, count: number): Promise<void> =>
  runEach(store, count, putter(store, inRandomOrder(count), 1));

/** The entries that are deleted, in the order in which they are. */
function victims(bench: Bench): Uint32Array {
  const count = shareOf(bench, TOMBSTONE_ENTRIES);
  const deletes = Math.floor(count * bench.size / 100);
  return shuffled(count, 9).subarray(0, deletes);
}

async function fillAndDelete(
  bench: Bench,
  finish: (store: VarveStore) => Promise<unknown>,
): Promise<void> {
  const store = await openVarve(bench.directory, UNMERGED);
  await fill(store, shareOf(bench, TOMBSTONE_ENTRIES));
  await store.db.flush();
  const entries = victims(bench);
  await runEach(store, entries.length, (i) => {
    store.delete(STANDARD.keyOf((entries[i] ?? 0) * 2));
  });
  await finish(store);
  await store.close();
}

async function readBesideTombstones(bench: Bench): Promise<void> {
  const isDeleted = new Uint8Array(shareOf(bench, TOMBSTONE_ENTRIES));
  const entries = victims(bench);
  for (const entry of entries) isDeleted[entry] = 1;
  const store = await openVarve(bench.directory, UNMERGED);
  const reads = new Reads(bench, store, allBut(isDeleted));
  await reads.random();
  if (entries.length > 0) {
    const gone = allBut(isDeleted.map((deleted) => 1 - deleted));
    await reads.missing(gone, checkMissing);
  }
  await reads.all();
  await reads.seeks();
  await store.close();
}

function tombstones(
  series: string,
  finish: (store: VarveStore) => Promise<unknown>,
): GrowthScenario {
  return {
    name: `growth of tombstones, ${series}`,
    family: "tombstones",
    series,
    grows: "% deleted",
    sizes: PERCENTS,
    measures: [],
    steps: [(bench) => fillAndDelete(bench, finish), readBesideTombstones],
  };
}

const startsOf = (bench: Bench, entries: number): number[] =>
  rangeStarts(
    entries,
    RANGE_KEYS,
    bench.size === 0 ? 0 : shareOf(bench, bench.size),
  );

async function fillAndDeleteRanges(bench: Bench): Promise<void> {
  const count = shareOf(bench, RANGE_ENTRIES);
  const store = await openVarve(bench.directory, UNMERGED);
  await fill(store, count);
  await store.db.flush();
  const starts = startsOf(bench, count);
  const deleteRange = rangeDeleter(store, starts, RANGE_KEYS);
  for (let i = 0; i < starts.length; i++) await deleteRange(i);
  await store.db.flush();
  await store.close();
}

async function readBesideRanges(bench: Bench): Promise<void> {
  const count = shareOf(bench, RANGE_ENTRIES);
  const isDeleted = deletedIn(count, startsOf(bench, count), RANGE_KEYS);
  const store = await openVarve(bench.directory, UNMERGED);
  const reads = new Reads(bench, store, allBut(isDeleted));
  await reads.random();
  await reads.all();
  await store.close();
}

/** Both families. */
export const DELETES: readonly GrowthScenario[] = [
  tombstones("flushed", ({ db }) => db.flush()),
  tombstones("merged", ({ db }) => db.majorCompact()),
  {
    name: "growth of range tombstones",
    family: "ranges",
    series: "flushed",
    grows: "range tombstones",
    sizes: RANGES,
    measures: [],
    steps: [fillAndDeleteRanges, readBesideRanges],
  },
];
