/**
 * Keeps the tree in shape: flushes full memtables, compacts, and goes on
 * merging, on a worker, once nothing is written any more.
 *
 * Two lanes, each with one task at a time: flushes, oldest memtable first, and
 * compactions. They do not wait for each other: a flush only adds a table,
 * and a compaction's inputs stay until its edit. While a large merge is under
 * way, small ones are done beside it, of other tables: what is flushed
 * meanwhile would pile up otherwise, and stop writers in the end.
 *
 * Invariants:
 * - Memtables become tables in the order in which they were filled.
 * - A task's result is committed in the turn in which its end is told.
 * - A flush that failed is tried again when the next memtable is frozen or a
 *   flush is asked for; until then nothing younger is flushed either.
 * - A sync of the directory that failed, for whichever task, latches the
 *   handle.
 * - What a task drops was settled when it was made: snapshots taken later see
 *   only sequences that the task keeps.
 * - A merge beside another begins and ends between two tasks of the compaction
 *   lane: what a task of the lane picks from is nobody else's. That one takes
 *   the other's inputs for what may hold something older; what is made of them
 *   holds no more.
 *
 * @module
 */
import { EMPTY, keySuccessor } from "../encoding/bytes.ts";
import { VarveError } from "../errors.ts";
import type { Memtable } from "../memtable/memtable.ts";
import type { ResolvedOptions } from "../options.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { mayOverlap, type TableMeta } from "../sstable/meta.ts";
import type { Table } from "../sstable/table.ts";
import type { TreeEvent } from "../types.ts";
import type { Edit } from "../version/edit.ts";
import type { Version } from "../version/version.ts";
import type { VersionSet } from "../version/version_set.ts";
import { findCovered } from "./covered.ts";
import {
  aborted,
  InlineHost,
  isGivenUp,
  type RunningTask,
  type TaskHost,
} from "./host.ts";
import { DirectorySyncError } from "./job.ts";
import { leveled } from "./leveled.ts";
import { sizeTiered } from "./size_tiered.ts";
import { outputsMax } from "./splitting.ts";
import {
  bytesOf,
  bytesReadBy,
  type MergePick,
  type Pick,
  type PickOptions,
  type Strategy,
} from "./strategy.ts";
import type {
  ElisionPlan,
  MergeInputs,
  OutputPlan,
  Task,
  TaskResult,
} from "./tasks.ts";
import type { TaskSources } from "./run_task.ts";
import { WorkerHost } from "./worker_host.ts";

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
  /** The sequence of the last write. */
  readonly lastSequence: number;
  /** Sequences of the open snapshots, ascending. */
  snapshotSequences(): number[];
  /** The lowest sequence in any memtable; Infinity if they are empty. */
  memtablesOldest(): number;
  /** Commits an edit, or latches the handle and throws. */
  commit(edit: Edit): void;
  /** Latches the handle: nothing more is committed. */
  latch(error: unknown): void;
  /** Puts tables in the place of the oldest frozen memtable. */
  commitFlush(tables: readonly TableMeta[]): void;
  /** Tells the program what happened. */
  tell(event: TreeEvent): void;
}

/** Counts of one lane, for stats. */
export interface LaneCounters {
  /** Tasks done. */
  runs: number;
  /** Bytes read. */
  bytesRead: number;
  /** Bytes written. */
  bytesWritten: number;
  /** Seconds of work. */
  seconds: number;
}

