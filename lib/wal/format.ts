/**
 * The write-ahead log's bytes. Integers are little-endian.
 *
 * ```
 * file    header, then groups without gaps
 *
 * header  8  magic "varvelog"
 *         4  format version, 1
 *         6  number of this log
 *         6  number of the log before it; 0 if none
 *         6  last sequence given before this log
 *         2  flags: 1, made while the database was opened, so that it may hold
 *            writes of an older log before the manifest names it
 *         4  checksum of the 32 bytes above
 *
 * group   4  checksum of the 24 bytes below, seeded with (log number, offset of
 *            the group)
 *         4  checksum of the operations, seeded likewise
 *         4  length of the operations in bytes
 *         6  sequence of the first operation, above all before it; the others
 *            follow one by one
 *         6  synced mark: this log was known to be synced up to this offset
 *            when the group was written
 *         4  number of operations
 *         n  operations
 *
 * operation
 *         1  kind: 0 put, 1 delete, 2 deleteRange
 *         v  length of the key (of the first key of the range), the key
 *         v  put: length of the value, the value
 *            deleteRange: length of the end, the end (empty: no end)
 * ```
 *
 * A group is what one write call carried: whole batches, so that a batch is
 * there wholly or not at all.
 *
 * A group that does not check ends the log, or is damage. Unsynced bytes may
 * survive a power failure in any order, so whole groups after a bad one prove
 * nothing by themselves; but the highest synced mark among them does: below
 * it, everything was safe on disk, and a bad group there is damage. Headers
 * have a checksum of their own so that those marks can be found, quickly, and
 * believed, behind any damage.
 *
 * @module
 */
import { placeSeed } from "../encoding/checksum.ts";
import {
  getU16,
  getU32,
  getU48,
  putU16,
  putU32,
  putU48,
} from "../encoding/fixed.ts";
import { checksum } from "../runtime/checksum.ts";

/** Bytes of the header of a log. */
export const LOG_HEADER_LENGTH = 36;
/** Bytes of the header of a group. */
export const GROUP_HEADER_LENGTH = 28;
/** The version that is written. */
export const LOG_VERSION = 1;

/** Operation kinds in a log. The first two are those of entries. */
export const LOG_DELETE_RANGE = 2;

const MADE_AT_OPEN = 1;
const MAGIC = [0x76, 0x61, 0x72, 0x76, 0x65, 0x6c, 0x6f, 0x67];

/** What the header of a log says. */
export interface LogHeader {
  /** The number of the log. */
  readonly number: number;
  /** The number of the log before it; 0 if none. */
  readonly previous: number;
  /** The last sequence given before it. */
  readonly lastSequenceBefore: number;
  /** Whether it was made while the database was opened. */
  readonly isMadeAtOpen: boolean;
}

/** The bytes of a log header. */
export function encodeLogHeader(header: LogHeader): Uint8Array {
  const bytes = new Uint8Array(LOG_HEADER_LENGTH);
  bytes.set(MAGIC);
  putU32(bytes, 8, LOG_VERSION);
  putU48(bytes, 12, header.number);
  putU48(bytes, 18, header.previous);
  putU48(bytes, 24, header.lastSequenceBefore);
  putU16(bytes, 30, header.isMadeAtOpen ? MADE_AT_OPEN : 0);
  putU32(bytes, 32, checksum(bytes.subarray(0, 32), 0));
  return bytes;
}

/** What a log header says, or what is wrong with it. */
export function decodeLogHeader(bytes: Uint8Array): LogHeader | string {
  if (bytes.length < LOG_HEADER_LENGTH) return `only ${bytes.length} bytes`;
  if (MAGIC.some((byte, i) => bytes[i] !== byte)) return "another magic";
  // mutant checksum-log-header: without it a damaged header is believed
  if (getU32(bytes, 32) !== checksum(bytes.subarray(0, 32), 0)) {
    return "a checksum that does not match";
  }
  const version = getU32(bytes, 8);
  if (version !== LOG_VERSION) return `format version ${version}`;
  const flags = getU16(bytes, 30);
  if (flags > MADE_AT_OPEN) return `flags ${flags}`;
  return {
    number: getU48(bytes, 12),
    previous: getU48(bytes, 18),
    lastSequenceBefore: getU48(bytes, 24),
    isMadeAtOpen: flags === MADE_AT_OPEN,
  };
}

/** What the header of a group says. */
export interface GroupHeader {
  /** Where the group ends. */
  readonly end: number;
  /** The sequence of the first operation. */
  readonly firstSequence: number;
  /** The synced mark. */
  readonly mark: number;
  /** Number of operations. */
  readonly operations: number;
}

/** Writes the header of the group that is `group` and will stand at `offset`. */
export function encodeGroupHeader(
  group: Uint8Array,
  firstSequence: number,
  mark: number,
  operations: number,
  logNumber: number,
  offset: number,
): void {
  const seed = placeSeed(logNumber, offset);
  const payload = group.subarray(GROUP_HEADER_LENGTH);
  putU32(group, 4, checksum(payload, seed));
  putU32(group, 8, payload.length);
  putU48(group, 12, firstSequence);
  putU48(group, 18, mark);
  putU32(group, 24, operations);
  putU32(group, 0, checksum(group.subarray(4, GROUP_HEADER_LENGTH), seed));
}

/** The header of a group at `offset` of a log's bytes; `undefined` if none is whole there. */
export function decodeGroupHeader(
  log: Uint8Array,
  offset: number,
  logNumber: number,
): GroupHeader | undefined {
  const start = offset + GROUP_HEADER_LENGTH;
  if (start > log.length) return undefined;
  const mark = getU48(log, offset + 18);
  if (mark < LOG_HEADER_LENGTH || mark > offset) return undefined;
  const sum = checksum(
    log.subarray(offset + 4, start),
    placeSeed(logNumber, offset),
  );
  // mutant checksum-group-header: without it whatever lies behind the end of the log is a group
  if (sum !== getU32(log, offset)) return undefined;
  return {
    end: start + getU32(log, offset + 8),
    firstSequence: getU48(log, offset + 12),
    mark,
    operations: getU32(log, offset + 24),
  };
}

/** Whether the operations of the group at `offset` are whole. */
export function isPayloadWhole(
  log: Uint8Array,
  offset: number,
  end: number,
  logNumber: number,
): boolean {
  const payload = log.subarray(offset + GROUP_HEADER_LENGTH, end);
  const sum = checksum(payload, placeSeed(logNumber, offset));
  // mutant checksum-group: without it damaged writes are replayed
  return sum === getU32(log, offset + 4);
}
