/**
 * Reads one table.
 *
 * Invariants:
 * - Nothing read from the file is used before its checksum matched.
 * - What the file says of itself must agree with what the manifest says.
 * - Range tombstones are asked before the filter: a filter knows only keys.
 *
 * The file is opened at the first read. Filter, index and range tombstones are
 * read then, and again if they had to make way for those of other tables; data
 * blocks go through the cache.
 *
 * A lookup searches a cached block where it lies, in memory that other threads
 * may overwrite. It believes what it read only if the block was still there
 * afterwards: for an answer with a value that is asked by {@linkcode
 * Found.holds}, for everything else here.
 *
 * @module
 */
import type { BlockCache } from "../cache/block_cache.ts";
import { TableBlocks } from "../cache/layout.ts";
import type { OpenFiles } from "../cache/open_files.ts";
import {
  type PartOwner,
  type ReadBuffer,
  type TableMemory,
  withRoom,
} from "../cache/table_memory.ts";
import type { EntryKind, Found } from "../cursor.ts";
import { copyInto, sharedPrefixLength } from "../encoding/bytes.ts";
import { fingerprintOf, hashKey, keyHash } from "../encoding/hash.ts";
import { Decoder } from "../encoding/varint.ts";
import { corruption } from "../errors.ts";
import { FragmentSearch, SEARCH_BYTES } from "../memtable/fragment_search.ts";
import { type Fragment, isBeforeEnd } from "../memtable/range_tombstones.ts";
import type { File, FileSystem } from "../runtime/runtime.ts";
import { Block, BlockEntry, openBlock } from "./block.ts";
import { unpack } from "./compression.ts";
import { isFilter, mayContain } from "./filter.ts";
import {
  decodeFooter,
  type Footer,
  FOOTER_LENGTH,
  type Handle,
  PLAIN,
  SECTION_TRAILER_LENGTH,
  verifySection,
  ZSTANDARD,
} from "./format.ts";
import type { TableMeta } from "./meta.ts";
import { TableIndex } from "./table_index.ts";

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
  /** What bounds the memory of filters, indexes and range tombstones. */
  readonly memory: TableMemory;
  /** What bounds the open files. */
  readonly openFiles: OpenFiles;
  /** The counters. */
  readonly counters: ReadCounters;
  /** Whether filters are left alone, for tables that are only walked over. */
  readonly withoutFilters?: boolean;
}

/** The part of a table that is in memory once its file is open. */
interface Opened {
  readonly baseSequence: number;
  readonly index: TableIndex | undefined;
  /** How many leading bytes separators and keys share for certain. */
  readonly indexKnown: number;
  readonly filter: Uint8Array | undefined;
  readonly fragments: readonly Fragment[];
  /** Lookups in the fragments, if there are any. */
  readonly ranges: FragmentSearch | undefined;
}

/** Bytes that a fragment takes beside its bounds. */
const FRAGMENT_BYTES = 64 + SEARCH_BYTES;

/** How many leading bytes all keys share that lie between the smallest and the largest one. */
function sharedBy({ smallest, largest, unbounded }: TableMeta): number {
  if (unbounded) return 0;
  return sharedPrefixLength(
    smallest,
    0,
    smallest.length,
    largest,
    0,
    largest.length,
  );
}

/**
 * Negative, zero or positive as `key[0, keyLength)`, whose first bytes are those
 * of `bound`, sorts before, with or after it. One subtraction, whatever decides:
 * see {@linkcode Table.get} for why.
 */
function orderFrom(
  shared: number,
  key: Uint8Array,
  keyLength: number,
  bound: Uint8Array,
): number {
  const { length } = bound;
  const end = keyLength < length ? keyLength : length;
  let at = shared;
  while (at < end && key[at] === bound[at]) at++;
  return (at < end ? key[at] : keyLength) - (at < end ? bound[at] : length);
}

