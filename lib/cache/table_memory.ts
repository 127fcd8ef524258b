/**
 * The memory that the tables of one thread share beside the block cache: what
 * bounds their filters, indexes and range tombstones, and buffers to read
 * blocks into.
 *
 * Whoever's part was not used since it was last looked at is dropped first
 * (CLOCK), and reads it again when it is needed.
 *
 * @module
 */
/** Something whose part in memory can be dropped behind its back. */
export interface PartOwner {
  /** Whether the part was used; cleared by whoever looks. */
  wasUsed: boolean;
  /** Drops the part; the next use reads it again. */
  dropPart(): void;
}

/** A buffer to read a block into, or a key, whose memory is also at hand as words, and as a view. */
export class ReadBuffer {
  /** The buffer. */
  readonly bytes: Uint8Array;
  /** The same memory. */
  readonly words: Int32Array;
  /** The same memory. */
  readonly view: DataView;

  /** A buffer of `length` bytes, or some more: whole words. */
  constructor(length: number) {
    this.words = new Int32Array(Math.ceil(length / 4));
    this.bytes = new Uint8Array(this.words.buffer);
    this.view = new DataView(this.words.buffer);
  }
}

/** A buffer for nothing. */
export const NO_BUFFER: ReadBuffer = new ReadBuffer(0);

/** Larger buffers are not kept. */
const KEPT_BUFFER_BYTES = 1024 * 1024;

/** The private memory of the tables of one database, on one thread. */
export class TableMemory {
  /** Bytes allowed for the parts; a single one may be larger. */
  readonly bytesMax: number;
  /** Bytes of the parts held. */
  bytes = 0;
  private readonly parts = new Map<PartOwner, number>();
  private first = NO_BUFFER;
  private second = NO_BUFFER;

  /** Holds parts of `bytesMax` bytes together. */
  constructor(bytesMax: number) {
    this.bytesMax = bytesMax;
  }

  /** Notes that `owner` read its part; drops those of others if they are too much. */
  add(owner: PartOwner, bytes: number): void {
    this.remove(owner);
    for (const [other, held] of this.parts) {
      if (this.bytes + bytes <= this.bytesMax) break;
      if (other.wasUsed) {
        // Once more round: to the end of the order, where this loop ends.
        other.wasUsed = false;
        this.parts.delete(other);
        this.parts.set(other, held);
      } else {
        this.remove(other);
        other.dropPart();
      }
    }
    this.parts.set(owner, bytes);
    this.bytes += bytes;
  }

  /** Notes that `owner` dropped its part. */
  remove(owner: PartOwner): void {
    this.bytes -= this.parts.get(owner) ?? 0;
    this.parts.delete(owner);
  }

  /**
   * A buffer of at least `length` bytes, good until the next call but one: it
   * is not the one that `held` is, which may still be used.
   */
  buffer(length: number, held: Uint8Array): ReadBuffer {
    if (length > KEPT_BUFFER_BYTES) return new ReadBuffer(length);
    if (held !== this.first.bytes) {
      return this.first = withRoom(this.first, length);
    }
    return this.second = withRoom(this.second, length);
  }
}

/** The buffer, if it has room for `length` bytes; else a new one that has. */
export function withRoom(buffer: ReadBuffer, length: number): ReadBuffer {
  return buffer.bytes.length < length
    ? new ReadBuffer(Math.ceil(length / 4096) * 4096)
    : buffer;
}
