/**
 * The one error class of the engine.
 *
 * Invariant: nothing but a {@linkcode VarveError} leaves the public functions
 * on purpose; what the runtime threw is kept as `cause`.
 *
 * @module
 */

/** What kind of failure a {@linkcode VarveError} reports. Codes are stable. */
export type ErrorCode =
  /** The handle, snapshot or scan was closed. */
  | "CLOSED"
  /** An option is unknown, of the wrong type or out of its bounds. */
  | "INVALID_CONFIG"
  /** An argument of a call is unusable. */
  | "INVALID_ARGUMENT"
  /** Another handle, in this process or another, holds the directory. */
  | "LOCKED"
  /** There is no database and `createIfMissing` is false. */
  | "NOT_FOUND"
  /** There is a database and `errorIfExists` is true. */
  | "EXISTS"
  /** A file is damaged: the message names file, offset, expected and found. */
  | "CORRUPTION"
  /** The operating system refused an operation on a file. */
  | "IO"
  /** An earlier write or sync of a log or manifest failed, or a sync of the directory; reads go on. */
  | "READ_ONLY"
  /** Writes come faster than they can be stored, or too many readers, or snapshots of reader threads, are open: wait, then try again. */
  | "BUSY"
  /** A maintenance call was cut short by `close()`. */
  | "ABORTED";

/**
 * Every failure that Varve reports.
 *
 * @example
 * ```ts
 * import { open, VarveError } from "@varve/db";
 *
 * try {
 *   await open("./no-such-database", { createIfMissing: false });
 * } catch (error) {
 *   if (error instanceof VarveError && error.code === "NOT_FOUND") {
 *     console.log("nothing there yet");
 *   }
 * }
 * ```
 */
export class VarveError extends Error {
  /** `"VarveError"`. */
  override readonly name: string = "VarveError";
  /** The stable code to branch on. */
  readonly code: ErrorCode;

  /**
   * Makes an error.
   *
   * @param code The stable code.
   * @param message What happened and what a person can do.
   * @param options `cause`, where there is one.
   */
  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** The error for an unusable argument. */
export function invalid(message: string): VarveError {
  return new VarveError("INVALID_ARGUMENT", message);
}

/** A `CORRUPTION` error that says where, what was expected and what was found. */
export function corruption(
  file: string,
  offset: number,
  expected: string,
  found: string,
): VarveError {
  return new VarveError(
    "CORRUPTION",
    `${file} is damaged at offset ${offset}: expected ${expected}, found ${found}`,
  );
}

/** A value for a message. */
export function describe(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  return typeof value === "object" || typeof value === "function"
    ? typeName(value)
    : `${typeof value} ${String(value)}`;
}

/** What a value is an instance of, for a message. */
export function typeName(value: unknown): string {
  if (value === null) return "null";
  if (typeof value !== "object") return typeof value;
  return value.constructor?.name ?? "object";
}
