/**
 * What a soak measures, and the verdict on whether it stayed flat.
 *
 * The medians of the second quarter of the samples and of the last are
 * compared: the first quarter is for warming up.
 *
 * @module
 */
import { readdirSync, statSync } from "node:fs";
import process from "node:process";

/** One moment. */
export interface Sample {
  /** Bytes of memory of the process. */
  readonly rss: number;
  /** Open handles; undefined where that cannot be told. */
  readonly handles: number | undefined;
  /** Bytes of the database's files. */
  readonly disk: number;
  /** Bytes of keys and values that are there. */
  readonly live: number;
}

const MIB = 1024 * 1024;
/** Memory may grow by so much between the two quarters. */
const RSS_RATIO_MAX = 1.1;
const RSS_SLACK_BYTES = 16 * MIB;
/** Handles: those of tables come and go. */
const HANDLES_SLACK = 8;
/** Bytes of files for each live byte may grow by so much. */
const SPACE_RATIO_MAX = 1.25;

/** Takes a sample. */
export function sample(directory: string, live: number): Sample {
  return {
    rss: process.memoryUsage().rss,
    handles: openHandles(),
    disk: bytesIn(directory),
    live,
  };
}

function openHandles(): number | undefined {
  try {
    return readdirSync("/proc/self/fd").length;
  } catch {
    return undefined;
  }
}

function bytesIn(directory: string): number {
  let bytes = 0;
  for (const name of readdirSync(directory)) {
    try {
      bytes += statSync(`${directory}/${name}`).size;
    } catch {
      // Removed meanwhile.
    }
  }
  return bytes;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
}

/** What a check of one measure came to. */
export interface Finding {
  readonly what: string;
  readonly isFlat: boolean;
}

function judge(
  name: string,
  of: readonly number[],
  boundOf: (before: number) => number,
  show: (value: number) => string,
): Finding {
  const quarter = Math.floor(of.length / 4);
  const before = median(of.slice(quarter, 2 * quarter));
  const after = median(of.slice(-quarter));
  const bound = boundOf(before);
  return {
    what: `${name}: ${show(before)} in the second quarter, ${show(after)} in ` +
      `the last, at most ${show(bound)}`,
    isFlat: after <= bound,
  };
}

/** The fewest samples that say something. */
export const SAMPLES_MIN = 12;

/** Whether everything stayed flat. */
export function verdict(samples: readonly Sample[]): Finding[] {
  if (samples.length < SAMPLES_MIN) {
    return [{ what: `only ${samples.length} samples`, isFlat: false }];
  }
  const findings = [
    judge(
      "memory",
      samples.map(({ rss }) => rss),
      (before) => before * RSS_RATIO_MAX + RSS_SLACK_BYTES,
      (bytes) => `${(bytes / MIB).toFixed(1)} MiB`,
    ),
    judge(
      "bytes of files for each live byte",
      samples.map(({ disk, live }) => disk / live),
      (before) => before * SPACE_RATIO_MAX,
      (ratio) => ratio.toFixed(2),
    ),
  ];
  const handles = samples.map(({ handles }) => handles)
    .filter((count) => count !== undefined);
  if (handles.length === samples.length) {
    findings.push(
      judge(
        "open handles",
        handles,
        (before) => before + HANDLES_SLACK,
        String,
      ),
    );
  }
  return findings;
}
