/**
 * Appends groups to one log.
 *
 * Invariants:
 * - Operations gather in memory as one group until {@linkcode LogWriter.write};
 *   the file only ever grows by whole groups, and by filler behind them.
 * - Filler is only ever written behind what was written as groups.
 * - A batch is appended without a break in its sequences, so that it lies in
 *   one group.
 * - After an error the file's state is unknown: nothing more may be written,
 *   and no sync may be tried again (the caller latches the handle).
 *
 * @module
 */
import { copyInto } from "../encoding/bytes.ts";
import { MAX_VARINT_LENGTH, putVarint } from "../encoding/varint.ts";
import { removeQuietly } from "../runtime/remove.ts";
import type { File, FileSystem } from "../runtime/runtime.ts";
import {
  encodeGroupHeader,
  encodeLogHeader,
  FILLER,
  GROUP_HEADER_LENGTH,
  LOG_DELETE_RANGE,
  LOG_HEADER_LENGTH,
  type LogHeader,
} from "./format.ts";

const USUAL_BUFFER = 64 * 1024;
/** A log gets filler when it was synced so often, */
const SYNCS_BEFORE_FILLER = 4;
/** if it grew by less than this since the last sync: what is large is as fast without. */
const SMALL_SYNC_BYTES = 32 * 1024;
/** The least filler at a time, and the most: as much as the log has grown to, */
const FILLER_BYTES_MIN = 4 * 1024;
const FILLER_BYTES_MAX = 128 * 1024;
/** and no more than this part of its usual size, as a power of two. */
const FILLER_SHIFT = 3;

let filler: Uint8Array | undefined;

/** `length` bytes of filler, all of it the same memory. */
function fillerOf(length: number): Uint8Array {
  filler ??= new Uint8Array(FILLER_BYTES_MAX).fill(FILLER);
  return filler.subarray(0, length);
}

/** The writer of one log. */
export class LogWriter {
  /** The number of the log. */
  readonly number: number;
  /** The last sequence in the log, or before it while it is empty. */
  lastSequence: number;
  private readonly file: File;
  private buffer = new Uint8Array(USUAL_BUFFER);
  private length = GROUP_HEADER_LENGTH;
  private operations = 0;
  private firstSequence = 0;
  private end = LOG_HEADER_LENGTH;
  private synced = LOG_HEADER_LENGTH;
  private syncing = false;
  private closed = false;
  private syncs = 0;
  /** Where the filler ends. */
  private laidOut = LOG_HEADER_LENGTH;
  private readonly fillerBytes: number;

  private constructor(header: LogHeader, file: File, usualSize: number) {
    this.number = header.number;
    this.lastSequence = header.lastSequenceBefore;
    this.file = file;
    this.fillerBytes = Math.min(FILLER_BYTES_MAX, usualSize >>> FILLER_SHIFT);
  }

  /**
   * Creates the log's file with its header and syncs it. The directory is the
   * caller's to sync.
   *
   * @param usualSize About how long it will become; 0 for a log that gets no
   * filler.
   */
  static create(
    files: FileSystem,
    path: string,
    header: LogHeader,
    usualSize = 0,
  ): LogWriter {
    const file = files.open(path, "create");
    try {
      file.writeAt(encodeLogHeader(header), 0);
      // mutant sync-log-header: without it a log that the manifest names may have no header
      file.syncNow();
    } catch (error) {
      file.close();
      removeQuietly(files, path);
      throw error;
    }
    return new LogWriter(header, file, usualSize);
  }

  /** Bytes of the file, with the group that is not yet written. */
  get bytes(): number {
    return this.end + (this.operations === 0 ? 0 : this.length);
  }

  /** Bytes written to the file. */
  get writtenBytes(): number {
    return this.end;
  }

  /** Bytes written and not known to be synced. */
  get unsyncedBytes(): number {
    return this.end - this.synced;
  }

  /** Bytes gathered for the next group. */
  get pendingBytes(): number {
    return this.operations === 0 ? 0 : this.length;
  }

  /** Adds a put or delete to the group. */
  append(
    sequence: number,
    kind: number,
    key: Uint8Array,
    keyLength: number,
    value: Uint8Array,
    valueLength: number,
  ): void {
    this.begin(sequence, 1, 1 + keyLength + valueLength);
    const buffer = this.buffer;
    let at = this.length;
    buffer[at++] = kind;
    at = putVarint(buffer, at, keyLength);
    at = copyInto(buffer, at, key, 0, keyLength);
    if (kind === 0) {
      at = putVarint(buffer, at, valueLength);
      at = copyInto(buffer, at, value, 0, valueLength);
    }
    this.length = at;
  }

