/**
 * Reads one table.
 *
 * Invariants:
 * - Nothing read from the file is used before its checksum matched.
 * - What the file says of itself must agree with what the manifest says.
 * - Range tombstones are asked before the filter: a filter knows only keys.
 *
 * The file is opened at the first read. Filter, index and range tombstones
 * stay in memory from then on; data blocks go through the cache.
 *
 * @module
 */
import { type BlockCache, CachedBlocks } from "../cache/block_cache.ts";
import type { OpenFiles } from "../cache/open_files.ts";
import type { EntryKind, Found } from "../cursor.ts";
import { Decoder } from "../encoding/varint.ts";
import { corruption } from "../errors.ts";
import {
  coveringSequence,
  type Fragment,
  isBeforeEnd,
} from "../memtable/range_tombstones.ts";
import type { File, FileSystem } from "../runtime/runtime.ts";
import { Block, BlockEntry } from "./block.ts";
import { isFilter, mayContain } from "./filter.ts";
import {
  decodeFooter,
  type Footer,
  FOOTER_LENGTH,
  type Handle,
  SECTION_TRAILER_LENGTH,
  verifySection,
} from "./format.ts";
import { mayHold, type TableMeta } from "./meta.ts";

/** What reading tables counts, for all tables of a database. */
export class ReadCounters {
  /** Data blocks read from files. */
  blockReads = 0;
  /** Filters asked. */
  bloomChecks = 0;
  /** Filters that said "absent". */
  bloomSkips = 0;
  /** Filters that said "maybe" of a key that was absent. */
  falsePositives = 0;
}

/** What tables share. */
export interface TableContext {
  /** Where the files are. */
  readonly files: FileSystem;
  /** The block cache. */
  readonly cache: BlockCache;
  /** What bounds the open files. */
  readonly openFiles: OpenFiles;
  /** The counters. */
  readonly counters: ReadCounters;
}

/** The part of a table that is in memory once its file is open. */
interface Opened {
  readonly footer: Footer;
  readonly index: Block | undefined;
  readonly filter: Uint8Array | undefined;
  readonly fragments: readonly Fragment[];
}

/** One table. */
export class Table {
  /** What the manifest says of it. */
  readonly meta: TableMeta;
  /** Its path. */
  readonly path: string;
  private readonly context: TableContext;
  private readonly cached: CachedBlocks;
  private readonly entry = new BlockEntry();
  private file: File | undefined;
  private opened: Opened | undefined;
  private users = 0;
  private obsolete: (() => void) | undefined;

  /** The table that the manifest names; its file is opened when needed. */
  constructor(meta: TableMeta, path: string, context: TableContext) {
    this.meta = meta;
    this.path = path;
    this.context = context;
    this.cached = new CachedBlocks(context.cache);
  }

  /** Counts one more version or job that uses the table. */
  retain(): void {
    this.users++;
  }

  /** Counts one less; the last one closes the file, and removes it if the table is obsolete. */
  release(): void {
    if (--this.users > 0) return;
    this.close();
    this.obsolete?.();
  }

  /** The tree no longer names the table: `remove` is called after its last user let go. */
  retire(remove: () => void): void {
    this.obsolete = remove;
  }

  /** Closes the file and forgets what was read. A later read opens it again. */
  close(): void {
    this.closeFile();
    this.opened = undefined;
    this.cached.clear();
  }

  /** Closes the file, keeping what was read. */
  closeFile(): void {
    this.file?.close();
    this.file = undefined;
    this.context.openFiles.remove(this);
  }

  private openFile(): File {
    if (this.file === undefined) {
      this.context.openFiles.add(this);
      this.file = this.context.files.open(this.path, "read");
    }
    return this.file;
  }

  private open(): Opened {
    return this.opened ??= this.load();
  }

  private load(): Opened {
    const size = this.openFile().size();
    if (size !== this.meta.size) {
      throw corruption(
        this.path,
        Math.min(size, this.meta.size),
        `a table of ${this.meta.size} bytes`,
        `one of ${size}`,
      );
    }
    const tail = new Uint8Array(FOOTER_LENGTH);
    this.readRaw(tail, size - FOOTER_LENGTH);
    const footer = decodeFooter(tail, this.path, this.meta.number, size);
    const { index, filter, ranges, properties } = footer;
    this.checkProperties(this.readSection(properties));
    return {
      footer,
      index: index.length === 0 ? undefined : new Block(
        this.readSection(index),
        0,
        index.length,
        this.path,
        index.offset,
      ),
      filter: filter.length === 0
        ? undefined
        : this.checkFilter(this.readSection(filter), filter),
      fragments: ranges.length === 0 ? [] : this.decodeFragments(
        this.readSection(ranges),
        ranges,
        footer.baseSequence,
      ),
    };
  }

