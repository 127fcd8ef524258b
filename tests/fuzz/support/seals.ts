/**
 * Makes the checksums of changed files right again, so that what lies behind
 * them is reached.
 *
 * @module
 */
import { utf8Bytes } from "../../../lib/encoding/bytes.ts";
import { placeSeed } from "../../../lib/encoding/checksum.ts";
import { getU32, getU48, putU32 } from "../../../lib/encoding/fixed.ts";
import { checksum } from "../../../lib/runtime/checksum.ts";
import {
  FOOTER_LENGTH,
  PLAIN,
  SECTION_TRAILER_LENGTH,
  sectionChecksum,
  ZSTANDARD,
} from "../../../lib/sstable/format.ts";
import {
  GROUP_HEADER_LENGTH,
  LOG_HEADER_LENGTH,
} from "../../../lib/wal/format.ts";

const MANIFEST_HEADER_LENGTH = 24;
const RECORD_HEADER_LENGTH = 12;

function sealHeader(bytes: Uint8Array, at: number): void {
  if (bytes.length < at + 4) return;
  putU32(bytes, at, checksum(bytes.subarray(0, at), 0));
}

/** Seals the header of a log, and each group as its length says. */
export function sealLog(bytes: Uint8Array, number: number): Uint8Array {
  sealHeader(bytes, LOG_HEADER_LENGTH - 4);
  return sealRecords(bytes, number, LOG_HEADER_LENGTH, GROUP_HEADER_LENGTH);
}

/** Seals the header of a manifest, and each record as its length says. */
export function sealManifest(bytes: Uint8Array, number: number): Uint8Array {
  sealHeader(bytes, MANIFEST_HEADER_LENGTH - 4);
  return sealRecords(
    bytes,
    number,
    MANIFEST_HEADER_LENGTH,
    RECORD_HEADER_LENGTH,
  );
}

/** Groups and records alike have the checksum of the header, that of the content, and its length in front. */
function sealRecords(
  bytes: Uint8Array,
  number: number,
  from: number,
  headerLength: number,
): Uint8Array {
  let at = from;
  while (at + headerLength <= bytes.length) {
    const seed = placeSeed(number, at);
    const start = at + headerLength;
    const end = Math.min(bytes.length, start + getU32(bytes, at + 8));
    putU32(bytes, at + 4, checksum(bytes.subarray(start, end), seed));
    putU32(bytes, at, checksum(bytes.subarray(at + 4, start), seed));
    at = end;
  }
  return bytes;
}

/** Seals the line of CURRENT. */
export function sealCurrent(bytes: Uint8Array): Uint8Array {
  const text = new TextDecoder("latin1").decode(bytes);
  const said = text.split(" checksum ")[0];
  const sum = checksum(utf8Bytes(said), 0).toString(16).padStart(8, "0");
  return utf8Bytes(`${said} checksum ${sum}\n`);
}

/** Seals the footer of a table, the sections that it names, and those at `handles`. */
export function sealTable(
  bytes: Uint8Array,
  number: number,
  handles: readonly { offset: number; length: number }[],
): Uint8Array {
  const at = bytes.length - FOOTER_LENGTH;
  if (at < 0) return bytes;
  const footer = bytes.subarray(at);
  const named = [0, 10, 20, 30].map((place) => ({
    offset: getU48(footer, place),
    length: getU32(footer, place + 6),
  }));
  for (const handle of [...handles, ...named]) {
    const { offset, length } = handle;
    const end = offset + length;
    if (length === 0 || end + SECTION_TRAILER_LENGTH > at) continue;
    const isPacked = handles.includes(handle) && bytes[end] === ZSTANDARD;
    if (!isPacked) bytes[end] = PLAIN;
    const sum = sectionChecksum(bytes, offset, end + 1, number, offset);
    putU32(bytes, end + 1, sum);
  }
  putU32(footer, 60, checksum(footer.subarray(0, 60), number >>> 0));
  return bytes;
}
