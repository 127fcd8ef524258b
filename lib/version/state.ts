/**
 * What a manifest says, edit by edit: the tree as plain data.
 *
 * Invariants:
 * - An edit that does not fit the state (adds what is there, removes what is
 *   not) is damage, never patched over.
 * - Tables of one level >= 1 do not overlap.
 * - No level is above {@linkcode LEVEL_MAX}.
 *
 * @module
 */
import type { TableMeta } from "../sstable/meta.ts";
import { compareByKey, firstOverlap } from "../sstable/sorted_run.ts";
import type { LogSeal } from "../wal/reader.ts";
import type { AddedLog, AddedTable, Edit, SealedLog } from "./edit.ts";

/** The deepest level that a manifest may name: what reads one makes room for those above it. */
export const LEVEL_MAX = 63;

/** A log as a manifest knows it. */
export interface KnownLog {
  /** How far it was synced when the manifest came to know it. */
  readonly syncedLength: number;
  /** Where it ends; `undefined` while it is written. */
  readonly seal: LogSeal | undefined;
}

/** The tree as a manifest knows it. */
export class TreeState {
  /** Every file number from here on is unused. */
  nextFileNumber = 1;
  /** No sequence above was in tables or sealed logs. */
  lastSequence = 0;
  /** Everything up to this sequence is in tables. */
  flushedSequence = 0;
  /** Tables by number. */
  readonly tables: Map<number, AddedTable> = new Map();
  /** Logs by number. */
  readonly logs: Map<number, KnownLog> = new Map();

  /**
   * Applies an edit.
   *
   * @returns What does not fit; `undefined` if all does.
   */
  apply(edit: Edit): string | undefined {
    for (const number of edit.removeTables ?? []) {
      if (!this.tables.delete(number)) return `removes table ${number}`;
    }
    for (const added of edit.addTables ?? []) {
      if (this.tables.has(added.table.number)) {
        return `adds table ${added.table.number} again`;
      }
      if (added.level > LEVEL_MAX) {
        return `adds table ${added.table.number} to level ${added.level}`;
      }
      this.tables.set(added.table.number, added);
    }
    for (const { number, syncedLength } of edit.addLogs ?? []) {
      if (this.logs.has(number)) return `adds log ${number} again`;
      this.logs.set(number, { syncedLength, seal: undefined });
    }
    for (const { number, length, lastSequence } of edit.sealLogs ?? []) {
      const log = this.logs.get(number);
      if (log === undefined) return `seals log ${number}`;
      const { syncedLength } = log;
      this.logs.set(number, { syncedLength, seal: { length, lastSequence } });
    }
    for (const number of edit.removeLogs ?? []) {
      if (!this.logs.delete(number)) return `removes log ${number}`;
    }
    this.nextFileNumber = edit.nextFileNumber ?? this.nextFileNumber;
    this.lastSequence = edit.lastSequence ?? this.lastSequence;
    this.flushedSequence = edit.flushedSequence ?? this.flushedSequence;
    return this.flushedSequence > this.lastSequence
      ? `flushes up to ${this.flushedSequence}, past ${this.lastSequence}`
      : undefined;
  }

  /** The edit that makes this state out of nothing. */
  snapshot(): Edit {
    const addLogs: AddedLog[] = [];
    const sealLogs: SealedLog[] = [];
    for (const [number, { syncedLength, seal }] of this.logs) {
      addLogs.push({ number, syncedLength });
      if (seal !== undefined) sealLogs.push({ number, ...seal });
    }
    return {
      nextFileNumber: this.nextFileNumber,
      lastSequence: this.lastSequence,
      flushedSequence: this.flushedSequence,
      addTables: [...this.tables.values()],
      addLogs,
      sealLogs,
    };
  }

  /**
   * Looks for tables of one level >= 1 that overlap.
   *
   * @returns What overlaps, as {@linkcode TreeState.apply} words it.
   */
  overlap(): string | undefined {
    const levels: TableMeta[][] = [];
    for (const { level, table } of this.tables.values()) {
      if (level > 0) (levels[level] ??= []).push(table);
    }
    for (const [level, tables] of levels.entries()) {
      const found = firstOverlap(tables?.sort(compareByKey) ?? []);
      if (found !== undefined) {
        return `makes table ${found.number} overlap the next one of level ${level}`;
      }
    }
    return undefined;
  }

  /** What of an edit does not fit, and which tables would overlap after it; `undefined` if all is well. Changes nothing. */
  misfit(edit: Edit): string | undefined {
    const trial = new TreeState();
    trial.lastSequence = this.lastSequence;
    trial.flushedSequence = this.flushedSequence;
    for (const [number, added] of this.tables) trial.tables.set(number, added);
    for (const [number, log] of this.logs) trial.logs.set(number, log);
    const misfit = trial.apply(edit);
    if (misfit !== undefined) return misfit;
    const sorts = edit.addTables?.some(({ level }) => level > 0) ?? false;
    return sorts ? trial.overlap() : undefined;
  }

  /** The tables, without their levels. */
  metas(): TableMeta[] {
    return [...this.tables.values()].map((added) => added.table);
  }
}