  /** Reads and verifies a section; returns its content. */
  private readSection(handle: Handle): Uint8Array {
    const bytes = new Uint8Array(handle.length + SECTION_TRAILER_LENGTH);
    this.readRaw(bytes, handle.offset);
    verifySection(
      bytes,
      0,
      handle.length,
      this.path,
      this.meta.number,
      handle.offset,
    );
    return bytes.subarray(0, handle.length);
  }

  /** Fills `bytes` from the file, or throws. */
  readRaw(bytes: Uint8Array, offset: number): void {
    const read = this.openFile().readAt(bytes, offset);
    if (read !== bytes.length) {
      throw corruption(
        this.path,
        offset + read,
        `${bytes.length} bytes from ${offset}`,
        "the end of the file",
      );
    }
  }

  private checkProperties(content: Uint8Array): void {
    const decoder = new Decoder(content, 0, content.length);
    const values = new Map<number, number>();
    for (let count = decoder.varint(); count > 0 && !decoder.failed; count--) {
      values.set(decoder.varint(), decoder.varint());
    }
    const meta = this.meta;
    const expected = [
      [1, meta.entries],
      [2, meta.tombstones],
      [3, meta.rangeTombstones],
      [5, meta.oldest],
      [6, meta.newest],
      [10, meta.olderVersions],
    ];
    for (const [id, value] of expected) {
      if (values.get(id) !== value) {
        throw corruption(
          this.path,
          0,
          `property ${id} to be ${value}, as the manifest says`,
          `${values.get(id)}`,
        );
      }
    }
  }

  private checkFilter(filter: Uint8Array, handle: Handle): Uint8Array {
    if (isFilter(filter)) return filter;
    throw corruption(this.path, handle.offset, "a filter", "another layout");
  }

  private decodeFragments(
    content: Uint8Array,
    handle: Handle,
    baseSequence: number,
  ): Fragment[] {
    const decoder = new Decoder(content, 0, content.length);
    const fragments: Fragment[] = [];
    let last: Fragment | undefined;
    let sound = true;
    for (let count = decoder.varint(); count > 0; count--) {
      const start = decoder.sized();
      const end = decoder.sized();
      const sequences: number[] = [];
      for (let n = decoder.varint(); n > 0 && !decoder.failed; n--) {
        sequences.push(baseSequence + decoder.varint());
      }
      if (decoder.failed) break;
      sound &&= sequences.length > 0 &&
        isBeforeEnd(start, 0, start.length, end) &&
        (last === undefined || last.end.length > 0 &&
            !isBeforeEnd(start, 0, start.length, last.end));
      last = { start, end, sequences };
      fragments.push(last);
    }
    if (
      decoder.failed || !sound || decoder.position !== content.length ||
      fragments.length !== this.meta.rangeTombstones
    ) {
      throw corruption(
        this.path,
        handle.offset,
        `${this.meta.rangeTombstones} sorted fragments`,
        "others",
      );
    }
    return fragments;
  }

  /** What its sequences are stored relative to. */
  get baseSequence(): number {
    return this.open().footer.baseSequence;
  }

  /** How many data blocks the table has. */
  get blockCount(): number {
    return this.open().index?.count ?? 0;
  }

  /** The range tombstones. */
  fragments(): readonly Fragment[] {
    return this.meta.rangeTombstones === 0 ? [] : this.open().fragments;
  }

  /** Opens the file and checks everything but the data blocks. */
  verify(): void {
    this.open();
  }

