/**
 * What a job is told, as plain data: it can be posted to another thread,
 * which makes the same job of it as this one would.
 *
 * @module
 */
import type { TableMeta } from "../sstable/meta.ts";
import type { Compression } from "../types.ts";
import type { Cutting } from "./splitting.ts";

/** A memtable that no longer changes, as other threads are told of it. */
export interface FrozenMemtable {
  /** The memory that its entries lie in. */
  readonly arena: SharedArrayBuffer;
  /** Its highest sequence. */
  readonly newest: number;
  /** Its lowest sequence. */
  readonly oldest: number;
}

/** Where a task writes, and how. */
export interface OutputPlan {
  /** The first of the file numbers that are the task's. */
  readonly firstNumber: number;
  /** How many there are. */
  readonly count: number;
  /** Bytes that a data block aims at. */
  readonly blockSize: number;
  /** Bits of filter for each key. */
  readonly bloomBitsPerKey: number;
  /** How data blocks are compressed. */
  readonly compression: Compression;
  /** Milliseconds since 1970. */
  readonly created: number;
}

/** How tombstones may go; see elision.ts. */
export type ElisionPlan =
  | {
    /** By the key ranges and ages of the tables outside. */
    readonly by: "range";
  }
  | {
    /** By filters and lookups. */
    readonly by: "lookup";
    /** Whether a filter's "maybe" is settled by a lookup. */
    readonly bloomFallback: boolean;
    /** Whether range tombstones may go at all. */
    readonly rangeDrop: boolean;
  };

interface AnyTask {
  /** The directory of the database. */
  readonly directory: string;
}

/** One frozen memtable becomes tables. */
export interface FlushTask extends AnyTask {
  /** Which task. */
  readonly type: "flush";
  /** The memtable. */
  readonly memtable: FrozenMemtable;
  /** Sequences of the open snapshots, ascending. */
  readonly snapshots: readonly number[];
  /** Where it goes. */
  readonly output: OutputPlan;
}

/** What merging and trying to merge have in common. */
export interface MergeInputs extends AnyTask {
  /** Sorted runs of tables. */
  readonly runs: readonly (readonly TableMeta[])[];
  /** Tables outside that overlap, for the fate of tombstones. */
  readonly outside: readonly TableMeta[];
  /** The lowest sequence in any memtable; Infinity if they are empty. */
  readonly memtablesOldest: number;
  /** How tombstones may go. */
  readonly elision: ElisionPlan;
  /** Sequences of the open snapshots, ascending. */
  readonly snapshots: readonly number[];
}

/** Tables become other tables. */
export interface MergeTask extends MergeInputs {
  /** Which task. */
  readonly type: "merge";
  /** Where they go. */
  readonly output: OutputPlan;
  /** Where each of them ends. */
  readonly cutting: Cutting;
}

/** Whether a merge would leave anything out. */
export interface ProbeTask extends MergeInputs {
  /** Which task. */
  readonly type: "probe";
}

/** Something to do that changes no state but files of its own. */
export type Task = FlushTask | MergeTask | ProbeTask;

/** What came of a task. */
export interface TaskResult {
  /** The tables written. */
  readonly tables: readonly TableMeta[];
  /** Of a probe: whether the merge would leave anything out. */
  readonly gains: boolean;
}