  /** Adds a deleteRange to the group. An empty end means no end. */
  appendRange(sequence: number, start: Uint8Array, end: Uint8Array): void {
    this.begin(sequence, 1, 1 + start.length + end.length);
    const buffer = this.buffer;
    let at = this.length;
    buffer[at++] = LOG_DELETE_RANGE;
    at = putVarint(buffer, at, start.length);
    at = copyInto(buffer, at, start, 0, start.length);
    at = putVarint(buffer, at, end.length);
    this.length = copyInto(buffer, at, end, 0, end.length);
  }

  /** Adds operations that are encoded as a group has them, `bytes[start, end)`, to the group. */
  appendEncoded(
    firstSequence: number,
    operations: number,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): void {
    this.begin(firstSequence, operations, end - start);
    this.length = copyInto(this.buffer, this.length, bytes, start, end);
  }

  private begin(sequence: number, operations: number, bytes: number): void {
    // Within a group sequences follow one by one; after burned ones comes another group.
    // mutant group-without-gaps: within a group sequences are counted
    if (sequence !== this.lastSequence + 1) this.write();
    this.reserve(bytes + 2 * MAX_VARINT_LENGTH);
    if (this.operations === 0) this.firstSequence = sequence;
    this.operations += operations;
    this.lastSequence = sequence + operations - 1;
  }

  /** Whether `bytes` more bytes of operations need no more memory. */
  hasRoom(bytes: number): boolean {
    return this.length + bytes <= this.buffer.length;
  }

  /** Makes room in memory for `bytes` more bytes of operations, or throws before anything has changed. */
  reserve(bytes: number): void {
    const needed = this.length + bytes;
    if (needed <= this.buffer.length) return;
    const grown = new Uint8Array(Math.max(needed, this.buffer.length * 2));
    grown.set(this.buffer.subarray(0, this.length));
    this.buffer = grown;
  }

  /** Hands the group to the operating system. */
  write(): void {
    if (this.operations === 0) return;
    const group = this.buffer.subarray(0, this.length);
    encodeGroupHeader(
      group,
      this.firstSequence,
      // mutant mark-is-synced: a mark above what is synced makes damage of a lost tail
      this.synced,
      this.operations,
      this.number,
      this.end,
    );
    this.file.writeAt(group, this.end);
    this.end += this.length;
    this.length = GROUP_HEADER_LENGTH;
    this.operations = 0;
    if (this.buffer.length > 16 * USUAL_BUFFER) {
      this.buffer = new Uint8Array(USUAL_BUFFER);
    }
  }

  /** Makes everything written before the call durable. One at a time. */
  async sync(): Promise<void> {
    const end = this.end;
    this.layOut();
    this.syncing = true;
    try {
      // mutant sync-log: without it what was acknowledged may be lost
      await this.file.sync();
    } finally {
      this.syncing = false;
      if (this.closed) this.file.close();
    }
    // mutant synced-up-to-the-call: what is written while a sync is under way is not synced by it
    if (end > this.synced) this.synced = end;
  }

  /** What {@linkcode LogWriter.sync} does, blocking. Not while one is under way. */
  syncBlocking(): void {
    this.layOut();
    // mutant sync-log-blocking: without it what was acknowledged may be lost
    this.syncNow();
  }

  /**
   * Lays out filler, for the groups of many small syncs: where a file grows,
   * a sync has to make its length and its blocks durable too, which takes as
   * long again as the data.
   */
  private layOut(): void {
    const isSmall = this.end - this.synced < SMALL_SYNC_BYTES;
    if (++this.syncs < SYNCS_BEFORE_FILLER || !isSmall) return;
    // mutant filler-behind-groups: filler over a group would be its loss
    const start = Math.max(this.end, this.laidOut);
    const grown = Math.max(FILLER_BYTES_MIN, this.end);
    const length = Math.min(grown, this.fillerBytes);
    if (length === 0 || start - this.end > length >>> 2) return;
    // A failure is one of the log: no sync is believed after it.
    this.file.writeAt(fillerOf(length), start);
    this.laidOut = start + length;
  }

  /** Makes everything written durable, blocking. By itself it makes no room for more: that is the log's last sync. */
  syncNow(): void {
    if (this.synced === this.end) return;
    // mutant sync-log-end: without it a sealed log may lose its end
    this.file.syncNow();
    this.synced = this.end;
  }

  /** Closes the file, behind a sync that is under way. What was not written is gone. */
  close(): void {
    this.closed = true;
    if (!this.syncing) this.file.close();
  }
}
