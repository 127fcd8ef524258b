/**
 * A thread that reads blocks from a shared cache and puts them in until it is
 * told to stop. See shared_cache.test.ts.
 *
 * @module
 */
import { workerData } from "node:worker_threads";
import { BlockCache } from "../../../lib/cache/block_cache.ts";
import { Random } from "../../engine/support/random.ts";
import { CacheUser } from "./cached_blocks.ts";

/** What a thread is given. */
export interface CacheWork {
  readonly memory: SharedArrayBuffer;
  /** Words: see the constants. */
  readonly report: SharedArrayBuffer;
  readonly seed: number;
  readonly tables: number;
  readonly ordinals: number;
}

/** Set to end the thread. */
export const STOP = 0;
/** The thread's holder number, once it runs. */
export const HOLDER = 1;
/** Lookups that came to nothing, to whole blocks, to lost ones and to torn ones. */
export const ABSENT = 2;
export const WHOLE = 3;
export const LOST = 4;
export const TORN = 5;
export const REPORT_BYTES = 6 * 4;

const WORDS = { absent: ABSENT, whole: WHOLE, lost: LOST, torn: TORN };

/** Looks blocks up and puts in what is not there. */
export function useCache(
  user: CacheUser,
  work: Omit<CacheWork, "memory" | "report">,
  report: Int32Array,
  isDone: () => boolean,
): void {
  const random = new Random(work.seed);
  while (!isDone()) {
    for (let i = 0; i < 100; i++) {
      const table = 1 + random.below(work.tables);
      const ordinal = random.below(work.ordinals);
      const answer = user.get(table, ordinal);
      Atomics.add(report, WORDS[answer], 1);
      if (answer === "absent") user.put(table, ordinal);
    }
  }
}

if (workerData?.report instanceof SharedArrayBuffer) {
  const work: CacheWork = workerData;
  const report = new Int32Array(work.report);
  const user = new CacheUser(BlockCache.attach(work.memory));
  Atomics.store(report, HOLDER, user.cache.holder);
  useCache(user, work, report, () => Atomics.load(report, STOP) !== 0);
}
