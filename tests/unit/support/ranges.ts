/**
 * Range deletes as plain data: what a brute-force model says of them.
 *
 * @module
 */
import {
  type Fragment,
  RangeTombstones,
} from "../../../lib/memtable/range_tombstones.ts";
import { assert, assertEquals } from "../../assert.ts";
import type { Random } from "../../engine/support/random.ts";
import { fromBytes, toBytes } from "./entries.ts";

/** One range delete, of [start, end). */
export interface Range {
  readonly start: string;
  /** The first key after; empty for "no end", as in the engine. */
  readonly end: string;
  readonly sequence: number;
}

/** Whether the range holds a key. */
export function covers({ start, end }: Range, key: string): boolean {
  return key >= start && (end === "" || key < end);
}

/** The newest of the ranges that covers the key for a reader at `sequence`; 0 if none. */
export function newestCovering(
  ranges: readonly Range[],
  key: string,
  sequence: number,
): number {
  let newest = 0;
  for (const range of ranges) {
    if (range.sequence > sequence || !covers(range, key)) continue;
    newest = Math.max(newest, range.sequence);
  }
  return newest;
}

/** A random range: one in eight has no end. */
export function randomRange(
  random: Random,
  key: () => string,
  sequence: number,
): Range {
  for (;;) {
    const [start, end] = [key(), key()].sort();
    if (random.chance(12)) return { start, end: "", sequence };
    if (start < end) return { start, end, sequence };
  }
}

/** The ranges, fragmented by the engine. */
export function fragmentsOf(ranges: readonly Range[]): readonly Fragment[] {
  const set = new RangeTombstones();
  for (const { start, end, sequence } of ranges) {
    set.add(toBytes(start), toBytes(end), sequence);
  }
  return set.list();
}

/** The single deletes that fragments stand for. */
export function rangesOf(fragments: readonly Fragment[]): Range[] {
  return fragments.flatMap(({ start, end, sequences }) =>
    sequences.map((sequence) => ({
      start: fromBytes(start),
      end: fromBytes(end),
      sequence,
    }))
  );
}

/** Fragments must be sorted and apart, and their sequences ascending. */
export function assertFragmented(
  fragments: readonly Fragment[],
  message: string,
): void {
  let before: string | undefined;
  for (const { start, end, sequences } of fragments) {
    const [from, to] = [fromBytes(start), fromBytes(end)];
    assert(before === undefined || before !== "" && before <= from, message);
    assert(to === "" || from < to, `${message}: an empty fragment`);
    assert(sequences.length > 0, `${message}: a fragment of no delete`);
    assertEquals(sequences, [...new Set(sequences)].sort((a, b) => a - b));
    before = to;
  }
}
