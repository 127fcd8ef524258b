/**
 * The file system over `node:fs`, for Node and Bun.
 *
 * Invariants:
 * - Reads and writes are whole; the loops that make them so are here.
 * - A descriptor is closed only when no sync uses it: its number could
 *   otherwise come to mean another file while the sync still runs.
 * - Syncs are as strong as the system knows. On macOS fsync(2) does not reach
 *   the disk's platters; libuv, and so Node, uses fcntl(F_FULLFSYNC) there
 *   for both `fsync` and `fdatasync`. Bun passes its own `fullSync`.
 * - Windows cannot sync a directory; NTFS orders its own entries.
 *
 * @module
 */
import * as fs from "node:fs";
import process from "node:process";
import type {
  File,
  FileStatus,
  FileSystem,
  Lock,
  OpenMode,
} from "./runtime.ts";
import { ioError, ioFailure, isAbsence, isDenial } from "./errno.ts";
import { makeLastingDirectory } from "./make_directory.ts";

/** Bytes of one call: Node refuses 2 GiB and more. */
const CALL_BYTES_MAX = 1024 * 1024 * 1024;
/** Windows has no way to sync a directory, and syncs only writable handles. */
const IS_WINDOWS: boolean = process.platform === "win32";

/** What Node and Bun do differently. */
export interface NodeFileOptions {
  /** Takes the exclusive lock on a file. */
  readonly lock: (path: string) => Promise<Lock>;
  /** Syncs a descriptor more strongly than the runtime's own calls, or throws. */
  readonly fullSync?: (descriptor: number) => void;
}

type FullSync = (descriptor: number) => void;

/** fdatasync(2) on a thread of the runtime's pool. */
function syncAside(descriptor: number): Promise<void> {
  return new Promise((resolve, reject) => {
    fs.fdatasync(descriptor, (error) => {
      if (error) reject(error);
      else resolve();
    });
  });
}

class NodeFile implements File {
  readonly path: string;
  readonly #descriptor: number;
  readonly #fullSync: FullSync | undefined;
  #syncsUnderWay: number = 0;
  #isClosed: boolean = false;

  constructor(path: string, descriptor: number, fullSync?: FullSync) {
    this.path = path;
    this.#descriptor = descriptor;
    this.#fullSync = fullSync;
  }

  readAt(into: Uint8Array, position: number): number {
    if (this.#isClosed) throw ioFailure("read", this.path, "EBADF");
    const length = into.length;
    let done = 0;
    try {
      while (done < length) {
        const count = fs.readSync(
          this.#descriptor,
          into,
          done,
          Math.min(length - done, CALL_BYTES_MAX),
          position + done,
        );
        if (count === 0) break;
        done += count;
      }
    } catch (thrown) {
      throw ioError("read", this.path, thrown);
    }
    return done;
  }

  writeAt(bytes: Uint8Array, position: number): void {
    if (this.#isClosed) throw ioFailure("write", this.path, "EBADF");
    const length = bytes.length;
    let done = 0;
    try {
      while (done < length) {
        const count = fs.writeSync(
          this.#descriptor,
          bytes,
          done,
          Math.min(length - done, CALL_BYTES_MAX),
          position + done,
        );
        if (count === 0) throw ioFailure("write", this.path, "EIO");
        done += count;
      }
    } catch (thrown) {
      throw ioError("write", this.path, thrown);
    }
  }

  size(): number {
    if (this.#isClosed) throw ioFailure("measure", this.path, "EBADF");
    try {
      return fs.fstatSync(this.#descriptor).size;
    } catch (thrown) {
      throw ioError("measure", this.path, thrown);
    }
  }

  async sync(): Promise<void> {
    if (this.#isClosed) throw ioFailure("sync", this.path, "EBADF");
    this.#syncsUnderWay++;
    try {
      await syncAside(this.#descriptor);
      this.#fullSync?.(this.#descriptor);
    } catch (thrown) {
      throw ioError("sync", this.path, thrown);
    } finally {
      this.#syncsUnderWay--;
      this.#closeIfUnused();
    }
  }

  syncNow(): void {
    if (this.#isClosed) throw ioFailure("sync", this.path, "EBADF");
    try {
      if (this.#fullSync === undefined) fs.fdatasyncSync(this.#descriptor);
      else this.#fullSync(this.#descriptor);
    } catch (thrown) {
      throw ioError("sync", this.path, thrown);
    }
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#closeIfUnused();
  }

  #closeIfUnused(): void {
    if (!this.#isClosed || this.#syncsUnderWay > 0) return;
    try {
      fs.closeSync(this.#descriptor);
    } catch (thrown) {
      throw ioError("close", this.path, thrown);
    }
  }
}

/** The file system of Node and Bun. */
export class NodeFileSystem implements FileSystem {
  readonly #options: NodeFileOptions;

  /** Makes the file system. */
  constructor(options: NodeFileOptions) {
    this.#options = options;
  }

  /** @inheritDoc */
  open(path: string, mode: OpenMode): File {
    // "x" refuses a file that exists; "+" lets a created file be read too.
    const flags = mode === "create" ? "wx+" : IS_WINDOWS ? "r+" : "r";
    try {
      const descriptor = fs.openSync(path, flags);
      return new NodeFile(path, descriptor, this.#options.fullSync);
    } catch (thrown) {
      throw ioError(mode === "create" ? "create" : "open", path, thrown);
    }
  }

  /** @inheritDoc */
  stat(path: string): FileStatus | undefined {
    try {
      const status = fs.statSync(path);
      return { isDirectory: status.isDirectory(), size: status.size };
    } catch (thrown) {
      if (isAbsence(thrown)) return undefined;
      throw ioError("examine", path, thrown);
    }
  }

  /** @inheritDoc */
  realPath(directory: string): string {
    try {
      return fs.realpathSync(directory);
    } catch (thrown) {
      // A directory above it that the process may not enter by its name.
      if (isDenial(thrown)) return directory;
      throw ioError("resolve", directory, thrown);
    }
  }

  /** @inheritDoc */
  list(directory: string): string[] {
    try {
      return fs.readdirSync(directory);
    } catch (thrown) {
      throw ioError("list", directory, thrown);
    }
  }

  /** @inheritDoc */
  makeDirectory(path: string): void {
    makeLastingDirectory(this, path, (one) => fs.mkdirSync(one));
  }

  /** @inheritDoc */
  rename(from: string, to: string): void {
    try {
      fs.renameSync(from, to);
    } catch (thrown) {
      throw ioError("rename", `${from} to ${to}`, thrown);
    }
  }

  /** @inheritDoc */
  remove(path: string): void {
    try {
      fs.unlinkSync(path);
    } catch (thrown) {
      throw ioError("remove", path, thrown);
    }
  }

  /** @inheritDoc */
  async removeAside(path: string): Promise<void> {
    try {
      await fs.promises.unlink(path);
    } catch (thrown) {
      throw ioError("remove", path, thrown);
    }
  }

  /** @inheritDoc */
  syncDirectory(path: string): void {
    if (IS_WINDOWS) return;
    try {
      const descriptor = fs.openSync(path, "r");
      try {
        if (this.#options.fullSync === undefined) fs.fsyncSync(descriptor);
        else this.#options.fullSync(descriptor);
      } finally {
        fs.closeSync(descriptor);
      }
    } catch (thrown) {
      throw ioError("sync directory", path, thrown);
    }
  }

  /** @inheritDoc */
  lock(path: string): Promise<Lock> {
    return this.#options.lock(path);
  }
}
