/**
 * Writes one table from sorted entries.
 *
 * Invariants, checked on every entry:
 * - Entries come sorted by key, then by falling sequence, without doubles.
 * - Fragments of range tombstones come sorted and do not overlap.
 *
 * The file is synced while it is written, off the thread, one sync at a time;
 * a table is durable when {@linkcode TableWriter.settle} has ended and not
 * before. A sync that failed is the end of it: a later one would say nothing
 * of the pages that it lost.
 *
 * The table counts only once the manifest names it; until then its file is
 * an orphan that the next open removes.
 *
 * @module
 */
import {
  compareBytes,
  compareRanges,
  copyBytes,
  EMPTY,
  sharedPrefixLength,
  viewOf,
} from "../encoding/bytes.ts";
import { putU32 } from "../encoding/fixed.ts";
import { fingerprintOf, hashKey, keyHash } from "../encoding/hash.ts";
import { KeyBuffer } from "../encoding/key_buffer.ts";
import { Encoder, MAX_VARINT_LENGTH, putVarint } from "../encoding/varint.ts";
import type { EntryKind } from "../cursor.ts";
import { VarveError } from "../errors.ts";
import { type Fragment, isBeforeEnd } from "../memtable/range_tombstones.ts";
import type { File, FileSystem } from "../runtime/runtime.ts";
import type { Compression } from "../types.ts";
import { BlockBuilder } from "./block_builder.ts";
import { BlockCompressor } from "./compression.ts";
import { type FilterBuilder, filterBuilder } from "./filter.ts";
import {
  encodeFooter,
  type Handle,
  PLAIN,
  SECTION_TRAILER_LENGTH,
  sectionChecksum,
  sectionChecksumOf,
  ZSTANDARD,
} from "./format.ts";
import type { TableMeta } from "./meta.ts";

/** Bytes that are handed to the file at a time, unless the file system says otherwise. */
const BUFFER_LENGTH = 256 * 1024;
/** Bytes of entries with their whole keys that one block gathers at most: where keys share nearly all of what they are, there would be a thousand times what is written. */
const GATHERED_MAX = 16 * 1024 * 1024;
const NOWHERE: Handle = { offset: 0, length: 0 };
/** So many times that much is worth a sync. */
const WRITES_PER_SYNC = 4;

/** How a table is written. */
export interface TableSettings {
  /** Bytes that a data block aims at. */
  readonly blockSize: number;
  /** Bits of filter for each key. */
  readonly bloomBitsPerKey: number;
  /** How data blocks are compressed. */
  readonly compression: Compression;
  /** No sequence in the table is lower. */
  readonly baseSequence: number;
  /** There will be no more keys; Infinity if that is not known. */
  readonly keysMax: number;
  /** Milliseconds since 1970. */
  readonly created: number;
}

/** Bytes on their way to a file, in large writes. */
class Output {
  readonly file: File;
  /** Bytes that are gathered. */
  readonly usual: number;
  buffer: Uint8Array<ArrayBuffer>;
  /** The memory of `buffer`. */
  view: DataView;
  length = 0;
  written = 0;

  constructor(file: File, usual: number) {
    this.file = file;
    this.usual = usual;
    this.buffer = new Uint8Array(usual >>> 4);
    this.view = viewOf(this.buffer);
  }

  get offset(): number {
    return this.written + this.length;
  }

  /** Makes room for `count` bytes at `buffer[length...]`. */
  reserve(count: number): void {
    if (this.length + count <= this.buffer.length) return;
    if (this.buffer.length < this.usual) {
      const { buffer, length } = this;
      this.setBuffer(this.usual);
      this.buffer.set(buffer.subarray(0, length));
      return this.reserve(count);
    }
    this.flush();
    if (count > this.buffer.length) this.setBuffer(count);
  }

  private setBuffer(length: number): void {
    this.buffer = new Uint8Array(length);
    this.view = viewOf(this.buffer);
  }

  /** Writes bytes without gathering them. */
  writeThrough(bytes: Uint8Array): void {
    this.flush();
    this.file.writeAt(bytes, this.written);
    this.written += bytes.length;
  }

  flush(): void {
    if (this.length === 0) return;
    this.file.writeAt(this.buffer.subarray(0, this.length), this.written);
    this.written += this.length;
    this.length = 0;
    if (this.buffer.length > 16 * this.usual) {
      this.setBuffer(this.usual);
    }
  }
}

