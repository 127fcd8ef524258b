/**
 * The jobs: sorted entries in, tables out. They change nothing of the tree;
 * whoever runs them commits what they return.
 *
 * A job is a generator that gives way every so many entries, so that the same
 * code runs in slices between a program's own work, or elsewhere. What it has
 * to wait for, syncs under way, it yields. A job that fails or is given up
 * removes all its outputs.
 *
 * @module
 */
import type { Cursor } from "../cursor.ts";
import { VarveError } from "../errors.ts";
import { appendFragment, type Fragment } from "../memtable/range_tombstones.ts";
import { MergingCursor } from "../read/merging_cursor.ts";
import { removeQuietly } from "../runtime/remove.ts";
import type { FileSystem } from "../runtime/runtime.ts";
import { TableCursor } from "../sstable/cursor.ts";
import { LevelCursor, runFragments } from "../sstable/level_cursor.ts";
import type { TableMeta } from "../sstable/meta.ts";
import type { Table } from "../sstable/table.ts";
import { TableWriter } from "../sstable/writer.ts";
import type { Compression } from "../types.ts";
import { fileName } from "../version/files.ts";
import type { TombstoneElision } from "./elision.ts";
import { keptFragments, mergeFragments, MergeStream } from "./merge_stream.ts";
import { type Cutting, Splitter, UNCUT } from "./splitting.ts";

/** Work in slices: gives way at each `yield`, and has nothing to do before a promise that it yields is resolved. It does not reject. */
export type Job<T> = Generator<Promise<void> | void, T, void>;

/** Entries between two points at which a job gives way. */
const ENTRIES_PER_STEP = 64;
/** Range tombstones between two points at which a job gives way. */
const FRAGMENTS_PER_STEP = 16;
/** Tables that may be under way to the disk while the next one is written. */
const UNSETTLED_MOST = 1;

/** What a job reads. */
export interface JobInput {
  /** Makes cursors over the sources; called once the job runs. */
  readonly openCursors: () => Cursor[];
  /** The range tombstones of the sources. */
  readonly fragments: () => (readonly Fragment[])[];
  /** The lowest sequence of the sources. */
  readonly oldest: number;
  /** Entries of all sources together. */
  readonly entries: number;
}

/** Sorted runs of tables as input, with one cursor each. */
export function inputOfRuns(runs: readonly (readonly Table[])[]): JobInput {
  return {
    openCursors: () => {
      const cursors: Cursor[] = [];
      for (const run of runs) {
        const filled = run.filter(({ meta }) => meta.entries > 0);
        if (filled.length > 1) cursors.push(new LevelCursor(filled, true));
        else if (filled.length === 1) {
          cursors.push(new TableCursor(filled[0], true));
        }
      }
      return cursors;
    },
    fragments: () => runs.map(runFragments),
    entries: runs.flat().reduce((sum, { meta }) => sum + meta.entries, 0),
    oldest: runs.flat().reduce(
      (oldest, { meta }) => Math.min(oldest, meta.oldest),
      Infinity,
    ),
  };
}

/** What a job must respect. */
export interface JobRules {
  /** Sequences of the open snapshots, ascending, as of when the job was made. */
  readonly snapshots: readonly number[];
  /** Decides about tombstones. */
  readonly elision: TombstoneElision;
}

/** Where a job writes. */
export interface JobOutput {
  /** The file system. */
  readonly files: FileSystem;
  /** The directory of the tables, synced before the job is done. */
  readonly directory: string;
  /** The number of the first table. */
  readonly firstNumber: number;
  /** How many numbers from the first on the job may use; the last table is as large as it gets. */
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

/**
 * The directory could not be synced. Entries of other files may have been lost
 * with that, and a later sync would say nothing of it.
 */
export class DirectorySyncError extends VarveError {
  /** @param cause What was thrown, or a message on its way from a worker. */
  constructor(cause: unknown) {
    const message = cause instanceof Error ? cause.message : String(cause);
    super("IO", message, { cause });
  }
}

/** The tables that a job writes, one after the other. */
class Outputs {
  readonly tables: TableMeta[] = [];
  private readonly output: JobOutput;
  private readonly oldest: number;
  private readonly keysMax: number;
  private readonly splitter: Splitter;
  private writer: TableWriter | undefined;
  /** Writers of the last tables, which are complete and not yet durable. */
  private readonly unsettled: TableWriter[] = [];

  /** @param keysMax The most keys that one table gets; Infinity if that is not known. */
  constructor(
    output: JobOutput,
    oldest: number,
    keysMax: number,
    splitter: Splitter,
  ) {
    this.output = output;
    this.oldest = oldest;
    this.keysMax = keysMax;
    this.splitter = splitter;
  }

  private path(number: number): string {
    return `${this.output.directory}/${fileName("table", number)}`;
  }

  private open(): TableWriter {
    const { files, firstNumber, created } = this.output;
    const { blockSize, bloomBitsPerKey, compression } = this.output;
    const number = firstNumber + this.tables.length;
    return this.writer = new TableWriter(files, this.path(number), number, {
      blockSize,
      bloomBitsPerKey,
      compression,
      baseSequence: this.oldest,
      keysMax: this.keysMax,
      created,
    });
  }

  /** Whether another output may follow the current one. */
  private get hasNumbers(): boolean {
    return this.tables.length + 1 < this.output.count;
  }

