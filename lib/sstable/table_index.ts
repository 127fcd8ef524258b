/**
 * The index of a table in memory: which data block may hold a key.
 *
 * Separators are compared as numbers (key_code.ts), each made when it is first
 * looked at. The range of the numbers is cut into equal parts, and of each it
 * is remembered which separator a search there came to: the next search ends
 * there too, or a few steps away. Where separators are spread so unevenly that
 * many lie in one part, it goes on as a binary search. Only separators that
 * have the key's number are compared as bytes.
 *
 * @module
 */
import type { Block } from "./block.ts";
import { KeyCode } from "./key_code.ts";

/** Parts of the range for each separator. */
const PARTS_SHARE = 4;
/** Separators that a search goes on from where the last one in its part ended. */
const STEPS_FROM_HINT = 4;
/** Less than every number of a key, and not 0. */
const BELOW_ALL = -1;
/** More than every number of a key. */
const ABOVE_ALL = 0x7fff_ffff;

/** The index of one table. */
export class TableIndex {
  /** The index block. */
  readonly block: Block;
  /** How many data blocks there are. */
  readonly count: number;
  private readonly code: KeyCode;
  /** The number of each separator, 0 as long as it is not made, between two that no key's number is below or above. */
  private readonly codes: Int32Array;
  /** Where the last search in each part ended. The numbers of that separator and of the one before are made. */
  private readonly hints: Int32Array;
  /** Parts for each unit of the range. */
  private readonly scale: number;

  /** The index in a block that was verified. */
  constructor(block: Block) {
    const { count } = block;
    this.block = block;
    this.count = count;
    this.code = new KeyCode(block);
    this.codes = new Int32Array(count + 2);
    this.codes[0] = BELOW_ALL;
    this.codes[count + 1] = ABOVE_ALL;
    this.makeCode(0);
    this.hints = new Int32Array(count * PARTS_SHARE);
    this.scale = (this.hints.length - 1) / this.code.largest;
  }

  /** Bytes in memory, with those of the numbers. */
  get bytes(): number {
    return this.block.bytes.length + 4 * (1 + PARTS_SHARE) * this.count;
  }

  /**
   * The place of the first data block whose last key may be at or after the key.
   *
   * @param known So many of the first bytes are known to be those of the separators.
   */
  find(key: Uint8Array, keyLength: number, known: number = 0): number {
    const { block, codes, hints } = this;
    const order = block.comparePrefix(key, keyLength, known);
    if (order !== 0) return order < 0 ? this.count : 0;
    const code = this.code.of(key, block.shared, keyLength);
    const part = Math.floor(code * this.scale);
    const hint = hints[part];
    if (codes[hint] < code && code < codes[hint + 1]) return hint;
    const at = this.findFrom(hint, code);
    hints[part] = at;
    return codes[at + 1] === code
      ? this.findEqual(at, code, key, keyLength)
      : at;
  }

  /** The first separator whose number is not below `code`; it is thought to be near `hint`. Its own number and that of the one before are made. */
  private findFrom(hint: number, code: number): number {
    let at = hint;
    for (let steps = STEPS_FROM_HINT; steps > 0; steps--) {
      if (this.codeAt(at) < code) at++;
      else if (this.codeAt(at - 1) >= code) at--;
      else return at;
    }
    let low = 0;
    for (let high = this.count; low < high;) {
      const middle = (low + high) >>> 1;
      if (this.codeAt(middle) < code) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** The first separator at or after a key whose number is that of the separator at `low`, and of none before. */
  private findEqual(
    low: number,
    code: number,
    key: Uint8Array,
    keyLength: number,
  ): number {
    const { block, count } = this;
    let end = low + 1;
    for (let step = 1; end < count && this.codeAt(end) === code; step *= 2) {
      end += step;
    }
    const at = block.findAmong(low, end < count ? end : count, key, keyLength);
    return at < 0 ? -1 - at : at;
  }

  /** The number of a separator, or of the bounds at -1 and `count`. */
  private codeAt(index: number): number {
    const code = this.codes[index + 1];
    return code === 0 ? this.makeCode(index) : code;
  }

  private makeCode(index: number): number {
    const { block } = this;
    const start = block.restStart(index);
    const code = this.code.of(block.bytes, start, block.restEnd);
    this.codes[index + 1] = code;
    return code;
  }
}
