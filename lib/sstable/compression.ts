/**
 * Compressed data blocks: a varint, the length of the block, and a frame of
 * Zstandard.
 *
 * A block that would hardly become smaller is left as it is, and so are some
 * of those behind it: values that are compressed already, or encrypted, stay
 * so for a while, and trying costs more than anything else that is done with
 * an entry.
 *
 * @module
 */
import { Decoder, MAX_VARINT_LENGTH, putVarint } from "../encoding/varint.ts";
import { compress, decompress } from "../runtime/compression.ts";

/** A block is left as it is unless this share of it, or more, is saved: reading it costs time. */
const SAVED_LEAST = 1 / 8;
/** No block is as long: it ends behind the entry that fills it, and that has a value of 256 MiB at most. */
const LENGTH_MAX = 512 * 1024 * 1024;
/** The most blocks that are left as they are between two tries. */
const PASSED_MOST = 31;

/** Compresses the blocks of one table where that pays. */
export class BlockCompressor {
  /** Blocks to be left as they are before the next try. */
  private left = 0;
  /** What that was set to last. */
  private passed = 0;

  /**
   * Puts `bytes[start, end)`, compressed, in its own place.
   *
   * @returns Where it ends now; `end` if it was left as it is.
   */
  pack(bytes: Uint8Array, start: number, end: number): number {
    if (this.left > 0) {
      this.left--;
      return end;
    }
    const length = end - start;
    const frame = compress(bytes.subarray(start, end));
    const most = length * (1 - SAVED_LEAST) - MAX_VARINT_LENGTH;
    if (frame.length > most) {
      this.passed = Math.min(this.passed * 2 + 1, PASSED_MOST);
      this.left = this.passed;
      return end;
    }
    this.passed = 0;
    const at = putVarint(bytes, start, length);
    bytes.set(frame, at);
    return at + frame.length;
  }
}

/** The block that `bytes[start, end)` was packed from, as bytes of its own; `undefined` if it is none. */
export function unpack(
  bytes: Uint8Array,
  start: number,
  end: number,
): Uint8Array | undefined {
  const decoder = new Decoder(bytes, start, end);
  const length = decoder.varint();
  return decoder.failed || length === 0 || length > LENGTH_MAX
    ? undefined
    : decompress(bytes.subarray(decoder.position, end), length);
}
