/**
 * What the owner and its worker say to each other.
 *
 * ```
 * owner                      worker
 *                   <------  ready               once, before anything else
 *   open(mail)      ------>                      once, before any run
 *   run(id, task)   ------>
 *   abort(id)       ------>
 *                   <------  done(id, result)    one of the two for each run,
 *                   <------  failed(id, error)   aborted or not
 *   close           ------>                      no run is under way
 * ```
 *
 * The worker finds each message by a counter in shared memory too, so that a
 * job under way need not give way to the event loop in order to look.
 *
 * @module
 */
import { type ErrorCode, VarveError } from "../errors.ts";
import { DirectorySyncError } from "./job.ts";
import type { Task, TaskResult } from "./tasks.ts";

/** What the owner says. */
export type OwnerMessage =
  | {
    readonly type: "open";
    /** One word: how many messages were posted. */
    readonly mail: Int32Array<SharedArrayBuffer>;
  }
  | { readonly type: "run"; readonly id: number; readonly task: Task }
  | { readonly type: "abort"; readonly id: number }
  | { readonly type: "close" };

/** An error on its way between threads. */
export interface PlainError {
  readonly code: ErrorCode;
  readonly message: string;
  /** Whether it is a {@linkcode DirectorySyncError}. */
  readonly isOfDirectory: boolean;
}

/** What the worker says. */
export type WorkerMessage =
  | { readonly type: "ready" }
  | {
    readonly type: "done";
    readonly id: number;
    readonly result: TaskResult;
    readonly seconds: number;
  }
  | {
    readonly type: "failed";
    readonly id: number;
    readonly error: PlainError;
  };

/** An error as plain data. */
export function plainError(error: unknown): PlainError {
  const message = error instanceof Error ? error.message : String(error);
  const code = error instanceof VarveError ? error.code : "IO";
  const isOfDirectory = error instanceof DirectorySyncError;
  return { code, message, isOfDirectory };
}

/** The error that plain data tells of. */
export function errorOf(
  { code, message, isOfDirectory }: PlainError,
): VarveError {
  return isOfDirectory
    ? new DirectorySyncError(message)
    : new VarveError(code, message);
}
