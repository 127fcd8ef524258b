/**
 * Keeps the tree in shape: flushes full memtables, then compacts.
 *
 * Two lanes, each with one job at a time: flushes, oldest memtable first, and
 * compactions. They do not wait for each other: a flush only adds a table,
 * and a compaction's inputs stay until its edit.
 *
 * Invariants:
 * - Memtables become tables in the order in which they were filled.
 * - A job's result is committed in the turn in which the job ends.
 * - A flush that failed is tried again when the next memtable is frozen or a
 *   flush is asked for; until then nothing younger is flushed either.
 * - What a job drops was settled when it was made: snapshots taken later see
 *   only sequences that the job keeps.
 *
 * @module
 */
import { VarveError } from "../errors.ts";
import { makeFlushJob } from "../flush/job.ts";
import type { Memtable } from "../memtable/memtable.ts";
import type { ResolvedOptions } from "../options.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { TableMeta } from "../sstable/meta.ts";
import type { Table } from "../sstable/table.ts";
import type { Edit } from "../version/edit.ts";
import type { Version } from "../version/version.ts";
import type { VersionSet } from "../version/version_set.ts";
import { findCovered } from "./covered.ts";
import {
  ElisionByLookup,
  ElisionByRange,
  type TombstoneElision,
} from "./elision.ts";
import { RunningJob } from "./host.ts";
import {
  inputOfRuns,
  type Job,
  type JobInput,
  type JobOutput,
  type JobRules,
  mergeIntoTables,
  wouldDrop,
} from "./job.ts";
import { leveled } from "./leveled.ts";
import { sizeTiered } from "./size_tiered.ts";
import { outputsMax } from "./splitting.ts";
import {
  bytesOf,
  type MergePick,
  type PickOptions,
  type Strategy,
} from "./strategy.ts";

/** What maintenance works on: the tree, as far as it concerns it. */
export interface MaintainedTree {
  /** The runtime. */
  readonly runtime: Runtime;
  /** The options. */
  readonly options: ResolvedOptions;
  /** The tables and their manifest. */
  readonly versions: VersionSet;
  /** Memtables that wait for their flush, oldest first. */
  readonly frozen: readonly Memtable[];
  /** Sequences of the open snapshots, ascending. */
  snapshotSequences(): number[];
  /** The lowest sequence in any memtable; Infinity if they are empty. */
  memtablesOldest(): number;
  /** Commits an edit, or latches the handle and throws. */
  commit(edit: Edit): void;
  /** Puts a table in the place of the oldest frozen memtable. */
  commitFlush(table: TableMeta | undefined): void;
}

/** Counts of one lane, for stats. */
export interface LaneCounters {
  /** Jobs done. */
  runs: number;
  /** Bytes read. */
  bytesRead: number;
  /** Bytes written. */
  bytesWritten: number;
  /** Seconds of work. */
  seconds: number;
}

/** Bytes that a table of leveled compaction aims at: those of a memtable, between these. */
const TABLE_SIZE_MIN = 16 * 1024;
const TABLE_SIZE_MAX = 64 * 1024 * 1024;

interface Waiter {
  /** The count of flushes that it waits for. */
  readonly flushes: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

function newCounters(): LaneCounters {
  return { runs: 0, bytesRead: 0, bytesWritten: 0, seconds: 0 };
}

/** The maintenance of one tree. */
export class Maintenance {
  /** What flushes did. */
  readonly flushes: LaneCounters = newCounters();
  /** What compactions did. */
  readonly compactions: LaneCounters = newCounters();
  /** Why the last flush, or compaction in the background, failed; `undefined` since one succeeded. */
  lastError: unknown;
  private readonly tree: MaintainedTree;
  private readonly strategy: Strategy;
  private flushing: RunningJob<TableMeta | undefined> | undefined;
  private compacting: { abort(): void } | undefined;
  private lane: Promise<unknown> = Promise.resolve();
  private inBackground = false;
  private isClosed = false;
  private waiters: Waiter[] = [];
  /** Counts what may make more tombstones droppable: compactions, and snapshots closed. */
  private epoch = 0;
  /** Tables whose tombstones could not go, with the epoch in which that was so. */
  private readonly undroppable = new Map<number, number>();

  /** The version in which nothing was covered by range tombstones, while snapshots were as they are. */
  private lookedOver: Version | undefined;

  /** Maintains `tree`. Nothing starts by itself. */
  constructor(tree: MaintainedTree) {
    this.tree = tree;
    this.strategy = tree.options.compaction.strategy === "leveled"
      ? leveled
      : sizeTiered;
  }

  private get pickOptions(): PickOptions {
    const { compaction, writeBufferSize } = this.tree.options;
    const tableSize = Math.min(
      TABLE_SIZE_MAX,
      Math.max(TABLE_SIZE_MIN, writeBufferSize),
    );
    return { ...compaction, tableSize };
  }

  // Flushes.

