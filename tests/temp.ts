/**
 * Temporary directories for tests: made under the system's own temporary
 * directory, removed afterwards, whether the test passed or not.
 *
 * @module
 */

import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** How often the removal is tried again while another process still writes. */
const REMOVE_RETRIES = 5;
const REMOVE_RETRY_DELAY_MS = 50;

/** Makes an empty directory; the caller removes it with {@linkcode removeDir}. */
export function makeTempDir(prefix = "varve-test-"): string {
  // The real path, because the temporary directory may be a symbolic link.
  return mkdtempSync(join(realpathSync(tmpdir()), prefix));
}

/** Removes a directory and everything in it; absent is fine. */
export function removeDir(path: string): void {
  rmSync(path, {
    recursive: true,
    force: true,
    maxRetries: REMOVE_RETRIES,
    retryDelay: REMOVE_RETRY_DELAY_MS,
  });
}

/** Runs `body` with an empty directory and removes the directory afterwards. */
export async function withTempDir<T>(
  body: (dir: string) => T | Promise<T>,
): Promise<T> {
  const dir = makeTempDir();
  try {
    return await body(dir);
  } finally {
    removeDir(dir);
  }
}
