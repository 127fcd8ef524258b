/**
 * Workloads for disks that crash. Each goes through several lives of a
 * database, and keeps a ledger.
 *
 * @module
 */
import { pause } from "../../../lib/runtime/pause.ts";
import type { Db, Options } from "../../../mod.ts";
import { openIn } from "../../engine/support/memory.ts";
import { Random } from "../../engine/support/random.ts";
import type { Disk } from "./disk.ts";
import type { Change } from "./kill_model.ts";
import type { Ledger } from "./ledger.ts";

/** A workload. */
export interface Scenario {
  readonly name: string;
  /** The options that its database is opened with. */
  readonly options: Options;
  /** The most turns of the event loop that a sync takes. */
  readonly slowness: number;
  /** Runs it; throws what the database throws at opening and closing. */
  run(disk: Disk, ledger: Ledger): Promise<void>;
}

/** Opens the database as part of a scenario. */
export async function openOn(disk: Disk, options: Options): Promise<Db> {
  disk.isOpening = true;
  try {
    return await openIn(disk, options);
  } finally {
    disk.isOpening = false;
  }
}

const key = (kind: string, i: number) => `${kind}${String(i).padStart(2, "0")}`;

/** One random write of a small set of keys. */
function change(random: Random, stamp: string): Change[] {
  const chance = random.below(100);
  const length = 16 + random.below(80);
  const i = random.below(12);
  if (chance < 55) return [{ kind: "put", key: key("k", i), stamp, length }];
  if (chance < 65) return [{ kind: "delete", key: key("k", i) }];
  if (chance < 75) {
    const end = key("k", i + 1 + random.below(8));
    return [{ kind: "range", start: key("k", i), end }];
  }
  return ["a", "b", "c"].map((name) => ({
    kind: "put",
    key: `batch ${name}`,
    stamp,
    length: 16,
  }));
}

interface Load {
  readonly seed: number;
  readonly writers: number;
  readonly writes: number;
  /** Of a hundred writes, how many are to be durable. */
  readonly synced: number;
}

/** Several writers, each waiting for its own acknowledgements. */
async function writeAll(db: Db, ledger: Ledger, load: Load): Promise<void> {
  const writers = Array.from({ length: load.writers }, async (_, w) => {
    const random = new Random(load.seed * 100 + w);
    for (let n = 0; n < load.writes; n++) {
      const level = random.chance(load.synced) ? "sync" : "buffered";
      const stamp = `${load.seed}.${w}.${n}`;
      await ledger.write(db, level, ...change(random, stamp));
      if (random.chance(30)) await pause();
    }
  });
  await Promise.all(writers);
}

const MIXED_OPTIONS: Options = {
  writeBufferSize: 768,
  blockSize: 256,
  maxFrozenMemtables: 2,
  blockCacheSize: 4096,
  compaction: { minThreshold: 2 },
};

/** Lets everything that runs in the background end. */
async function settle(): Promise<void> {
  for (let n = 0; n < 50; n++) await pause();
}

/** All write paths, all maintenance, four lives, one of which ends by the death of its process. */
export const MIXED: Scenario = {
  name: "a mixed workload in four lives",
  options: MIXED_OPTIONS,
  slowness: 2,
  async run(disk, ledger) {
    for (let life = 0; life < 4; life++) {
      const db = await openOn(disk, MIXED_OPTIONS);
      const load = { seed: life, writers: 3, writes: 8, synced: 50 };
      await writeAll(db, ledger, load);
      if (life === 0) {
        await settle();
        continue; // The handle is never used again, as if its process were dead.
      }
      if (life === 1) {
        await ledger.barrier(() => db.flush());
        await db.minorCompact();
        await db.tombstoneCompact();
        await writeAll(db, ledger, { ...load, seed: 10, writes: 3 });
        await ledger.barrier(() => db.sync());
        await db.majorCompact();
      }
      await ledger.barrier(() => db.close());
    }
  },
};

const SLOW_OPTIONS: Options = {
  ...MIXED_OPTIONS,
  writeBufferSize: 256,
  maxFrozenMemtables: 16,
};

/** Memtables fill, are flushed and compacted while syncs are under way. */
export const SLOW_SYNCS: Scenario = {
  name: "slow syncs",
  options: SLOW_OPTIONS,
  slowness: 30,
  async run(disk, ledger) {
    for (let life = 0; life < 2; life++) {
      const db = await openOn(disk, SLOW_OPTIONS);
      const load = { seed: 20 + life, writers: 3, writes: 16, synced: 10 };
      await writeAll(db, ledger, load);
      await ledger.barrier(() => db.close());
    }
  },
};
