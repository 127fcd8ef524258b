/**
 * Runs jobs on the owner's thread, in slices between the program's own work.
 *
 * @module
 */
import { VarveError } from "../errors.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { Job } from "./job.ts";

/** Milliseconds that a slice may take before the event loop gets its turn. */
const SLICE_MILLISECONDS = 2;

/**
 * A job on its way. Settles once: by its slices, by {@linkcode
 * RunningJob.finishNow} or by {@linkcode RunningJob.abort}.
 */
export class RunningJob<T> {
  /** Resolves after the job was done and its result was handed over. */
  readonly done: Promise<void>;
  /** Seconds of work so far, pauses left out. */
  seconds = 0;
  private readonly runtime: Runtime;
  private readonly job: Job<T>;
  private readonly onResult: (result: T, seconds: number) => void;
  private readonly onFailure: (error: unknown) => void;
  private settle!: (error?: unknown) => void; // Set in the constructor, by the promise's executor.
  private isSettled = false;

  /**
   * Starts a job behind what the event loop has to do.
   *
   * @param onResult Takes the result in the same turn in which the job ends;
   * what it throws fails the job.
   * @param onFailure Is told in the same turn why the job failed.
   */
  constructor(
    runtime: Runtime,
    job: Job<T>,
    onResult: (result: T, seconds: number) => void,
    onFailure: (error: unknown) => void = () => {},
  ) {
    this.runtime = runtime;
    this.job = job;
    this.onResult = onResult;
    this.onFailure = onFailure;
    this.done = new Promise((resolve, reject) => {
      this.settle = (error) => {
        this.isSettled = true;
        if (error === undefined) resolve();
        else reject(error);
      };
    });
    this.done.catch(() => {}); // Whoever awaits it sees the failure; nobody need.
    void this.runInSlices();
  }

  private async runInSlices(): Promise<void> {
    await this.runtime.pause();
    while (!this.isSettled) {
      this.step(SLICE_MILLISECONDS);
      if (!this.isSettled) await this.runtime.pause();
    }
  }

  /** Does what is left, blocking. Throws if the job fails. */
  finishNow(): void {
    let failure: unknown;
    if (!this.isSettled) failure = this.step(Infinity);
    if (failure !== undefined) throw failure;
  }

  /** Gives the job up. */
  abort(): void {
    if (this.isSettled) return;
    try {
      this.job.return(undefined as T); // Runs its `finally`; no value is looked at.
    } finally {
      this.settle(
        new VarveError("ABORTED", "the database was closed during the job"),
      );
    }
  }

  /** Works for some milliseconds or to the end; returns why the job failed, if it did. */
  private step(milliseconds: number): unknown {
    const start = this.runtime.monotonicClock();
    try {
      for (;;) {
        const { done, value } = this.job.next();
        const elapsed = this.runtime.monotonicClock() - start;
        if (done) {
          this.seconds += elapsed / 1000;
          this.onResult(value as T, this.seconds);
          this.settle();
          return undefined;
        }
        if (elapsed >= milliseconds) {
          this.seconds += elapsed / 1000;
          return undefined;
        }
      }
    } catch (error) {
      const failure = error ?? new VarveError("IO", "a job failed");
      this.settle(failure);
      this.onFailure(failure);
      return failure;
    }
  }
}
