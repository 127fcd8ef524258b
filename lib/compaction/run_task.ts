/**
 * Makes the job of a task, on whichever thread it is to be done.
 *
 * @module
 */
import type { Cursor } from "../cursor.ts";
import type { Fragment } from "../memtable/range_tombstones.ts";
import type { FileSystem } from "../runtime/runtime.ts";
import type { TableMeta } from "../sstable/meta.ts";
import type { Table } from "../sstable/table.ts";
import { fileName } from "../version/files.ts";
import {
  ElisionByLookup,
  ElisionByRange,
  keepTombstones,
  type TombstoneElision,
} from "./elision.ts";
import {
  type Job,
  type JobInput,
  type JobOutput,
  type JobRules,
  mergeIntoTables,
  wouldDrop,
} from "./job.ts";
import type {
  FlushTask,
  MergeInputs,
  OutputPlan,
  Task,
  TaskResult,
} from "./tasks.ts";

/** A memtable, as far as a flush reads it. */
export interface FlushSource {
  /** A cursor over the point entries. */
  cursor(): Cursor;
  /** The range tombstones. */
  fragments(): readonly Fragment[];
}

/** What tasks read, as this thread has it. */
export interface TaskSources {
  /** The memtable. */
  memtable(task: FlushTask): FlushSource;
  /** The table. It stays readable until the task has ended. */
  table(meta: TableMeta): Table;
}

function outputOf(
  directory: string,
  output: OutputPlan,
  files: FileSystem,
): JobOutput {
  const path = (number: number) => `${directory}/${fileName("table", number)}`;
  return { ...output, directory, files, path };
}

function elisionOf(task: MergeInputs, sources: TaskSources): TombstoneElision {
  const { elision, outside, memtablesOldest } = task;
  return elision.by === "range"
    ? new ElisionByRange(outside, memtablesOldest)
    : new ElisionByLookup(
      outside.map((meta) => sources.table(meta)),
      memtablesOldest,
      elision,
    );
}

function inputOf(task: MergeInputs, sources: TaskSources): JobInput {
  const runs = task.runs.map((run) => run.map((meta) => sources.table(meta)));
  return {
    openCursors: () => runs.map((run) => runCursor(run, true)),
    fragments: () => runs.flat().map((table) => table.fragments()),
    oldest: Math.min(...task.runs.flat().map((meta) => meta.oldest)),
  };
}

function rulesOf(task: MergeInputs, sources: TaskSources): JobRules {
  return { snapshots: task.snapshots, elision: elisionOf(task, sources) };
}

function flushInput(task: FlushTask, sources: TaskSources): JobInput {
  const memtable = sources.memtable(task);
  return {
    openCursors: () => [memtable.cursor()],
    fragments: () => [memtable.fragments()],
    oldest: task.memtable.oldest,
  };
}

/** The job of a task. It reads `sources` only while it runs. */
export function* makeJob(
  task: Task,
  files: FileSystem,
  sources: TaskSources,
): Job<TaskResult> {
  switch (task.type) {
    case "flush": {
      // Every tombstone is kept, for what it hides is in older tables.
      const rules = { snapshots: task.snapshots, elision: keepTombstones };
      const input = flushInput(task, sources);
      const output = outputOf(task.directory, task.output, files);
      const tables = yield* mergeIntoTables(input, rules, output);
      return { tables, gains: false };
    }
    case "merge": {
      const input = inputOf(task, sources);
      const output = outputOf(task.directory, task.output, files);
      const rules = rulesOf(task, sources);
      const tables = yield* mergeIntoTables(input, rules, output);
      return { tables, gains: false };
    }
    case "probe": {
      const rules = rulesOf(task, sources);
      const gains = yield* wouldDrop(inputOf(task, sources), rules);
      return { tables: [], gains };
    }
  }
}
