/**
 * Where tasks are done: what hosts have in common, and the one that works on
 * the owner's thread, in slices between the program's own work.
 *
 * @module
 */
import { VarveError } from "../errors.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { Job } from "./job.ts";
import { makeJob, type TaskSources } from "./run_task.ts";
import type { Task, TaskResult } from "./tasks.ts";

/** Who is told how a task ended: exactly one of the two is called, once. */
export interface TaskEnd {
  /** It is done. What this throws counts as a failure of the task. */
  done(result: TaskResult, seconds: number): void;
  /** It failed, or was given up (`ABORTED`); it left no file behind. */
  failed(error: unknown): void;
}

/** A task on its way. */
export interface RunningTask {
  /** Gives the task up. Its end may come later. */
  abort(): void;
}

/** Does tasks. */
export interface TaskHost {
  /**
   * Starts a task; its end is told in a later turn of the event loop.
   *
   * @param sources What the task reads, for a host on this thread.
   */
  run(task: Task, sources: TaskSources, end: TaskEnd): RunningTask;
}

/** The error of a task that was given up. */
export function aborted(): VarveError {
  return new VarveError("ABORTED", "the database was closed during the job");
}

/** Whether it is an error of {@linkcode aborted}. */
export function isGivenUp(error: unknown): boolean {
  return error instanceof VarveError && error.code === "ABORTED";
}

/** Milliseconds that a slice may take before the event loop gets its turn. */
const SLICE_MILLISECONDS = 2;

/** Works on the owner's thread. */
export class InlineHost implements TaskHost {
  private readonly runtime: Runtime;

  /** Works where `runtime` is. */
  constructor(runtime: Runtime) {
    this.runtime = runtime;
  }

  run(task: Task, sources: TaskSources, end: TaskEnd): RunningTask {
    const job = makeJob(task, this.runtime.files, sources);
    return new SlicedJob(this.runtime, job, end);
  }
}

/** A job in slices. */
export class SlicedJob implements RunningTask {
  private readonly runtime: Runtime;
  private readonly job: Job<TaskResult>;
  private readonly end: TaskEnd;
  private seconds = 0;
  private isOver = false;

  /** Starts a job behind what the event loop has to do. */
  constructor(runtime: Runtime, job: Job<TaskResult>, end: TaskEnd) {
    this.runtime = runtime;
    this.job = job;
    this.end = end;
    void this.runInSlices();
  }

  private async runInSlices(): Promise<void> {
    await this.runtime.pause();
    while (!this.isOver) {
      const waiting = this.step();
      if (waiting !== undefined) await this.wait(waiting);
      else if (!this.isOver) await this.runtime.pause();
    }
  }

  /** Waits for what the job waits for: how long that takes counts, for writers are slowed by it. */
  private async wait(waiting: Promise<void>): Promise<void> {
    const start = this.runtime.monotonicClock();
    await waiting;
    this.seconds += (this.runtime.monotonicClock() - start) / 1000;
  }

  abort(): void {
    if (this.isOver) return;
    this.isOver = true;
    giveUp(this.job);
    this.end.failed(aborted());
  }

  /** Works for some milliseconds, to the end, or until there is something to wait for, which it returns. */
  private step(): Promise<void> | undefined {
    const start = this.runtime.monotonicClock();
    try {
      for (;;) {
        const { done, value } = this.job.next();
        const elapsed = this.runtime.monotonicClock() - start;
        if (!done && value === undefined && elapsed < SLICE_MILLISECONDS) {
          continue;
        }
        this.seconds += elapsed / 1000;
        if (!done) return value ?? undefined;
        this.isOver = true;
        this.end.done(value, this.seconds);
        return undefined;
      }
    } catch (error) {
      this.isOver = true;
      this.end.failed(error);
    }
    return undefined;
  }
}

/** Ends a job early, so that it removes what it wrote. */
export function giveUp(job: Job<TaskResult>): void {
  try {
    job.return({ tables: [], gains: false }); // Runs its `finally`; nobody looks at the value.
  } catch {
    // What could not be removed is an orphan: the next open removes it.
  }
}