/** Whether sequences ascend from `oldest` or above to `newest` or below. */
function areBetween(
  sequences: readonly number[],
  oldest: number,
  newest: number,
): boolean {
  return sequences.every((sequence, i) =>
    sequence >= oldest && sequence <= newest &&
    (i === 0 || sequences[i - 1] < sequence)
  );
}

function bytesOf({ index, filter, fragments }: Opened): number {
  let bytes = (index?.bytes ?? 0) + (filter?.length ?? 0);
  for (const { start, end, sequences } of fragments) {
    bytes += FRAGMENT_BYTES + start.length + end.length + 8 * sequences.length;
  }
  return bytes;
}

/** What a lookup in one data block comes to. */
type Outcome = 0 | 1 | 2 | 3 | 4;
/** The key is not in the block. */
const ABSENT = 0;
/** A visible entry was offered and taken. */
const FOUND = 1;
/** The key is there, and nothing more of it need be looked at. */
const SETTLED = 2;
/** The key is there, but up to the end of the block with nothing visible. */
const BEYOND = 3;
/** An entry leaves the block, or it is none. */
const DAMAGED = 4;

/** One table. */
export class Table implements PartOwner {
  /** What the manifest says of it. */
  readonly meta: TableMeta;
  /** Its path. */
  readonly path: string;
  private readonly context: TableContext;
  /** Whether filter, index or range tombstones were used; see {@linkcode TableMemory}. */
  wasUsed = false;
  private readonly blocks: TableBlocks;
  /** How many leading bytes all its keys share, by what the manifest says. */
  private readonly shared: number;
  private readonly block = new Block();
  private readonly entry = new BlockEntry();
  /** How many leading bytes of the key that is looked up are known to be those of all keys. */
  private known = 0;
  private file: File | undefined;
  private opened: Opened | undefined;
  /** How data blocks may be compressed: up to this. Known once it is open. */
  private compressionMost = PLAIN;
  private users = 0;
  private obsolete: (() => void) | undefined;

  /** The table that the manifest names; its file is opened when needed. */
  constructor(meta: TableMeta, path: string, context: TableContext) {
    this.meta = meta;
    this.path = path;
    this.context = context;
    this.blocks = new TableBlocks(meta.number);
    this.shared = sharedBy(meta);
  }

  /** Counts one more version or job that uses the table. */
  retain(): void {
    this.users++;
  }

  /** Counts one less; the last one closes the file, and removes it if the table is obsolete. */
  release(): void {
    // mutant table-stays-while-read: otherwise a scan loses its tables
    if (--this.users > 0) return;
    this.close();
    this.obsolete?.();
  }

  /** The tree no longer names the table: `remove` is called after its last user let go. */
  retire(remove: () => void): void {
    this.obsolete = remove;
  }

  /** Closes the file and forgets what was read, but for blocks in the cache. A later read opens it again. */
  close(): void {
    this.closeFile();
    this.context.memory.remove(this);
    this.dropPart();
  }

  dropPart(): void {
    this.opened = undefined;
    this.blocks.note(0);
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
    this.wasUsed = true;
    const opened = this.opened;
    if (opened !== undefined) return opened;
    const loaded = this.load();
    this.opened = loaded;
    const seenBytes = this.blocks.note(loaded.index?.count ?? 0);
    this.context.memory.add(this, bytesOf(loaded) + seenBytes);
    return loaded;
  }

  private load(): Opened {
    const footer = this.readFooter();
    const { filter, ranges, properties } = footer;
    this.compressionMost = footer.mayBeCompressed ? ZSTANDARD : PLAIN;
    const index = this.readIndex(footer.index);
    this.checkProperties(properties, index?.count ?? 0);
    const fragments = ranges.length === 0 ? [] : this.decodeFragments(
      this.readSection(ranges),
      ranges,
      footer.baseSequence,
    );
    return {
      baseSequence: footer.baseSequence,
      index,
      indexKnown: index === undefined ? 0 : this.sharedWith(index.block),
      filter: filter.length === 0 || this.context.withoutFilters
        ? undefined
        : this.checkFilter(this.readSection(filter), filter),
      fragments,
      ranges: fragments.length === 0
        ? undefined
        : new FragmentSearch(fragments),
    };
  }

