/**
 * When a tombstone may go: only when nothing older that it hides remains
 * anywhere outside the job.
 *
 * Pure, but for the lookups that the exact form makes in other tables.
 *
 * @module
 */
import { Found } from "../cursor.ts";
import { copyBytes, EMPTY } from "../encoding/bytes.ts";
import { hashKey, keyHash } from "../encoding/hash.ts";
import { isBeforeEnd } from "../memtable/range_tombstones.ts";
import { TableCursor } from "../sstable/cursor.ts";
import { mayHold, type TableMeta } from "../sstable/meta.ts";
import {
  compareByKey,
  countTablesFrom,
  endsBefore,
  type HasMeta,
  tablesBetween,
} from "../sstable/sorted_run.ts";
import type { Table } from "../sstable/table.ts";

/** Decides about tombstones that no snapshot needs. */
export interface TombstoneElision {
  /** Whether nothing of the key that is older than `sequence` is outside the job. */
  nothingOlder(
    key: Uint8Array,
    start: number,
    end: number,
    sequence: number,
  ): boolean;
  /** Whether nothing in [start, end) that is older than `sequence` is outside the job. */
  nothingOlderInRange(
    start: Uint8Array,
    end: Uint8Array,
    sequence: number,
  ): boolean;
}

/** Keeps every tombstone. */
export const keepTombstones: TombstoneElision = {
  // mutant flush-keeps-tombstones: otherwise what a delete hides in a table is back
  nothingOlder: () => false,
  // mutant flush-keeps-ranges: otherwise what a range delete hides in a table is back
  nothingOlderInRange: () => false,
};

/**
 * Tables arranged as sorted runs, as few as their overlap allows, so that a
 * tombstone costs a binary search for each run and not a look at each table.
 */
class Runs<T extends HasMeta> {
  private readonly runs: T[][] = [];

  constructor(tables: readonly T[]) {
    const sorted = [...tables].sort((a, b) => compareByKey(a.meta, b.meta));
    for (const table of sorted) {
      const { smallest } = table.meta;
      const run = this.runs.find((run) =>
        endsBefore(run[run.length - 1].meta, smallest)
      );
      if (run === undefined) this.runs.push([table]);
      else run.push(table);
    }
  }

  /** Whether `test` holds for any table that may say something of the key. */
  someAt(
    key: Uint8Array,
    length: number,
    test: (table: T) => boolean,
  ): boolean {
    for (const run of this.runs) {
      const count = countTablesFrom(run, key, length);
      if (count === 0) continue;
      const table = run[count - 1];
      if (mayHold(table.meta, key, length) && test(table)) return true;
    }
    return false;
  }

  /** Whether `test` holds for any table that may say something of a key in [start, end). */
  someIn(
    start: Uint8Array,
    end: Uint8Array,
    test: (table: T) => boolean,
  ): boolean {
    return this.runs.some((run) => tablesBetween(run, start, end).some(test));
  }
}

/** Decides by the key ranges and ages of the tables outside: costs no reads. */
export class ElisionByRange implements TombstoneElision {
  private readonly outside: Runs<HasMeta>;
  private readonly memtablesOldest: number;
  private sequence = 0;
  private readonly isOlder = ({ meta }: HasMeta): boolean =>
    // mutant range-elision-age: otherwise a tombstone goes while older tables hold what it hides
    meta.oldest < this.sequence;

  /**
   * Decides for a job.
   *
   * @param outside The tables that are not in the job.
   * @param memtablesOldest The lowest sequence in any memtable; Infinity if they are empty.
   */
  constructor(outside: readonly TableMeta[], memtablesOldest: number) {
    this.outside = new Runs(outside.map((meta) => ({ meta })));
    this.memtablesOldest = memtablesOldest;
  }

  nothingOlder(
    key: Uint8Array,
    start: number,
    end: number,
    sequence: number,
  ): boolean {
    // no mutant: nothing in a memtable is older than what a table holds; this does not rely on it
    if (this.memtablesOldest < sequence) return false;
    const bare = start === 0 ? key : key.subarray(start, end);
    this.sequence = sequence;
    // mutant range-elision-key: otherwise a deleted key is back
    return !this.outside.someAt(bare, end - start, this.isOlder);
  }