  /** Adds an entry, after ending outputs as is due. */
  add(entry: Cursor, startsKey: boolean): void {
    const { key, keyStart, keyEnd } = entry;
    const { splitter } = this;
    if (startsKey && splitter.mayCut(this.writer?.bytes ?? 0)) {
      this.cutBefore(key, keyStart, keyEnd);
    }
    (this.writer ?? this.open()).add(
      key,
      keyStart,
      keyEnd,
      entry.sequence,
      entry.kind,
      entry.value,
      entry.valueStart,
      entry.valueEnd,
      entry.keyView,
      entry.view,
    );
    splitter.added();
  }

  private cutBefore(
    key: Uint8Array | undefined,
    start: number,
    end: number,
  ): void {
    while (this.hasNumbers) {
      const bytes = this.writer?.bytes ?? 0;
      const cut = this.splitter.cutBefore(key, start, end, bytes);
      if (cut === undefined) return;
      this.endTable(cut);
    }
  }

  private endTable(cut: Uint8Array | undefined): void {
    const pieces = this.splitter.take(cut);
    if (this.writer === undefined && pieces.length === 0) return;
    const writer = this.writer ?? this.open();
    const table = writer.finish(pieces);
    this.writer = undefined;
    if (table === undefined) return;
    this.tables.push(table);
    this.unsettled.push(writer);
    writer.syncIfMuch();
  }

  /** Has what was written synced while the job goes on; waits if too much of it is not yet durable. */
  *keepSyncing(): Job<void> {
    this.writer?.syncIfMuch();
    yield* this.settle(UNSETTLED_MOST);
  }

  /** Waits until all complete tables but `most` are durable. */
  private *settle(most: number): Job<void> {
    while (this.unsettled.length > most) {
      yield* this.unsettled[0].settle();
      this.unsettled.shift();
    }
  }

  /** Ends the last outputs; all of them are durable then. */
  *finish(): Job<void> {
    this.cutBefore(undefined, 0, 0);
    this.endTable(undefined);
    yield* this.settle(0);
    if (this.tables.length === 0) return;
    const { files, directory } = this.output;
    try {
      // mutant sync-directory-of-tables: without it a table that the manifest names may be missing
      files.syncDirectory(directory);
    } catch (error) {
      throw new DirectorySyncError(error);
    }
  }

  /** Removes every output. */
  abandon(): void {
    this.writer?.abandon();
    for (const writer of this.unsettled) writer.abandon();
    for (const { number } of this.tables) {
      removeQuietly(this.output.files, this.path(number));
    }
  }
}

/**
 * Merges sources into tables that do not overlap.
 *
 * @param cutting Where outputs end; without it there is one at most.
 * @returns The tables, by key; none if nothing was left to write.
 */
export function* mergeIntoTables(
  input: JobInput,
  rules: JobRules,
  output: JobOutput,
  cutting: Cutting = UNCUT,
): Job<TableMeta[]> {
  const { snapshots, elision } = rules;
  const fragments = mergeFragments(input.fragments());
  const kept = yield* keepFragments(fragments, rules);
  const outputs = new Outputs(
    output,
    input.oldest,
    // Of many tables each gets a share that is not known, and not large.
    cutting.outputSize === Infinity ? input.entries : Infinity,
    new Splitter(cutting, kept),
  );
  let merge: MergingCursor | undefined;
  let isDone = false;
  try {
    merge = new MergingCursor(input.openCursors(), false);
    const stream = new MergeStream(merge, fragments, snapshots, elision);
    yield* writeAll(stream, outputs);
    yield;
    yield* outputs.finish();
    isDone = true;
    return outputs.tables;
  } finally {
    merge?.close();
    // mutant files-of-a-failed-job-go: otherwise they stay until the next opening
    if (!isDone) outputs.abandon();
  }
}

/** What is kept of range tombstones; gives way now and then, for each may cost reads. */
function* keepFragments(
  fragments: readonly Fragment[],
  { snapshots, elision }: JobRules,
): Job<Fragment[]> {
  const kept: Fragment[] = [];
  for (let at = 0; at < fragments.length; at += FRAGMENTS_PER_STEP) {
    const some = fragments.slice(at, at + FRAGMENTS_PER_STEP);
    for (const fragment of keptFragments(some, snapshots, elision)) {
      appendFragment(kept, fragment);
    }
    yield;
  }
  return kept;
}

function* writeAll(stream: MergeStream, outputs: Outputs): Job<void> {
  for (let steps = ENTRIES_PER_STEP;; steps--) {
    const entry = stream.next(ENTRIES_PER_STEP);
    if (entry === undefined) return;
    if (entry !== null) outputs.add(entry, stream.startsKey);
    if (entry === null || steps === 0) {
      yield* outputs.keepSyncing();
      yield;
      steps = ENTRIES_PER_STEP;
    }
  }
}

/** Whether a merge of the sources would leave anything out. Reads until the first such entry. */
export function* wouldDrop(input: JobInput, rules: JobRules): Job<boolean> {
  const fragments = mergeFragments(input.fragments());
  const kept = yield* keepFragments(fragments, rules);
  const sequences = (list: readonly Fragment[]) =>
    list.reduce((sum, fragment) => sum + fragment.sequences.length, 0);
  if (sequences(kept) < sequences(fragments)) return true;
  const merge = new MergingCursor(input.openCursors(), false);
  try {
    const stream = new MergeStream(
      merge,
      fragments,
      rules.snapshots,
      rules.elision,
    );
    for (let steps = ENTRIES_PER_STEP;; steps--) {
      const entry = stream.next(ENTRIES_PER_STEP);
      if (stream.dropped > 0) return true;
      if (entry === undefined) return false;
      if (steps === 0) {
        yield;
        steps = ENTRIES_PER_STEP;
      }
    }
  } finally {
    merge.close();
  }
}
