/**
 * What a run of the benchmarks finds, and its file.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { median } from "./machine.ts";
import type { Measurement } from "./measure.ts";

/** What the process and the directory were like at the end of a step. */
export interface Facts {
  /** The most memory that the process had resident, in bytes. */
  readonly peakMemory: number;
  /** Bytes of the directory after the close. */
  readonly diskBytes: number;
  /** Bytes handed to write calls for each byte of keys and values, where known. */
  readonly writeAmplification?: number;
}

/** The result of a step. */
export interface StepResult {
  readonly measurements: Measurement[];
  readonly facts?: Facts;
}

/** Where and when something was found. */
export interface Place {
  readonly round: number;
  readonly store: string;
  /** A runtime; "native" of a program in C++. */
  readonly runtime: string;
  readonly size: number;
  readonly scenario: string;
}

/** One measurement of one round. */
export type Row = Place & Measurement;
/** What a scenario left behind, in one round. */
export type FactsRow = Place & Facts;

/** Everything that a run found. */
export interface Results {
  readonly machine: string;
  readonly versions: string[];
  readonly rounds: number;
  readonly rows: Row[];
  readonly facts: FactsRow[];
}

/** The runtime of programs in C++. */
export const NATIVE = "native";

/** Reads the files of runs, as one. */
export function readResults(files: readonly string[]): Results {
  const all = files.map((file): Results =>
    JSON.parse(readFileSync(file, "utf8"))
  );
  const [first] = all;
  if (first === undefined) throw new Error("no file of results");
  return {
    machine: first.machine,
    versions: [...new Set(all.flatMap(({ versions }) => versions))],
    rounds: Math.min(...all.map(({ rounds }) => rounds)),
    rows: all.flatMap(({ rows }) => rows),
    facts: all.flatMap(({ facts }) => facts),
  };
}

/** The median over the rounds of what is picked from some rows; NaN of none. */
export function medianOf<T>(
  rows: readonly T[],
  pick: (row: T) => number | undefined,
): number {
  return median(rows.map(pick).filter((value) => value !== undefined));
}

/** What appears in some rows, in their order. */
export function distinct<T, K>(rows: readonly T[], pick: (row: T) => K): K[] {
  return [...new Set(rows.map(pick))];
}