/** The writer of one table. */
export class TableWriter {
  private readonly path: string;
  private readonly number: number;
  private readonly settings: TableSettings;
  private readonly files: FileSystem;
  private readonly output: Output;
  private readonly block = new BlockBuilder(true);
  private readonly index = new BlockBuilder(false);
  private readonly filter: FilterBuilder;
  /** Of data blocks; undefined if they are not to be compressed. */
  private readonly compressor: BlockCompressor | undefined;
  private readonly last = new KeyBuffer(256);
  private lastSequence = 0;
  /** Of the last key: other work may hash keys between its versions. */
  private fingerprint = 0;
  private pending: Handle | undefined;
  private readonly handleBytes = new Uint8Array(2 * MAX_VARINT_LENGTH);
  private dataBlocks = 0;
  private entries = 0;
  private tombstones = 0;
  private olderVersions = 0;
  private oldest = Infinity;
  private newest = 0;
  private keyBytes = 0;
  private valueBytes = 0;
  private smallest: Uint8Array | undefined;
  /** Bytes that syncs were for which have ended or are under way. */
  private syncedBytes = 0;
  /** The sync that is under way. It does not reject. */
  private syncing: Promise<void> | undefined;
  /** Why a sync failed. */
  private failure: unknown;

  /** Creates the file. */
  constructor(
    files: FileSystem,
    path: string,
    number: number,
    settings: TableSettings,
  ) {
    this.files = files;
    this.path = path;
    this.number = number;
    this.settings = settings;
    this.filter = filterBuilder(settings.bloomBitsPerKey, settings.keysMax);
    this.compressor = settings.compression === "zstd"
      ? new BlockCompressor()
      : undefined;
    const file = files.open(path, "create");
    this.output = new Output(file, files.tableWriteBytes ?? BUFFER_LENGTH);
  }

  /** Bytes of file so far. */
  get bytes(): number {
    return this.output.offset;
  }

  /** Starts a sync of what reached the file, if that is much and none is under way: the last one has little left to do then. */
  syncIfMuch(): void {
    const { written, usual } = this.output;
    if (written - this.syncedBytes < WRITES_PER_SYNC * usual) return;
    if (this.syncing !== undefined) return;
    this.syncedBytes = written;
    // no mutant: the sync at the end covers it; it keeps that one short
    this.syncing = this.output.file.sync().then(
      () => this.syncing = undefined,
      (error) => {
        this.failure = error;
        this.syncing = undefined;
      },
    );
  }

  /**
   * Adds an entry.
   *
   * @param keyView The memory of `key`, all of it, if that is at hand.
   * @param valueView That of `value`.
   */
  add(
    key: Uint8Array,
    keyStart: number,
    keyEnd: number,
    sequence: number,
    kind: EntryKind,
    value: Uint8Array,
    valueStart: number,
    valueEnd: number,
    keyView?: DataView,
    valueView?: DataView,
  ): void {
    const isNew = this.checkOrder(key, keyStart, keyEnd, sequence);
    if (this.pending !== undefined) {
      this.indexBlockBefore(key, keyStart, keyEnd);
    }
    if (isNew) {
      hashKey(key, keyStart, keyEnd);
      this.filter.add(keyHash.line, keyHash.bits);
      this.fingerprint = fingerprintOf(keyHash.bits);
      this.last.set(key, keyStart, keyEnd, keyView);
      this.smallest ??= copyBytes(key, keyStart, keyEnd);
    } else this.olderVersions++;
    this.lastSequence = sequence;
    const block = this.block;
    block.add(
      key,
      keyStart,
      keyEnd,
      (valueEnd - valueStart) * 2 + kind,
      sequence - this.settings.baseSequence,
      value,
      valueStart,
      valueEnd,
      this.fingerprint,
      keyView,
      valueView,
    );
    this.entries++;
    this.tombstones += kind;
    this.keyBytes += keyEnd - keyStart;
    this.valueBytes += valueEnd - valueStart;
    if (sequence < this.oldest) this.oldest = sequence;
    if (sequence > this.newest) this.newest = sequence;
    const blockSize = this.settings.blockSize;
    const { size } = block;
    if (size < blockSize) return;
    const isFull = size - block.saving() >= blockSize || size >= GATHERED_MAX;
    if (isFull) this.endBlock();
  }

