/**
 * Power losses that are kinder than the worst, and so harder: of what was not
 * synced, any part may survive. Entries of a directory and bytes of a file
 * are kept or lost one by one, in no order.
 *
 * @module
 */
import type { MemoryFileSystem } from "../../../lib/runtime/memory.ts";
import { namesIn, PATH } from "./memory.ts";
import type { Random } from "./random.ts";

/** Unsynced bytes survive or not in pieces of this size. */
const PIECE = 16;

/** A file whose length and unsynced pieces survived in part. */
function mixed(
  synced: Uint8Array,
  now: Uint8Array,
  random: Random,
): Uint8Array {
  const longer = Math.max(0, now.length - synced.length);
  const kept = synced.length + random.below(longer + 1);
  const bytes = new Uint8Array(random.chance(50) ? now.length : kept);
  bytes.set(synced.subarray(0, bytes.length));
  for (let at = 0; at < bytes.length; at += PIECE) {
    if (random.chance(50)) {
      bytes.set(now.subarray(at, Math.min(at + PIECE, bytes.length)), at);
    }
  }
  return bytes;
}

function contentOf(
  files: MemoryFileSystem,
  name: string,
): Uint8Array | undefined {
  const path = `${PATH}/${name}`;
  return files.stat(path) === undefined ? undefined : files.readFile(path);
}

function areSame(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

/** The disk that a power loss leaves of which some unsynced part survived. */
export function partialPowerLoss(
  files: MemoryFileSystem,
  random: Random,
): MemoryFileSystem {
  const disk = files.afterPowerLoss();
  const now = files.afterProcessDeath();
  if (disk.stat(PATH) === undefined || now.stat(PATH) === undefined) {
    return disk;
  }
  // Every entry as it is now, with only the bytes that were synced.
  const entries = files.afterProcessDeath();
  entries.syncDirectory(PATH);
  const synced = entries.afterPowerLoss();
  for (const name of new Set([...namesIn(disk), ...namesIn(now)])) {
    const before = contentOf(disk, name);
    const whole = contentOf(now, name);
    const safe = contentOf(synced, name);
    const isOneFile = before && safe && areSame(before, safe);
    // A change of the entry may be lost; the file behind an old entry stays.
    if (!isOneFile && random.chance(50)) continue;
    if (whole === undefined || safe === undefined) {
      disk.remove(`${PATH}/${name}`);
    } else disk.writeFile(`${PATH}/${name}`, mixed(safe, whole, random));
  }
  disk.syncDirectory(PATH);
  return disk;
}
