/**
 * A file system in memory that can lose power, for tests and simulations.
 *
 * Its semantics in one sentence: after a power loss a directory has the
 * entries, and a file the bytes, that it had when it was last synced.
 *
 * Invariants:
 * - A sync makes durable what had been written when it was called, at the
 *   moment when its promise resolves, and nothing before.
 * - A sync that the hook makes fail leaves its bytes neither durable nor
 *   dirty, as Linux does: a retry succeeds and saves nothing.
 * - Handles stay valid after a rename or removal, as on POSIX systems.
 *
 * @module
 */
import { ioError, ioFailure } from "./errno.ts";
import { lockedError } from "./lock_file.ts";
import { parentDirectory } from "./paths.ts";
import { pause } from "./pause.ts";
import { every, later } from "./timers.ts";
import type {
  File,
  FileStatus,
  FileSystem,
  Lock,
  OpenMode,
  Runtime,
} from "./runtime.ts";

/** The operations that a {@linkcode MemoryFileSystem} counts and reports. */
export type MemoryOperation =
  | "open"
  | "create"
  | "read"
  | "write"
  | "sync"
  | "list"
  | "makeDirectory"
  | "rename"
  | "remove"
  | "syncDirectory"
  | "lock";

/** How often each operation was called, failed calls included. */
export type OperationCounts = Record<MemoryOperation, number>;

/** Called before an operation; what it throws is the operation's failure. */
export type OperationHook = (operation: MemoryOperation, path: string) => void;

/** What tests may set on a {@linkcode MemoryFileSystem}. */
export interface MemoryFileOptions {
  /** Called before every operation. */
  readonly onOperation?: OperationHook;
  /** How long a `sync()` is under way; the default is one microtask. */
  readonly syncDelay?: () => Promise<void>;
}

/** What {@linkcode memoryRuntime} takes. */
export interface MemoryRuntimeOptions {
  /** Milliseconds of both clocks; the default starts at 0 and adds 1 per call. */
  readonly clock?: () => number;
  /** See {@linkcode Runtime.slabResults}; the default is true. */
  readonly slabResults?: boolean;
}

/** Bytes that grow by doubling, and are copied when a copy of them is changed. What lies past `length` is zero. */
class Bytes {
  #bytes: Uint8Array = new Uint8Array(0);
  /** Whether others have the same memory: nobody changes it any more. */
  #isShared = false;
  length: number = 0;

  /** The content, as a view. */
  view(start: number = 0, end: number = this.length): Uint8Array {
    return this.#bytes.subarray(start, end);
  }

  copy(): Bytes {
    const copy = new Bytes();
    copy.#bytes = this.#bytes;
    copy.length = this.length;
    copy.#isShared = this.#isShared = true;
    return copy;
  }

  write(bytes: Uint8Array, position: number): void {
    this.#makeRoom(position + bytes.length);
    this.#bytes.set(bytes, position);
    this.length = Math.max(this.length, position + bytes.length);
  }

  growTo(length: number): void {
    if (length <= this.length) return;
    this.#makeRoom(length);
    this.length = length;
  }

  #makeRoom(length: number): void {
    const room = this.#bytes.length;
    if (!this.#isShared && length <= room) return;
    const own = new Uint8Array(
      length <= room ? room : Math.max(length, 2 * room),
    );
    own.set(this.view());
    this.#bytes = own;
    this.#isShared = false;
  }
}

/** What one sync call has to save. */
interface Capture {
  readonly bytes: Uint8Array;
  readonly position: number;
  readonly length: number;
}

/** The content of a file: as it is, and as a power loss would leave it. */
class FileNode {
  now: Bytes = new Bytes();
  durable: Bytes = new Bytes();
  #dirtyFrom: number = Infinity;
  #dirtyTo: number = 0;
  /** Syncs under way, in the order of their calls. */
  readonly #captures: Capture[] = [];

  write(bytes: Uint8Array, position: number): void {
    // A write past the end leaves a hole of zeros, dirty like the rest.
    const from = Math.min(position, this.now.length);
    this.now.write(bytes, position);
    this.#dirtyFrom = Math.min(this.#dirtyFrom, from);
    this.#dirtyTo = Math.max(this.#dirtyTo, position + bytes.length);
  }

