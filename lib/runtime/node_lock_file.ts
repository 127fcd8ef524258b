/**
 * The lock file over `node:fs`: opening it, telling the holder, letting go.
 * How the lock itself is taken is the caller's.
 *
 * @module
 */
import * as fs from "node:fs";
import process from "node:process";
import { ioError } from "./errno.ts";
import { LOCK_TEXT_BYTES_MAX, lockText } from "./lock_file.ts";
import type { Lock } from "./runtime.ts";

/** Opens the lock file, making it if it is missing. Close-on-exec, as every descriptor of Node and Bun. */
export function openLockFile(path: string, extraFlags: number = 0): number {
  const { O_CREAT, O_RDWR } = fs.constants;
  return fs.openSync(path, O_RDWR | O_CREAT | extraFlags, 0o644);
}

/** What the holder wrote into the lock file, nothing if it cannot be read. */
export function lockHolder(path: string): Uint8Array {
  const into = new Uint8Array(LOCK_TEXT_BYTES_MAX);
  try {
    const descriptor = fs.openSync(path, "r");
    try {
      return into.subarray(
        0,
        fs.readSync(descriptor, into, 0, into.length, 0),
      );
    } finally {
      fs.closeSync(descriptor);
    }
  } catch {
    return into.subarray(0, 0); // only the message is poorer
  }
}

/** Writes the pid into the lock file. */
export function tellHolder(descriptor: number): void {
  try {
    const text = lockText(process.pid);
    fs.ftruncateSync(descriptor, 0);
    fs.writeSync(descriptor, text, 0, text.length, 0);
  } catch {
    // The lock is held all the same; a full disk shall not stop a reader.
  }
}

/** A lock that ends when a descriptor is closed. */
export class DescriptorLock implements Lock {
  readonly #path: string;
  #descriptor: number | undefined;
  readonly #alsoRelease: (() => void) | undefined;

  /** `alsoRelease` lets go of what is held besides the descriptor. */
  constructor(path: string, descriptor: number, alsoRelease?: () => void) {
    this.#path = path;
    this.#descriptor = descriptor;
    this.#alsoRelease = alsoRelease;
  }

  /** @inheritDoc */
  release(): void {
    const descriptor = this.#descriptor;
    if (descriptor === undefined) return;
    this.#descriptor = undefined;
    this.#alsoRelease?.();
    try {
      fs.closeSync(descriptor);
    } catch (thrown) {
      throw ioError("unlock", this.#path, thrown);
    }
  }
}