  /** Starts flushing if a memtable waits and no flush is under way. */
  scheduleFlush(): void {
    if (this.isClosed || this.flushing !== undefined) return;
    if (this.tree.frozen.length === 0) return;
    this.startFlush();
  }

  private startFlush(): RunningJob<TableMeta | undefined> {
    const { tree } = this;
    const memtable = tree.frozen[0];
    const job = makeFlushJob(
      memtable,
      tree.snapshotSequences(),
      this.newOutput(),
    );
    const flushing = new RunningJob(tree.runtime, job, (table, seconds) => {
      tree.commitFlush(table);
      count(this.flushes, memtable.bytes, table?.size ?? 0, seconds);
      this.flushing = undefined;
      this.lastError = undefined;
      this.wake();
    }, (error) => {
      this.flushing = undefined;
      this.lastError = error;
      this.wakeAll(error);
    });
    flushing.done.then(() => {
      this.scheduleFlush();
      this.scheduleCompaction();
    }, () => {}); // Its failure was told above, or it was given up at closing.
    this.flushing = flushing;
    return flushing;
  }

  /** Flushes, blocking, until at most `most` memtables wait. */
  flushNow(most: number): void {
    while (this.tree.frozen.length > most) {
      (this.flushing ?? this.startFlush()).finishNow();
    }
  }

  /** Resolves when all but `most` of the memtables that wait now are flushed; rejects if they cannot be. */
  frozenAtMost(most: number): Promise<void> {
    const due = this.tree.frozen.length - most;
    if (due <= 0) return Promise.resolve();
    this.scheduleFlush();
    return new Promise((resolve, reject) => {
      this.waiters.push({ flushes: this.flushes.runs + due, resolve, reject });
    });
  }

  private wake(): void {
    const flushes = this.flushes.runs;
    const awake = this.waiters.filter((w) => w.flushes <= flushes);
    this.waiters = this.waiters.filter((w) => w.flushes > flushes);
    for (const waiter of awake) waiter.resolve();
  }

  private wakeAll(error: unknown): void {
    const waiters = this.waiters;
    this.waiters = [];
    for (const waiter of waiters) waiter.reject(error);
  }

  // Compactions.

  /** Starts compacting in the background if anything is due. */
  scheduleCompaction(): void {
    const { background } = this.tree.options.compaction;
    if (background === "off" || this.isClosed || this.inBackground) return;
    this.inBackground = true;
    this.compactWhileDue().then(
      () => this.lastError = undefined,
      (error) => {
        if (!this.isClosed) this.lastError = error;
      },
    ).finally(() => this.inBackground = false);
  }

  private async compactWhileDue(): Promise<void> {
    let isDue = true;
    while (isDue && !this.isClosed) isDue = await this.minorCompact();
    if (!this.isClosed) await this.tombstoneCompact();
  }

  /** A snapshot was closed: more may be droppable now. */
  snapshotClosed(): void {
    this.epoch++;
    this.lookedOver = undefined;
  }

  /** One round of routine merging; resolves to whether it did something. */
  minorCompact(): Promise<boolean> {
    return this.exclusively(async () => {
      if (this.dropCovered()) return true;
      const { metas } = this.tree.versions.current;
      const pick = this.strategy.pickMinor(metas, this.pickOptions);
      if (pick === undefined) return false;
      if (pick.type === "move") {
        const { level, table } = pick;
        this.tree.commit({
          removeTables: [table.number],
          addTables: [{ level, table }],
        });
      } else await this.merge(pick, (outside) => this.byRange(outside));
      return true;
    });
  }

  /** Rewrites the table that gains most by it; resolves to whether there was one. */
  tombstoneCompact(): Promise<boolean> {
    return this.exclusively(async () => {
      const { versions, runtime } = this.tree;
      const candidates = this.strategy.pickTombstone(
        versions.current.metas,
        this.pickOptions,
        runtime.wallClock(),
      );
      for (const candidate of candidates) {
        const { number } = candidate.runs[0][0];
        if (this.undroppable.get(number) === this.epoch) continue;
        const byLookup = (outside: readonly Table[]) => this.byLookup(outside);
        if (await this.gains(candidate, byLookup)) {
          await this.merge(candidate, byLookup);
          return true;
        }
        this.undroppable.set(number, this.epoch);
      }
      return false;
    });
  }

  /** Merges all tables into one run; resolves to whether there was anything to do. Memtables are the caller's to flush. */
  majorCompact(): Promise<boolean> {
    return this.exclusively(async () => {
      const { metas } = this.tree.versions.current;
      const pick = this.strategy.pickMajor(metas, this.pickOptions);
      if (pick === undefined) return false;
      const byRange = (outside: readonly Table[]) => this.byRange(outside);
      if (pick.runs.length === 1 && !await this.gains(pick, byRange)) {
        return false;
      }
      await this.merge(pick, byRange);
      return true;
    });
  }

