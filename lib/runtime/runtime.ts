/**
 * What the engine needs of a runtime, and nothing else.
 *
 * Invariants:
 * - No module outside `lib/runtime/` touches `Deno`, `Bun`, `process`,
 *   `node:*`, a clock, a random source or a timer. The rest of the engine is
 *   given a {@linkcode Runtime}, so a simulator can take its place.
 * - Whatever an operating system throws comes out as a `VarveError` with code
 *   `IO` (or `LOCKED`) that says which operation failed on which file.
 * - Reads and writes are whole: a short write is continued here or is an
 *   error here; a short read happens only at the end of a file.
 *
 * @module
 */

/** An open file. Positions are bytes from its start. */
export interface File {
  /** The path that it was opened by, for messages. */
  readonly path: string;
  /**
   * Reads at `position` until `into` is full or the file ends.
   *
   * @returns The number of bytes read; less than `into.length` only at the end.
   */
  readAt(into: Uint8Array, position: number): number;
  /** Writes all of `bytes` at `position`, or throws. */
  writeAt(bytes: Uint8Array, position: number): void;
  /** The length of the file in bytes. */
  size(): number;
  /** Makes the file's data and length durable, off the thread where possible. */
  sync(): Promise<void>;
  /** The same, blocking. */
  syncNow(): void;
  /** Closes the file. Closing twice is harmless. */
  close(): void;
}

/** How {@linkcode FileSystem.open} opens: `"create"` refuses a file that exists. */
export type OpenMode = "read" | "create";

/** A held lock. */
export interface Lock {
  /** Lets go of the lock. Twice is harmless. */
  release(): void;
}

/** What {@linkcode FileSystem.stat} tells. */
export interface FileStatus {
  /** Whether it is a directory (symbolic links are followed). */
  readonly isDirectory: boolean;
  /** Length in bytes of a file. */
  readonly size: number;
}

/** The file system. Paths are joined by the engine with `/`. */
export interface FileSystem {
  /** Opens a file for reading, or creates one for reading and writing. */
  open(path: string, mode: OpenMode): File;
  /** What is at a path; `undefined` if nothing is. */
  stat(path: string): FileStatus | undefined;
  /** The names in a directory, in no particular order. */
  list(directory: string): string[];
  /** Makes a directory and the missing ones above it, and syncs the directories that gained an entry (where the process may open them). */
  makeDirectory(path: string): void;
  /** Moves a file, replacing the target at once. */
  rename(from: string, to: string): void;
  /** Removes a file. */
  remove(path: string): void;
  /** Makes a directory's entries durable, blocking. */
  syncDirectory(path: string): void;
  /**
   * Takes the exclusive lock on `path`, a file that is created when missing
   * and never removed. Does not wait.
   *
   * @throws `LOCKED` when any other handle, in this process or another, on
   * any runtime, holds it; the message has the holder's pid where known.
   */
  lock(path: string): Promise<Lock>;
}

/** A runtime: Deno, Bun, Node, or the memory one of the tests. */
export interface Runtime {
  /** `"deno"`, `"bun"`, `"node"` or `"memory"`. */
  readonly name: string;
  /** The file system. */
  readonly files: FileSystem;
  /** Milliseconds since 1970. */
  wallClock(): number;
  /** Milliseconds from any fixed moment; never runs backwards. */
  monotonicClock(): number;
  /** Lets the event loop run what is due, timers and I/O included, once. */
  pause(): Promise<void>;
  /** Calls `call` every `milliseconds` until what is returned is called. Keeps no process alive. */
  every(milliseconds: number, call: () => void): () => void;
  /** Whether results are cheaper carved from a shared slab than made one by one (V8) or not (JSC). */
  readonly slabResults: boolean;
}
