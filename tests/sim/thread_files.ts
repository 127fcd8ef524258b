/**
 * The file system as one thread of a simulated process sees it: a thread can
 * end by itself, and takes its open files with it.
 *
 * @module
 */
import type {
  File,
  FileStatus,
  FileSystem,
  Lock,
  OpenMode,
} from "../../lib/runtime/runtime.ts";

/** What everything that a dead thread tries throws; nothing of it is done. */
export class ThreadEnd extends Error {
  override readonly name: string = "ThreadEnd";
}

/** What a thread's file system asks before each call; it throws if the thread is gone. */
export type Gate = <T>(work: () => T) => T;

class ThreadFile implements File {
  readonly path: string;
  readonly #files: ThreadFiles;
  readonly #file: File;

  constructor(files: ThreadFiles, file: File) {
    this.path = file.path;
    this.#files = files;
    this.#file = file;
  }

  readAt(into: Uint8Array, position: number): number {
    return this.#files.gate(() => this.#file.readAt(into, position));
  }

  writeAt(bytes: Uint8Array, position: number): void {
    this.#files.gate(() => this.#file.writeAt(bytes, position));
  }

  size(): number {
    return this.#files.gate(() => this.#file.size());
  }

  sync(): Promise<void> {
    return this.#files.gate(() => this.#file.sync());
  }

  syncNow(): void {
    this.#files.gate(() => this.#file.syncNow());
  }

  close(): void {
    this.#files.forget(this.#file);
    this.#file.close();
  }
}

/** See the head of this file. */
export class ThreadFiles implements FileSystem {
  readonly gate: Gate;
  readonly #files: FileSystem;
  readonly #open: Set<File> = new Set();

  constructor(files: FileSystem, gate: Gate) {
    this.#files = files;
    this.gate = gate;
  }

  get tableWriteBytes(): number | undefined {
    return this.#files.tableWriteBytes;
  }

  /** The thread is gone: its files are closed. */
  end(): void {
    for (const file of this.#open) file.close();
    this.#open.clear();
  }

  /** A file was closed. */
  forget(file: File): void {
    this.#open.delete(file);
  }

  open(path: string, mode: OpenMode): File {
    const file = this.gate(() => this.#files.open(path, mode));
    this.#open.add(file);
    return new ThreadFile(this, file);
  }

  stat(path: string): FileStatus | undefined {
    return this.gate(() => this.#files.stat(path));
  }

  list(directory: string): string[] {
    return this.gate(() => this.#files.list(directory));
  }

  makeDirectory(path: string): void {
    this.gate(() => this.#files.makeDirectory(path));
  }

  rename(from: string, to: string): void {
    this.gate(() => this.#files.rename(from, to));
  }

  remove(path: string): void {
    this.gate(() => this.#files.remove(path));
  }

  syncDirectory(path: string): void {
    this.gate(() => this.#files.syncDirectory(path));
  }

  lock(path: string): Promise<Lock> {
    return this.gate(() => this.#files.lock(path));
  }
}
