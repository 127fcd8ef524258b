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
 *         2  zero
 *         4  checksum of the 32 bytes above
 *
 * group   4  checksum of everything below, seeded with (log number, offset of the group)
 *         4  length of the operations in bytes
 *         6  sequence of the first operation; the others follow one by one
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
 * it, everything was safe on disk, and a bad group there is damage.
 *
 * @module
 */
import { placeSeed } from "../encoding/checksum.ts";
import { getU32, getU48, putU32, putU48 } from "../encoding/fixed.ts";
import { checksum } from "../runtime/checksum.ts";

/** Bytes of the header of a log. */
export const LOG_HEADER_LENGTH = 36;
/** Bytes of the header of a group. */
export const GROUP_HEADER_LENGTH = 24;
/** The version that is written. */
export const LOG_VERSION = 1;

/** Operation kinds in a log. The first two are those of entries. */
export const LOG_DELETE_RANGE = 2;

const MAGIC = [0x76, 0x61, 0x72, 0x76, 0x65, 0x6c, 0x6f, 0x67];

/** What the header of a log says. */
export interface LogHeader {
  /** The number of the log. */
  readonly number: number;
  /** The number of the log before it; 0 if none. */
  readonly previous: number;
  /** The last sequence given before it. */
  readonly lastSequenceBefore: number;
}

/** The bytes of a log header. */
export function encodeLogHeader(header: LogHeader): Uint8Array {
  const bytes = new Uint8Array(LOG_HEADER_LENGTH);
  bytes.set(MAGIC);
  putU32(bytes, 8, LOG_VERSION);
  putU48(bytes, 12, header.number);
  putU48(bytes, 18, header.previous);
  putU48(bytes, 24, header.lastSequenceBefore);
  putU32(bytes, 32, checksum(bytes.subarray(0, 32), 0));
  return bytes;
}

/** What a log header says, or what is wrong with it. */
export function decodeLogHeader(bytes: Uint8Array): LogHeader | string {
  if (bytes.length < LOG_HEADER_LENGTH) return `only ${bytes.length} bytes`;
  if (MAGIC.some((byte, i) => bytes[i] !== byte)) return "another magic";
  if (getU32(bytes, 32) !== checksum(bytes.subarray(0, 32), 0)) {
    return "a checksum that does not match";
  }
  const version = getU32(bytes, 8);
  if (version !== LOG_VERSION) return `format version ${version}`;
  return {
    number: getU48(bytes, 12),
    previous: getU48(bytes, 18),
    lastSequenceBefore: getU48(bytes, 24),
  };
}

/** The checksum of the group at `bytes[start, end)`, which stands at `offset` of its log. */
export function groupChecksum(
  bytes: Uint8Array,
  start: number,
  end: number,
  logNumber: number,
  offset: number,
): number {
  return checksum(
    bytes.subarray(start + 4, end),
    placeSeed(logNumber, offset),
  );
}
