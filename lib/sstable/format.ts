/**
 * A table's bytes. Integers are little-endian; `v` is a varint.
 *
 * ```
 * file      data blocks, then filter, range tombstones, index, properties,
 *           footer
 *
 * section   n  content
 *           1  compression: 0, none; of a data block also 1: the content is a
 *              varint, the length of what was compressed, and a frame of
 *              Zstandard
 *           4  checksum of content and compression, seeded with
 *              (table number, offset of the section)
 *
 * block     (the content of data blocks and of the index)
 *           v  length of the prefix that all keys share, the prefix
 *           entries, sorted
 *           fingerprints of the entries, 1 byte each: the low byte of the
 *              second lane of the key's hash (hash.ts); not in the index, nor
 *              in blocks of more than 255 entries
 *           offsets of the entries from the block's start, 2 bytes each, or
 *              4 each in a block of 64 KiB or more
 *           4  number of entries; bit 31 is set when offsets have 4 bytes, bit
 *              30 when there are fingerprints
 *
 * entry     v  length of the key's rest, the rest
 *           v  length of the value * 2 + kind (0 put, 1 tombstone)
 *           v  sequence - the table's base sequence
 *           n  value
 *           In the index the key is a separator: at or after the last key of
 *           the block and not after the first key of the next; kind and sequence
 *           are 0; the value is v offset, v length of the data block.
 *
 * filter    1  probes for each key
 *           n  lines of 64 bytes; see filter.ts
 *
 * ranges    v  number of fragments, then for each
 *           v  length of the start, the start
 *           v  length of the end, the end (empty: no end)
 *           v  number of sequences, each v, minus the base, ascending
 *
 * properties
 *           v  number of properties, then for each v id, v value; see
 *           Properties below for the ids, in order from 1
 *
 * footer    6+4  offset and length of the index   (length without the 5 bytes
 *           6+4  of the filter                     behind the content; a length
 *           6+4  of the range tombstones           of 0: there is none)
 *           6+4  of the properties
 *           6    table number
 *           6    base sequence: none in the table is lower
 *           4    format version: 2, or 3 if data blocks may be compressed
 *           4    zero
 *           4    checksum of the 60 bytes above, seeded with the low 32
 *                bits of the table number
 *           8    magic "varvetab"
 * ```
 *
 * Why offsets and not restart points: a search touches only the entries it
 * compares, stepping back costs what stepping forward costs, and the shared
 * prefix of the block saves most of what delta encoding would.
 *
 * Why fingerprints: a lookup reads one run of bytes and then mostly one entry,
 * where a binary search reads five or six entries that lie far apart, each a
 * line that the processor's caches do not have.
 *
 * @module
 */
import { placeSeed } from "../encoding/checksum.ts";
import { getU32, getU48, putU32, putU48 } from "../encoding/fixed.ts";
import { corruption } from "../errors.ts";
import { checksum } from "../runtime/checksum.ts";

/** Bytes behind the content of each section. */
export const SECTION_TRAILER_LENGTH = 5;
/** Bytes of the footer. */
export const FOOTER_LENGTH = 72;
/** The version that is written, */
export const TABLE_VERSION = 2;
/** or this, if data blocks may be compressed. */
export const TABLE_VERSION_COMPRESSED = 3;
/** The oldest version that is read. Tables of version 1 are as those of version 2, without fingerprints. */
export const TABLE_VERSION_MIN = 1;
/** In a block's count: offsets are 4 bytes wide. */
export const WIDE_OFFSETS = 0x8000_0000;
/** In a block's count: there are fingerprints. */
export const FINGERPRINTED = 0x4000_0000;
/** Blocks of more entries have no fingerprints: a binary search is quicker than walking over so many. */
export const FINGERPRINTS_MAX = 255;

const MAGIC = [0x76, 0x61, 0x72, 0x76, 0x65, 0x74, 0x61, 0x62];
const CHECKED = 60;

/** Where a section lies. */
export interface Handle {
  /** Its offset in the file. */
  readonly offset: number;
  /** Length of its content. */
  readonly length: number;
}

/** Section without compression. */
export const PLAIN = 0;
/** Section of a frame of Zstandard. */
export const ZSTANDARD = 1;

/** What the footer says. */
export interface Footer {
  /** The index. */
  readonly index: Handle;
  /** The filter; length 0 if there is none. */
  readonly filter: Handle;
  /** The range tombstones; length 0 if there are none. */
  readonly ranges: Handle;
  /** The properties. */
  readonly properties: Handle;
  /** The number of the table. */
  readonly number: number;
  /** What sequences are stored relative to. */
  readonly baseSequence: number;
  /** Whether data blocks may be compressed. */
  readonly mayBeCompressed: boolean;
}

/** The properties, in the order of their ids, from 1. */
export interface Properties {
  /** Point entries. */
  readonly entries: number;
  /** Point tombstones among them. */
  readonly tombstones: number;
  /** Fragments of range tombstones. */
  readonly rangeTombstones: number;
  /** Data blocks. */
  readonly dataBlocks: number;
  /** The lowest sequence. */
  readonly oldest: number;
  /** The highest sequence. */
  readonly newest: number;
  /** Bytes of all keys. */
  readonly keyBytes: number;
  /** Bytes of all values. */
  readonly valueBytes: number;
  /** When it was written, milliseconds since 1970. */
  readonly created: number;
  /** Entries that are older versions of the key of the entry before. */
  readonly olderVersions: number;
}

