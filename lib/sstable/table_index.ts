/**
 * The index of a table in memory: which data block may hold a key.
 *
 * Once it has been searched some times, the first four bytes that the
 * separators do not all share are held as integers beside the block. A search
 * is then mostly one among integers that lie together; only separators that
 * agree in them are compared as bytes.
 *
 * @module
 */
import { type Block, headOf } from "./block.ts";

/** After one search for so many blocks the integers are made: a table that is hardly read does without. To make one costs a small part of a search without them. */
const SEARCHES_SHARE = 32;

/** The index of one table. */
export class TableIndex {
  /** The index block. */
  readonly block: Block;
  /** How many data blocks there are. */
  readonly count: number;
  private heads: Int32Array | undefined;
  private searches = 0;

  /** The index in a block that was verified. */
  constructor(block: Block) {
    this.block = block;
    this.count = block.count;
  }

  /** Bytes in memory, with those of the integers. */
  get bytes(): number {
    return this.block.bytes.length + 4 * this.count;
  }

  /** The place of the first data block whose last key may be at or after the key. */
  find(key: Uint8Array, keyLength: number): number {
    const { block, heads, count } = this;
    if (heads === undefined) {
      if (++this.searches * SEARCHES_SHARE >= count) this.makeHeads();
      const at = block.find(key, keyLength);
      return at < 0 ? -1 - at : at;
    }
    const order = block.comparePrefix(key, keyLength);
    if (order !== 0) return order < 0 ? count : 0;
    const head = headOf(key, block.shared, keyLength);
    let low = 0;
    let high = count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (heads[middle] < head) low = middle + 1;
      else high = middle;
    }
    if (low === count || heads[low] !== head) return low;
    let end = low + 1;
    for (let step = 1; end < count && heads[end] === head; step *= 2) {
      end += step;
    }
    const at = block.findAmong(low, end < count ? end : count, key, keyLength);
    return at < 0 ? -1 - at : at;
  }
  private makeHeads(): void {
    const heads = new Int32Array(this.count);
    for (let i = 0; i < heads.length; i++) heads[i] = this.block.head(i);
    this.heads = heads;
  }
}
