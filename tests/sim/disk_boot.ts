/**
 * The file system as one boot of the simulated machine sees it, with its open
 * files and locks.
 *
 * Invariants:
 * - Every operation is reported to the hooks once, in the order of the calls.
 * - An asynchronous sync captures what is unsynced when it is called, and
 *   takes effect when it ends; so does a removal off the thread, unless the
 *   hooks have it done at once.
 * - When the boot ends, everything that it has opened is dead: operations
 *   throw {@linkcode PowerLoss}, those under way reject with it and do nothing.
 * - Handles stay valid after a rename or removal, as on POSIX systems.
 *
 * @module
 */
import { FILLER } from "../../lib/wal/format.ts";
import { ioFailure, isDenial } from "../../lib/runtime/errno.ts";
import { lockedError } from "../../lib/runtime/lock_file.ts";
import { parentDirectory } from "../../lib/runtime/paths.ts";
import type {
  File,
  FileStatus,
  FileSystem,
  Lock,
  OpenMode,
} from "../../lib/runtime/runtime.ts";
import { FileNode, type SyncOutcome } from "./disk_file.ts";
import {
  checkFault,
  type DiskHooks,
  type DiskOperation,
  type Fault,
  faultError,
  operationError,
  PowerLoss,
} from "./disk_operations.ts";
import type { Tree } from "./disk_tree.ts";

/** What the boots of a disk have in common. */
export interface Machine {
  readonly tree: Tree;
  /** Operations so far. */
  operations: number;
}

/** An operation that has no number yet. */
type NewOperation = Omit<DiskOperation, "index">;

/** What a sync does that meets a fault, or none. */
function outcomeOf(fault: Fault | undefined): SyncOutcome {
  if (fault === undefined) return "saved";
  return fault.kind === "lostSync" ? "lost" : "still dirty";
}

/** The error that a sync or removal ends with; none if it says that it worked. */
function codeOf(fault: Fault | undefined): string | undefined {
  return fault?.kind === "error" || fault?.kind === "lostSync"
    ? fault.code
    : undefined;
}

class DiskFile implements File {
  readonly path: string;
  readonly #boot: Boot;
  readonly #node: FileNode;
  readonly #isWritable: boolean;
  #isClosed: boolean = false;

  constructor(boot: Boot, path: string, node: FileNode, isWritable: boolean) {
    this.#boot = boot;
    this.path = path;
    this.#node = node;
    this.#isWritable = isWritable;
  }

  #check(verb: string, position: number = 0): void {
    if (this.#isClosed) throw ioFailure(verb, this.path, "EBADF");
    if (position >= 0 && Number.isSafeInteger(position)) return;
    throw ioFailure(verb, this.path, "EINVAL");
  }

