/**
 * The Deno runtime.
 *
 * Invariants:
 * - Needs no permission but to read and to write the database's directory:
 *   without more, no path is resolved; no environment is read, nothing is run.
 * - The loops that make reads and writes whole are here and nowhere above:
 *   Deno's `writeSync` may write less than it was given.
 *
 * @module
 */
import type {
  File,
  FileStatus,
  FileSystem,
  Lock,
  OpenMode,
  Runtime,
} from "./runtime.ts";
import { COMMON } from "./common.ts";
import { errorCode, ioError, ioFailure, isAbsence, isDenial } from "./errno.ts";
import { LOCK_TEXT_BYTES_MAX, lockedError, lockText } from "./lock_file.ts";
import { makeLastingDirectory } from "./make_directory.ts";

/** Windows has no way to sync a directory, and syncs only writable handles. */
const IS_WINDOWS: boolean = Deno.build.os === "windows";

/** Position not known: the next read or write has to seek. */
const UNKNOWN_POSITION = -1;

/** Reads from where `file` stands until `into` is full or the file ends. */
function readWhole(file: Deno.FsFile, into: Uint8Array): number {
  let done = 0;
  while (done < into.length) {
    const count = file.readSync(done === 0 ? into : into.subarray(done));
    if (count === null || count === 0) break;
    done += count;
  }
  return done;
}

/** Writes all of `bytes` where `file` stands. */
function writeWhole(file: Deno.FsFile, bytes: Uint8Array): void {
  let done = 0;
  while (done < bytes.length) {
    const count = file.writeSync(done === 0 ? bytes : bytes.subarray(done));
    if (count === 0) throw new Error("nothing was written");
    done += count;
  }
}

class DenoFile implements File {
  readonly path: string;
  readonly #file: Deno.FsFile;
  /** Where the descriptor stands. Saves the seek of every appending write. */
  #position: number = 0;
  #isClosed: boolean = false;

  constructor(path: string, file: Deno.FsFile) {
    this.path = path;
    this.#file = file;
  }

  readAt(into: Uint8Array, position: number): number {
    try {
      this.#seek(position);
      const count = readWhole(this.#file, into);
      this.#position = position + count;
      return count;
    } catch (thrown) {
      throw ioError("read", this.path, thrown);
    }
  }

  writeAt(bytes: Uint8Array, position: number): void {
    try {
      this.#seek(position);
      writeWhole(this.#file, bytes);
      this.#position = position + bytes.length;
    } catch (thrown) {
      throw ioError("write", this.path, thrown);
    }
  }

  /** Leaves the position unknown, so that a failure after it cannot mislead. */
  #seek(position: number): void {
    if (this.#position !== position) {
      this.#file.seekSync(position, Deno.SeekMode.Start);
    }
    this.#position = UNKNOWN_POSITION;
  }

  size(): number {
    try {
      // Not statSync(): that asks for the right to read the file's real path,
      // which differs from the permitted one behind a symbolic link.
      this.#position = UNKNOWN_POSITION;
      const end = this.#file.seekSync(0, Deno.SeekMode.End);
      this.#position = end;
      return end;
    } catch (thrown) {
      throw ioError("measure", this.path, thrown);
    }
  }

  async sync(): Promise<void> {
    try {
      // Deno keeps the descriptor for a sync under way, even past close().
      await this.#file.syncData();
    } catch (thrown) {
      throw ioError("sync", this.path, thrown);
    }
  }

  syncNow(): void {
    try {
      this.#file.syncDataSync();
    } catch (thrown) {
      throw ioError("sync", this.path, thrown);
    }
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    try {
      this.#file.close();
    } catch (thrown) {
      throw ioError("close", this.path, thrown);
    }
  }
}

class DenoLock implements Lock {
  readonly #path: string;
  #file: Deno.FsFile | undefined;

  constructor(path: string, file: Deno.FsFile) {
    this.#path = path;
    this.#file = file;
  }

  release(): void {
    const file = this.#file;
    if (file === undefined) return;
    this.#file = undefined;
    try {
      file.close(); // the kernel's lock ends with its description
    } catch (thrown) {
      throw ioError("unlock", this.#path, thrown);
    }
  }
}

class DenoFileSystem implements FileSystem {
  open(path: string, mode: OpenMode): File {
    try {
      return new DenoFile(
        path,
        Deno.openSync(
          path,
          mode === "create"
            ? { createNew: true, read: true, write: true }
            : { read: true, write: IS_WINDOWS },
        ),
      );
    } catch (thrown) {
      throw ioError(mode === "create" ? "create" : "open", path, thrown);
    }
  }