  /**
   * Offers what the table knows of a key to a reader at `sequence`.
   *
   * @param line First lane of the key's hash.
   * @param bits Second lane of the key's hash.
   */
  get(
    key: Uint8Array,
    keyLength: number,
    line: number,
    bits: number,
    sequence: number,
    found: Found,
  ): void {
    if (!mayHold(this.meta, key, keyLength)) return;
    const { fragments, filter, index } = this.open();
    if (fragments.length > 0) {
      found.offerTombstone(
        coveringSequence(fragments, key, 0, keyLength, sequence),
      );
    }
    if (index === undefined || found.sequence >= this.meta.newest) return;
    if (filter !== undefined) {
      const counters = this.context.counters;
      counters.bloomChecks++;
      if (!mayContain(filter, line, bits)) {
        counters.bloomSkips++;
        return;
      }
      if (!this.search(key, keyLength, sequence, found)) {
        counters.falsePositives++;
      }
    } else this.search(key, keyLength, sequence, found);
  }

  /** Whether an entry of the key older than `sequence` is in the table. */
  holdsOlder(
    key: Uint8Array,
    keyLength: number,
    sequence: number,
    found: Found,
  ): boolean {
    found.reset();
    this.search(key, keyLength, sequence - 1, found);
    return found.sequence > 0;
  }

  /** Whether the filter, if there is one, lets the key through. */
  filterLetsThrough(line: number, bits: number): boolean {
    const { filter } = this.open();
    return filter === undefined || mayContain(filter, line, bits);
  }

  /** Offers the newest visible entry of the key; returns whether the key is there in any version. */
  private search(
    key: Uint8Array,
    keyLength: number,
    sequence: number,
    found: Found,
  ): boolean {
    const entry = this.entry;
    const base = this.baseSequence;
    let ordinal = this.findBlock(key, keyLength);
    let present = false;
    for (; ordinal < this.blockCount; ordinal++) {
      const block = this.block(ordinal);
      let at = block.find(key, keyLength);
      if (at < 0) return present;
      present = true;
      while (at < block.count) {
        if (!entry.read(block, at)) throw this.badEntry(ordinal);
        const own = base + entry.sequence;
        if (own <= sequence) {
          found.offer(
            own,
            (entry.tag & 1) as EntryKind,
            block.bytes,
            entry.valueStart,
            entry.valueEnd,
          );
          return true;
        }
        if (!block.hasKey(++at, key, keyLength)) break;
      }
      if (at < block.count) return true;
    }
    return present;
  }

  /** The place of the first data block whose last key may be at or after the key. */
  findBlock(key: Uint8Array, keyLength: number): number {
    const { index } = this.open();
    if (index === undefined) return 0;
    const at = index.find(key, keyLength);
    return at < 0 ? -1 - at : at;
  }

  /** Where data block `ordinal` lies. */
  handle(ordinal: number): Handle {
    const { index } = this.open();
    const entry = this.entry;
    if (index === undefined || !entry.read(index, ordinal)) {
      throw this.badEntry(ordinal);
    }
    const decoder = new Decoder(index.bytes, entry.valueStart, entry.valueEnd);
    const handle = { offset: decoder.varint(), length: decoder.varint() };
    const end = handle.offset + handle.length + SECTION_TRAILER_LENGTH;
    if (decoder.failed || end > this.meta.size) throw this.badEntry(ordinal);
    return handle;
  }

  /** The error for an entry of a block, or of the index, that leaves its block. */
  badEntry(ordinal: number): Error {
    return corruption(
      this.path,
      0,
      `whole entries in data block ${ordinal} and in the index`,
      "one that leaves its block",
    );
  }

  /** The data block at `ordinal`, through the cache. */
  block(ordinal: number): Block {
    const cached = this.cached.get(ordinal);
    if (cached !== undefined) return cached;
    this.context.cache.misses++;
    const handle = this.handle(ordinal);
    const bytes = new Uint8Array(handle.length + SECTION_TRAILER_LENGTH);
    this.readRaw(bytes, handle.offset);
    const block = this.blockIn(bytes, 0, handle);
    this.cached.put(ordinal, block, bytes.length);
    return block;
  }

  /** The data block at `ordinal` if it is cached. */
  cachedBlock(ordinal: number): Block | undefined {
    return this.cached.get(ordinal);
  }

  /** Verifies and wraps the data block that was read to `bytes[start...]`. */
  blockIn(bytes: Uint8Array, start: number, handle: Handle): Block {
    this.context.counters.blockReads++;
    const { offset, length } = handle;
    verifySection(bytes, start, length, this.path, this.meta.number, offset);
    return new Block(bytes, start, length, this.path, offset);
  }
}
