/**
 * The worker's side: does the tasks that the owner posts.
 *
 * Flushes come before merges, also before one that is under way: writers wait
 * for them. Of two merges the one that came last is done first: the owner has
 * a second one done only if it is the smaller one by far. Messages are looked
 * for between the steps of a job, and arrive while one waits for a sync.
 *
 * Invariants:
 * - Nothing of the database's state is held here: the owner may end this
 *   thread at any moment and give the task to another.
 * - No error leaves the loop: it is posted.
 *
 * @module
 */
import { BlockCache } from "../cache/block_cache.ts";
import { OpenFiles } from "../cache/open_files.ts";
import { TableMemory } from "../cache/table_memory.ts";
import { SharedMemtable } from "../memtable/shared_memtable.ts";
import type { Runtime, WorkerOwner } from "../runtime/runtime.ts";
import type { TableMeta } from "../sstable/meta.ts";
import { ReadCounters, Table, type TableContext } from "../sstable/table.ts";
import { aborted, giveUp } from "./host.ts";
import { fileName } from "../version/files.ts";
import type { Job } from "./job.ts";
import {
  type OwnerMessage,
  plainError,
  type WorkerMessage,
} from "./protocol.ts";
import { makeJob, type TaskSources } from "./run_task.ts";
import type { FlushTask, Task, TaskResult } from "./tasks.ts";

/** Table files that one task keeps open at once. */
const OPEN_FILES_MAX = 64;
/** Bytes of indexes and filters that one task keeps in memory. */
const TABLE_MEMORY_BYTES = 64 * 1024 * 1024;
/** Bytes of blocks kept for the lookups that decide about tombstones. */
const CACHE_BYTES = 1024 * 1024;
/** Milliseconds of work after which the event loop has a turn: syncs under way may have ended. */
const SLICE_MILLISECONDS = 4;

/** The tables and memtables of one task. */
class WorkerSources implements TaskSources {
  private readonly context: TableContext;
  private readonly directory: string;
  private readonly tables: Table[] = [];
  /** For lookups, once there are any: a walk needs none. */
  private cache: BlockCache | undefined;

  constructor(runtime: Runtime, directory: string) {
    this.directory = directory;
    this.context = {
      files: runtime.files,
      cache: new BlockCache(0),
      memory: new TableMemory(TABLE_MEMORY_BYTES),
      openFiles: new OpenFiles(OPEN_FILES_MAX),
      counters: new ReadCounters(),
    };
  }

  memtable({ memtable, snapshots }: FlushTask): SharedMemtable {
    const { arena, newest, oldest } = memtable;
    const shared = new SharedMemtable(arena, 0, oldest);
    shared.follow(newest, snapshots);
    return shared;
  }

  table(meta: TableMeta, use: "walk" | "lookups"): Table {
    const path = `${this.directory}/${fileName("table", meta.number)}`;
    const table = new Table(
      meta,
      path,
      use === "walk"
        ? { ...this.context, withoutFilters: true }
        : { ...this.context, cache: this.cacheOfLookups() },
    );
    this.tables.push(table);
    return table;
  }

  private cacheOfLookups(): BlockCache {
    return this.cache ??= new BlockCache(CACHE_BYTES);
  }

  close(): void {
    for (const table of this.tables) table.close();
    this.cache?.end();
  }
}

/** A task on its way. */
class WorkerTask {
  readonly id: number;
  seconds = 0;
  private readonly sources: WorkerSources;
  private readonly job: Job<TaskResult>;

  constructor(id: number, task: Task, runtime: Runtime) {
    this.id = id;
    this.sources = new WorkerSources(runtime, task.directory);
    this.job = makeJob(task, runtime.files, this.sources);
  }

  next(): IteratorResult<Promise<void> | void, TaskResult> {
    return this.job.next();
  }

  abort(): void {
    giveUp(this.job);
  }

  close(): void {
    this.sources.close();
  }
}

/** Does tasks until it is told to close. */
export class JobLoop {
  private readonly runtime: Runtime;
  private readonly owner: WorkerOwner;
  private readonly flushes: WorkerTask[] = [];
  private readonly merges: WorkerTask[] = [];
  private mail = new Int32Array(new SharedArrayBuffer(4));
  private received = 0;
  private isRunning = false;

  /** Listens to the owner from now on. */
  constructor(runtime: Runtime, owner: WorkerOwner) {
    this.runtime = runtime;
    this.owner = owner;
    owner.listen((message) => this.receive(message as OwnerMessage));
    this.post({ type: "ready" });
  }

  private post(message: WorkerMessage): void {
    this.owner.post(message);
  }

  private receive(message: OwnerMessage): void {
    this.received++;
    switch (message.type) {
      case "open":
        this.mail = message.mail;
        break;
      case "run":
        this.accept(message.id, message.task);
        break;
      case "abort":
        this.abort(message.id);
        break;
      case "close":
        this.owner.close();
    }
  }

  private accept(id: number, task: Task): void {
    const lane = task.type === "flush" ? this.flushes : this.merges;
    lane.push(new WorkerTask(id, task, this.runtime));
    if (!this.isRunning) void this.run();
  }

  private abort(id: number): void {
    for (const task of [...this.flushes, ...this.merges]) {
      if (task.id !== id) continue;
      task.abort();
      this.finish(task);
      this.post({ type: "failed", id, error: plainError(aborted()) });
    }
  }

  private finish(task: WorkerTask): void {
    task.close();
    for (const lane of [this.flushes, this.merges]) {
      const at = lane.indexOf(task);
      if (at >= 0) lane.splice(at, 1);
    }
  }

  private async run(): Promise<void> {
    this.isRunning = true;
    for (;;) {
      const task = this.flushes[0] ?? this.merges.at(-1);
      if (task === undefined) break;
      await this.work(task);
      if (this.hasMail()) await this.runtime.pause();
    }
    this.isRunning = false;
  }

  private hasMail(): boolean {
    return Atomics.load(this.mail, 0) !== this.received;
  }

  /** Works on a task until it has ended or has to wait, a message came, or the event loop is due; and waits. */
  private async work(task: WorkerTask): Promise<void> {
    const { id } = task;
    const start = this.runtime.monotonicClock();
    const elapsed = () => this.runtime.monotonicClock() - start;
    try {
      let step = task.next();
      while (
        !step.done && step.value === undefined && !this.hasMail() &&
        elapsed() < SLICE_MILLISECONDS
      ) step = task.next();
      if (!step.done) await (step.value ?? this.runtime.pause());
      task.seconds += elapsed() / 1000;
      if (!step.done) return;
      const { seconds } = task;
      this.finish(task);
      this.post({ type: "done", id, result: step.value, seconds });
    } catch (error) {
      this.finish(task);
      this.post({ type: "failed", id, error: plainError(error) });
    }
  }
}