  stat(path: string): FileStatus | undefined {
    try {
      const { isDirectory, size } = Deno.statSync(path);
      return { isDirectory, size };
    } catch (thrown) {
      if (isAbsence(thrown)) return undefined;
      throw ioError("examine", path, thrown);
    }
  }

  realPath(directory: string): string {
    // A smaller permission may be for the path as it is, and not for what it
    // leads to; to ask for more would stop the program with a question.
    for (const name of ["read", "write"] as const) {
      const { state } = Deno.permissions.querySync({ name });
      if (state !== "granted") return directory;
    }
    try {
      return Deno.realPathSync(directory);
    } catch (thrown) {
      // A directory above it that the process may not enter by its name.
      if (isDenial(thrown)) return directory;
      throw ioError("resolve", directory, thrown);
    }
  }

  list(directory: string): string[] {
    try {
      return Array.from(Deno.readDirSync(directory), (entry) => entry.name);
    } catch (thrown) {
      throw ioError("list", directory, thrown);
    }
  }

  makeDirectory(path: string): void {
    makeLastingDirectory(this, path, (one) => Deno.mkdirSync(one));
  }

  rename(from: string, to: string): void {
    try {
      Deno.renameSync(from, to);
    } catch (thrown) {
      throw ioError("rename", `${from} to ${to}`, thrown);
    }
  }

  remove(path: string): void {
    try {
      // Deno would remove an empty directory too. The engine has none to
      // remove, so that one would be somebody else's.
      if (Deno.lstatSync(path).isDirectory) {
        throw ioFailure("remove", path, "EISDIR");
      }
      Deno.removeSync(path);
    } catch (thrown) {
      throw ioError("remove", path, thrown);
    }
  }

  async removeAside(path: string): Promise<void> {
    try {
      const { isDirectory } = await Deno.lstat(path);
      if (isDirectory) throw ioFailure("remove", path, "EISDIR");
      await Deno.remove(path);
    } catch (thrown) {
      throw ioError("remove", path, thrown);
    }
  }

  syncDirectory(path: string): void {
    if (IS_WINDOWS) return;
    try {
      const directory = Deno.openSync(path, { read: true });
      try {
        directory.syncSync();
      } finally {
        directory.close();
      }
    } catch (thrown) {
      throw ioError("sync directory", path, thrown);
    }
  }

  lock(path: string): Promise<Lock> {
    return Promise.try(() => this.#lockNow(path));
  }

  /** Takes the kernel's lock: flock(2), or LockFileEx on Windows. */
  #lockNow(path: string): Lock {
    let file: Deno.FsFile | undefined;
    try {
      file = Deno.openSync(path, { create: true, read: true, write: true });
      if (!file.tryLockSync(true)) throw lockedError(path, lockHolder(file));
    } catch (thrown) {
      file?.close();
      // Node on Windows holds the file without sharing it.
      if (IS_WINDOWS && errorCode(thrown) === "EBUSY") {
        throw lockedError(path, new Uint8Array(0), thrown);
      }
      throw ioError("lock", path, thrown);
    }
    tellHolder(file);
    return new DenoLock(path, file);
  }
}

/** What the holder wrote into the lock file, nothing if it cannot be read. */
function lockHolder(file: Deno.FsFile): Uint8Array {
  const into = new Uint8Array(LOCK_TEXT_BYTES_MAX);
  try {
    return into.subarray(0, readWhole(file, into));
  } catch {
    return into.subarray(0, 0); // only the message is poorer
  }
}

/** Writes the pid into the lock file. */
function tellHolder(file: Deno.FsFile): void {
  try {
    file.truncateSync(0);
    writeWhole(file, lockText(Deno.pid));
  } catch {
    // The lock is held all the same; a full disk shall not stop a reader.
  }
}

/** Makes the runtime. */
export function denoRuntime(): Runtime {
  return {
    ...COMMON,
    name: "deno",
    files: new DenoFileSystem(),
    slabResults: true,
  };
}