  /** Removes, unread, the tables that range tombstones hide wholly; returns whether there was one. */
  private dropCovered(): boolean {
    const { current } = this.tree.versions;
    if (current === this.lookedOver) return false;
    const tables = new Map(current.tables.map((t) => [t.meta.number, t]));
    const covered = findCovered(
      current.metas,
      ({ number }) => tables.get(number)?.fragments() ?? [],
      this.tree.snapshotSequences(),
    );
    if (covered.length === 0) {
      this.lookedOver = current;
      return false;
    }
    const removeTables = covered.map(({ number }) => number);
    this.tree.commit({ removeTables });
    this.epoch++;
    for (const number of removeTables) this.undroppable.delete(number);
    return true;
  }

  private byRange(outside: readonly Table[]): TombstoneElision {
    const metas = outside.map((table) => table.meta);
    return new ElisionByRange(metas, this.tree.memtablesOldest());
  }

  private byLookup(outside: readonly Table[]): TombstoneElision {
    const options = this.tree.options.compaction;
    return new ElisionByLookup(outside, this.tree.memtablesOldest(), {
      bloomFallback: options.tombstoneBloomFallback,
      rangeDrop: options.tombstoneRangeDrop,
    });
  }

  /** Whether a merge would leave anything out. */
  private async gains(
    pick: MergePick,
    makeElision: (outside: readonly Table[]) => TombstoneElision,
  ): Promise<boolean> {
    let gain = false;
    await this.withInputs(
      pick,
      makeElision,
      (input, rules) =>
        this.runCompaction(wouldDrop(input, rules), (result) => {
          gain = result;
        }),
    );
    return gain;
  }

  private merge(
    pick: MergePick,
    makeElision: (outside: readonly Table[]) => TombstoneElision,
  ): Promise<void> {
    const inside = pick.runs.flat();
    const bytesRead = bytesOf(inside);
    return this.withInputs(pick, makeElision, (input, rules) => {
      const output = this.newOutput(outputsMax(bytesRead, pick));
      const job = mergeIntoTables(input, rules, output, pick);
      return this.runCompaction(job, (tables, seconds) => {
        const { level } = pick;
        this.tree.commit({
          addTables: tables.map((table) => ({ level, table })),
          removeTables: inside.map(({ number }) => number),
        });
        this.epoch++;
        for (const { number } of inside) this.undroppable.delete(number);
        count(this.compactions, bytesRead, bytesOf(tables), seconds);
      });
    });
  }

  /** Calls `use` with the tables of `pick` as a job's input, and keeps their files until it is done. */
  private async withInputs(
    pick: MergePick,
    makeElision: (outside: readonly Table[]) => TombstoneElision,
    use: (input: JobInput, rules: JobRules) => Promise<void>,
  ): Promise<void> {
    const version = this.tree.versions.current;
    const tables = new Map(version.tables.map((t) => [t.meta.number, t]));
    const runs = pick.runs.map((run) =>
      run.map(({ number }) => tables.get(number)).filter((t) => t !== undefined)
    );
    const inside = new Set(runs.flat());
    const outside = version.tables.filter((table) => !inside.has(table));
    version.retain();
    try {
      await use(inputOfRuns(runs), {
        snapshots: this.tree.snapshotSequences(),
        elision: makeElision(outside),
      });
    } finally {
      version.release();
    }
  }

  private async runCompaction<T>(
    job: Job<T>,
    onResult: (result: T, seconds: number) => void,
  ): Promise<void> {
    const running = new RunningJob(this.tree.runtime, job, onResult);
    this.compacting = running;
    try {
      await running.done;
    } finally {
      this.compacting = undefined;
    }
  }

  private newOutput(count = 1): JobOutput {
    const { options, runtime, versions } = this.tree;
    return {
      files: runtime.files,
      directory: versions.directory,
      firstNumber: versions.reserveFileNumbers(count),
      count,
      blockSize: options.blockSize,
      bloomBitsPerKey: options.bloomBitsPerKey,
      created: Math.max(0, Math.floor(runtime.wallClock())),
    };
  }

  /** Runs `use` behind whatever the compaction lane has to do. */
  private exclusively<T>(use: () => Promise<T>): Promise<T> {
    const turn = this.lane.then(() => {
      if (this.isClosed) {
        throw new VarveError("ABORTED", "the database was closed");
      }
      return use();
    });
    this.lane = turn.catch(() => {});
    return turn;
  }

  /** Ends maintenance: a compaction under way is given up, a flush too; nothing starts any more. */
  async close(): Promise<void> {
    this.isClosed = true;
    this.compacting?.abort();
    this.flushing?.abort();
    const waiters = this.waiters;
    this.waiters = [];
    for (const waiter of waiters) waiter.resolve();
    await this.lane;
  }
}

function count(
  counters: LaneCounters,
  bytesRead: number,
  bytesWritten: number,
  seconds: number,
): void {
  counters.runs++;
  counters.bytesRead += bytesRead;
  counters.bytesWritten += bytesWritten;
  counters.seconds += seconds;
}