  /** Reads the footer; which sections there are must agree with what the manifest says. */
  private readFooter(): Footer {
    const { path, meta } = this;
    const size = this.openFile().size();
    if (size !== meta.size || size < FOOTER_LENGTH) {
      throw corruption(
        path,
        Math.min(size, meta.size),
        `a table of ${meta.size} bytes`,
        `one of ${size}`,
      );
    }
    const at = size - FOOTER_LENGTH;
    const tail = new Uint8Array(FOOTER_LENGTH);
    this.readRaw(tail, at);
    const footer = decodeFooter(tail, path, meta.number, size);
    const { index, ranges, baseSequence } = footer;
    if (
      index.length > 0 !== meta.entries > 0 ||
      ranges.length > 0 !== meta.rangeTombstones > 0 ||
      baseSequence > meta.oldest
    ) {
      throw corruption(
        path,
        at,
        `the footer of ${meta.entries} entries and ${meta.rangeTombstones} ` +
          `fragments from sequence ${meta.oldest} on`,
        `one of an index of ${index.length} and fragments of ` +
          `${ranges.length} bytes, and base sequence ${baseSequence}`,
      );
    }
    return footer;
  }

  private readIndex(handle: Handle): TableIndex | undefined {
    const { offset, length } = handle;
    if (length === 0) return undefined;
    const bytes = this.readSection(handle);
    return new TableIndex(openBlock(bytes, 0, length, this.path, offset));
  }

