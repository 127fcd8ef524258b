/**
 * Makes directories that last: what the file systems over the real ones do
 * alike.
 *
 * Invariants:
 * - Once it returns, the directory and those above it that were made with it
 *   outlive a loss of power, as far as this process may see to that.
 * - That holds for a directory that was there too: whoever made it may have
 *   died before its parent was synced.
 *
 * @module
 */
import { errorCode, ioError, isDenial } from "./errno.ts";
import { parentDirectory } from "./paths.ts";
import type { FileSystem } from "./runtime.ts";

/**
 * Makes a directory and those above it that are missing.
 *
 * @param files The file system that it is made in.
 * @param path The directory; it may be there.
 * @param make The runtime's own call, which makes one directory and throws if
 * it is there.
 */
export function makeLastingDirectory(
  files: FileSystem,
  path: string,
  make: (path: string) => void,
): void {
  const parent = parentDirectory(path);
  if (files.stat(path) === undefined) secure(files, parent);
  try {
    make(path);
  } catch (thrown) {
    const code = errorCode(thrown);
    if (code === "ENOENT" && parent !== path) {
      makeLastingDirectory(files, parent, make);
      makeLastingDirectory(files, path, make);
      return;
    }
    if (code !== "EEXIST" || files.stat(path)?.isDirectory !== true) {
      throw ioError("make directory", path, thrown);
    }
  }
  syncParent(files, parent);
}

/** Makes a directory last in which one is to be made, if it is there. */
function secure(files: FileSystem, directory: string): void {
  try {
    syncParent(files, parentDirectory(directory));
  } catch (thrown) {
    const cause = thrown instanceof Error ? thrown.cause : undefined;
    if (errorCode(cause) !== "ENOENT") throw thrown; // It is made, too.
  }
}

/** Syncs a directory that the process may not be allowed to open. */
function syncParent(files: FileSystem, parent: string): void {
  try {
    files.syncDirectory(parent);
  } catch (thrown) {
    // The permissions need to cover only the database's directory, and a user
    // can have the right to enter a parent and no more. One that may not be
    // opened cannot be synced by this process at all; any other failure means
    // that the new entry may not last.
    if (thrown instanceof Error && isDenial(thrown.cause)) return;
    throw thrown;
  }
}
