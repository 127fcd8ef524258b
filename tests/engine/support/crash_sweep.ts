/**
 * One workload in which every write path is taken, the states that it goes
 * through, and the question whether a disk holds one of them.
 *
 * @module
 */
import type {
  MemoryFileSystem,
  MemoryOperation,
} from "../../../lib/runtime/memory.ts";
import type { FileSystem } from "../../../lib/runtime/runtime.ts";
import { Batch, type Db, type Options, VarveError } from "../../../mod.ts";
import { numbered, rows } from "./bytes.ts";
import { closeQuietly, namesOf, openIn } from "./memory.ts";

/** Options under which the workload flushes on its own, too. */
export const SWEEP_OPTIONS: Options = {
  writeBufferSize: 1024,
  blockSize: 256,
  compaction: { background: "off", minThreshold: 2 },
};

/** A step: what it does to a database, and to the map of what it should hold. */
interface Step {
  run(db: Db): Promise<unknown>;
  apply(state: Map<string, string>): void;
  /** Whether everything before it is durable afterwards, whatever the level. */
  readonly makesDurable?: true;
}

const nothing = () => {};

function put(key: string, value: string): Step {
  return {
    run: (db) => db.put(key, value),
    apply: (state) => state.set(key, value),
  };
}

function remove(key: string): Step {
  return {
    run: (db) => db.delete(key),
    apply: (state) => state.delete(key),
  };
}

function removeRange(start: string, end: string): Step {
  return {
    run: (db) => db.deleteRange(start, end),
    apply(state) {
      for (const key of state.keys()) {
        if (key >= start && key < end) state.delete(key);
      }
    },
  };
}

function swap(a: string, b: string, value: string): Step {
  return {
    run: (db) => db.write(new Batch().delete(a).put(b, value)),
    apply(state) {
      state.delete(a);
      state.set(b, value);
    },
  };
}

const flush: Step = {
  run: (db) => db.flush(),
  apply: nothing,
  makesDurable: true,
};
const sync: Step = {
  run: (db) => db.sync(),
  apply: nothing,
  makesDurable: true,
};
const minor: Step = { run: (db) => db.minorCompact(), apply: nothing };
const tombstone: Step = { run: (db) => db.tombstoneCompact(), apply: nothing };
const major: Step = { run: (db) => db.majorCompact(), apply: nothing };

function puts(from: number, to: number, value: string): Step[] {
  const steps: Step[] = [];
  for (let i = from; i < to; i++) steps.push(put(numbered("k", i), value));
  return steps;
}

/** The workload. */
export const STEPS: readonly Step[] = [
  ...puts(0, 6, "first"),
  remove("k_0001"),
  flush,
  ...puts(4, 8, "second"),
  removeRange("k_0002", "k_0004"),
  swap("k_0005", "k_0009", "swapped"),
  flush,
  minor,
  ...puts(10, 30, "fills more than one write buffer, without being flushed"),
  sync,
  removeRange("k_0012", "k_0020"),
  flush,
  tombstone,
  major,
  put("k_0000", "last"),
  remove("k_0007"),
];

/** The rows after 0, 1, 2 ... steps. */
function statesOf(steps: readonly Step[]): string[] {
  const state = new Map<string, string>();
  const states = [asText([])];
  for (const step of steps) {
    step.apply(state);
    states.push(asText([...state].sort(([a], [b]) => a < b ? -1 : 1)));
  }
  return states;
}

function asText(found: [string, string][]): string {
  return found.map((row) => row.join("=")).join("\n");
}

const STATES = statesOf(STEPS);

/** How far the workload is. */
export interface Progress {
  /** Steps whose promises resolved. */
  acknowledged: number;
  /** Steps that were called. */
  started: number;
  /** Steps that must survive a loss of power. */
  durable: number;
}

/** The progress of a workload that has not begun. */
export function noProgress(): Progress {
  return { acknowledged: 0, started: 0, durable: 0 };
}

/** Runs the workload from opening to closing; throws what the database throws. */
export async function runSteps(
  files: FileSystem,
  progress: Progress,
  options: Options = SWEEP_OPTIONS,
): Promise<void> {
  const db = await openIn(files, options);
  try {
    for (const step of STEPS) {
      progress.started++;
      await step.run(db);
      progress.acknowledged++;
      const isDurable = step.makesDurable || options.durability !== "buffered";
      if (isDurable) progress.durable = progress.acknowledged;
    }
    await db.close();
  } finally {
    await closeQuietly(db);
  }
}

/**
 * What is wrong with a disk that must hold the state after some number of
 * steps, from `least` to `most`; `undefined` if nothing is.
 */
export async function violation(
  files: MemoryFileSystem,
  least: number,
  most: number,
): Promise<string | undefined> {
  let db: Db;
  try {
    db = await openIn(files, SWEEP_OPTIONS);
  } catch (error) {
    return `open failed: ${error}`;
  }
  try {
    const found = asText(rows(db.scan()));
    if (!STATES.slice(least, most + 1).includes(found)) {
      return `not a state after ${least} to ${most} steps:\n${found}`;
    }
    return await lossAfterOpen(files, found);
  } catch (error) {
    if (!(error instanceof VarveError)) throw error;
    return `read failed: ${error}`;
  } finally {
    await closeQuietly(db);
  }
}

/** Files that no version names must be gone; after a torn manifest they may stay for one open. */
function leftovers(db: Db, files: MemoryFileSystem): string | undefined {
  const stats = db.stats();
  const left = {
    tables: namesOf(files, "table").length - stats.tableCount,
    logs: namesOf(files, "log").length - stats.wal.files,
    manifests: namesOf(files, "manifest").length - 1,
    temporaries: namesOf(files, "temporary").length,
  };
  const isClean = Object.values(left).every((count) => count === 0);
  return isClean ? undefined : `left over: ${JSON.stringify(left)}`;
}

/** What an open has shown must survive a loss of power right after it; the next one leaves no orphan. */
async function lossAfterOpen(
  files: MemoryFileSystem,
  found: string,
): Promise<string | undefined> {
  const disk = files.afterPowerLoss();
  const again = await openIn(disk, SWEEP_OPTIONS);
  try {
    const now = asText(rows(again.scan()));
    if (now !== found) return `power loss after open left:\n${now}`;
    return leftovers(again, disk);
  } finally {
    await closeQuietly(again);
  }
}

/** Operations that change a disk, before each of which a crash is tried. */
export const CHANGES: ReadonlySet<MemoryOperation> = new Set<MemoryOperation>([
  "create",
  "write",
  "sync",
  "rename",
  "remove",
  "makeDirectory",
  "syncDirectory",
]);

/** A disk as a crash at one moment left it. */
export interface Image {
  /** The operation before which the crash came. */
  readonly moment: string;
  /** The disk. */
  readonly files: MemoryFileSystem;
  /** How far the workload was. */
  readonly progress: Progress;
}

/** Runs the workload on `through` and takes an image of `files` before every change. */
export async function imagesOf(
  files: MemoryFileSystem,
  crash: (files: MemoryFileSystem) => MemoryFileSystem,
  options: Options = SWEEP_OPTIONS,
  through: FileSystem = files,
): Promise<Image[]> {
  const images: Image[] = [];
  const progress = noProgress();
  const capture = (moment: string) =>
    images.push({ moment, files: crash(files), progress: { ...progress } });
  files.onOperation = (operation, path) => {
    if (CHANGES.has(operation)) capture(`${operation} ${path}`);
  };
  await runSteps(through, progress, options);
  files.onOperation = undefined;
  capture("the end");
  return images;
}