interface Waiter {
  /** The count of flushes that it waits for. */
  readonly flushes: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** What one merge after the other goes through. */
interface MergeLane {
  /** What is under way. */
  task: RunningTask | undefined;
  /** What it merges, if that is what it does. */
  pick: MergePick | undefined;
  /** Bytes that it reads. */
  bytes: number;
}

function newLane(): MergeLane {
  return { task: undefined, pick: undefined, bytes: 0 };
}

/** What may keep all tombstones of a table: as long as all of it is there, none can go. */
interface Holders {
  /** Numbers of the tables that may hold something older. */
  readonly tables: readonly number[];
  /** Snapshots that do not see all of the table. */
  readonly snapshots: readonly number[];
}

function newCounters(): LaneCounters {
  return { runs: 0, bytesRead: 0, bytesWritten: 0, seconds: 0 };
}

/** The least and the greatest size that a leveled table aims at. */
const TABLE_SIZE_MIN = 16 * 1024;
const TABLE_SIZE_MAX = 64 * 1024 * 1024;

/** How the tombstones of merges go, other than of those for the sake of tombstones. */
const BY_RANGE: ElisionPlan = { by: "range" };

/** The tree is at rest when there was neither flush nor compaction for so long, */
const REST_MILLISECONDS = 500;
/** and no more was written in that time: writers would feel a merge at their side. */
const REST_WRITES = 100;
/** Before a merge of more bytes it rests for as many times longer: a program that ends soon would begin it each time that it runs, and never end it. */
const REST_BYTES = 256 * 1024 * 1024;

/** What merges may read at most for closing to wait for them; and how long it waits. */
const MERGE_AT_CLOSE_BYTES = 16 * 1024 * 1024;
const MERGE_AT_CLOSE_MILLISECONDS = 2000;

/** The maintenance of one tree. */
export class Maintenance {
  /** What flushes did. */
  readonly flushes: LaneCounters = newCounters();
  /** What compactions did. */
  readonly compactions: LaneCounters = newCounters();
  /** How often a worker was started in the place of one that died. */
  workerRestarts = 0;
  /** Why the last flush failed; `undefined` since one succeeded. */
  flushError: unknown;
  /** Why the last compaction in the background failed; `undefined` since one succeeded, or none was due. */
  compactionError: unknown;
  private readonly tree: MaintainedTree;
  private readonly strategy: Strategy;
  private readonly pickOptions: PickOptions;
  private readonly host: TaskHost;
  private readonly worker: WorkerHost | undefined;
  private flushing: RunningTask | undefined;
  private flushEnd: Promise<void> = Promise.resolve();
  private readonly compacting: MergeLane = newLane();
  private compactingEnd: Promise<unknown> = Promise.resolve();
  private readonly beside: MergeLane = newLane();
  private besideEnd: Promise<unknown> = Promise.resolve();
  private isMergingBeside = false;
  private inBackground = false;
  private cancelRest: (() => void) | undefined;
  /** Bytes that were flushed and not yet merged at rest. */
  private restCredit = 0;
  private isClosing = false;
  private isClosed = false;
  private waiters: Waiter[] = [];
  /** Tables whose tombstones could not go, and what may have held them. */
  private readonly undroppable = new Map<number, Holders>();
  /** The version in which nothing was covered by range tombstones, while snapshots were as they are. */
  private lookedOver: Version | undefined;
  private relieved: (() => void)[] = [];

  /** Maintains `tree`. Nothing starts by itself. */
  constructor(tree: MaintainedTree) {
    const { runtime, options } = tree;
    const { compaction, writeBufferSize } = options;
    this.tree = tree;
    this.strategy = compaction.strategy === "leveled" ? leveled : sizeTiered;
    this.pickOptions = {
      ...compaction,
      tableSize: Math.min(
        TABLE_SIZE_MAX,
        Math.max(TABLE_SIZE_MIN, writeBufferSize),
      ),
    };
    const inline = new InlineHost(runtime);
    this.worker = compaction.background !== "worker"
      ? undefined
      : new WorkerHost({
        runtime,
        url: options.workerUrl,
        inline,
        discard: (task) => this.discard(task),
        renew: (task) => this.renew(task),
        onDeath: (reason, isReplaced) => this.workerDied(reason, isReplaced),
      });
    this.host = this.worker ?? inline;
  }

  /** Where tasks are done. */
  get place(): "worker" | "inline" {
    return this.worker?.isUsable ? "worker" : "inline";
  }

  /** Whether a thread was left to itself that may still make files; see worker_host.ts. */
  get hasStray(): boolean {
    return this.worker?.hasStray ?? false;
  }

