/**
 * Logs in memory, and what a replay of them gives, as plain data.
 *
 * @module
 */
import type { MemoryFileSystem } from "../../../lib/runtime/memory.ts";
import {
  type LogReplay,
  type LogSeal,
  type LogSink,
  replayLog,
} from "../../../lib/wal/reader.ts";
import { LOG_HEADER_LENGTH } from "../../../lib/wal/format.ts";
import { LogWriter } from "../../../lib/wal/writer.ts";
import { filled } from "../../engine/support/bytes.ts";
import type { Random } from "../../engine/support/random.ts";
import { fromBytes, toBytes } from "./entries.ts";
import { newFiles } from "./tables.ts";

/** The number of the log, where only one is made. */
export const LOG = 3;
/** Its path. */
export const LOG_PATH = "/db/000003.vlog";
/** The last sequence before it. */
export const BEFORE = 100;

/** One operation of a log. */
export interface LogOperation {
  readonly sequence: number;
  /** 0 put, 1 delete, 2 deleteRange. */
  readonly kind: number;
  readonly key: string;
  /** The value, or the end of the range; empty of a delete. */
  readonly value: string;
}

/** Keeps what it is given. */
export class RecordingSink implements LogSink {
  readonly operations: LogOperation[] = [];

  entry(
    sequence: number,
    kind: 0 | 1,
    bytes: Uint8Array,
    keyStart: number,
    keyEnd: number,
    valueStart: number,
    valueEnd: number,
  ): void {
    this.operations.push({
      sequence,
      kind,
      key: fromBytes(bytes.subarray(keyStart, keyEnd)),
      value: fromBytes(bytes.subarray(valueStart, valueEnd)),
    });
  }

  range(sequence: number, start: Uint8Array, end: Uint8Array): void {
    this.operations.push({
      sequence,
      kind: 2,
      key: fromBytes(start),
      value: fromBytes(end),
    });
  }
}

/** A log that is written, with the files that it lies in. */
export interface MadeLog {
  readonly files: MemoryFileSystem;
  readonly log: LogWriter;
}

/** A new log; of a usual size, if it may have filler. */
export function newLog(
  files: MemoryFileSystem = newFiles(),
  usualSize?: number,
): MadeLog {
  const header = {
    number: LOG,
    previous: 2,
    lastSequenceBefore: BEFORE,
    isMadeAtOpen: false,
  };
  const log = LogWriter.create(files, LOG_PATH, header, usualSize);
  return { files, log };
}

/** Appends an operation, its key and value at the start of larger buffers. */
export function append(log: LogWriter, operation: LogOperation): void {
  const { sequence, kind, key, value } = operation;
  if (kind === 2) {
    log.appendRange(sequence, toBytes(key), toBytes(value));
    return;
  }
  const keyBytes = toBytes(`${key}junk`);
  const valueBytes = toBytes(`${value}junk`);
  log.append(sequence, kind, keyBytes, key.length, valueBytes, value.length);
}

/** A random operation. */
export function randomOperation(
  random: Random,
  sequence: number,
  key: (random: Random) => string,
): LogOperation {
  const kind = random.pick([0, 0, 0, 1, 2]);
  const value = kind === 0
    ? fromBytes(filled(random.below(random.chance(5) ? 20_000 : 40), sequence))
    : kind === 1
    ? ""
    : random.chance(20)
    ? ""
    : key(random);
  const start = key(random);
  // A range that ends before it starts is no operation.
  return kind === 2 && value !== "" && value <= start
    ? { sequence, kind, key: start, value: "" }
    : { sequence, kind, key: start, value };
}

/** Replays the log; what came of it. The manifest knows of its header, and of its end where a seal is given. */
export function replay(
  files: MemoryFileSystem,
  seal?: LogSeal,
  number: number = LOG,
  syncedLength: number = LOG_HEADER_LENGTH,
): LogReplay & { readonly operations: LogOperation[] } {
  const sink = new RecordingSink();
  const result = replayLog(
    files,
    LOG_PATH,
    number,
    { syncedLength, seal },
    sink,
  );
  return { ...result, operations: sink.operations };
}
