/**
 * The manifest: a log of edits.
 *
 * ```
 * file    8  magic "varveman"
 *         4  format version, 1
 *         6  number of this manifest
 *         2  zero
 *         4  checksum of the 20 bytes above
 *         then records without gaps
 *
 * record  4  checksum of the 8 bytes below, seeded with (manifest number,
 *            offset of the record)
 *         4  checksum of the edit, seeded likewise
 *         4  length of the edit
 *         n  edit; see edit.ts
 * ```
 *
 * A record is synced before anything that it allows is done: before a write
 * is accepted in a log that it adds, before a file that it makes superfluous
 * is removed. So a record torn by a crash at the end says nothing that
 * happened, and is left out; whether that was so, and not damage, is proven
 * by every file that the rest names being there.
 *
 * CURRENT says how long the first record made the file: a manifest is never
 * legitimately shorter.
 *
 * @module
 */
import { placeSeed } from "../encoding/checksum.ts";
import { getU16, getU32, getU48, putU32, putU48 } from "../encoding/fixed.ts";
import { corruption } from "../errors.ts";
import { checksum } from "../runtime/checksum.ts";
import { removeQuietly } from "../runtime/remove.ts";
import type { File, FileSystem } from "../runtime/runtime.ts";
import { readWhole } from "../wal/reader.ts";
import { decodeEdit, type Edit, encodeEdit } from "./edit.ts";
import { TreeState } from "./state.ts";

const MAGIC = [0x76, 0x61, 0x72, 0x76, 0x65, 0x6d, 0x61, 0x6e];
const VERSION = 1;
const HEADER_LENGTH = 24;
const RECORD_HEADER_LENGTH = 12;

/** Whether the header of a record stands at `offset` of a manifest's bytes, which begin at `base` of the file. */
function isRecordHeader(
  bytes: Uint8Array,
  offset: number,
  number: number,
  base = 0,
): boolean {
  const end = offset + RECORD_HEADER_LENGTH;
  if (end > bytes.length || getU32(bytes, offset + 8) === 0) return false;
  const header = bytes.subarray(offset + 4, end);
  // mutant checksum-record-header: without it a torn edit may be taken for damage, and damage for none
  return getU32(bytes, offset) ===
    checksum(header, placeSeed(number, base + offset));
}

/** Appends edits to one manifest. After an error nothing more may be appended. */
export class ManifestWriter {
  /** The number of the manifest. */
  readonly number: number;
  private readonly file: File;
  private end = HEADER_LENGTH;

  /** Creates the file with its header; nothing is synced before the first {@linkcode append}. */
  constructor(files: FileSystem, path: string, number: number) {
    this.number = number;
    const header = new Uint8Array(HEADER_LENGTH);
    header.set(MAGIC);
    putU32(header, 8, VERSION);
    putU48(header, 12, number);
    putU32(header, 20, checksum(header.subarray(0, 20), 0));
    this.file = files.open(path, "create");
    try {
      this.file.writeAt(header, 0);
    } catch (error) {
      this.file.close();
      removeQuietly(files, path);
      throw error;
    }
  }

  /** Bytes of the file. */
  get bytes(): number {
    return this.end;
  }

  /** Appends an edit and syncs. */
  append(edit: Edit): void {
    const payload = encodeEdit(edit);
    const record = new Uint8Array(RECORD_HEADER_LENGTH + payload.length);
    const seed = placeSeed(this.number, this.end);
    putU32(record, 4, checksum(payload, seed));
    putU32(record, 8, payload.length);
    const header = record.subarray(4, RECORD_HEADER_LENGTH);
    putU32(record, 0, checksum(header, seed));
    record.set(payload, RECORD_HEADER_LENGTH);
    this.file.writeAt(record, this.end);
    // mutant sync-edit: without it files may go whose edit is lost
    this.file.syncNow();
    this.end += record.length;
  }

  /** Closes the file. */
  close(): void {
    this.file.close();
  }
}

/** What a manifest was read to say. */
export interface ManifestContent {
  /** The tree. */
  readonly state: TreeState;
  /** Bytes at the end that are no whole record: torn, or damaged. */
  readonly tornBytes: number;
  /** Where the whole records end. */
  readonly end: number;
}

/**
 * Reads a manifest.
 *
 * @param snapshotLength How long its first record made it, if CURRENT says so.
 * @throws `CORRUPTION` for whatever cannot be a torn last record.
 */
