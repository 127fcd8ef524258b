/**
 * What a start costs that was not prepared for: a log to be replayed after the
 * process was killed, and lookups when the page cache has nothing.
 *
 * @module
 */
import { ENTRY_BYTES, Random } from "../data.ts";
import { fillAndDie, prepare, reopenStep } from "../db_bench.ts";
import { directoryBytes, dropPageCache, readFiles } from "../machine.ts";
import { type Bench, measureEach, note, runEach } from "../measure.ts";
import { openVarve } from "../stores/varve.ts";
import { lookUp, ofGeneration } from "../workloads.ts";
import { type GrowthScenario, shareOf } from "./parts.ts";

const LOG_BYTES = 64 * 1024 * 1024;
const COLD_ENTRIES = 1_000_000;
/** Few against the blocks, so that few blocks are asked for twice. */
const COLD_READS = 5_000;
const WARM_READS = 200_000;

/** The same with as many entries as there are in so many bytes. */
const withEntriesOf = (bench: Bench): Bench => ({
  ...bench,
  size: Math.floor(shareOf(bench, bench.size) / ENTRY_BYTES),
});

async function replay(bench: Bench): Promise<void> {
  note(bench, "log", "bytes", directoryBytes(bench.directory));
  await reopenStep("open, replay", { keepInLog: true })(withEntriesOf(bench));
}

/** The block cache is off: what is not in the page cache is read from the disk. */
async function readCold(bench: Bench): Promise<void> {
  const count = shareOf(bench, bench.size);
  readFiles(bench.directory);
  const store = await openVarve(bench.directory, { blockCacheSize: 0 });
  const random = new Random(21);
  const look = lookUp(store, ofGeneration(1));
  const read = () => look(random.below(count) * 2);
  const warm = { count: shareOf(bench, WARM_READS), isAsync: false };
  await runEach(store, warm.count, read);
  await measureEach(bench, store, "readrandom, warm", warm, read);
  if (dropPageCache()) {
    const cold = { count: shareOf(bench, COLD_READS), isAsync: false };
    await measureEach(bench, store, "readrandom, cold", cold, read);
  }
  await store.close();
}

/** Both families. */
export const STARTS: readonly GrowthScenario[] = [
  {
    name: "growth: replay",
    family: "replay",
    series: "killed",
    grows: "bytes of entries",
    sizes: [LOG_BYTES],
    measures: [],
    steps: [(bench) => fillAndDie(withEntriesOf(bench)), replay],
    isKilled: true,
  },
  {
    name: "growth: cold",
    family: "cold",
    series: "uncached",
    grows: "entries",
    sizes: [COLD_ENTRIES],
    measures: [],
    steps: [
      (bench) => prepare({ ...bench, size: shareOf(bench, bench.size) }),
      readCold,
    ],
  },
];