  /** Begins a sync: takes what is dirty. */
  capture(): Capture {
    const isClean = this.#dirtyFrom >= this.#dirtyTo;
    const position = isClean ? 0 : this.#dirtyFrom;
    const capture: Capture = {
      bytes: this.now.view(position, isClean ? 0 : this.#dirtyTo).slice(),
      position,
      length: this.now.length,
    };
    this.forgetDirty();
    this.#captures.push(capture);
    return capture;
  }

  /** Ends a sync, and those that were begun before it. */
  complete(capture: Capture): void {
    const last = this.#captures.indexOf(capture);
    for (
      const { bytes, position, length } of this.#captures.splice(0, last + 1)
    ) {
      this.durable.write(bytes, position);
      this.durable.growTo(length);
    }
  }

  /** The file that a power loss leaves: only what syncs have completed. */
  afterPowerLoss(): FileNode {
    const copy = new FileNode();
    copy.now = this.durable.copy();
    copy.durable = this.durable.copy();
    return copy;
  }

  /** The file in the system's cache: dirty bytes stay dirty, lost ones lost. */
  afterProcessDeath(): FileNode {
    const copy = new FileNode();
    copy.now = this.now.copy();
    copy.durable = this.durable.copy();
    copy.#dirtyFrom = this.#dirtyFrom;
    copy.#dirtyTo = this.#dirtyTo;
    for (const { bytes, position } of this.#captures) {
      copy.#dirtyFrom = Math.min(copy.#dirtyFrom, position);
      copy.#dirtyTo = Math.max(copy.#dirtyTo, position + bytes.length);
    }
    return copy;
  }

  /** What a failed sync does: the pages count as clean, the disk lacks them. */
  forgetDirty(): void {
    this.#dirtyFrom = Infinity;
    this.#dirtyTo = 0;
  }
}

/** The entries of a directory: as they are, and after a power loss. */
class DirectoryNode {
  now: Map<string, Node> = new Map();
  durable: Map<string, Node> = new Map();
}

type Node = FileNode | DirectoryNode;

/** A failure with an errno, as a runtime would throw it. */
function failure(code: string): Error {
  return Object.assign(new Error(code), { code });
}

/** The names on the way to a path. Absolute and relative paths are the same. */
function namesIn(path: string): string[] {
  const names: string[] = [];
  for (const name of path.split("/")) {
    if (name === "..") names.pop();
    else if (name !== "" && name !== ".") names.push(name);
  }
  return names;
}

/** Copies a tree, keeping a file under two names one file. */
function copyNode(
  node: Node,
  isPowerLost: boolean,
  copies: Map<Node, Node>,
): Node {
  const known = copies.get(node);
  if (known !== undefined) return known;
  if (node instanceof FileNode) {
    const copy = isPowerLost ? node.afterPowerLoss() : node.afterProcessDeath();
    copies.set(node, copy);
    return copy;
  }
  const copy = new DirectoryNode();
  copies.set(node, copy);
  for (const [name, child] of node.durable) {
    copy.durable.set(name, copyNode(child, isPowerLost, copies));
  }
  if (isPowerLost) {
    copy.now = new Map(copy.durable);
  } else {
    for (const [name, child] of node.now) {
      copy.now.set(name, copyNode(child, isPowerLost, copies));
    }
  }
  return copy;
}

class MemoryFile implements File {
  readonly path: string;
  readonly #node: FileNode;
  readonly #files: MemoryFileSystem;
  readonly #isWritable: boolean;
  #isClosed: boolean = false;

  constructor(
    files: MemoryFileSystem,
    path: string,
    node: FileNode,
    isWritable: boolean,
  ) {
    this.#files = files;
    this.path = path;
    this.#node = node;
    this.#isWritable = isWritable;
  }

  #begin(operation: MemoryOperation): void {
    if (this.#isClosed) throw ioFailure(operation, this.path, "EBADF");
    this.#files.begin(operation, this.path);
  }

  readAt(into: Uint8Array, position: number): number {
    this.#begin("read");
    const now = this.#node.now;
    const count = Math.max(0, Math.min(into.length, now.length - position));
    if (count > 0) into.set(now.view(position, position + count));
    return count;
  }

