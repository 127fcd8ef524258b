/**
 * Reads a log back: every whole group in order, then the verdict on its end.
 *
 * Invariants:
 * - A read error is an error, never the end of the log.
 * - A sealed log (the manifest knows its length) must be whole up to there;
 *   what lies behind is ignored. Only the one log that is not sealed may end
 *   in a lost tail.
 *
 * @module
 */
import { U48_MAX } from "../encoding/fixed.ts";
import { Decoder } from "../encoding/varint.ts";
import { corruption } from "../errors.ts";
import { isBeforeEnd } from "../memtable/range_tombstones.ts";
import { MAX_KEY_LENGTH } from "../options.ts";
import type { FileSystem } from "../runtime/runtime.ts";
import {
  decodeGroupHeader,
  decodeLogHeader,
  FILLER,
  GROUP_HEADER_LENGTH,
  type GroupHeader,
  isPayloadWhole,
  LOG_DELETE_RANGE,
  LOG_HEADER_LENGTH,
  type LogHeader,
} from "./format.ts";

/** What is known of the end of a log that is no longer written. */
export interface LogSeal {
  /** Its trusted bytes. */
  readonly length: number;
  /** The last sequence in it, or before it if it is empty. */
  readonly lastSequence: number;
}

/** What the manifest says of a log. */
export interface LogKnowledge {
  /** How far it was synced when the manifest came to know it. */
  readonly syncedLength: number;
  /** Where it ends; `undefined` for the newest. */
  readonly seal: LogSeal | undefined;
}

/** Takes the operations of a log, in their order. */
export interface LogSink {
  /** A put or delete: its key is `bytes[keyStart, keyEnd)`, its value likewise. `bytes` is the whole log. */
  entry(
    sequence: number,
    kind: 0 | 1,
    bytes: Uint8Array,
    keyStart: number,
    keyEnd: number,
    valueStart: number,
    valueEnd: number,
  ): void;
  /** A deleteRange. The arrays are views of the log. */
  range(sequence: number, start: Uint8Array, end: Uint8Array): void;
}

/** What a replay found. */
export interface LogReplay {
  /** The whole file. */
  readonly bytes: Uint8Array;
  /** The log's header. */
  readonly header: LogHeader;
  /** Where the log ends, as a seal for the next manifest. */
  readonly seal: LogSeal;
  /** Bytes behind the end that were lost: filler at the end of the file is none. */
  readonly lostTailBytes: number;
}

/** Reads a whole file. */
export function readWhole(files: FileSystem, path: string): Uint8Array {
  const file = files.open(path, "read");
  try {
    const bytes = new Uint8Array(file.size());
    const read = file.readAt(bytes, 0);
    // mutant short-read-is-no-end: otherwise what was not read is lost
    if (read !== bytes.length) {
      throw corruption(path, read, `${bytes.length} bytes`, `${read} bytes`);
    }
    return bytes;
  } finally {
    file.close();
  }
}

/**
 * Replays a log into `sink`.
 *
 * @param known What the manifest says of it.
 * @throws `CORRUPTION` for damage that cannot be a lost tail.
 */
export function replayLog(
  files: FileSystem,
  path: string,
  number: number,
  { syncedLength, seal }: LogKnowledge,
  sink: LogSink,
): LogReplay {
  const bytes = readWhole(files, path);
  const header = checkHeader(bytes, path, number);
  const least = seal?.length ?? syncedLength;
  // mutant log-is-long-enough: what was synced cannot be lost by a crash
  if (bytes.length < least) {
    throw corruption(
      path,
      bytes.length,
      `a log of ${least} bytes at least`,
      `one cut at ${bytes.length}`,
    );
  }
  // no mutant: a whole group behind the seal would be CORRUPTION for its sequence; what is not whole ends the log in any case
  const limit = seal?.length ?? bytes.length;
  let offset = LOG_HEADER_LENGTH;
  let lastSequence = header.lastSequenceBefore;
  while (offset < limit) {
    const group = decodeGroupHeader(bytes, offset, number);
    const fault = faultOf(group, bytes, offset, limit, number, lastSequence);
    if (group === undefined || fault !== undefined) {
      judgeEnd(bytes, path, number, offset, least, fault ?? "none");
      break;
    }
    lastSequence = replayGroup(bytes, path, offset, group, sink);
    offset = group.end;
  }
  if (seal !== undefined && lastSequence !== seal.lastSequence) {
    throw corruption(
      path,
      offset,
      `last sequence ${seal.lastSequence}`,
      `${lastSequence}`,
    );
  }
  return {
    bytes,
    header,
    seal: { length: offset, lastSequence },
    lostTailBytes: beforeFiller(bytes, offset, limit) - offset,
  };
}