export function readManifest(
  files: FileSystem,
  path: string,
  number: number,
  snapshotLength: number,
): ManifestContent {
  const bytes = readWhole(files, path);
  checkHeader(bytes, path, number);
  const state = new TreeState();
  let offset = HEADER_LENGTH;
  while (offset < bytes.length) {
    const end = recordEnd(bytes, offset, number);
    if (end === undefined) break;
    const edit = decodeEdit(
      bytes.subarray(offset + RECORD_HEADER_LENGTH, end),
    );
    const misfit = edit === undefined ? "cannot be read" : state.apply(edit);
    if (misfit !== undefined) {
      throw corruption(path, offset, "an edit that fits", `one that ${misfit}`);
    }
    offset = end;
  }
  // mutant snapshot-is-whole: a manifest is never shorter than CURRENT says
  if (offset < snapshotLength) {
    throw corruption(
      path,
      offset,
      `whole records up to ${snapshotLength}, as CURRENT says`,
      "none here",
    );
  }
  for (let later = offset + 1; later < bytes.length; later++) {
    // mutant damage-is-no-torn-end: an edit behind a bad one shows that it was acted upon
    if (isRecordHeader(bytes, later, number)) {
      throw corruption(
        path,
        offset,
        `a whole record, for there is another at ${later}`,
        "none",
      );
    }
  }
  const overlap = state.overlap();
  if (overlap !== undefined) {
    throw corruption(
      path,
      offset,
      "tables that do not overlap within a level",
      `an edit that ${overlap}`,
    );
  }
  return { state, tornBytes: bytes.length - offset, end: offset };
}

/** Reads a manifest that another thread appends to. */
export class ManifestFollower {
  /** The number of the manifest. */
  readonly number: number;
  /** What it said up to where it was followed. */
  readonly state: TreeState = new TreeState();
  private readonly path: string;
  private readonly file: File;
  private end = HEADER_LENGTH;

  /** Opens the manifest and checks its header. */
  constructor(files: FileSystem, path: string, number: number) {
    this.number = number;
    this.path = path;
    this.file = files.open(path, "read");
    try {
      const header = new Uint8Array(HEADER_LENGTH);
      const read = this.file.readAt(header, 0);
      checkHeader(header.subarray(0, read), path, number);
    } catch (error) {
      this.file.close();
      throw error;
    }
  }

  /**
   * Applies what was committed up to `end`.
   *
   * @throws `CORRUPTION` if there are no whole records up to there; the
   * follower is of no use then.
   */
  follow(end: number): void {
    const start = this.end;
    if (end <= start) return;
    const bytes = new Uint8Array(end - start);
    const read = this.file.readAt(bytes, start);
    while (this.end < end) {
      const misfit = this.applyRecord(bytes.subarray(0, read), start);
      if (misfit === undefined) continue;
      throw corruption(
        this.path,
        this.end,
        `whole edits up to ${end}, which was committed`,
        misfit,
      );
    }
  }

  /** Applies the next record of what was read from `start` on; returns what is wrong with it, if anything is. */
  private applyRecord(bytes: Uint8Array, start: number): string | undefined {
    const at = this.end - start;
    const end = recordEnd(bytes, at, this.number, start);
    if (end === undefined) return "none here";
    const edit = decodeEdit(bytes.subarray(at + RECORD_HEADER_LENGTH, end));
    const misfit = edit === undefined
      ? "cannot be read"
      : this.state.apply(edit);
    if (misfit !== undefined) return `one that ${misfit}`;
    this.end = start + end;
    return undefined;
  }

  /** Closes the file. */
  close(): void {
    this.file.close();
  }
}

function checkHeader(bytes: Uint8Array, path: string, number: number): void {
  const whole = bytes.length >= HEADER_LENGTH &&
    MAGIC.every((byte, i) => bytes[i] === byte) &&
    getU16(bytes, 18) === 0 &&
    // no mutant: all that it covers is compared as well
    getU32(bytes, 20) === checksum(bytes.subarray(0, 20), 0);
  if (!whole) throw corruption(path, 0, "the header of a manifest", "another");
  const version = getU32(bytes, 8);
  if (version !== VERSION || getU48(bytes, 12) !== number) {
    throw corruption(
      path,
      8,
      `manifest ${number} of format version ${VERSION}`,
      `manifest ${getU48(bytes, 12)} of version ${version}`,
    );
  }
}

/** Where the whole record at `offset` ends; `undefined` if there is none. */
function recordEnd(
  bytes: Uint8Array,
  offset: number,
  number: number,
  base = 0,
): number | undefined {
  if (!isRecordHeader(bytes, offset, number, base)) return undefined;
  const start = offset + RECORD_HEADER_LENGTH;
  const end = start + getU32(bytes, offset + 8);
  if (end > bytes.length) return undefined;
  const seed = placeSeed(number, base + offset);
  const sum = checksum(bytes.subarray(start, end), seed);
  // mutant checksum-record: without it a damaged edit is applied
  return getU32(bytes, offset + 4) === sum ? end : undefined;
}