  writeAt(bytes: Uint8Array, position: number): void {
    this.#begin("write");
    if (!this.#isWritable) throw ioFailure("write", this.path, "EBADF");
    if (bytes.length > 0) this.#node.write(bytes, position);
  }

  size(): number {
    if (this.#isClosed) throw ioFailure("measure", this.path, "EBADF");
    return this.#node.now.length;
  }

  async sync(): Promise<void> {
    const capture = this.#beginSync();
    await this.#files.syncDelay();
    this.#node.complete(capture);
  }

  syncNow(): void {
    this.#node.complete(this.#beginSync());
  }

  #beginSync(): Capture {
    try {
      this.#begin("sync");
    } catch (thrown) {
      if (!this.#isClosed) this.#node.forgetDirty();
      throw thrown;
    }
    return this.#node.capture();
  }

  close(): void {
    this.#isClosed = true;
  }
}

/** A file system in memory; see the head of this file. */
export class MemoryFileSystem implements FileSystem {
  /** Called before every operation; may be set at any time. */
  onOperation: OperationHook | undefined;
  /** Waited for by every `sync()` before it takes effect. */
  syncDelay: () => Promise<void>;
  /** How often each operation was called since the start or the last reset. */
  readonly counts: OperationCounts = {
    open: 0,
    create: 0,
    read: 0,
    write: 0,
    sync: 0,
    list: 0,
    makeDirectory: 0,
    rename: 0,
    remove: 0,
    syncDirectory: 0,
    lock: 0,
  };
  #root: DirectoryNode = new DirectoryNode();
  readonly #locked: Set<FileNode> = new Set();

  /** Makes an empty file system. */
  constructor(options: MemoryFileOptions = {}) {
    this.onOperation = options.onOperation;
    this.syncDelay = options.syncDelay ?? (() => Promise.resolve());
  }

  /** Sets all counts to 0. */
  resetCounts(): void {
    for (const operation of Object.keys(this.counts)) {
      this.counts[operation as MemoryOperation] = 0;
    }
  }

  /** Counts an operation and lets the hook have it. For {@linkcode File}s. */
  begin(operation: MemoryOperation, path: string): void {
    this.counts[operation]++;
    try {
      this.onOperation?.(operation, path);
    } catch (thrown) {
      throw ioError(operation, path, thrown);
    }
  }

  // --- What tests do from outside ---

  /** What a new start finds after the machine lost power. */
  afterPowerLoss(options: MemoryFileOptions = {}): MemoryFileSystem {
    return this.#copy(true, options);
  }

  /** What a new start finds after the process died: everything but locks. */
  afterProcessDeath(options: MemoryFileOptions = {}): MemoryFileSystem {
    return this.#copy(false, options);
  }

  #copy(isPowerLost: boolean, options: MemoryFileOptions): MemoryFileSystem {
    const copy = new MemoryFileSystem(options);
    const root = copyNode(this.#root, isPowerLost, new Map());
    if (root instanceof DirectoryNode) copy.#root = root;
    return copy;
  }

  /** A copy of a file's bytes. Neither counted nor reported. */
  readFile(path: string): Uint8Array {
    return this.#attempt(
      "read",
      path,
      () => this.#fileAt(path).now.view().slice(),
    );
  }

  /**
   * Makes a file, or replaces its bytes under the handles that are open.
   * Durable at once, entry included. Neither counted nor reported.
   */
  writeFile(path: string, bytes: Uint8Array): void {
    this.#attempt("write", path, () => {
      const [directory, name] = this.#placeOf(path);
      let node = directory.now.get(name);
      if (node instanceof DirectoryNode) throw failure("EISDIR");
      node ??= new FileNode();
      node.forgetDirty();
      node.now = new Bytes();
      node.now.write(bytes, 0);
      node.durable = new Bytes();
      node.durable.write(bytes, 0);
      directory.now.set(name, node);
      directory.durable.set(name, node);
    });
  }

  // --- FileSystem ---