/** Where the filler at the end of [start, end) begins. A few bytes like it, behind others, are the end of a torn group. */
function beforeFiller(bytes: Uint8Array, start: number, end: number): number {
  let at = end;
  while (at > start && bytes[at - 1] === FILLER) at--;
  return at > start && end - at < GROUP_HEADER_LENGTH ? end : at;
}

function checkHeader(
  bytes: Uint8Array,
  path: string,
  number: number,
): LogHeader {
  const header = decodeLogHeader(bytes);
  if (typeof header === "string") {
    throw corruption(path, 0, "the header of a log", header);
  }
  if (header.number !== number) {
    throw corruption(path, 12, `log ${number}`, `log ${header.number}`);
  }
  return header;
}

/** Whether the log at `path` was made while a database was opened; false too if its header cannot be read. */
export function isMadeAtOpen(files: FileSystem, path: string): boolean {
  const file = files.open(path, "read");
  try {
    const bytes = new Uint8Array(LOG_HEADER_LENGTH);
    file.readAt(bytes, 0);
    const header = decodeLogHeader(bytes);
    return typeof header !== "string" && header.isMadeAtOpen;
  } finally {
    file.close();
  }
}

/** What is wrong with the group at `offset`; `undefined` if nothing is. */
function faultOf(
  group: GroupHeader | undefined,
  bytes: Uint8Array,
  offset: number,
  limit: number,
  number: number,
  lastSequence: number,
): string | undefined {
  if (group === undefined) return "no header of one";
  const { end, firstSequence } = group;
  if (end > limit) return "one that goes past the end";
  if (!isPayloadWhole(bytes, offset, end, number)) {
    return "a checksum that does not match";
  }
  if (firstSequence <= lastSequence) {
    return `sequence ${firstSequence} after ${lastSequence}`;
  }
  return undefined;
}

/** Throws unless a bad group at `offset` can be the start of a lost tail. */
function judgeEnd(
  bytes: Uint8Array,
  path: string,
  number: number,
  offset: number,
  synced: number,
  fault: string,
): void {
  const mark = Math.max(synced, highestMark(bytes, offset + 1, number));
  // mutant damage-is-no-lost-tail: what was synced cannot be lost by a crash
  if (mark > offset) {
    throw corruption(
      path,
      offset,
      `a whole group, for the log was synced up to ${mark}`,
      fault,
    );
  }
}

/** The highest synced mark of any group header that stands at or after `from`. */
function highestMark(bytes: Uint8Array, from: number, number: number): number {
  let highest = 0;
  const last = bytes.length - GROUP_HEADER_LENGTH;
  for (let at = from; at <= last; at++) {
    const group = decodeGroupHeader(bytes, at, number);
    if (group !== undefined) highest = Math.max(highest, group.mark);
  }
  return highest;
}

/** Gives the operations of a group that is whole to `sink`; returns the last sequence. */
export function replayGroup(
  bytes: Uint8Array,
  path: string,
  offset: number,
  { end, firstSequence: first, operations: count }: GroupHeader,
  sink: LogSink,
): number {
  const decoder = new Decoder(bytes, offset + GROUP_HEADER_LENGTH, end);
  for (let i = 0; i < count && !decoder.failed; i++) {
    const kind = decoder.byte();
    const start = decoder.skipSized();
    const middle = decoder.position;
    if (kind === 0 || kind === 1) {
      const valueStart = kind === 0 ? decoder.skipSized() : middle;
      if (middle - start > MAX_KEY_LENGTH) decoder.failed = true;
      if (decoder.failed) break;
      const valueEnd = decoder.position;
      sink.entry(first + i, kind, bytes, start, middle, valueStart, valueEnd);
    } else if (kind === LOG_DELETE_RANGE) {
      const stop = decoder.skipSized();
      const key = bytes.subarray(start, middle);
      const keyAfter = bytes.subarray(stop, decoder.position);
      if (!isRange(key, keyAfter)) decoder.failed = true;
      if (!decoder.failed) sink.range(first + i, key, keyAfter);
    } else decoder.failed = true;
  }
  const last = first + count - 1;
  if (decoder.failed || decoder.position !== end || last > U48_MAX) {
    throw corruption(
      path,
      decoder.position,
      `${count} operations that end at ${end}`,
      "others, under a checksum that matches",
    );
  }
  return last;
}

/** Whether a range delete can have these bounds: either may be the successor of a key. */
function isRange(start: Uint8Array, end: Uint8Array): boolean {
  return start.length <= MAX_KEY_LENGTH + 1 &&
    end.length <= MAX_KEY_LENGTH + 1 &&
    isBeforeEnd(start, 0, start.length, end);
}