  /** Throws unless the entry belongs behind the last one; returns whether its key is new. */
  private checkOrder(
    key: Uint8Array,
    start: number,
    end: number,
    sequence: number,
  ): boolean {
    const { last } = this;
    if (last.length < 0) return true;
    const order = compareRanges(last.bytes, 0, last.length, key, start, end);
    if (order > 0 || (order === 0 && sequence >= this.lastSequence)) {
      throw new VarveError(
        "CORRUPTION",
        `entries of ${this.path} came out of order`,
      );
    }
    return order < 0;
  }

  private endBlock(): void {
    this.pending = this.writeBlock(this.block, this.compressor);
    this.dataBlocks++;
  }

  private writeBlock(
    block: BlockBuilder,
    compressor: BlockCompressor | undefined,
  ): Handle {
    const output = this.output;
    output.reserve(block.size + SECTION_TRAILER_LENGTH);
    const { length: start, buffer, view } = output;
    const end = block.finish(buffer, start, view);
    const packed = compressor?.pack(buffer, start, end) ?? end;
    return this.endSection(start, packed, packed < end ? ZSTANDARD : PLAIN);
  }

  private writeSection(content: Uint8Array): Handle {
    const output = this.output;
    if (content.length > output.usual) return this.writeLargeSection(content);
    output.reserve(content.length + SECTION_TRAILER_LENGTH);
    const start = output.length;
    output.buffer.set(content, start);
    return this.endSection(start, start + content.length, PLAIN);
  }

  /** The same without a copy of the content. */
  private writeLargeSection(content: Uint8Array): Handle {
    const output = this.output;
    const handle = { offset: output.offset, length: content.length };
    const sum = sectionChecksumOf(content, this.number, handle.offset);
    output.writeThrough(content);
    output.reserve(SECTION_TRAILER_LENGTH);
    output.buffer[output.length] = PLAIN;
    putU32(output.buffer, output.length + 1, sum);
    output.length += SECTION_TRAILER_LENGTH;
    return handle;
  }

  /** Puts the trailer behind the content at `buffer[start, end)`. */
  private endSection(start: number, end: number, compression: number): Handle {
    const { buffer, offset } = this.output;
    buffer[end] = compression;
    const sum = sectionChecksum(buffer, start, end + 1, this.number, offset);
    putU32(buffer, end + 1, sum);
    this.output.length = end + SECTION_TRAILER_LENGTH;
    return { offset, length: end - start };
  }

  /** Adds the last block to the index, by the shortest byte string at or after its last key and before `key`. */
  private indexBlockBefore(key: Uint8Array, start: number, end: number): void {
    const { bytes, length } = this.last;
    const raised = this.raisedBefore(key, start, end);
    if (raised < 0) return this.indexBlock(length);
    bytes[raised]++;
    this.indexBlock(raised + 1);
    bytes[raised]--;
  }

  /** Up to which byte, raised by one itself, the last key is the shortest byte string after it and before `key`; -1 if none is shorter than the last key. */
  private raisedBefore(key: Uint8Array, start: number, end: number): number {
    const { bytes, length } = this.last;
    const shared = sharedPrefixLength(bytes, 0, length, key, start, end);
    if (shared >= length || start + shared >= end) return -1;
    if (bytes[shared] + 1 < key[start + shared]) return shared;
    for (let i = shared + 1; i < length - 1; i++) {
      if (bytes[i] !== 0xff) return i;
    }
    return -1;
  }

  /** Adds the last block to the index, by the first bytes of the last key. */
  private indexBlock(length: number): void {
    const { handleBytes, last: { bytes } } = this;
    const handle = this.pending ?? NOWHERE;
    const at = putVarint(handleBytes, 0, handle.offset);
    const end = putVarint(handleBytes, at, handle.length);
    this.index.add(bytes, 0, length, end * 2, 0, handleBytes, 0, end, 0);
    this.pending = undefined;
  }

