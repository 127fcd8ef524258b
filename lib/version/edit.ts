/**
 * Edits: what changes the tree, and how a manifest writes it down.
 *
 * ```
 * edit    fields until the end, each a tag byte and its varints:
 *         1  next file number
 *         2  last sequence
 *         3  table added: level, number, size, entries, tombstones, older
 *            versions, fragments of range tombstones, lowest and highest sequence, created (ms),
 *            flags (1: a range tombstone has no end), then smallest and
 *            largest key, each a length and bytes
 *         4  table removed: number
 *         5  log added: number, length up to which it was synced before
 *         6  log sealed: number, length, last sequence
 *         7  log removed: number
 *         8  flushed sequence
 * ```
 *
 * Numbers of files, lengths and sequences are below 2^48. An edit is applied
 * wholly or not at all. The first edit of a manifest is
 * applied to nothing and so says everything.
 *
 * @module
 */
import { compareBytes } from "../encoding/bytes.ts";
import { U48_MAX } from "../encoding/fixed.ts";
import { Decoder, Encoder } from "../encoding/varint.ts";
import { FOOTER_LENGTH } from "../sstable/format.ts";
import type { TableMeta } from "../sstable/meta.ts";
import type { LogSeal } from "../wal/reader.ts";

/** A table that an edit adds. */
export interface AddedTable {
  /** The level that it goes to. */
  readonly level: number;
  /** The table. */
  readonly table: TableMeta;
}

/** A log that an edit adds. */
export interface AddedLog {
  /** The log. */
  readonly number: number;
  /** How far it was synced before the edit: a bad group below is damage. */
  readonly syncedLength: number;
}

/** A log whose end an edit makes known. */
export interface SealedLog extends LogSeal {
  /** The log. */
  readonly number: number;
}

/** A change of the tree. */
export interface Edit {
  /** Every file number from here on is unused. */
  readonly nextFileNumber?: number;
  /** No sequence above was in tables or sealed logs. */
  readonly lastSequence?: number;
  /** Everything up to this sequence is in tables; what a log has of it does not count. */
  readonly flushedSequence?: number;
  /** Tables added. */
  readonly addTables?: readonly AddedTable[];
  /** Numbers of tables removed. */
  readonly removeTables?: readonly number[];
  /** Logs added. */
  readonly addLogs?: readonly AddedLog[];
  /** Logs sealed. */
  readonly sealLogs?: readonly SealedLog[];
  /** Numbers of logs removed. */
  readonly removeLogs?: readonly number[];
}

const UNBOUNDED = 1;
/** No level is higher: a state takes memory for every level up to its highest. */
const LEVEL_MAX = 255;

/** The bytes of an edit. */
export function encodeEdit(edit: Edit): Uint8Array {
  const encoder = new Encoder();
  if (edit.nextFileNumber !== undefined) {
    encoder.byte(1).varint(edit.nextFileNumber);
  }
  if (edit.lastSequence !== undefined) {
    encoder.byte(2).varint(edit.lastSequence);
  }
  for (const { level, table } of edit.addTables ?? []) {
    encoder.byte(3).varint(level).varint(table.number).varint(table.size)
      .varint(table.entries).varint(table.tombstones)
      .varint(table.olderVersions)
      .varint(table.rangeTombstones).varint(table.oldest)
      .varint(table.newest).varint(table.created)
      .varint(table.unbounded ? UNBOUNDED : 0)
      .sized(table.smallest).sized(table.largest);
  }
  for (const number of edit.removeTables ?? []) encoder.byte(4).varint(number);
  for (const { number, syncedLength } of edit.addLogs ?? []) {
    encoder.byte(5).varint(number).varint(syncedLength);
  }
  for (const { number, length, lastSequence } of edit.sealLogs ?? []) {
    encoder.byte(6).varint(number).varint(length).varint(lastSequence);
  }
  for (const number of edit.removeLogs ?? []) encoder.byte(7).varint(number);
  if (edit.flushedSequence !== undefined) {
    encoder.byte(8).varint(edit.flushedSequence);
  }
  return encoder.finish();
}

/** Reads a varint that must be below 2^48. */
function u48(decoder: Decoder): number {
  const value = decoder.varint();
  if (value > U48_MAX) decoder.failed = true;
  return value;
}

function decodeTable(decoder: Decoder): AddedTable {
  const level = decoder.varint();
  const number = u48(decoder);
  const size = u48(decoder);
  const entries = decoder.varint();
  const tombstones = decoder.varint();
  const olderVersions = decoder.varint();
  const rangeTombstones = decoder.varint();
  const oldest = u48(decoder);
  const newest = u48(decoder);
  const created = decoder.varint();
  const flags = decoder.varint();
  const table = {
    number,
    size,
    entries,
    tombstones,
    olderVersions,
    rangeTombstones,
    oldest,
    newest,
    created,
    unbounded: flags === UNBOUNDED,
    smallest: decoder.sized(),
    largest: decoder.sized(),
  };
  if (level > LEVEL_MAX || flags > UNBOUNDED || !isPossible(table)) {
    decoder.failed = true;
  }
  return { level, table };
}

/** Whether there can be a table of which this is true. */
function isPossible(table: TableMeta): boolean {
  const { entries, rangeTombstones, smallest, largest } = table;
  const isInOrder = table.unbounded
    ? rangeTombstones > 0 && largest.length === 0
    : compareBytes(smallest, largest) <= 0;
  return isInOrder && table.size >= FOOTER_LENGTH &&
    entries + rangeTombstones > 0 && table.tombstones <= entries &&
    table.olderVersions <= entries && table.oldest <= table.newest;
}

/** The edit that bytes say; `undefined` if they say none. */
export function decodeEdit(bytes: Uint8Array): Edit | undefined {
  const decoder = new Decoder(bytes, 0, bytes.length);
  let nextFileNumber: number | undefined;
  let lastSequence: number | undefined;
  let flushedSequence: number | undefined;
  const addTables: AddedTable[] = [];
  const removeTables: number[] = [];
  const addLogs: AddedLog[] = [];
  const sealLogs: SealedLog[] = [];
  const removeLogs: number[] = [];
  while (decoder.position < bytes.length && !decoder.failed) {
    const tag = decoder.byte();
    if (tag === 1) nextFileNumber = u48(decoder);
    else if (tag === 2) lastSequence = u48(decoder);
    else if (tag === 3) addTables.push(decodeTable(decoder));
    else if (tag === 4) removeTables.push(u48(decoder));
    else if (tag === 5) {
      addLogs.push({
        number: u48(decoder),
        syncedLength: u48(decoder),
      });
    } else if (tag === 6) {
      sealLogs.push({
        number: u48(decoder),
        length: u48(decoder),
        lastSequence: u48(decoder),
      });
    } else if (tag === 7) removeLogs.push(u48(decoder));
    else if (tag === 8) flushedSequence = u48(decoder);
    else return undefined;
  }
  if (decoder.failed) return undefined;
  return {
    ...(nextFileNumber === undefined ? {} : { nextFileNumber }),
    ...(lastSequence === undefined ? {} : { lastSequence }),
    ...(flushedSequence === undefined ? {} : { flushedSequence }),
    addTables,
    removeTables,
    addLogs,
    sealLogs,
    removeLogs,
  };
}