  readAt(into: Uint8Array, position: number): number {
    this.#check("read", position);
    const { path } = this;
    const length = into.length;
    const fault = this.#boot.begin(
      { kind: "read", mutates: false, path, position, length },
    );
    if (fault?.kind === "shortRead") {
      return this.#node.read(into.subarray(0, fault.bytes), position);
    }
    const count = this.#node.read(into, position);
    if (fault?.kind === "flipOnRead" && count > 0) {
      flip(into, fault.bit % (8 * count));
    }
    return count;
  }

  writeAt(bytes: Uint8Array, position: number): void {
    this.#check("write", position);
    if (!this.#isWritable) throw ioFailure("write", this.path, "EBADF");
    const { path } = this;
    const length = bytes.length;
    const operation: NewOperation = {
      kind: "write",
      mutates: true,
      path,
      position,
      length,
      ...isFiller(bytes) && { isFiller: true },
    };
    const fault = this.#boot.begin(operation);
    if (fault?.kind === "misdirectedWrite") {
      const victim = this.#boot.fileAt(fault.path);
      const missing = Math.max(0, position + length - this.#node.length);
      this.#node.write(new Uint8Array(missing), this.#node.length);
      victim.damage(bytes, fault.position);
    } else if (fault?.kind === "shortWrite") {
      this.#node.write(bytes.subarray(0, fault.bytes), position);
      throw faultError(operation, fault.code);
    } else this.#node.write(bytes, position);
  }

  size(): number {
    this.#check("measure");
    this.#boot.begin({ kind: "stat", mutates: false, path: this.path });
    return this.#node.length;
  }

  async sync(): Promise<void> {
    this.#check("sync");
    await this.#boot.syncFile(this.#node, this.path);
  }

  syncNow(): void {
    this.#check("sync");
    this.#boot.syncFileNow(this.#node, this.path);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#boot.forget(this);
  }
}

/** Flips one bit, counted from the lowest of the first byte. */
export function flip(bytes: Uint8Array, bit: number): void {
  const index = Math.floor(bit / 8);
  bytes[index] = (bytes[index] ?? 0) ^ (1 << (bit % 8));
}

/** See the head of this file. */
export class Boot implements FileSystem {
  readonly #machine: Machine;
  readonly #hooks: DiskHooks;
  readonly #open: Set<DiskFile> = new Set();
  readonly #locks: Map<FileNode, string> = new Map();
  #hasEnded: boolean = false;

  constructor(machine: Machine, hooks: DiskHooks) {
    this.#machine = machine;
    this.#hooks = hooks;
  }

  get tableWriteBytes(): number | undefined {
    return this.#hooks.tableWriteBytes;
  }

  /** The paths by which open files were opened, sorted. */
  get openHandles(): readonly string[] {
    return Array.from(this.#open, ({ path }) => path).sort();
  }

  /** The paths of held locks, sorted. */
  get locks(): readonly string[] {
    return [...this.#locks.values()].sort();
  }

  /** Whether the power or the process is gone. */
  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** The power or the process is gone. */
  end(): void {
    this.#hasEnded = true;
    this.#open.clear();
    this.#locks.clear();
  }

  // --- For open files ---

  /** Counts and reports an operation; throws the fault, or returns one that is more than an error. */
  begin(operation: NewOperation): Fault | undefined {
    const fault = this.#report(operation).fault;
    if (fault?.kind === "error") throw faultError(operation, fault.code);
    return fault;
  }

  #report(
    operation: NewOperation,
  ): { fault: Fault | undefined; operation: DiskOperation } {
    this.#checkAlive();
    const numbered = { index: this.#machine.operations++, ...operation };
    const fault = this.#hooks.before?.(numbered);
    if (fault !== undefined) checkFault(fault, numbered);
    if (fault?.kind === "powerLoss") this.end();
    this.#checkAlive(); // The hook may have ended the boot by itself.
    return { fault, operation: numbered };
  }

  #checkAlive(): void {
    if (this.#hasEnded) throw new PowerLoss();
  }

  /** What an asynchronous operation does until it ends. */
  async #takeTime(operation: DiskOperation): Promise<void> {
    await this.#hooks.syncTime?.(operation);
    this.#checkAlive();
  }

  async syncFile(node: FileNode, path: string): Promise<void> {
    const { fault, operation } = this.#report(
      { kind: "sync", mutates: true, path, now: false },
    );
    const sync = node.beginSync(outcomeOf(fault), this);
    await this.#takeTime(operation);
    node.endSync(sync);
    const code = codeOf(fault);
    if (code !== undefined) throw faultError(operation, code);
  }

  syncFileNow(node: FileNode, path: string): void {
    const { fault, operation } = this.#report(
      { kind: "sync", mutates: true, path, now: true },
    );
    node.endSync(node.beginSync(outcomeOf(fault), this));
    const code = codeOf(fault);
    if (code !== undefined) throw faultError(operation, code);
  }

  /** The file that a fault names. */
  fileAt(path: string): FileNode {
    const node = this.#machine.tree.find(path);
    if (node instanceof FileNode) return node;
    throw new TypeError(`a fault names ${path}, which is no file`);
  }

  forget(file: DiskFile): void {
    this.#open.delete(file);
  }

  // --- FileSystem ---

  open(path: string, mode: OpenMode): File {
    const isNew = mode === "create";
    const operation: NewOperation = isNew
      ? { kind: "create", mutates: true, path }
      : { kind: "open", mutates: false, path };
    const node = this.#do(
      operation,
      (tree) => isNew ? tree.createFile(path) : tree.fileAt(path),
    );
    const file = new DiskFile(this, path, node, isNew);
    this.#open.add(file);
    return file;
  }

  stat(path: string): FileStatus | undefined {
    this.begin({ kind: "stat", mutates: false, path });
    const node = this.#machine.tree.find(path);
    if (node === undefined) return undefined;
    return node instanceof FileNode
      ? { isDirectory: false, size: node.length }
      : { isDirectory: true, size: 0 };
  }

  list(path: string): string[] {
    return this.#do(
      { kind: "list", mutates: false, path },
      (tree) => tree.namesAt(path),
    );
  }

  /** As the runtimes do it: each new directory is synced into the one above, and before one is made in it. */
  makeDirectory(path: string): void {
    const parent = parentDirectory(path);
    if (parent !== path && this.#isMissing(parent)) this.makeDirectory(parent);
    else if (this.#isMissing(path)) this.#syncParent(parent);
    this.#do(
      { kind: "makeDirectory", mutates: this.#isMissing(path), path },
      (tree) => tree.makeDirectory(path),
    );
    this.#syncParent(path);
  }

  #syncParent(path: string): void {
    try {
      this.syncDirectory(parentDirectory(path));
    } catch (thrown) {
      if (thrown instanceof Error && isDenial(thrown.cause)) return;
      throw thrown;
    }
  }

  rename(from: string, to: string): void {
    this.#do(
      { kind: "rename", mutates: true, path: from, to },
      (tree) => tree.rename(from, to),
    );
  }

  remove(path: string): void {
    this.#do(
      { kind: "remove", mutates: true, path, aside: false },
      (tree) => tree.remove(path),
    );
  }

  async removeAside(path: string): Promise<void> {
    const { fault, operation } = this.#report(
      { kind: "remove", mutates: true, path, aside: true },
    );
    const code = codeOf(fault);
    const remove = () => this.#attempt(operation, (tree) => tree.remove(path));
    const isEarly = code === undefined &&
      this.#hooks.removesAtOnce?.(operation) === true;
    if (isEarly) remove();
    await this.#takeTime(operation);
    if (code !== undefined) throw faultError(operation, code);
    if (!isEarly) remove();
  }

  syncDirectory(path: string): void {
    const operation: NewOperation = {
      kind: "syncDirectory",
      mutates: true,
      path,
    };
    const fault = this.begin(operation);
    if (fault?.kind === "ignoredSync") return;
    const outcome = fault?.kind === "lostSync" ? "lost" : "saved";
    this.#attempt(operation, (tree) => tree.syncDirectory(path, outcome));
    if (fault?.kind === "lostSync") throw faultError(operation, fault.code);
  }

  lock(path: string): Promise<Lock> {
    return Promise.try(() => {
      const isMissing = this.#isMissing(path);
      const node = this.#do(
        { kind: "lock", mutates: isMissing, path },
        (tree) => isMissing ? tree.createFile(path) : tree.fileAt(path),
      );
      if (this.#locks.has(node)) throw lockedError(path, new Uint8Array(0));
      this.#locks.set(node, path);
      let isHeld = true;
      return {
        release: () => {
          if (isHeld) this.#locks.delete(node);
          isHeld = false;
        },
      };
    });
  }

  #isMissing(path: string): boolean {
    return this.#machine.tree.find(path) === undefined;
  }

  #do<T>(operation: NewOperation, work: (tree: Tree) => T): T {
    this.begin(operation);
    return this.#attempt(operation, work);
  }

  /** Runs `work`; the errno that it throws becomes an `IO` error. */
  #attempt<T>(operation: NewOperation, work: (tree: Tree) => T): T {
    try {
      return work(this.#machine.tree);
    } catch (thrown) {
      throw operationError(operation, thrown);
    }
  }
}

/** Whether these are bytes that a log's writer lays out ahead of groups. */
function isFiller(bytes: Uint8Array): boolean {
  return bytes.length > 0 && bytes.every((byte) => byte === FILLER);
}
