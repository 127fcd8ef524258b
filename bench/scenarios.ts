/**
 * Everything that the suite measures.
 *
 * @module
 */
import { DB_BENCH } from "./db_bench.ts";
import type { Scenario } from "./measure.ts";
import { YCSB } from "./ycsb.ts";

/** All scenarios, in the order of the report. */
export const SCENARIOS: readonly Scenario[] = [...DB_BENCH, YCSB];

/** The rows whose ratios make the geometric mean; the others are beside it. */
export const RANKED: readonly string[] = [
  "fillseq",
  "fillrandom",
  "fillbatch",
  "overwrite",
  "readrandom",
  "readhot",
  "readmissing",
  "readseq",
  "readreverse",
  "seekrandom",
  "scan100",
  "deleterandom",
  "deleterange",
  "fill100K",
  "fillsync",
  "fillsync 64 writers",
  "YCSB A",
  "YCSB B",
  "YCSB C",
  "YCSB D",
  "YCSB E",
  "YCSB F",
];
