/**
 * Makes the job of a task, on whichever thread it is to be done.
 *
 * @module
 */
import { type FlushSource, makeFlushJob } from "../flush/job.ts";
import type { FileSystem } from "../runtime/runtime.ts";
import type { TableMeta } from "../sstable/meta.ts";
import type { Table } from "../sstable/table.ts";
import {
  ElisionByLookup,
  ElisionByRange,
  type TombstoneElision,
} from "./elision.ts";
import {
  inputOfRuns,
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
  MergeTask,
  Task,
  TaskResult,
} from "./tasks.ts";

/** What tasks read, as this thread has it. */
export interface TaskSources {
  /** The memtable of a flush. */
  memtable(task: FlushTask): FlushSource;
  /** A table, to be walked over or for lookups. It stays readable until the task has ended. */
  table(meta: TableMeta, use: "walk" | "lookups"): Table;
}

function elisionOf(task: MergeInputs, sources: TaskSources): TombstoneElision {
  const { elision, outside, memtablesOldest } = task;
  return elision.by === "range"
    ? new ElisionByRange(outside, memtablesOldest)
    : new ElisionByLookup(
      outside.map((meta) => sources.table(meta, "lookups")),
      memtablesOldest,
      elision,
    );
}

function inputOf(task: MergeInputs, sources: TaskSources): JobInput {
  return inputOfRuns(
    task.runs.map((run) => run.map((meta) => sources.table(meta, "walk"))),
  );
}

function rulesOf(task: MergeInputs, sources: TaskSources): JobRules {
  return { snapshots: task.snapshots, elision: elisionOf(task, sources) };
}

function outputOf(task: FlushTask | MergeTask, files: FileSystem): JobOutput {
  return { ...task.output, directory: task.directory, files };
}

/** The job of a task. It reads `sources` only while it runs. */
export function* makeJob(
  task: Task,
  files: FileSystem,
  sources: TaskSources,
): Job<TaskResult> {
  switch (task.type) {
    case "flush": {
      const memtable = sources.memtable(task);
      const output = outputOf(task, files);
      const tables = yield* makeFlushJob(memtable, task.snapshots, output);
      return { tables, gains: false };
    }
    case "merge": {
      const tables = yield* mergeIntoTables(
        inputOf(task, sources),
        rulesOf(task, sources),
        outputOf(task, files),
        task.cutting,
      );
      return { tables, gains: false };
    }
    case "probe": {
      const input = inputOf(task, sources);
      const gains = yield* wouldDrop(input, rulesOf(task, sources));
      return { tables: [], gains };
    }
  }
}
