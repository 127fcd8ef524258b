/**
 * Where a merge's output ends and the next one begins.
 *
 * A cut is a byte string: what sorts before it, keys and pieces of range
 * tombstones, belongs to the output before, the rest to the outputs after.
 * Cuts are made only between user keys: after the last key added and not
 * after the next one. Range tombstones are cut physically, so that outputs
 * share no part of the key space, and nothing of a tombstone is lost.
 *
 * An output ends when it has grown to its size, or when it spans too many
 * bytes of the level below its own: else a later merge of it would cost too
 * much. The latter also cuts inside of a range tombstone, where there are no
 * keys.
 *
 * Pure.
 *
 * @module
 */
import {
  compareBytes,
  compareRanges,
  copyBytes,
  keySuccessor,
} from "../encoding/bytes.ts";
import { type Fragment, isBeforeEnd } from "../memtable/range_tombstones.ts";
import type { TableMeta } from "../sstable/meta.ts";

/** How a merge's output is cut. */
export interface Cutting {
  /** Bytes after which an output ends at the next user key. */
  readonly outputSize: number;
  /** Tables of the level below the outputs', by key. */
  readonly grandparents: readonly TableMeta[];
}

/** One output, however large. */
export const UNCUT: Cutting = { outputSize: Infinity, grandparents: [] };

/** An output spans at most about this many times its own size of the level below. */
export const SPAN_MAX = 10;

/** The most outputs that a merge of so many bytes can have use for. */
export function outputsMax(
  inputBytes: number,
  { outputSize, grandparents }: Cutting,
): number {
  if (outputSize === Infinity) return 1;
  let below = 0;
  for (const { size } of grandparents) below += size;
  // Twice, for blocks and filters may take more room than they did.
  return 2 + Math.ceil(2 * inputBytes / outputSize) +
    Math.ceil(below / (SPAN_MAX * outputSize));
}

/** Finds the cuts of one merge, as its entries go by. */
export class Splitter {
  private readonly cutting: Cutting;
  private readonly fragments: readonly Fragment[];
  /** The first fragment that is not wholly handed out. */
  private fragment = 0;
  /** Where the current output begins, if a cut went before. */
  private start: Uint8Array | undefined;
  /** The first grandparent that has not been passed. */
  private grandparent = 0;
  private passedBytes = 0;
  private hasEntries = false;

  /** @param fragments The range tombstones that are kept. */
  constructor(cutting: Cutting, fragments: readonly Fragment[]) {
    this.cutting = cutting;
    this.fragments = fragments;
  }

  /** Whether {@linkcode Splitter.cutBefore} may have a cut before the next new key. */
  mayCut(bytes: number): boolean {
    return bytes >= this.cutting.outputSize ||
      this.grandparent < this.cutting.grandparents.length;
  }

  /**
   * The next cut that is due before an entry is added, or at the end if `key`
   * is `undefined`; to be asked again after each cut. The key is not the one
   * of the entry added last.
   *
   * @param bytes Size of the current output.
   */
  cutBefore(
    key: Uint8Array | undefined,
    start: number,
    end: number,
    bytes: number,
  ): Uint8Array | undefined {
    const { grandparents, outputSize } = this.cutting;
    const most = SPAN_MAX * outputSize;
    while (this.grandparent < grandparents.length) {
      const passed = grandparents[this.grandparent];
      if (!isPassed(passed, key, start, end)) break;
      this.grandparent++;
      if (!this.hasEntries && !this.reachesInto(passed)) continue;
      this.passedBytes += passed.size;
      if (this.passedBytes <= most) continue;
      const cut = this.cutBehind(passed, key, start, end);
      if (cut !== undefined) return this.cutAt(cut);
    }
    return key !== undefined && bytes >= outputSize
      ? this.cutAt(copyBytes(key, start, end))
      : undefined;
  }

  /** Whether a range tombstone of the current output starts at or before the end of a table. */
  private reachesInto(table: TableMeta): boolean {
    const next = this.fragments[this.fragment];
    return next !== undefined && !table.unbounded &&
      compareBytes(next.start, table.largest) <= 0;
  }

  /** A cut behind a table that was just passed, and so after the last key, which did not pass it; not after the next key. */
  private cutBehind(
    passed: TableMeta,
    key: Uint8Array | undefined,
    start: number,
    end: number,
  ): Uint8Array | undefined {
    if (passed.unbounded) return undefined;
    const below = this.cutting.grandparents[this.grandparent]?.smallest;
    // Where they touch, the last key may be what they touch at.
    const cut = below !== undefined && compareBytes(passed.largest, below) < 0
      ? below
      : keySuccessor(passed.largest);
    const isBehindKey = key !== undefined &&
      compareRanges(cut, 0, cut.length, key, start, end) > 0;
    return isBehindKey ? copyBytes(key, start, end) : cut;
  }

  private cutAt(cut: Uint8Array): Uint8Array {
    this.passedBytes = 0;
    this.hasEntries = false;
    return cut;
  }

  /** An entry was added to the current output. */
  added(): void {
    this.hasEntries = true;
  }

  /** The pieces of range tombstones of the output that ends at `cut`, or of the last one. */
  take(cut: Uint8Array | undefined): Fragment[] {
    const pieces: Fragment[] = [];
    for (; this.fragment < this.fragments.length; this.fragment++) {
      const whole = this.fragments[this.fragment];
      const { end, sequences } = whole;
      const from = this.start !== undefined &&
          compareBytes(whole.start, this.start) < 0
        ? this.start
        : whole.start;
      if (cut === undefined) {
        pieces.push({ start: from, end, sequences });
        continue;
      }
      if (compareBytes(from, cut) >= 0) break;
      if (isBeforeEnd(cut, 0, cut.length, end)) {
        pieces.push({ start: from, end: cut, sequences });
        break;
      }
      pieces.push({ start: from, end, sequences });
    }
    this.start = cut;
    return pieces;
  }
}

/** Whether a table lies wholly before a key, or before the end. */
function isPassed(
  table: TableMeta,
  key: Uint8Array | undefined,
  start: number,
  end: number,
): boolean {
  if (key === undefined) return true;
  const { largest, unbounded } = table;
  return !unbounded &&
    compareRanges(largest, 0, largest.length, key, start, end) < 0;
}
