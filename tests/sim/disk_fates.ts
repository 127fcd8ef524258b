/**
 * What a power loss leaves of what was not synced.
 *
 * A disk may take up unsynced writes in any order, whole or in blocks, tear
 * the one that it is at, or note how long a file has become before it has the
 * data. Directory entries reach it in the order of a journal, or in none.
 * Real file systems do some of this each; the dice choose a manner first, so
 * that orderly losses are as frequent as wild ones.
 *
 * Invariants:
 * - What was synced is in every outcome, unless a write that came later and
 *   survived lies over it.
 * - The order of writes and of changes to entries that survive is kept.
 * - Equal dice give equal outcomes.
 *
 * @module
 */
import { BLOCK_BYTES, blockOf, type Content } from "./disk_content.ts";
import type { Dice } from "./random.ts";

/** How much of the unsynced a power loss leaves. */
export type LossMode = "lose-all" | "keep-all" | "any";

/** Bytes that were written to a file. */
export interface UnsyncedWrite {
  readonly position: number;
  readonly bytes: Uint8Array;
}

function coin(dice: Dice): boolean {
  return dice.below(2) === 0;
}

// --- Entries ---

/** Which of the unsynced changes to directories survive. */
export function survivingChanges<T>(
  changes: readonly T[],
  dice: Dice,
): readonly T[] {
  if (changes.length === 0) return changes;
  const manner = dice.below(8);
  if (manner === 0) return [];
  if (manner === 1) return changes;
  // A journal: what comes later is there only if all before it is.
  if (manner < 4) return changes.slice(0, dice.below(changes.length + 1));
  const odds = 1 + dice.below(3);
  return changes.filter(() => dice.below(4) < odds);
}

// --- Content ---

/** The content that remains of a file, given what of it was synced. */
export function survivingContent(
  synced: Content,
  writes: readonly UnsyncedWrite[],
  dice: Dice,
): Content {
  if (writes.length === 0) return synced;
  const manner = dice.below(8);
  if (manner === 0) return synced;
  const content = synced.copy();
  if (manner === 1) writeAll(content, writes);
  else if (manner === 2) content.extend(lengthAfter(writes));
  else if (manner === 3) keepBlocks(content, writes, dice);
  else if (manner < 6) keepPrefix(content, writes, dice);
  else for (const write of writes) keepSome(content, write, dice);
  return content;
}

function writeAll(content: Content, writes: readonly UnsyncedWrite[]): void {
  for (const { bytes, position } of writes) content.write(bytes, position);
}

function lengthAfter(writes: readonly UnsyncedWrite[]): number {
  let length = 0;
  for (const { bytes, position } of writes) {
    length = Math.max(length, position + bytes.length);
  }
  return length;
}

/** The first writes were taken up, the next one in part, the others not. */
function keepPrefix(
  content: Content,
  writes: readonly UnsyncedWrite[],
  dice: Dice,
): void {
  const count = dice.below(writes.length + 1);
  writeAll(content, writes.slice(0, count));
  const torn = writes[count];
  if (torn !== undefined) keepSome(content, torn, dice);
}

/** Blocks of the file as it was in the page cache were taken up, or not. */
function keepBlocks(
  content: Content,
  writes: readonly UnsyncedWrite[],
  dice: Dice,
): void {
  if (coin(dice)) content.extend(lengthAfter(writes));
  const isKept = new Map<number, boolean>();
  for (const { bytes, position } of writes) {
    let done = 0;
    while (done < bytes.length) {
      const block = blockOf(position + done);
      const end = Math.min(bytes.length, (block + 1) * BLOCK_BYTES - position);
      const kept = isKept.get(block) ?? coin(dice);
      isKept.set(block, kept);
      if (kept) content.write(bytes.subarray(done, end), position + done);
      done = end;
    }
  }
}

/** One write was taken up in one of the ways in which a disk can. */
function keepSome(content: Content, write: UnsyncedWrite, dice: Dice): void {
  const { bytes, position } = write;
  const fate = dice.below(8);
  if (fate < 2) return;
  if (fate < 4) return content.write(bytes, position);
  if (fate === 5) return keepBlocks(content, [write], dice);
  // The length may have been noted before the data came.
  if (fate === 4 || coin(dice)) content.extend(position + bytes.length);
  if (fate === 4) return;
  const cut = dice.below(bytes.length + 1);
  if (fate === 6) content.write(bytes.subarray(0, cut), position);
  else content.write(bytes.subarray(cut), position + cut);
}