  /** 0 while compaction keeps up, 1 when writes should wait for it. */
  pressure(): number {
    if (this.tree.options.compaction.background === "off") return 0;
    const { metas } = this.tree.versions.current;
    return this.strategy.pressure(metas, this.pickOptions);
  }

  // Tasks.

  private workerDied(reason: unknown, isReplaced: boolean): void {
    if (isReplaced) this.workerRestarts++;
    this.tree.tell({ type: "worker", isReplaced, reason: describe(reason) });
  }

  /** Removes what a task may have written; no version names it. */
  private discard(task: Task): void {
    if (task.type === "probe") return;
    const { files } = this.tree.runtime;
    const { firstNumber, count } = task.output;
    for (let number = firstNumber; number < firstNumber + count; number++) {
      const path = this.tree.versions.path("table", number);
      try {
        if (files.stat(path) !== undefined) files.remove(path);
      } catch {
        // An orphan: the next open removes it.
      }
    }
  }

  private renew(task: Task): Task {
    if (task.type === "probe") return task;
    const { count } = task.output;
    const firstNumber = this.tree.versions.reserveFileNumbers(count);
    return { ...task, output: { ...task.output, firstNumber } };
  }

  private outputPlan(count: number): OutputPlan {
    const { options, runtime, versions } = this.tree;
    return {
      firstNumber: versions.reserveFileNumbers(count),
      count,
      blockSize: options.blockSize,
      bloomBitsPerKey: options.bloomBitsPerKey,
      compression: options.compression,
      created: Math.max(0, Math.floor(runtime.wallClock())),
    };
  }

  /** Does a task of a lane; `onResult` is called in the turn in which it ends. */
  private runTask(
    lane: MergeLane,
    pick: MergePick,
    task: Task,
    sources: TaskSources,
    onResult: (result: TaskResult, seconds: number) => void,
  ): Promise<void> {
    lane.bytes = bytesOf(pick.runs.flat());
    // Closed since the round began.
    const isTooMuch = this.isClosing && lane.bytes > MERGE_AT_CLOSE_BYTES;
    if (this.isClosed || isTooMuch) return Promise.reject(aborted());
    lane.pick = task.type === "merge" ? pick : undefined;
    const ended = () => {
      lane.task = undefined;
      lane.pick = undefined;
    };
    return new Promise((resolve, reject) => {
      lane.task = this.host.run(task, sources, {
        done: (result, seconds) => {
          ended();
          onResult(result, seconds);
          resolve();
        },
        failed: (error) => {
          ended();
          this.latchIfLasting(error);
          reject(error);
        },
      });
    });
  }

  private latchIfLasting(error: unknown): void {
    // mutant latch-after-directory: otherwise another task's sync of the directory is believed
    if (error instanceof DirectorySyncError) this.tree.latch(error);
  }

  /** What failed and was not made good since. */
  get lastError(): unknown {
    return this.flushError ?? this.compactionError;
  }

  // Flushes.

  /** Starts flushing if a memtable waits and no flush is under way. */
  scheduleFlush(): void {
    if (this.isClosed || this.flushing !== undefined) return;
    const memtable = this.tree.frozen[0];
    if (memtable !== undefined) this.startFlush(memtable);
  }

  private startFlush(memtable: Memtable): void {
    const { arena, newest, oldest } = memtable;
    const task: Task = {
      type: "flush",
      directory: this.tree.versions.directory,
      memtable: { arena, newest, oldest },
      // mutant flush-keeps-for-snapshots: otherwise a snapshot misses what it saw in a memtable
      snapshots: this.tree.snapshotSequences(),
      output: this.outputPlan(1),
    };
    const sources = { memtable: () => memtable, table: noTable };
    this.flushEnd = new Promise((resolve) => {
      this.flushing = this.host.run(task, sources, {
        done: ({ tables }, seconds) => {
          this.tree.commitFlush(tables);
          this.flushing = undefined;
          resolve();
          this.flushed(memtable, tables, seconds);
        },
        failed: (error) => {
          this.flushing = undefined;
          this.latchIfLasting(error);
          resolve();
          if (this.isClosed) return;
          this.flushError = error;
          this.tree.tell({ type: "error", task: "flush", error });
          this.wakeAll(error);
        },
      });
    });
  }

