/**
 * Walks over the point entries of one table.
 *
 * The first block comes through the cache. A cursor that walks on from block
 * to block reads ahead, in growing chunks with one read each, and leaves the
 * cache alone: a long scan must not push out what lookups need. A cursor that
 * will walk over the whole table does so from the start.
 *
 * Invariant: a cursor stands on bytes of its own, in a workspace that it gives
 * back when it is closed. What the cache has is copied out.
 *
 * @module
 */
import { NO_BUFFER, ReadBuffer, withRoom } from "../cache/table_memory.ts";
import { Cursor, type EntryKind } from "../cursor.ts";
import { copyViewed, EMPTY } from "../encoding/bytes.ts";
import { type RowBuffer, ROWS_MAX } from "../row_buffer.ts";
import type { Block, BlockEntry } from "./block.ts";
import { takeRows } from "./block_rows.ts";
import { type Handle, SECTION_TRAILER_LENGTH } from "./format.ts";
import type { Table } from "./table.ts";
import { giveWorkspace, takeWorkspace, type Workspace } from "./workspace.ts";

/** Bytes of the first chunk that is read ahead, and of the largest. */
const FIRST_CHUNK = 16 * 1024;
const LARGEST_CHUNK = 256 * 1024;

/** Up to here the bytes of a key are copied one by one, without a call. */
const LOOP_BYTES_MAX = 16;

/** Fewer entries are rather taken one by one. */
const ROWS_AT_ONCE_MIN = 2;

const NO_HANDLES: readonly Handle[] = [];

/** A cursor over a table. */
export class TableCursor extends Cursor {
  private table: Table;
  private workspace: Workspace | undefined;
  private readonly block: Block;
  private readonly entry: BlockEntry;
  private base = 0;
  private blockCount = 0;
  private ordinal = -1;
  /** Whether `block` is that of `ordinal`. */
  private hasBlock = false;
  private keyBuffer: ReadBuffer = NO_BUFFER;
  private buffer: ReadBuffer;
  private readonly isLookup: boolean;
  private at = 0;
  private shared = 0;
  private chunk: ReadBuffer;
  private handles: readonly Handle[] = NO_HANDLES;
  private firstHandle = 0;
  private chunkLength: number;

  /**
   * Stands nowhere until it is moved.
   *
   * @param sequential Whether the whole table will be walked over, so that
   * large chunks pay from the start.
   * @param lazy Whether {@linkcode TableCursor.use} will name the table before
   * the first move; it is not opened now.
   */
  constructor(table: Table, sequential: boolean, lazy = false) {
    super();
    this.table = table;
    this.newest = table.meta.newest;
    this.isUnique = table.meta.olderVersions === 0;
    const workspace = takeWorkspace();
    this.workspace = workspace;
    this.block = workspace.block;
    this.entry = workspace.entry;
    this.useKey(workspace.key);
    this.buffer = workspace.buffer;
    this.chunk = workspace.chunk;
    this.isLookup = !sequential;
    this.chunkLength = sequential ? LARGEST_CHUNK : FIRST_CHUNK;
    if (!lazy) this.use(table);
  }

  /** Goes over to a table, opening it; stands nowhere until it is moved. */
  protected use(table: Table): void {
    this.table = table;
    this.base = table.baseSequence;
    this.blockCount = table.blockCount;
    this.ordinal = -1;
    this.handles = NO_HANDLES;
    this.leave();
  }

  override seekToFirst(): void {
    this.jump(0);
    if (this.hasBlock) this.stand(0);
  }

  override seekToLast(): void {
    this.toLast();
  }

  /** Moves to the last entry of the table. */
  private toLast(): void {
    this.jump(this.blockCount - 1);
    if (this.hasBlock) this.stand(this.block.count - 1);
  }

  override seek(key: Uint8Array, length: number): void {
    this.jump(this.table.findBlock(key, length));
    if (!this.hasBlock) return;
    const at = this.block.find(key, length);
    const index = at < 0 ? -1 - at : at;
    if (index < this.block.count) this.stand(index);
    else this.nextBlock();
  }

