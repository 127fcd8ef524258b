/**
 * When a tombstone may go: only when nothing older that it hides remains
 * anywhere outside the job.
 *
 * Pure, but for the lookups that the exact form makes in other tables.
 *
 * @module
 */
import { Found } from "../cursor.ts";
import { copyBytes } from "../encoding/bytes.ts";
import { hashKey, keyHash } from "../encoding/hash.ts";
import { isBeforeEnd } from "../memtable/range_tombstones.ts";
import { TableCursor } from "../sstable/cursor.ts";
import { mayHold, mayOverlap, type TableMeta } from "../sstable/meta.ts";
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
  nothingOlder: () => false,
  nothingOlderInRange: () => false,
};

/** Decides by the key ranges and ages of the tables outside: costs no reads. */
export class ElisionByRange implements TombstoneElision {
  private readonly outside: readonly TableMeta[];
  private readonly memtablesOldest: number;

  /**
   * Decides for a job.
   *
   * @param outside The tables that are not in the job.
   * @param memtablesOldest The lowest sequence in any memtable; Infinity if they are empty.
   */
  constructor(outside: readonly TableMeta[], memtablesOldest: number) {
    this.outside = outside;
    this.memtablesOldest = memtablesOldest;
  }

  nothingOlder(
    key: Uint8Array,
    start: number,
    end: number,
    sequence: number,
  ): boolean {
    if (this.memtablesOldest < sequence) return false;
    for (const table of this.outside) {
      if (table.oldest >= sequence) continue;
      const bare = start === 0 ? key : key.subarray(start, end);
      if (mayHold(table, bare, end - start)) return false;
    }
    return true;
  }

  nothingOlderInRange(
    start: Uint8Array,
    end: Uint8Array,
    sequence: number,
  ): boolean {
    return this.memtablesOldest >= sequence &&
      this.outside.every((table) =>
        table.oldest >= sequence || !mayOverlap(table, start, end)
      );
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
  private readonly outside: readonly Table[];
  private readonly memtablesOldest: number;
  private readonly rules: LookupRules;
  private readonly found = new Found();

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
    this.outside = outside;
    this.memtablesOldest = memtablesOldest;
    this.rules = rules;
  }

  nothingOlder(
    key: Uint8Array,
    start: number,
    end: number,
    sequence: number,
  ): boolean {
    if (this.memtablesOldest < sequence) return false;
    const bare = start === 0 ? key : copyBytes(key, start, end);
    const length = end - start;
    hashKey(bare, 0, length);
    const { line, bits } = keyHash;
    for (const table of this.outside) {
      if (table.meta.oldest >= sequence) continue;
      if (!mayHold(table.meta, bare, length)) continue;
      if (!table.filterLetsThrough(line, bits)) continue;
      if (!this.rules.bloomFallback) return false;
      if (table.holdsOlder(bare, length, sequence, this.found)) return false;
    }
    return true;
  }

  nothingOlderInRange(
    start: Uint8Array,
    end: Uint8Array,
    sequence: number,
  ): boolean {
    if (!this.rules.rangeDrop || this.memtablesOldest < sequence) return false;
    for (const table of this.outside) {
      const { meta } = table;
      if (meta.oldest >= sequence || !mayOverlap(meta, start, end)) continue;
      if (hasOlderKey(table, start, end, sequence)) return false;
    }
    return true;
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
      if (cursor.sequence < sequence || ++probes > PROBES_MAX) return true;
    }
    return false;
  } finally {
    cursor.close();
  }
}
