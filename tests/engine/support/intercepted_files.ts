/**
 * A file system in memory between which and the engine a test may stand: syncs
 * that do nothing and say that they did, writes that stop half-way.
 *
 * @module
 */
import type { MemoryFileSystem } from "../../../lib/runtime/memory.ts";
import type { File, FileSystem } from "../../../lib/runtime/runtime.ts";
import type { FileKind } from "./files.ts";
import { kindOfPath } from "./memory.ts";

/** What is synced or written: files of a kind, or a directory. */
export type Target = FileKind | "directory";

/** What the test wants to do differently. */
export interface Interception {
  /** Whether a sync of this target shall do nothing. */
  skipsSync?(target: Target): boolean;
  /** Does a write in the test's own way; `through` does it as it is. */
  write?(
    target: Target,
    bytes: Uint8Array,
    through: (bytes: Uint8Array) => void,
  ): void;
}

function interceptedFile(file: File, how: Interception): File {
  const target = kindOfPath(file.path);
  const skips = () => how.skipsSync?.(target) === true;
  return {
    path: file.path,
    readAt: (into, position) => file.readAt(into, position),
    writeAt(bytes, position) {
      const through = (part: Uint8Array) => file.writeAt(part, position);
      if (how.write) how.write(target, bytes, through);
      else through(bytes);
    },
    size: () => file.size(),
    sync: () => skips() ? Promise.resolve() : file.sync(),
    syncNow() {
      if (!skips()) file.syncNow();
    },
    close: () => file.close(),
  };
}

/** Passes everything on to `files`, but for what `how` does differently. */
export function interceptedFiles(
  files: MemoryFileSystem,
  how: Interception,
): FileSystem {
  return {
    open: (path, mode) => interceptedFile(files.open(path, mode), how),
    stat: (path) => files.stat(path),
    list: (directory) => files.list(directory),
    makeDirectory: (path) => files.makeDirectory(path),
    rename: (from, to) => files.rename(from, to),
    remove: (path) => files.remove(path),
    syncDirectory(path) {
      if (!how.skipsSync?.("directory")) files.syncDirectory(path);
    },
    lock: (path) => files.lock(path),
  };
}