  /** How many of the first bytes that all keys share are those of a block's prefix. */
  private sharedWith(block: Block): number {
    const prefix = new Uint8Array(block.shared);
    block.copyPrefix(prefix);
    const { smallest } = this.meta;
    return sharedPrefixLength(
      prefix,
      0,
      prefix.length,
      smallest,
      0,
      this.shared,
    );
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

  private checkProperties(handle: Handle, dataBlocks: number): void {
    const content = this.readSection(handle);
    const decoder = new Decoder(content, 0, content.length);
    const values = new Map<number, number>();
    for (let count = decoder.varint(); count > 0 && !decoder.failed; count--) {
      values.set(decoder.varint(), decoder.varint());
    }
    if (decoder.failed || decoder.position !== content.length) {
      throw corruption(this.path, handle.offset, "properties", "others");
    }
    const meta = this.meta;
    const expected = [
      [1, meta.entries],
      [2, meta.tombstones],
      [3, meta.rangeTombstones],
      [4, dataBlocks],
      [5, meta.oldest],
      [6, meta.newest],
      [10, meta.olderVersions],
    ];
    for (const [id, value] of expected) {
      if (values.get(id) !== value) {
        throw corruption(
          this.path,
          handle.offset,
          `property ${id} to be ${value}, as manifest and index say`,
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
    const { oldest, newest } = this.meta;
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
      sound &&= sequences.length > 0 && areBetween(sequences, oldest, newest) &&
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
    return this.open().baseSequence;
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
   * Offers what the table knows of a key to a reader at `sequence`. The answer
   * is true if {@linkcode Found.holds} says so after it was used.
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
    if (!this.mayHold(key, keyLength)) return;
    if (!found.holdsSoFar()) return;
    const opened = this.open();
    const { ranges, filter, index } = opened;
    // mutant ranges-before-filter: a filter knows nothing of range tombstones
    if (ranges !== undefined) {
      found.offerTombstone(ranges.covering(key, keyLength, sequence));
    }
    // mutant newer-in-table: a table is left out only if all of it is older than what was found
    if (index === undefined || found.sequence >= this.meta.newest) return;
    // What is counted is counted on every way through: on V8, code that was
    // made while only one of them was taken is thrown away at the first turn.
    const counters = this.context.counters;
    if (filter !== undefined) {
      const skips = mayContain(filter, line, bits) ? 0 : 1;
      counters.bloomChecks++;
      counters.bloomSkips += skips;
      if (skips === 1) return;
    }
    this.known = this.shared;
    const isPresent = this.search(
      opened,
      index,
      key,
      keyLength,
      sequence,
      found,
      true,
      fingerprintOf(bits),
    );
    counters.falsePositives += isPresent || filter === undefined ? 0 : 1;
  }

  /** Whether the table may say something of a key; if so, the key begins with the bytes that all keys of the table share. */
  private mayHold(key: Uint8Array, keyLength: number): boolean {
    const { shared } = this;
    const { smallest, largest, unbounded } = this.meta;
    if (keyLength < shared) return false;
    for (let i = 0; i < shared; i++) {
      if (key[i] !== smallest[i]) return false;
    }
    return orderFrom(shared, key, keyLength, smallest) >= 0 &&
      (unbounded || orderFrom(shared, key, keyLength, largest) <= 0);
  }

  /** Whether an entry of the key older than `sequence` is in the table. Asked by jobs: it leaves the cache alone. */
  holdsOlder(
    key: Uint8Array,
    keyLength: number,
    sequence: number,
    found: Found,
  ): boolean {
    const opened = this.open();
    const { index } = opened;
    if (index === undefined) return false;
    hashKey(key, 0, keyLength);
    const fingerprint = fingerprintOf(keyHash.bits);
    const newest = sequence - 1;
    this.known = 0;
    do {
      found.reset();
      this.search(
        opened,
        index,
        key,
        keyLength,
        newest,
        found,
        false,
        fingerprint,
      );
    } while (!found.holds());
    return found.sequence > 0;
  }

  /** Whether the filter, if there is one, lets the key through. */
  filterLetsThrough(line: number, bits: number): boolean {
    const { filter } = this.open();
    return filter === undefined || mayContain(filter, line, bits);
  }

  /** Offers the newest visible entry of the key; returns whether the key is there in any version. */
  private search(
    { baseSequence, indexKnown }: Opened,
    index: TableIndex,
    key: Uint8Array,
    keyLength: number,
    sequence: number,
    found: Found,
    isLookup: boolean,
    fingerprint: number,
  ): boolean {
    const { known } = this;
    let isPresent = false;
    let ordinal = index.find(
      key,
      keyLength,
      known < indexKnown ? known : indexKnown,
    );
    for (; ordinal < index.count; ordinal++) {
      let outcome = this.lookInCache(
        ordinal,
        baseSequence,
        key,
        keyLength,
        sequence,
        found,
        isLookup,
        fingerprint,
      );
      if (outcome < 0) {
        const { words } = this.readForLookup(ordinal, found.value, isLookup);
        outcome = this.look(
          baseSequence,
          key,
          keyLength,
          sequence,
          found,
          fingerprint,
          words,
        );
      }
      if (outcome === DAMAGED) throw this.badEntry(ordinal);
      if (outcome !== ABSENT) isPresent = true;
      if (outcome !== BEYOND) return isPresent;
    }
    return isPresent;
  }

  /** Looks for the key in a block where the cache has it; -1 if it has it not. */
  private lookInCache(
    ordinal: number,
    base: number,
    key: Uint8Array,
    keyLength: number,
    sequence: number,
    found: Found,
    isLookup: boolean,
    fingerprint: number,
  ): Outcome | -1 {
    const { cache } = this.context;
    while (cache.find(this.blocks, ordinal, isLookup)) {
      const { segment, generation } = cache;
      const isBlock = this.block.reset(cache.source, cache.start, cache.length);
      const outcome = isBlock
        ? this.look(
          base,
          key,
          keyLength,
          sequence,
          found,
          fingerprint,
          cache.words,
        )
        : DAMAGED;
      if (outcome === FOUND) {
        found.lend(cache, segment, generation, cache.words);
        return FOUND; // Whoever uses it asks whether it holds.
      }
      // mutant block-is-still-there: another thread may have put a block in its place
      if (cache.isStill(segment, generation)) return outcome;
    }
    return -1;
  }

  /** Looks for the key in the block at hand, which lies in the memory that `words` are. */
  private look(
    base: number,
    key: Uint8Array,
    keyLength: number,
    sequence: number,
    found: Found,
    fingerprint: number,
    words: Int32Array,
  ): Outcome {
    const { block, entry, known } = this;
    let at = block.lookUp(key, keyLength, fingerprint, entry, words, known);
    if (at < 0) return ABSENT;
    do {
      if (!entry.isWhole) return DAMAGED;
      const own = base + entry.sequence;
      if (own <= sequence) {
        if (own <= found.sequence) return SETTLED;
        found.offer(
          own,
          (entry.tag & 1) as EntryKind,
          block.bytes,
          entry.valueStart,
          entry.valueEnd,
          words,
        );
        return FOUND;
      }
      if (++at === block.count) return BEYOND;
    } while (entry.readIf(block, at, key, keyLength));
    return SETTLED;
  }

  /** Makes the block at hand one that is read from the file; returns where it lies. */
  private readForLookup(
    ordinal: number,
    held: Uint8Array,
    isLookup: boolean,
  ): ReadBuffer {
    const { memory } = this.context;
    const handle = this.handle(ordinal);
    const length = handle.length + SECTION_TRAILER_LENGTH;
    const buffer = memory.buffer(length, held);
    const { bytes } = buffer;
    if (this.readBlock(handle, bytes) !== PLAIN) {
      const content = this.unpacked(bytes, 0, handle);
      const other = memory.buffer(content.length, held);
      this.putUnpacked(content, other, handle, this.block);
      if (isLookup) this.keep(ordinal, other.bytes, content.length);
      return other;
    }
    if (isLookup) this.keep(ordinal, bytes, handle.length);
    this.resetBlock(this.block, bytes, 0, handle);
    return buffer;
  }

  /** Reads and verifies a data block; returns how it is compressed. */
  private readBlock(handle: Handle, bytes: Uint8Array): number {
    const length = handle.length + SECTION_TRAILER_LENGTH;
    this.readRaw(
      bytes.length === length ? bytes : bytes.subarray(0, length),
      handle.offset,
    );
    return this.verifyBlock(bytes, 0, handle);
  }

  /** Counts a lookup that missed the cache, and offers it the block. */
  private keep(ordinal: number, bytes: Uint8Array, length: number): void {
    const { cache } = this.context;
    cache.misses++;
    cache.insert(this.blocks, ordinal, bytes, 0, length);
  }

  /** The place of the first data block whose last key may be at or after the key. */
  findBlock(key: Uint8Array, keyLength: number): number {
    return this.open().index?.find(key, keyLength) ?? 0;
  }

  /** Where data block `ordinal` lies. */
  handle(ordinal: number): Handle {
    const { index } = this.open();
    const entry = this.entry;
    if (index === undefined || !entry.read(index.block, ordinal)) {
      throw this.badEntry(ordinal);
    }
    const { bytes } = index.block;
    const decoder = new Decoder(bytes, entry.valueStart, entry.valueEnd);
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

  /** The error for keys that are not where they belong. */
  unordered(): Error {
    return corruption(
      this.path,
      0,
      "sorted keys within the table's bounds",
      "others",
    );
  }

  /**
   * Copies the data block at `ordinal` to the start of `buffer`, or of a larger
   * one, and makes `block` of it. It is taken from the cache or, if it is not
   * there, read from the file.
   *
   * @param isLookup Whether the cache is to keep it.
   * @returns The buffer.
   */
  copyBlock(
    ordinal: number,
    buffer: ReadBuffer,
    block: Block,
    isLookup: boolean,
  ): ReadBuffer {
    const cached = this.copyCached(ordinal, buffer, block, isLookup);
    if (cached !== undefined) return cached;
    const handle = this.handle(ordinal);
    const enough = withRoom(buffer, handle.length + SECTION_TRAILER_LENGTH);
    const { bytes } = enough;
    if (this.readBlock(handle, bytes) !== PLAIN) {
      const content = this.unpacked(bytes, 0, handle);
      const other = withRoom(enough, content.length);
      this.putUnpacked(content, other, handle, block);
      if (isLookup) this.keep(ordinal, other.bytes, content.length);
      return other;
    }
    if (isLookup) this.keep(ordinal, bytes, handle.length);
    this.resetBlock(block, bytes, 0, handle);
    return enough;
  }

  /** The same if it is in the cache; else `undefined`. */
  copyCached(
    ordinal: number,
    buffer: ReadBuffer,
    block: Block,
    isLookup: boolean,
  ): ReadBuffer | undefined {
    const { cache } = this.context;
    while (cache.find(this.blocks, ordinal, isLookup)) {
      const { segment, generation, source, start, length } = cache;
      const enough = withRoom(buffer, length);
      const { bytes } = enough;
      copyInto(bytes, 0, source, start, start + length);
      // mutant copy-is-whole: another thread may have put a block in its place
      if (!cache.isStill(segment, generation)) continue;
      if (!block.reset(bytes, 0, length)) throw this.badEntry(ordinal);
      return enough;
    }
    return undefined;
  }

  /**
   * Verifies the data block that was read to `bytes[start...]`, and makes
   * `block` of it if it is not compressed; returns whether it is not.
   */
  blockIn(
    bytes: Uint8Array,
    start: number,
    handle: Handle,
    block: Block,
  ): boolean {
    if (this.verifyBlock(bytes, start, handle) !== PLAIN) return false;
    this.resetBlock(block, bytes, start, handle);
    return true;
  }

  /**
   * Unpacks the compressed data block at `bytes[start...]`, which is verified,
   * to the start of `buffer`, or of a larger one, and makes `block` of it.
   *
   * @returns The buffer.
   */
  unpackBlock(
    bytes: Uint8Array,
    start: number,
    handle: Handle,
    block: Block,
    buffer: ReadBuffer,
  ): ReadBuffer {
    const content = this.unpacked(bytes, start, handle);
    const enough = withRoom(buffer, content.length);
    this.putUnpacked(content, enough, handle, block);
    return enough;
  }

  /** Returns how the block is compressed. */
  private verifyBlock(
    bytes: Uint8Array,
    start: number,
    { offset, length }: Handle,
  ): number {
    this.context.counters.blockReads++;
    return verifySection(
      bytes,
      start,
      length,
      this.path,
      this.meta.number,
      offset,
      this.compressionMost,
    );
  }

  private resetBlock(
    block: Block,
    bytes: Uint8Array,
    start: number,
    { offset, length }: Handle,
  ): void {
    if (!block.reset(bytes, start, length)) throw this.noBlock(offset);
  }

  /** What was compressed to the content at `bytes[start...]`, which is verified. */
  private unpacked(
    bytes: Uint8Array,
    start: number,
    { offset, length }: Handle,
  ): Uint8Array {
    const content = unpack(bytes, start, start + length);
    if (content === undefined) throw this.noBlock(offset);
    return content;
  }

  /** Puts what was unpacked to the start of a buffer that has room, and makes `block` of it. */
  private putUnpacked(
    content: Uint8Array,
    { bytes }: ReadBuffer,
    { offset }: Handle,
    block: Block,
  ): void {
    bytes.set(content);
    if (!block.reset(bytes, 0, content.length)) throw this.noBlock(offset);
  }

  private noBlock(offset: number): Error {
    return corruption(
      this.path,
      offset,
      "a block of entries",
      "another layout",
    );
  }
}