function putHandle(bytes: Uint8Array, at: number, handle: Handle): void {
  putU48(bytes, at, handle.offset);
  putU32(bytes, at + 6, handle.length);
}

function getHandle(bytes: Uint8Array, at: number): Handle {
  return { offset: getU48(bytes, at), length: getU32(bytes, at + 6) };
}

function footerChecksum(bytes: Uint8Array, number: number): number {
  return checksum(bytes.subarray(0, CHECKED), number >>> 0);
}

/** The bytes of a footer. */
export function encodeFooter(footer: Footer): Uint8Array {
  const bytes = new Uint8Array(FOOTER_LENGTH);
  putHandle(bytes, 0, footer.index);
  putHandle(bytes, 10, footer.filter);
  putHandle(bytes, 20, footer.ranges);
  putHandle(bytes, 30, footer.properties);
  putU48(bytes, 40, footer.number);
  putU48(bytes, 46, footer.baseSequence);
  const version = footer.mayBeCompressed
    ? TABLE_VERSION_COMPRESSED
    : TABLE_VERSION;
  putU32(bytes, 52, version);
  putU32(bytes, 56, 0);
  putU32(bytes, CHECKED, footerChecksum(bytes, footer.number));
  bytes.set(MAGIC, CHECKED + 4);
  return bytes;
}

/** Reads the footer of table `number` of `fileLength` bytes, or throws `CORRUPTION`. */
export function decodeFooter(
  bytes: Uint8Array,
  path: string,
  number: number,
  fileLength: number,
): Footer {
  const at = fileLength - FOOTER_LENGTH;
  if (MAGIC.some((byte, i) => bytes[CHECKED + 4 + i] !== byte)) {
    throw corruption(path, at + CHECKED + 4, "the magic of a table", "others");
  }
  const expected = footerChecksum(bytes, number);
  // mutant checksum-footer: without it a damaged footer is believed
  if (getU32(bytes, CHECKED) !== expected) {
    throw corruption(path, at, "a footer whose checksum matches", "another");
  }
  const version = getU32(bytes, 52);
  if (version < TABLE_VERSION_MIN || version > TABLE_VERSION_COMPRESSED) {
    throw corruption(
      path,
      at + 52,
      `format version ${TABLE_VERSION_MIN} to ${TABLE_VERSION_COMPRESSED}`,
      `${version}, which this release does not read`,
    );
  }
  const footer: Footer = {
    index: getHandle(bytes, 0),
    filter: getHandle(bytes, 10),
    ranges: getHandle(bytes, 20),
    properties: getHandle(bytes, 30),
    number: getU48(bytes, 40),
    baseSequence: getU48(bytes, 46),
    mayBeCompressed: version === TABLE_VERSION_COMPRESSED,
  };
  if (footer.number !== number) {
    throw corruption(path, at + 40, `table ${number}`, `${footer.number}`);
  }
  if (getU32(bytes, 56) !== 0) {
    throw corruption(path, at + 56, "0", `${getU32(bytes, 56)}`);
  }
  for (
    const { offset, length } of [
      footer.index,
      footer.filter,
      footer.ranges,
      footer.properties,
    ]
  ) {
    if (length > 0 && offset + length + SECTION_TRAILER_LENGTH > at) {
      throw corruption(path, at, "sections inside the file", "one outside");
    }
  }
  return footer;
}

/** The checksum of a section: `bytes[start, end)` is its content and compression byte. */
export function sectionChecksum(
  bytes: Uint8Array,
  start: number,
  end: number,
  tableNumber: number,
  offset: number,
): number {
  return checksum(
    bytes.subarray(start, end),
    placeSeed(tableNumber, offset),
  );
}

const NO_COMPRESSION = new Uint8Array(1);

/** The checksum of a section whose content is not compressed, and has its compression not behind it yet. */
export function sectionChecksumOf(
  content: Uint8Array,
  tableNumber: number,
  offset: number,
): number {
  const sum = checksum(content, placeSeed(tableNumber, offset));
  return checksum(NO_COMPRESSION, sum);
}

/**
 * Throws `CORRUPTION` unless the section of `length` bytes at `bytes[start...]`,
 * read from `offset`, is whole.
 *
 * @param most The highest of the ways in which it may be compressed.
 * @returns How it is compressed.
 */
export function verifySection(
  bytes: Uint8Array,
  start: number,
  length: number,
  path: string,
  tableNumber: number,
  offset: number,
  most: number = PLAIN,
): number {
  const end = start + length + 1;
  const found = getU32(bytes, end);
  const expected = sectionChecksum(bytes, start, end, tableNumber, offset);
  // mutant checksum-section: without it damaged entries are answers
  if (found !== expected) {
    throw corruption(
      path,
      offset,
      `a section with checksum ${expected.toString(16)}`,
      found.toString(16),
    );
  }
  const compression = bytes[start + length];
  if (compression <= most) return compression;
  throw corruption(
    path,
    offset + length,
    `compression ${most} at most`,
    `${compression}, which this release does not read`,
  );
}
