/**
 * Removal of what was made in vain.
 *
 * @module
 */
import type { FileSystem } from "./runtime.ts";

/** Removes a file that nothing names yet, if it can: where it is left, the next open removes it. */
export function removeQuietly(files: FileSystem, path: string): void {
  try {
    files.remove(path);
  } catch {
    // Why it was made in vain is what the program is told.
  }
}
