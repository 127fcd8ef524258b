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
  /** The path of a directory from the root, through no link. Where it is absent, or may not be asked for, a path is good as it is. */
  readonly realPath?: (directory: string) => string;
  /** The names in a directory, in no particular order. */
  list(directory: string): string[];
  /** Makes a directory and the missing ones above it, and syncs the directories that gained an entry (where the process may open them). */
  makeDirectory(path: string): void;
  /** Moves a file, replacing the target at once. */
  rename(from: string, to: string): void;
  /** Removes a file. */
  remove(path: string): void;
  /** The same, off the thread: freeing a large file takes milliseconds. Where it is absent, {@linkcode remove} does. */
  readonly removeAside?: (path: string) => Promise<void>;
  /** Bytes of a table that are handed over in one call; 256 KiB where it is absent. For simulated disks, whose tables are small. */
  readonly tableWriteBytes?: number;
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

/** A worker thread, as its owner holds it. */
export interface WorkerThread {
  /** Sends a message, copied; SharedArrayBuffers in it are shared. */
  post(message: unknown): void;
  /** Keeps the process alive as long as the thread runs. */
  ref(): void;
  /** Lets the process end while the thread runs; so it is from the start. */
  unref(): void;
  /** Ends the thread at once, whatever it does. */
  terminate(): void;
}

/** What a worker thread tells its owner. */
export interface WorkerEvents {
  /** A message came. */
  message(message: unknown): void;
  /** The thread is gone: it ended, failed or was ended. Nothing comes after this. */
  exit(reason: unknown): void;
}

/** The owner, as a worker thread sees it. */
export interface WorkerOwner {
  /** Sends a message. */
  post(message: unknown): void;
  /** Takes messages from now on. */
  listen(onMessage: (message: unknown) => void): void;
  /** Ends this thread. */
  close(): void;
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
  /** Resolves after some milliseconds; the process stays alive until then. */
  sleep(milliseconds: number): Promise<void>;
  /** Calls back after some milliseconds, unless the process ends before. Returns what cancels it. */
  later(milliseconds: number, callback: () => void): () => void;
  /** Calls `call` every `milliseconds` until what is returned is called. Keeps no process alive. */
  every(milliseconds: number, call: () => void): () => void;
  /**
   * Starts a thread that runs `lib/worker.ts`. Absent where there are none.
   *
   * @param url Where that module is, if not beside this one.
   * @throws (rejects) if no thread can be started; one that cannot load its
   * module exits.
   */
  readonly startWorker?: (
    events: WorkerEvents,
    url: string | undefined,
  ) => Promise<WorkerThread>;
  /** Whether results are cheaper carved from a shared slab than made one by one (V8) or not (JSC). */
  readonly slabResults: boolean;
}
