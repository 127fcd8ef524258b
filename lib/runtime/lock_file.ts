/**
 * What the runtimes' locks have in common: the text inside the lock file and
 * the error of a lock that is held.
 *
 * Invariants:
 * - The kernel's lock decides, never the text: a left-over file, whatever it
 *   says, blocks nobody.
 * - The file is never removed. Were it removed, two handles could each lock a
 *   file of that name.
 *
 * @module
 */
import { VarveError } from "../errors.ts";
import { parentDirectory } from "./paths.ts";

/** No pid has more digits; a longer text is not one. */
const PID_DIGITS_MAX = 10;

/** How much of a lock file is worth reading. */
export const LOCK_TEXT_BYTES_MAX = 32;

/** What the holder writes into the lock file, for people and messages only. */
export function lockText(pid: number): Uint8Array {
  return new TextEncoder().encode(String(pid));
}

/** The pid in a lock file, or `undefined` for anything else. */
function pidIn(bytes: Uint8Array): string | undefined {
  const text = new TextDecoder().decode(bytes).trim();
  const isPid = /^[1-9][0-9]*$/.test(text) && text.length <= PID_DIGITS_MAX;
  return isPid ? text : undefined;
}

/**
 * The error of a lock that is held.
 *
 * @param path The lock file.
 * @param bytes What it holds, as far as it could be read.
 * @param cause What the runtime threw, where it did.
 */
export function lockedError(
  path: string,
  bytes: Uint8Array,
  cause?: unknown,
): VarveError {
  const pid = pidIn(bytes);
  return new VarveError(
    "LOCKED",
    `${parentDirectory(path)} is open in another handle` +
      (pid === undefined ? "" : ` (pid ${pid})`),
    cause === undefined ? undefined : { cause },
  );
}
