/**
 * The jobs: sorted entries in, a table out. They change nothing of the tree;
 * whoever runs them commits what they return.
 *
 * A job is a generator that gives way every so many entries, so that the same
 * code runs at one go, in slices between a program's own work, or elsewhere.
 * It never waits. A job that fails or is given up removes its output.
 *
 * @module
 */
import type { Cursor } from "../cursor.ts";
import {
  type Fragment,
  RangeTombstones,
} from "../memtable/range_tombstones.ts";
import { MergingCursor } from "../read/merging_cursor.ts";
import type { FileSystem } from "../runtime/runtime.ts";
import type { TableMeta } from "../sstable/meta.ts";
import { TableWriter } from "../sstable/writer.ts";
import type { TombstoneElision } from "./elision.ts";
import { keptFragments, MergeStream } from "./merge_stream.ts";

/** Work in slices: gives way at each `yield`. */
export type Job<T> = Generator<void, T, void>;

/** Entries between two points at which a job gives way. */
const ENTRIES_PER_STEP = 64;
/** Bytes after which a job syncs what it wrote: many short waits in place of a long one. */
const BYTES_PER_SYNC = 1024 * 1024;

/** What a job reads. */
export interface JobInput {
  /** Makes cursors over the sources; called once the job runs. */
  readonly openCursors: () => Cursor[];
  /** The range tombstones of the sources. */
  readonly fragments: () => (readonly Fragment[])[];
  /** The lowest sequence of the sources. */
  readonly oldest: number;
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
  /** The directory of the table, synced before the job is done. */
  readonly directory: string;
  /** The path of the table. */
  readonly path: string;
  /** The number of the table. */
  readonly number: number;
  /** Bytes that a data block aims at. */
  readonly blockSize: number;
  /** Bits of filter for each key. */
  readonly bloomBitsPerKey: number;
  /** Milliseconds since 1970. */
  readonly created: number;
}

/** All range tombstones of a job's sources, fragmented together. */
function mergeFragments(lists: (readonly Fragment[])[]): readonly Fragment[] {
  const filled = lists.filter((list) => list.length > 0);
  if (filled.length <= 1) return filled[0] ?? [];
  const merged = new RangeTombstones();
  for (const list of filled) {
    for (const { start, end, sequences } of list) {
      for (const sequence of sequences) merged.add(start, end, sequence);
    }
  }
  return merged.list();
}

/**
 * Merges sources into one table.
 *
 * @returns The table; `undefined` if nothing was left to write.
 */
export function* mergeIntoTable(
  input: JobInput,
  rules: JobRules,
  output: JobOutput,
): Job<TableMeta | undefined> {
  const writer = new TableWriter(output.files, output.path, output.number, {
    blockSize: output.blockSize,
    bloomBitsPerKey: output.bloomBitsPerKey,
    baseSequence: input.oldest,
    created: output.created,
  });
  let merge: MergingCursor | undefined;
  let isDone = false;
  try {
    const fragments = mergeFragments(input.fragments());
    merge = new MergingCursor(input.openCursors(), false);
    const stream = new MergeStream(
      merge,
      fragments,
      rules.snapshots,
      rules.elision,
    );
    yield* writeAll(stream, writer);
    const kept = keptFragments(fragments, rules.snapshots, rules.elision);
    yield;
    const table = writer.finish(kept);
    isDone = true;
    if (table !== undefined) output.files.syncDirectory(output.directory);
    return table;
  } finally {
    merge?.close();
    if (!isDone) writer.abandon();
  }
}

function* writeAll(stream: MergeStream, writer: TableWriter): Job<void> {
  for (let steps = ENTRIES_PER_STEP;; steps--) {
    const entry = stream.next(ENTRIES_PER_STEP);
    if (entry === undefined) return;
    if (entry !== null) {
      writer.add(
        entry.key,
        entry.keyStart,
        entry.keyEnd,
        entry.sequence,
        entry.kind,
        entry.value,
        entry.valueStart,
        entry.valueEnd,
      );
    }
    if (entry === null || steps === 0) {
      if (writer.unsyncedBytes >= BYTES_PER_SYNC) writer.syncWritten();
      yield;
      steps = ENTRIES_PER_STEP;
    }
  }
}

/** Whether a merge of the sources would leave anything out. Reads until the first such entry. */
export function* wouldDrop(input: JobInput, rules: JobRules): Job<boolean> {
  const fragments = mergeFragments(input.fragments());
  const kept = keptFragments(fragments, rules.snapshots, rules.elision);
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
