/**
 * Replays logs at opening: writes that are in no table become memtables again.
 *
 * Invariants:
 * - Sealed logs come in the order of their numbers, whole; only the one that
 *   was not sealed may have lost its tail.
 * - What can be read of the log that was not sealed need not be on the disk:
 *   its sync may have failed and marked the pages clean, so that another sync
 *   would save nothing. Its writes are written again, to the new log, and
 *   synced there, before anything stands on them.
 * - What the manifest says is in tables does not count in a log: the log may
 *   have lost a delete whose tombstone a compaction has dropped since.
 * - Everything is read and checked before the new log is made. What is written
 *   to it are the bytes that were checked.
 *
 * @module
 */
import { corruption } from "./errors.ts";
import {
  ArenaPool,
  entryRoom,
  Memtable,
  rangeRoom,
} from "./memtable/memtable.ts";
import { BulkLoad } from "./memtable/bulk_load.ts";
import type { ResolvedOptions } from "./options.ts";
import { removeQuietly } from "./runtime/remove.ts";
import type { FileSystem } from "./runtime/runtime.ts";
import type { TableMeta } from "./sstable/meta.ts";
import type { KnownLog, TreeState } from "./version/state.ts";
import type { VersionSet } from "./version/version_set.ts";
import {
  decodeGroupHeader,
  GROUP_HEADER_LENGTH,
  LOG_HEADER_LENGTH,
  type LogHeader,
} from "./wal/format.ts";
import {
  type LogReplay,
  type LogSeal,
  type LogSink,
  replayGroup,
  replayLog,
} from "./wal/reader.ts";
import { LogWriter } from "./wal/writer.ts";

/** Arenas of flushed memtables kept for the next ones. */
const SPARE_ARENAS = 1;

/** What the logs gave. */
export interface Replayed {
  /** Where memtables get their memory. */
  readonly pool: ArenaPool;
  /** Memtables, oldest first; the last is to be filled on. */
  readonly memtables: Memtable[];
  /** The new log, with the writes of the log that was not sealed. */
  readonly log: LogWriter;
  /** Numbers of the logs that nothing needs any more. */
  readonly superfluous: number[];
  /** The highest sequence in manifest, tables and logs. */
  readonly lastSequence: number;
  /** Bytes that were lost at the end of the newest log. */
  readonly lostTailBytes: number;
}

/** Fills memtables from logs. */
class Replay implements LogSink {
  /** Memtables, oldest first; the last is to be filled on. */
  readonly memtables: Memtable[] = [];
  /** The log that will hold the operations. */
  log = 0;
  private readonly pool: ArenaPool;
  private readonly flushed: number;
  private readonly load = new BulkLoad();
  /** Room in the last memtable, less what the load may take of it. */
  private room = 0;

  constructor(pool: ArenaPool, flushed: number) {
    this.pool = pool;
    this.flushed = flushed;
  }

  private memtableWith(room: number): Memtable {
    let last = this.memtables.at(-1);
    if (last === undefined || this.room < room) {
      this.finish();
      // What was added has taken less than it might have.
      last = this.memtables.at(-1);
    }
    if (last === undefined || this.room < room) {
      last = new Memtable(this.log, this.pool, room);
      this.memtables.push(last);
      this.room = last.room;
    }
    this.room -= room;
    return last;
  }

  entry(
    sequence: number,
    kind: 0 | 1,
    bytes: Uint8Array,
    keyStart: number,
    keyEnd: number,
    valueStart: number,
    valueEnd: number,
  ): void {
    // mutant replay-what-is-in-no-table: a log that stays may hold a put, and have lost the delete
    if (sequence <= this.flushed) return;
    const { load } = this;
    if (load.isFull) this.finish();
    this.memtableWith(entryRoom(keyEnd - keyStart, valueEnd - valueStart));
    load.add(sequence, kind, bytes, keyStart, keyEnd, valueStart, valueEnd);
  }

  range(sequence: number, start: Uint8Array, end: Uint8Array): void {
    // no mutant: a range delete that is replayed once more hides what it has hidden; this spares the memory
    if (sequence <= this.flushed) return;
    this.memtableWith(rangeRoom(start.length, end.length))
      .addRange(sequence, start, end, []);
  }

  /** Brings all that was replayed into memtables. To be called behind each log. */
  finish(): void {
    const last = this.memtables.at(-1);
    if (last === undefined) return;
    this.load.moveTo(last);
    this.room = last.room;
  }
}

/** Bytes gathered for one group of a log that is written again. */
const REWRITE_BYTES = 512 * 1024;

/** Writes to a log again what is in no table of a log that was replayed. */
function rewrite(
  path: string,
  number: number,
  { bytes, seal }: LogReplay,
  flushed: number,
  log: LogWriter,
): void {
  const sink = new Rewrite(log, flushed);
  for (let offset = LOG_HEADER_LENGTH; offset < seal.length;) {
    const group = decodeGroupHeader(bytes, offset, number);
    if (group === undefined) {
      throw corruption(path, offset, "the group that was replayed", "none");
    }
    const { firstSequence, operations, end } = group;
    const start = offset + GROUP_HEADER_LENGTH;
    if (firstSequence > flushed) {
      log.appendEncoded(firstSequence, operations, bytes, start, end);
    } else replayGroup(bytes, path, offset, group, sink);
    if (log.pendingBytes > REWRITE_BYTES) log.write();
    offset = end;
  }
}