  override seekBefore(key: Uint8Array, length: number): void {
    const ordinal = this.table.findBlock(key, length);
    if (ordinal >= this.blockCount) return this.toLast();
    this.jump(ordinal);
    if (!this.hasBlock) return;
    const at = this.block.find(key, length);
    const index = (at < 0 ? -1 - at : at) - 1;
    if (index >= 0) this.stand(index);
    else this.previousBlock();
  }

  /** Refuses to go the other way: a scan would be without end. */
  override skip(key: Uint8Array, length: number, backwards: boolean): void {
    const { table, ordinal, at } = this;
    super.skip(key, length, backwards);
    if (!this.valid || this.table !== table) return;
    const moved = this.ordinal - ordinal || this.at - at;
    if (backwards ? moved >= 0 : moved <= 0) throw table.unordered();
  }

  override next(): void {
    if (this.hasBlock && this.at + 1 < this.block.count) {
      this.stand(this.at + 1);
    } else this.nextBlock();
  }

  override previous(): void {
    if (this.at > 0) this.stand(this.at - 1);
    else this.previousBlock();
  }

  override run(stop: Uint8Array, length: number, backwards: boolean): number {
    const { at } = this;
    let edge = this.block.find(stop, length);
    if (edge < 0) edge = -1 - edge;
    const count = backwards ? at + 1 - edge : edge - at;
    return count > 0 ? count : 0;
  }

  /** Takes what is left of the block, or a part of it. */
  override takeRun(
    rows: RowBuffer,
    most: number,
    backwards: boolean,
  ): number {
    const { block, at } = this;
    if (!this.hasBlock) return 0;
    const ahead = backwards ? at : block.count - 1 - at;
    const count = Math.min(ahead, most, ROWS_MAX - rows.count);
    if (count < ROWS_AT_ONCE_MIN) return 0;
    const low = backwards ? at - count : at + 1;
    const high = low + count;
    const taken = takeRows(
      rows,
      block,
      this.entry,
      this.keyBuffer,
      low,
      high,
      backwards,
    );
    if (taken === "damaged") throw this.table.badEntry(this.ordinal);
    if (taken === "none") return 0;
    this.stand(backwards ? low : high - 1);
    return count;
  }

  override close(): void {
    super.close();
    this.hasBlock = false;
    const { workspace } = this;
    if (workspace === undefined) return;
    this.workspace = undefined;
    workspace.key = this.keyBuffer;
    workspace.buffer = this.buffer;
    workspace.chunk = this.chunk;
    this.useKey(NO_BUFFER);
    this.value = EMPTY;
    this.words = undefined;
    this.view = undefined;
    this.buffer = NO_BUFFER;
    this.chunk = NO_BUFFER;
    giveWorkspace(workspace);
  }

  /** Goes on to the first entry of the next block. */
  protected nextBlock(): void {
    this.step(this.ordinal + 1, true);
    if (this.hasBlock) this.stand(0);
  }

  /** Goes back to the last entry of the block before. */
  protected previousBlock(): void {
    this.step(this.ordinal - 1, false);
    if (this.hasBlock) this.stand(this.block.count - 1);
  }

  /** Goes to a block that is not next to the one before, or to none. */
  private jump(ordinal: number): void {
    if (ordinal < 0 || ordinal >= this.blockCount) return this.leave();
    if (ordinal === this.ordinal && this.hasBlock) return;
    this.leaveBlock();
    if (this.isLookup) {
      this.buffer = this.table.copyBlock(
        ordinal,
        this.buffer,
        this.block,
        true,
      );
      this.enter(ordinal, this.buffer);
    } else this.ahead(ordinal, true);
  }

  /** Goes to the block next to the one before, or to none. */
  private step(ordinal: number, forwards: boolean): void {
    if (ordinal < 0 || ordinal >= this.blockCount) return this.leave();
    this.leaveBlock();
    const cached = this.isLookup
      ? this.table.copyCached(ordinal, this.buffer, this.block, false)
      : undefined;
    if (cached === undefined) return this.ahead(ordinal, forwards);
    this.buffer = cached;
    this.enter(ordinal, cached);
  }