  /** @inheritDoc */
  open(path: string, mode: OpenMode): File {
    this.begin(mode === "create" ? "create" : "open", path);
    return this.#attempt(mode === "create" ? "create" : "open", path, () => {
      if (mode === "read") {
        const node = this.#fileAt(path);
        return new MemoryFile(this, path, node, false);
      }
      return new MemoryFile(this, path, this.#createFile(path), true);
    });
  }

  /** @inheritDoc */
  stat(path: string): FileStatus | undefined {
    const node = this.#find(path);
    if (typeof node === "string") return undefined;
    return node instanceof FileNode
      ? { isDirectory: false, size: node.now.length }
      : { isDirectory: true, size: 0 };
  }

  /** @inheritDoc */
  list(directory: string): string[] {
    this.begin("list", directory);
    return this.#attempt("list", directory, () => {
      return [...this.#directoryAt(directory).now.keys()];
    });
  }

  /** @inheritDoc */
  makeDirectory(path: string): void {
    this.begin("makeDirectory", path);
    this.#attempt("make directory", path, () => {
      let parent = this.#root;
      for (const name of namesIn(path)) {
        let node = parent.now.get(name);
        if (node === undefined) {
          node = new DirectoryNode();
          parent.now.set(name, node);
        }
        if (node instanceof FileNode) throw failure("EEXIST");
        parent.durable.set(name, node);
        parent = node;
      }
    });
  }

  /** @inheritDoc */
  rename(from: string, to: string): void {
    this.begin("rename", `${from} to ${to}`);
    this.#attempt("rename", `${from} to ${to}`, () => {
      const [source, sourceName] = this.#placeOf(from);
      const [target, targetName] = this.#placeOf(to);
      const node = source.now.get(sourceName);
      if (node === undefined) throw failure("ENOENT");
      if (target.now.get(targetName) instanceof DirectoryNode) {
        throw failure("EISDIR");
      }
      source.now.delete(sourceName);
      target.now.set(targetName, node);
    });
  }

  /** @inheritDoc */
  remove(path: string): void {
    this.begin("remove", path);
    this.#attempt("remove", path, () => {
      this.#fileAt(path);
      const [directory, name] = this.#placeOf(path);
      directory.now.delete(name);
    });
  }

  /** @inheritDoc */
  syncDirectory(path: string): void {
    this.begin("syncDirectory", path);
    this.#attempt("sync directory", path, () => {
      const directory = this.#directoryAt(path);
      directory.durable = new Map(directory.now);
    });
  }

  /** @inheritDoc */
  lock(path: string): Promise<Lock> {
    return Promise.try(() => {
      this.begin("lock", path);
      const node = this.#attempt("lock", path, () => {
        const isThere = this.stat(path) !== undefined;
        return isThere ? this.#fileAt(path) : this.#createFile(path);
      });
      if (this.#locked.has(node)) throw lockedError(path, new Uint8Array(0));
      this.#locked.add(node);
      let isHeld = true;
      return {
        release: () => {
          if (isHeld) this.#locked.delete(node);
          isHeld = false;
        },
      };
    });
  }

  // --- The tree ---

  /** Runs `work`; what it throws becomes an `IO` error. */
  #attempt<T>(operation: string, path: string, work: () => T): T {
    try {
      return work();
    } catch (thrown) {
      throw ioError(operation, path, thrown);
    }
  }

  #createFile(path: string): FileNode {
    const [directory, name] = this.#placeOf(path);
    if (directory.now.has(name)) throw failure("EEXIST");
    const node = new FileNode();
    directory.now.set(name, node);
    return node;
  }

  /** The directory that holds the entry of a path, and the entry's name. */
  #placeOf(path: string): [DirectoryNode, string] {
    const name = namesIn(path).at(-1);
    if (name === undefined) throw failure("EISDIR");
    return [this.#directoryAt(parentDirectory(path)), name];
  }

  /** What a path names, or the errno of what is missing. */
  #find(path: string): Node | "ENOTDIR" | "ENOENT" {
    let node: Node = this.#root;
    for (const name of namesIn(path)) {
      if (node instanceof FileNode) return "ENOTDIR";
      const child = node.now.get(name);
      if (child === undefined) return "ENOENT";
      node = child;
    }
    return node;
  }

  #nodeAt(path: string): Node {
    const node = this.#find(path);
    if (typeof node === "string") throw failure(node);
    return node;
  }

  #fileAt(path: string): FileNode {
    const node = this.#nodeAt(path);
    if (node instanceof DirectoryNode) throw failure("EISDIR");
    return node;
  }

  #directoryAt(path: string): DirectoryNode {
    const node = this.#nodeAt(path);
    if (node instanceof FileNode) throw failure("ENOTDIR");
    return node;
  }
}

/**
 * Makes a runtime over a file system in memory.
 *
 * @param files The file system; an empty one by default.
 * @param options Its clock, and how results are made.
 */
export function memoryRuntime(
  files: MemoryFileSystem = new MemoryFileSystem(),
  options: MemoryRuntimeOptions = {},
): Runtime & { readonly files: MemoryFileSystem } {
  let ticks = 0;
  const clock = options.clock ?? (() => ticks++);
  return {
    name: "memory",
    files,
    wallClock: clock,
    monotonicClock: clock,
    pause,
    sleep: pause, // Its clock need not run while nobody looks at it.
    later,
    every,
    slabResults: options.slabResults ?? true,
  };
}