/** Writes to a log again what is in no table of a group. */
class Rewrite implements LogSink {
  private readonly log: LogWriter;
  private readonly flushed: number;

  constructor(log: LogWriter, flushed: number) {
    this.log = log;
    this.flushed = flushed;
  }

  entry(
    sequence: number,
    kind: 0 | 1,
    bytes: Uint8Array,
    keyStart: number,
    keyEnd: number,
    valueStart: number,
    valueEnd: number,
  ): void {
    // no mutant: the next opening leaves out what is in tables, whatever the log holds; this spares writing it
    if (sequence <= this.flushed) return;
    const key = bytes.subarray(keyStart, keyEnd);
    const value = bytes.subarray(valueStart, valueEnd);
    this.log.append(sequence, kind, key, key.length, value, value.length);
  }

  range(sequence: number, start: Uint8Array, end: Uint8Array): void {
    if (sequence > this.flushed) this.log.appendRange(sequence, start, end);
  }
}

/** Replays the sealed logs in the order of their numbers, then the newest one, whose writes go to a new log. */
export function replayLogs(
  files: FileSystem,
  versions: VersionSet,
  state: TreeState,
  options: ResolvedOptions,
): Replayed {
  const pool = new ArenaPool(options.writeBufferSize, SPARE_ARENAS);
  const replay = new Replay(pool, state.flushedSequence);
  const logs = [...state.logs].sort(([a], [b]) => a - b);
  const unsealed = logs.filter(([, { seal }]) => seal === undefined);
  if (
    unsealed.length > 1 || unsealed.length > 0 && unsealed[0] !== logs.at(-1)
  ) {
    throw corruption(
      versions.path("log", unsealed[0][0]),
      0,
      "a log that the manifest sealed, for there is a newer one",
      "one that is not sealed",
    );
  }
  const newNumber = versions.newFileNumber();
  let last: { readonly number: number; readonly seal: LogSeal } | undefined;
  let torn: LogReplay | undefined; // The only one whose bytes are kept.
  let kept = 0;
  let sealedSequence = 0;
  let lostTailBytes = 0;
  for (const [number, known] of logs) {
    const { seal } = known;
    replay.log = seal === undefined ? newNumber : number;
    const result = replayOne(files, versions, number, known, replay);
    replay.finish();
    if (last !== undefined) {
      checkFollows(versions, result.header, last.number, last.seal);
    }
    last = { number, seal: result.seal };
    if (seal === undefined) torn = result;
    lostTailBytes = result.lostTailBytes;
    if (seal === undefined) continue;
    sealedSequence = seal.lastSequence;
    if (replay.memtables.length > 0) kept = number;
  }
  const header = {
    number: newNumber,
    previous: kept,
    lastSequenceBefore: sealedSequence,
    isMadeAtOpen: true,
  };
  const log = LogWriter.create(
    files,
    versions.path("log", newNumber),
    header,
    options.writeBufferSize,
  );
  try {
    // Its entry in the directory is synced before CURRENT can lead to it.
    if (torn !== undefined) {
      const { number } = torn.header;
      const path = versions.path("log", number);
      rewrite(path, number, torn, state.flushedSequence, log);
    }
    // mutant torn-log-is-written-again: a log that may have lost its tail is never appended to
    log.write();
    // mutant sync-rewritten-log: without it what an opening has shown may be lost
    log.syncNow();
  } catch (error) {
    log.close();
    removeQuietly(files, versions.path("log", log.number));
    throw error;
  }
  return {
    pool,
    memtables: replay.memtables,
    log,
    // mutant logs-with-memtables-stay: a sealed log stays until its memtable is a table
    superfluous: (kept === 0 ? logs : unsealed).map(([number]) => number),
    lastSequence: newestOf(
      state.metas(),
      // mutant sequences-of-logs: a sequence that a log has seen is never given again
      // mutant sequences-of-manifest: a sequence that was given is never given again
      Math.max(state.lastSequence, last?.seal.lastSequence ?? 0),
    ),
    lostTailBytes,
  };
}

/** The highest sequence of tables, `least` if it is higher. A loop: there may be more tables than a call takes arguments. */
function newestOf(tables: readonly TableMeta[], least: number): number {
  let newest = least;
  // no mutant: the edit that adds a table says no lower sequence; this does not rely on it
  for (const table of tables) newest = Math.max(newest, table.newest);
  return newest;
}

function replayOne(
  files: FileSystem,
  versions: VersionSet,
  number: number,
  known: KnownLog,
  sink: LogSink,
): LogReplay {
  const path = versions.path("log", number);
  if (files.stat(path) === undefined) {
    throw corruption(path, 0, "a log that the manifest names", "no file");
  }
  return replayLog(files, path, number, known, sink);
}

/** The header of a log names its predecessor, so that a missing or shorter one is seen. */
function checkFollows(
  versions: VersionSet,
  { number, previous, lastSequenceBefore }: LogHeader,
  before: number,
  { lastSequence }: LogSeal,
): void {
  if (previous === before && lastSequenceBefore >= lastSequence) return;
  throw corruption(
    versions.path("log", number),
    0,
    `the log after log ${before} and sequence ${lastSequence}`,
    `the one after log ${previous} and sequence ${lastSequenceBefore}`,
  );
}