  private flushed(
    memtable: Memtable,
    tables: readonly TableMeta[],
    seconds: number,
  ): void {
    const bytesWritten = bytesOf(tables);
    count(this.flushes, memtable.bytes, bytesWritten, seconds);
    this.restCredit += bytesWritten;
    this.flushError = undefined;
    this.tree.tell({
      type: "flush",
      entries: memtable.entries,
      bytesRead: memtable.bytes,
      bytesWritten,
      seconds,
    });
    // mutant who-waits-is-woken: otherwise writers wait for ever
    this.wake();
    // mutant flushes-go-on: otherwise memtables wait for ever
    this.scheduleFlush();
    this.scheduleCompaction();
    this.scheduleBeside();
  }

  /** Resolves when all but `most` of the memtables that wait now are flushed; rejects if they cannot be. */
  frozenAtMost(most: number): Promise<void> {
    const due = this.tree.frozen.length - most;
    if (due <= 0) return Promise.resolve();
    if (this.isClosed) return Promise.reject(aborted());
    this.scheduleFlush();
    const flushes = this.flushes.runs + due;
    return this.awaited(
      new Promise((resolve, reject) => {
        this.waiters.push({ flushes, resolve, reject });
      }),
    );
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

  /** Keeps the process alive until `promise` is settled. */
  private async awaited<T>(promise: Promise<T>): Promise<T> {
    this.worker?.hold();
    try {
      return await promise;
    } finally {
      this.worker?.letGo();
    }
  }

  // Compactions.

  /** Starts compacting in the background if anything is due. */
  scheduleCompaction(): void {
    const { background } = this.tree.options.compaction;
    if (background !== "off") {
      this.inTheBackground(() => this.compactWhileDue());
    }
  }

  private inTheBackground(use: () => Promise<unknown>): void {
    if (this.isClosing || this.inBackground) return;
    this.inBackground = true;
    this.cancelRest?.();
    use().then(
      () => {
        this.compactionError = undefined;
        this.mergeAtRest();
      },
      (error) => this.compactionFailed(error),
    ).finally(() => {
      this.inBackground = false;
      this.relieve();
    });
  }

  private compactionFailed(error: unknown): void {
    if (isGivenUp(error)) return;
    this.compactionError = error;
    this.tree.tell({ type: "error", task: "compaction", error });
  }

  /** Merges what is small and due, if the lane is at a merge that takes long. */
  private scheduleBeside(): void {
    const { background } = this.tree.options.compaction;
    if (background === "off" || this.isMergingBeside) return;
    this.besideEnd = this.mergeBeside();
  }

  private async mergeBeside(): Promise<void> {
    this.isMergingBeside = true;
    try {
      let pick = this.pickBeside();
      while (pick !== undefined) {
        await this.perform(pick, BY_RANGE, this.beside);
        pick = this.pickBeside();
      }
    } catch (error) {
      this.compactionFailed(error);
    } finally {
      this.isMergingBeside = false;
    }
  }

  private pickBeside(): Pick | undefined {
    const { pick } = this.compacting;
    if (pick === undefined || this.isClosing) return;
    const { metas } = this.tree.versions.current;
    return this.strategy.pickBeside(metas, pick, this.pickOptions);
  }

  /** Merges what is worth it if nothing happens for a while. */
  private mergeAtRest(): void {
    // Inline it would take the program's own time.
    if (this.place === "inline") return;
    const pick = this.pickAtRest();
    if (pick === undefined) return;
    const { runtime, lastSequence } = this.tree;
    const rests = Math.max(1, bytesReadBy(pick) / REST_BYTES);
    this.cancelRest = runtime.later(rests * REST_MILLISECONDS, () => {
      if (this.flushing !== undefined) return; // Its end begins anew.
      const writes = this.tree.lastSequence - lastSequence;
      if (writes > rests * REST_WRITES) this.mergeAtRest();
      else this.inTheBackground(() => this.compactAtRest());
    });
  }

  private pickAtRest(): Pick | undefined {
    const { metas } = this.tree.versions.current;
    return this.strategy.pickAtRest(metas, this.pickOptions, this.restCredit);
  }

  private async compactAtRest(): Promise<void> {
    await this.exclusively(async () => {
      const picked = this.pickAtRest();
      if (picked === undefined) return;
      await this.perform(picked, BY_RANGE);
      this.restCredit = Math.max(0, this.restCredit - bytesReadBy(picked));
    });
    // What was flushed meanwhile may have made more due.
    await this.compactWhileDue();
  }

  /** Resolves when a compaction was done, or none is going to be. */
  relief(): Promise<void> {
    this.scheduleCompaction();
    if (!this.inBackground) return Promise.resolve();
    return this.awaited(
      new Promise((resolve) => this.relieved.push(resolve)),
    );
  }

  private relieve(): void {
    const relieved = this.relieved;
    this.relieved = [];
    for (const resolve of relieved) resolve();
  }

  private async compactWhileDue(): Promise<void> {
    for (let seen = -1; seen !== this.flushes.runs && !this.isClosing;) {
      // What is flushed from here on may make more due.
      seen = this.flushes.runs;
      let isDue = true;
      while (isDue && !this.isClosing) {
        isDue = await this.exclusively(() => this.minorRound());
      }
      if (!this.isClosing) await this.exclusively(() => this.tombstoneRound());
    }
  }

  /** A snapshot was closed: more may be droppable now. */
  snapshotClosed(): void {
    this.lookedOver = undefined;
  }

  /** One round of routine work; resolves to whether it did something. */
  minorCompact(): Promise<boolean> {
    return this.awaited(this.exclusively(() => this.minorRound()));
  }

  /** Rewrites the table that gains most by it; resolves to whether there was one. */
  tombstoneCompact(): Promise<boolean> {
    return this.awaited(this.exclusively(() => this.tombstoneRound()));
  }

  /** Merges all tables into one run; resolves to whether there was anything to do. Memtables are the caller's to flush. */
  majorCompact(): Promise<boolean> {
    return this.awaited(this.exclusively(() => this.majorRound()));
  }

  private async minorRound(): Promise<boolean> {
    const version = this.tree.versions.current;
    if (this.dropCovered(version)) return true;
    const picked = this.strategy.pickMinor(version.metas, this.pickOptions);
    if (picked === undefined) return false;
    await this.perform(picked, BY_RANGE);
    return true;
  }

  /** Drops, unread, the tables of which range tombstones hide everything. */
  private dropCovered(version: Version): boolean {
    if (version === this.lookedOver) return false;
    const tables = new Map(version.tables.map((t) => [t.meta.number, t]));
    const covered = findCovered(
      version.metas,
      (meta) => tables.get(meta.number)?.fragments() ?? [],
      // mutant covered-keeps-for-snapshots: otherwise a snapshot misses a table that is hidden from others
      this.tree.snapshotSequences(),
    );
    if (covered.length === 0) {
      this.lookedOver = version;
      return false;
    }
    this.replace(covered, [], 0, 0, 0);
    return true;
  }

  private async tombstoneRound(): Promise<boolean> {
    const { options, versions, runtime } = this.tree;
    const candidates = this.strategy.pickTombstone(
      versions.current.metas,
      this.pickOptions,
      runtime.wallClock(),
    );
    const { tombstoneBloomFallback, tombstoneRangeDrop } = options.compaction;
    const elision: ElisionPlan = {
      by: "lookup",
      bloomFallback: tombstoneBloomFallback,
      rangeDrop: tombstoneRangeDrop,
    };
    for (const candidate of candidates) {
      const [table] = candidate.runs[0];
      if (this.isHeld(table)) continue;
      const { gains, inputs } = await this.probe(candidate, elision);
      if (gains) {
        await this.perform(candidate, elision);
        return true;
      }
      const { outside, snapshots, memtablesOldest } = inputs;
      if (memtablesOldest < table.newest) continue; // Until they are tables.
      this.undroppable.set(table.number, {
        tables: outside.map(({ number }) => number),
        snapshots: snapshots.filter((sequence) => sequence < table.newest),
      });
    }
    return false;
  }

  /** Whether nothing went away that may have kept the tombstones of a table. What came since is newer, and keeps no less. */
  private isHeld(table: TableMeta): boolean {
    const holders = this.undroppable.get(table.number);
    if (holders === undefined) return false;
    const { versions } = this.tree;
    const snapshots = this.tree.snapshotSequences();
    return holders.tables.every((number) => versions.hasTable(number)) &&
      holders.snapshots.every((sequence) => snapshots.includes(sequence));
  }

  private async majorRound(): Promise<boolean> {
    const { metas } = this.tree.versions.current;
    const picked = this.strategy.pickMajor(metas, this.pickOptions);
    if (picked === undefined) return false;
    if (picked.type === "merge" && picked.runs.length === 1) {
      const { gains } = await this.probe(picked, BY_RANGE);
      if (!gains) return false;
    }
    await this.perform(picked, BY_RANGE);
    return true;
  }

  /** Whether a merge would leave anything out, and of what inputs that was asked. */
  private probe(
    pick: MergePick,
    elision: ElisionPlan,
  ): Promise<{ readonly gains: boolean; readonly inputs: MergeInputs }> {
    return this.withInputs(pick, elision, async (inputs, sources) => {
      let gains = false;
      const task: Task = { ...inputs, type: "probe" };
      await this.runTask(this.compacting, pick, task, sources, (result) => {
        gains = result.gains;
      });
      return { gains, inputs };
    });
  }

  private async perform(
    pick: Pick,
    elision: ElisionPlan,
    lane: MergeLane = this.compacting,
  ): Promise<void> {
    if (pick.type === "move") {
      this.tree.commit({
        addTables: pick.tables.map((table) => ({ level: pick.level, table })),
        removeTables: pick.tables.map(({ number }) => number),
      });
      return;
    }
    const { runs, level, outputSize, grandparents } = pick;
    const replaced = runs.flat();
    const bytes = bytesOf(replaced);
    const cutting = { outputSize, grandparents };
    const output = this.outputPlan(outputsMax(bytes, cutting));
    await this.withInputs(
      pick,
      elision,
      (inputs, sources) =>
        this.runTask(
          lane,
          pick,
          { ...inputs, type: "merge", output, cutting },
          sources,
          ({ tables }, seconds) =>
            this.replace(replaced, tables, level, bytes, seconds),
        ),
    );
  }

  /** Commits what a merge made of its inputs. */
  private replace(
    inputs: readonly TableMeta[],
    tables: readonly TableMeta[],
    level: number,
    bytesRead: number,
    seconds: number,
  ): void {
    this.tree.commit({
      addTables: tables.map((table) => ({ level, table })),
      removeTables: inputs.map((meta) => meta.number),
    });
    for (const { number } of inputs) this.undroppable.delete(number);
    this.relieve();
    const bytesWritten = bytesOf(tables);
    count(this.compactions, bytesRead, bytesWritten, seconds);
    this.tree.tell({
      type: "compaction",
      level,
      tablesRead: inputs.length,
      tablesWritten: tables.length,
      bytesRead,
      bytesWritten,
      seconds,
    });
  }

  /** Calls `use` with the inputs of a merge, and keeps their files until it is done. */
  private async withInputs<T>(
    pick: MergePick,
    elision: ElisionPlan,
    use: (inputs: MergeInputs, sources: TaskSources) => Promise<T>,
  ): Promise<T> {
    const version = this.tree.versions.current;
    const tables = new Map(version.tables.map((t) => [t.meta.number, t]));
    const outside = outsideOf(pick.runs, version);
    version.retain();
    try {
      return await use({
        directory: this.tree.versions.directory,
        runs: pick.runs,
        outside,
        memtablesOldest: this.tree.memtablesOldest(),
        elision,
        // mutant merge-keeps-for-snapshots: otherwise a snapshot misses what it saw
        snapshots: this.tree.snapshotSequences(),
      }, {
        memtable: noMemtable,
        table: (meta) => tables.get(meta.number) ?? noTable(),
      });
    } finally {
      // mutant inputs-are-let-go: otherwise merged tables stay until the next opening
      version.release();
    }
  }

  /** Small merges, if they can be done soon. What is not done by then goes on, and holds the lane. */
  private mergeInTime(): Promise<void> {
    const { options, runtime } = this.tree;
    const isBusy = [this.compacting, this.beside].some(({ task, bytes }) =>
      task !== undefined && bytes > MERGE_AT_CLOSE_BYTES
    );
    if (options.compaction.background === "off" || isBusy) {
      return Promise.resolve();
    }
    const merged = this.inTurn(() => this.mergeSmall())
      .catch(() => {}); // The tables stay.
    return new Promise((resolve) => {
      const cancel = runtime.later(MERGE_AT_CLOSE_MILLISECONDS, resolve);
      merged.then(cancel).then(resolve);
    });
  }

  /**
   * Merges small tables that are due. Programs that run for a moment only
   * would otherwise leave one more behind each time, for ever.
   */
  private async mergeSmall(): Promise<void> {
    let left = MERGE_AT_CLOSE_BYTES;
    while (!this.isClosed) {
      const { metas } = this.tree.versions.current;
      const pick = this.strategy.pickMinor(metas, this.pickOptions);
      if (pick?.type !== "merge") return;
      left -= bytesOf(pick.runs.flat());
      if (left < 0) return;
      await this.perform(pick, BY_RANGE);
    }
  }

  /** Runs `use` behind whatever the compaction lane has to do, and what is done beside it. */
  private inTurn<T>(use: () => Promise<T>): Promise<T> {
    const turn = this.lanesEnd().then(use);
    this.compactingEnd = turn.catch(() => {});
    return turn;
  }

  /** By `await`: a promise that `then` is given takes more turns on one engine than on the other, and simulations must be the same on each. */
  private async lanesEnd(): Promise<void> {
    await this.compactingEnd;
    // mutant lane-waits-for-beside: otherwise a table is picked that is being merged
    await this.besideEnd;
  }

  /** The same, unless the end comes first: `ABORTED` then. */
  private exclusively<T>(use: () => Promise<T>): Promise<T> {
    return this.inTurn(() => {
      if (this.isClosing) throw aborted();
      return use();
    });
  }

  /**
   * Ends maintenance: nothing starts any more, and what is under way is given up.
   *
   * @param merges Whether small merges that are due come first.
   */
  async close(merges: boolean): Promise<void> {
    this.isClosing = true;
    this.cancelRest?.();
    if (merges) await this.awaited(this.mergeInTime());
    this.isClosed = true;
    this.compacting.task?.abort();
    this.beside.task?.abort();
    this.flushing?.abort();
    this.wakeAll(aborted());
    await this.awaited(
      Promise.all([this.compactingEnd, this.besideEnd, this.flushEnd]),
    );
    this.worker?.close();
  }
}

/** The tables of a version, other than those merged, that may hold something older in their range. */
function outsideOf(
  runs: readonly (readonly TableMeta[])[],
  version: Version,
): TableMeta[] {
  const inside = runs.flat();
  const numbers = new Set(inside.map((meta) => meta.number));
  // A loop: there may be more tables than a call takes arguments.
  let newest = 0;
  for (const meta of inside) newest = Math.max(newest, meta.newest);
  return version.tables.map((table) => table.meta).filter((meta) =>
    // mutant outside-older: tables that are not merged keep tombstones
    !numbers.has(meta.number) && meta.oldest < newest &&
    inside.some(({ smallest, largest, unbounded }) =>
      // mutant outside-unbounded: a range tombstone without an end may hide anything behind its start
      mayOverlap(meta, smallest, unbounded ? EMPTY : keySuccessor(largest))
    )
  );
}

function noTable(): Table {
  throw new VarveError("IO", "a task reads a table that is not its own");
}

function noMemtable(): Memtable {
  throw new VarveError("IO", "a merge reads no memtable");
}

function describe(reason: unknown): string {
  return reason instanceof Error ? reason.message : String(reason);
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