  nothingOlderInRange(
    start: Uint8Array,
    end: Uint8Array,
    sequence: number,
  ): boolean {
    // no mutant: as above
    if (this.memtablesOldest < sequence) return false;
    this.sequence = sequence;
    // mutant range-elision-range: otherwise a deleted range is back
    return !this.outside.someIn(start, end, this.isOlder);
  }
}

/** Which questions {@linkcode ElisionByLookup} may settle with reads. */
export interface LookupRules {
  /** Whether a filter's "maybe" is settled by a lookup; otherwise it keeps the tombstone. */
  readonly bloomFallback: boolean;
  /** Whether range tombstones may go at all. */
  readonly rangeDrop: boolean;
}

/** Decides by filters and lookups in the tables outside. */
export class ElisionByLookup implements TombstoneElision {
  private readonly outside: Runs<Table>;
  private readonly memtablesOldest: number;
  private readonly rules: LookupRules;
  private readonly found = new Found();
  // The question that is being asked: fields, so that none costs a closure.
  private key: Uint8Array = EMPTY;
  private keyLength = 0;
  private sequence = 0;
  private line = 0;
  private bits = 0;
  private readonly holdsOlder = (table: Table): boolean => {
    const { key, keyLength, sequence } = this;
    return table.meta.oldest < sequence &&
      // mutant lookup-elision-filter: what a filter says maybe of is looked up, or keeps the tombstone
      table.filterLetsThrough(this.line, this.bits) &&
      // mutant lookup-elision-maybe: a maybe that is not looked up keeps the tombstone
      (!this.rules.bloomFallback ||
        // mutant lookup-elision-older: an older entry keeps the tombstone
        table.holdsOlder(key, keyLength, sequence, this.found));
  };

  /**
   * Decides for a job.
   *
   * @param outside The tables that are not in the job.
   * @param memtablesOldest The lowest sequence in any memtable; Infinity if they are empty.
   * @param rules Which reads are allowed.
   */
  constructor(
    outside: readonly Table[],
    memtablesOldest: number,
    rules: LookupRules,
  ) {
    this.outside = new Runs(outside);
    this.memtablesOldest = memtablesOldest;
    this.rules = rules;
  }

  nothingOlder(
    key: Uint8Array,
    start: number,
    end: number,
    sequence: number,
  ): boolean {
    // no mutant: as above
    if (this.memtablesOldest < sequence) return false;
    this.key = start === 0 ? key : copyBytes(key, start, end);
    this.keyLength = end - start;
    this.sequence = sequence;
    hashKey(this.key, 0, this.keyLength);
    this.line = keyHash.line;
    this.bits = keyHash.bits;
    return !this.outside.someAt(this.key, this.keyLength, this.holdsOlder);
  }

  nothingOlderInRange(
    start: Uint8Array,
    end: Uint8Array,
    sequence: number,
  ): boolean {
    // no mutant: as above
    if (!this.rules.rangeDrop || this.memtablesOldest < sequence) return false;
    return !this.outside.someIn(
      start,
      end,
      (table) =>
        table.meta.oldest < sequence &&
        // mutant lookup-elision-range: an older entry keeps the range tombstone
        hasOlderKey(table, start, end, sequence),
    );
  }
}

/** Keys looked at before a range is taken to hold something older. */
const PROBES_MAX = 1000;

function hasOlderKey(
  table: Table,
  start: Uint8Array,
  end: Uint8Array,
  sequence: number,
): boolean {
  const cursor = new TableCursor(table, false);
  try {
    cursor.seek(start, start.length);
    for (let probes = 0; cursor.valid; cursor.next()) {
      if (!isBeforeEnd(cursor.key, cursor.keyStart, cursor.keyEnd, end)) break;
      // mutant lookup-elision-probes: what was not looked at keeps the range tombstone
      if (cursor.sequence < sequence || ++probes > PROBES_MAX) return true;
    }
    return false;
  } finally {
    cursor.close();
  }
}
