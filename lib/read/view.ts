/**
 * What a reader reads from: the memtables and tables at one moment.
 *
 * A view is taken in one step with the sequence it is read at, and keeps its
 * memtables and files alive until it is let go.
 *
 * @module
 */
import { type Found, PUT } from "../cursor.ts";
import { hashKey, keyHash } from "../encoding/hash.ts";
import type { ReadableMemtable } from "../memtable/readable.ts";
import type { Results } from "../runtime/results.ts";
import { countTablesFrom } from "../sstable/sorted_run.ts";
import type { Target } from "./target.ts";
import type { Version } from "../version/version.ts";

/** Memtables, newest first, and tables. */
export interface View {
  /** The active memtable and the frozen ones, newest first. */
  readonly memtables: readonly ReadableMemtable[];
  /** The tables. */
  readonly version: Version;
}

/** Keeps what a view needs until {@linkcode releaseView}. */
export function retainView(view: View): void {
  for (const memtable of view.memtables) memtable.retain();
  view.version.retain();
}

/** Lets go of what a view needs. */
export function releaseView(view: View): void {
  for (const memtable of view.memtables) memtable.release();
  view.version.release();
}

/**
 * Looks a key up.
 *
 * Memtables hold only what is newer than any table, so one that knows the key
 * settles it. Tables of level 0 may overlap in keys and ages: they are asked
 * by falling highest sequence, until none can be newer than what was found.
 * Of each other level only one table can know the key. The highest sequence
 * wins, be it of a value, a tombstone or a range tombstone; which level it is
 * in means nothing.
 *
 * @param found Where the answer is left: sequence 0 or a tombstone is absence.
 * It is to be believed if {@linkcode Found.holds} says so after it was used.
 */
export function lookUp(
  view: View,
  key: Uint8Array,
  keyLength: number,
  sequence: number,
  found: Found,
): void {
  found.reset();
  hashKey(key, 0, keyLength);
  const { line, bits } = keyHash;
  for (const memtable of view.memtables) {
    memtable.get(key, keyLength, bits, sequence, found);
    if (found.sequence > 0) break;
  }
  const { levels, newest } = view.version;
  if (levels.length === 0) return;
  for (const table of levels[0]) {
    // mutant newer-in-level-0: tables are left out only if all of them are older than what was found
    if (table.meta.newest <= found.sequence) break;
    table.get(key, keyLength, line, bits, sequence, found);
  }
  for (let level = 1; level < levels.length; level++) {
    // mutant newer-in-level: a level is left out only if all of it is older than what was found
    if (newest[level] <= found.sequence) continue;
    const tables = levels[level];
    let place = 0; // A single table is asked at once: it knows its range.
    if (tables.length !== 1) {
      place = countTablesFrom(tables, key, keyLength) - 1;
      if (place < 0) continue;
    }
    const table = tables[place];
    if (table.meta.newest <= found.sequence) continue;
    table.get(key, keyLength, line, bits, sequence, found);
  }
}

/** The value of a key for a reader at `sequence`, as a copy of its own; `undefined` for absence. */
export function findValue(
  view: View,
  key: Uint8Array,
  keyLength: number,
  sequence: number,
  found: Found,
  results: Results,
): Uint8Array | undefined {
  for (found.isCareful = false;; found.isCareful = true) {
    lookUp(view, key, keyLength, sequence, found);
    const value = found.sequence === 0 || found.kind !== PUT
      ? undefined
      : results.copy(found.value, found.start, found.end, found.words);
    // mutant value-is-whole: another thread may have put a block in its place
    if (found.holds()) return value;
  }
}

/** Copies the value of a key for a reader at `sequence` to `target`, if it has room; returns its length, or -1 for absence. */
export function findInto(
  view: View,
  key: Uint8Array,
  keyLength: number,
  sequence: number,
  found: Found,
  target: Target,
): number {
  for (found.isCareful = false;; found.isCareful = true) {
    lookUp(view, key, keyLength, sequence, found);
    const length = found.sequence === 0 || found.kind !== PUT
      ? -1
      : target.take(found);
    // mutant value-in-target-is-whole: another thread may have put a block in its place
    if (found.holds()) return length;
  }
}

/** Whether a key has a value for a reader at `sequence`. */
export function hasValue(
  view: View,
  key: Uint8Array,
  keyLength: number,
  sequence: number,
  found: Found,
): boolean {
  for (found.isCareful = false;; found.isCareful = true) {
    lookUp(view, key, keyLength, sequence, found);
    const isThere = found.sequence > 0 && found.kind === PUT;
    if (found.holds()) return isThere;
  }
}