  /**
   * Writes everything but the entries. {@linkcode settle} must follow.
   *
   * @param fragments The table's range tombstones.
   * @returns What the manifest is to say; `undefined` if the table would be
   * empty: its file is removed.
   */
  finish(fragments: readonly Fragment[]): TableMeta | undefined {
    if (this.block.count > 0) this.endBlock();
    if (this.pending !== undefined) {
      this.indexBlock(this.last.length);
    }
    if (this.entries === 0 && fragments.length === 0) {
      this.abandon();
      return undefined;
    }
    for (const { sequences } of fragments) {
      this.oldest = Math.min(this.oldest, sequences[0]);
      this.newest = Math.max(this.newest, sequences[sequences.length - 1]);
    }
    this.writeTail(fragments);
    this.output.flush();
    return this.meta(fragments);
  }

  /** Makes what {@linkcode finish} wrote durable and closes the file; gives way to wait for what it yields. */
  *settle(): Generator<Promise<void>, void, void> {
    while (this.syncing !== undefined) yield this.syncing;
    // mutant failed-sync-of-table: the sync below says nothing of the pages that another one lost
    if (this.failure !== undefined) throw this.failure;
    // mutant sync-table: without it a table that the manifest names may be torn
    this.output.file.syncNow();
    this.output.file.close();
  }

  private writeTail(fragments: readonly Fragment[]): void {
    const filter = this.filter.finish();
    const footer = encodeFooter({
      filter: filter === undefined ? NOWHERE : this.writeSection(filter),
      ranges: fragments.length === 0
        ? NOWHERE
        : this.writeSection(this.encodeFragments(fragments)),
      index: this.entries === 0
        ? NOWHERE
        : this.writeBlock(this.index, undefined),
      properties: this.writeSection(this.encodeProperties(fragments.length)),
      number: this.number,
      baseSequence: this.settings.baseSequence,
      mayBeCompressed: this.compressor !== undefined,
    });
    this.output.reserve(footer.length);
    this.output.buffer.set(footer, this.output.length);
    this.output.length += footer.length;
  }

  private encodeFragments(fragments: readonly Fragment[]): Uint8Array {
    const encoder = new Encoder().varint(fragments.length);
    let last: Fragment | undefined;
    for (const fragment of fragments) {
      const { start, end, sequences } = fragment;
      const apart = last === undefined ||
        (last.end.length > 0 && compareBytes(last.end, start) <= 0);
      if (!apart || !isBeforeEnd(start, 0, start.length, end)) {
        throw new VarveError(
          "CORRUPTION",
          `range tombstones of ${this.path} overlap`,
        );
      }
      last = fragment;
      encoder.sized(start).sized(end).varint(sequences.length);
      for (const sequence of sequences) {
        encoder.varint(sequence - this.settings.baseSequence);
      }
    }
    return encoder.finish();
  }

  private encodeProperties(rangeTombstones: number): Uint8Array {
    const values = [
      this.entries,
      this.tombstones,
      rangeTombstones,
      this.dataBlocks,
      this.oldest,
      this.newest,
      this.keyBytes,
      this.valueBytes,
      this.settings.created,
      this.olderVersions,
    ];
    const encoder = new Encoder().varint(values.length);
    values.forEach((value, i) => encoder.varint(i + 1).varint(value));
    return encoder.finish();
  }

  private meta(fragments: readonly Fragment[]): TableMeta {
    let smallest = this.smallest;
    let largest: Uint8Array = copyBytes(
      this.last.bytes,
      0,
      Math.max(0, this.last.length),
    );
    let unbounded = false;
    if (fragments.length > 0) {
      const first = fragments[0].start;
      const end = fragments[fragments.length - 1].end;
      if (smallest === undefined || compareBytes(first, smallest) < 0) {
        smallest = first;
      }
      if (end.length === 0) unbounded = true;
      else if (compareBytes(end, largest) > 0) largest = end;
    }
    return {
      number: this.number,
      size: this.output.written,
      entries: this.entries,
      tombstones: this.tombstones,
      olderVersions: this.olderVersions,
      rangeTombstones: fragments.length,
      oldest: this.oldest,
      newest: this.newest,
      created: this.settings.created,
      smallest: smallest ?? EMPTY,
      largest: unbounded ? EMPTY : largest,
      unbounded,
    };
  }

  /** Closes the file and removes it. */
  abandon(): void {
    try {
      this.output.file.close();
      this.files.remove(this.path);
    } catch {
      // An orphan: the next open removes it. What made the job fail matters more.
    }
  }
}
