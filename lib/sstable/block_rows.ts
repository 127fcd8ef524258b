/**
 * Takes many entries of a block at once, as rows of a buffer.
 *
 * The entries are copied as they are, in one piece; values are rows' values
 * where they lie in it. Keys are put together behind it, for a block keeps the
 * prefix that they share once.
 *
 * @module
 */
import type { ReadBuffer } from "../cache/table_memory.ts";
import { copyInto } from "../encoding/bytes.ts";
import type { RowBuffer } from "../row_buffer.ts";
import type { Block, BlockEntry } from "./block.ts";

/** What became of the entries. */
export type Taken =
  /** They are rows now. */
  | "all"
  /** The buffer has no room for them. */
  | "none"
  /** The block is damaged. */
  | "damaged";

/**
 * Adds the entries from `low` to before `high` that are values, in the order
 * of the walk.
 *
 * @param entry To take entries apart with.
 * @param key Begins with the block's shared prefix.
 */
export function takeRows(
  rows: RowBuffer,
  block: Block,
  entry: BlockEntry,
  key: ReadBuffer,
  low: number,
  high: number,
  backwards: boolean,
): Taken {
  const source = block.bytes;
  const { shared } = block;
  const start = block.entry(low);
  const end = high < block.count ? block.entry(high) : block.entriesEnd;
  const { bytes, words, used } = rows;
  const prefix = key.words;
  const prefixWords = (shared + 3) >>> 2;
  // A key's rest is a part of its entry: this is room for all of them, and for what lies before each.
  const keysEnd = used + 2 * (end - start) + (high - low) * (shared + 4) + 4;
  if (keysEnd > words.length * 4) return "none";
  rows.reserve(high - low);
  let keyStart = copyInto(bytes, used, source, start, end);
  const moved = used - start;
  const step = backwards ? -1 : 1;
  let index = backwards ? high - 1 : low;
  for (let left = high - low; left > 0; left--, index += step) {
    const isWhole = entry.read(block, index);
    const { restStart, restLength, valueStart, valueEnd } = entry;
    keyStart = (keyStart + 3) & ~3;
    let keyEnd = keyStart + shared;
    // Entries that overlap would need more room than there is.
    if (
      !isWhole || valueEnd > end || restStart < start ||
      keyEnd + restLength > keysEnd - 4
    ) return "damaged";
    if ((entry.tag & 1) !== 0) continue;
    const to = keyStart >>> 2;
    for (let i = 0; i < prefixWords; i++) words[to + i] = prefix[i];
    for (let i = 0; i < restLength; i++) {
      bytes[keyEnd++] = source[restStart + i];
    }
    rows.note(keyStart, keyEnd, valueStart + moved, valueEnd + moved);
    keyStart = keyEnd;
  }
  rows.used = keyStart;
  return "all";
}
