/**
 * Removal of what nothing names.
 *
 * @module
 */
import type { FileSystem } from "./runtime.ts";

/** Removes a file that nothing names, or nothing yet, if it can: where it is left it does no harm, and the next open removes it. */
export function removeQuietly(files: FileSystem, path: string): void {
  try {
    files.remove(path);
  } catch {
    // What made it superfluous, or failed behind it, matters more.
  }
}