  /** Before another block is looked for: should that throw, there is none. */
  private leaveBlock(): void {
    this.hasBlock = false;
    // The workspace may be another cursor's by now.
    if (this.workspace === undefined) {
      throw new Error("a cursor was moved after it was closed");
    }
  }

  private leave(): void {
    this.valid = false;
    this.hasBlock = false;
  }

  /** Goes to the block at hand, which lies in `buffer`. */
  private enter(ordinal: number, buffer: ReadBuffer): void {
    const block = this.block;
    this.ordinal = ordinal;
    this.hasBlock = true;
    this.value = buffer.bytes;
    this.words = buffer.words;
    this.view = buffer.view;
    const shared = block.shared;
    if (shared > this.key.length) this.useKey(new ReadBuffer(shared * 2));
    block.copyPrefix(this.key);
    this.shared = shared;
  }

  /** Goes to the block in the chunk that was read ahead; reads the next chunk if it is not in there. */
  private ahead(ordinal: number, forwards: boolean): void {
    const index = ordinal - this.firstHandle;
    if (index < 0 || index >= this.handles.length) {
      this.readChunk(ordinal, forwards);
    }
    const handle = this.handles[ordinal - this.firstHandle];
    const start = handle.offset - this.handles[0].offset;
    const { table, block } = this;
    const { bytes } = this.chunk;
    if (table.blockIn(bytes, start, handle, block)) {
      return this.enter(ordinal, this.chunk);
    }
    this.buffer = table.unpackBlock(bytes, start, handle, block, this.buffer);
    this.enter(ordinal, this.buffer);
  }

  private readChunk(ordinal: number, forwards: boolean): void {
    const handles: Handle[] = [];
    let bytes = 0;
    let at = ordinal;
    do {
      const handle = this.table.handle(at);
      handles.push(handle);
      bytes += handle.length + SECTION_TRAILER_LENGTH;
      at += forwards ? 1 : -1;
    } while (
      bytes < this.chunkLength && at >= 0 && at < this.blockCount
    );
    if (!forwards) handles.reverse();
    this.handles = handles;
    this.firstHandle = forwards ? ordinal : at + 1;
    this.chunk = withRoom(this.chunk, bytes);
    this.table.readRaw(this.chunk.bytes.subarray(0, bytes), handles[0].offset);
    this.chunkLength = Math.min(LARGEST_CHUNK, this.chunkLength * 2);
  }

  private stand(at: number): void {
    const { block, entry, shared } = this;
    if (!this.hasBlock || !entry.read(block, at)) {
      throw this.table.badEntry(this.ordinal);
    }
    this.at = at;
    const { restStart, restLength, tag } = entry;
    const keyEnd = shared + restLength;
    if (keyEnd > this.key.length) this.growKey(keyEnd);
    if (restLength > LOOP_BYTES_MAX) this.copyRest(restStart, restLength);
    else {
      const { key } = this;
      const { bytes } = block;
      for (let i = 0; i < restLength; i++) {
        key[shared + i] = bytes[restStart + i];
      }
    }
    this.valid = true;
    this.keyEnd = keyEnd;
    this.sequence = this.base + entry.sequence;
    this.kind = (tag & 1) as EntryKind;
    this.valueStart = entry.valueStart;
    this.valueEnd = entry.valueEnd;
  }

  private copyRest(start: number, length: number): void {
    const { block, shared, keyBuffer: { bytes, view } } = this;
    const end = start + length;
    copyViewed(bytes, view, shared, block.bytes, this.view, start, end);
  }

  private growKey(length: number): void {
    const grown = new ReadBuffer(length * 2);
    grown.bytes.set(this.key.subarray(0, this.shared));
    this.useKey(grown);
  }

  private useKey(buffer: ReadBuffer): void {
    this.keyBuffer = buffer;
    this.key = buffer.bytes;
    this.keyWords = buffer.words;
    this.keyView = buffer.view;
  }
}
