/**
 * Reads one block: see format.ts for its bytes.
 *
 * What is read of a file becomes a block only if its checksum matched. Where
 * its entries lie is checked all the same, so that bytes that were wrong before
 * they were summed end in an error and not in an endless loop, or in an answer
 * from outside the block. The order of keys is trusted: the writer checked it.
 *
 * @module
 */
import { copyInto, EMPTY } from "../encoding/bytes.ts";
import { getU32 } from "../encoding/fixed.ts";
import { corruption } from "../errors.ts";
import { FINGERPRINTED, WIDE_OFFSETS } from "./format.ts";

/** What a comparison with an entry comes to that leaves its block; no difference is as large. */
const OUTSIDE = 0x7fff_ffff;
/** A byte times this is a word of four such bytes. */
const EACH_BYTE = 0x0101_0101;

/**
 * One block in memory; reused for the next one by {@linkcode Block.reset}.
 *
 * Its bytes may be in memory that others overwrite meanwhile: whatever they
 * are, each call ends, throws nothing and stays within the block's entries.
 */
export class Block {
  /** The buffer that it lies in, with other things around it perhaps. */
  bytes: Uint8Array = EMPTY;
  /** Where its content starts. */
  start = 0;
  /** Entries in it. */
  count = 0;
  /** Where the entries end. */
  entriesEnd = 0;
  /** After {@linkcode Block.restLength}: where the rest of that entry's key starts. */
  restAt = 0;
  /** After {@linkcode Block.restStart}: where the rest of that entry's key ends. */
  restEnd = 0;
  /** The length of the shared prefix. */
  shared = 0;
  /** Where the offsets of the entries start. */
  offsets = 0;
  private prefixStart = 0;
  private wide = false;
  /** Where the fingerprints are; -1 if there are none. */
  private fingerprints = -1;

  /** Becomes the block at `bytes[start, start + length)`; returns false, and is of no use, if that is none. */
  reset(bytes: Uint8Array, start: number, length: number): boolean {
    this.bytes = bytes;
    this.start = start;
    const end = start + length;
    const word = length < 5 ? 0 : getU32(bytes, end - 4) | 0;
    this.wide = (word & WIDE_OFFSETS) !== 0;
    const count = word & ~(WIDE_OFFSETS | FINGERPRINTED);
    const offsets = end - 4 - count * (this.wide ? 4 : 2);
    const hasFingerprints = (word & FINGERPRINTED) !== 0;
    const entriesEnd = hasFingerprints ? offsets - count : offsets;
    this.count = count;
    this.offsets = offsets;
    this.fingerprints = hasFingerprints ? entriesEnd : -1;
    this.entriesEnd = entriesEnd;
    let at = start;
    let prefix = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = bytes[at++];
      prefix |= (byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    this.prefixStart = at;
    this.shared = prefix;
    return count > 0 && entriesEnd >= at + prefix;
  }

  /** Where entry `index` starts. */
  entry(index: number): number {
    const bytes = this.bytes;
    if (this.wide) return this.start + getU32(bytes, this.offsets + index * 4);
    const at = this.offsets + index * 2;
    return this.start + (bytes[at] | (bytes[at + 1] << 8));
  }

  /**
   * Looks for a key. An entry that leaves the block is taken for found, so
   * that whoever reads it sees that it is none.
   *
   * @returns The index of the first entry with that key; if there is none,
   * `-1 - index` of the first entry after it.
   */
  find(key: Uint8Array, keyLength: number): number {
    const order = this.comparePrefix(key, keyLength);
    if (order !== 0) return order < 0 ? -1 - this.count : -1;
    return this.findAmong(0, this.count, key, keyLength);
  }

  /**
   * The index of the first entry with a key, which is left in `entry`; negative
   * if there is none. Where there are fingerprints, only entries with the key's
   * are looked at: most often one, and none if the key is absent.
   *
   * @param words The memory of the block as words: four fingerprints are looked
   * at at once.
   * @param known So many of the first bytes are known to be the block's.
   */
  lookUp(
    key: Uint8Array,
    keyLength: number,
    fingerprint: number,
    entry: BlockEntry,
    words: Int32Array,
    known: number = 0,
  ): number {
    if (this.comparePrefix(key, keyLength, known) !== 0) return -1;
    const { fingerprints, count } = this;
    if (fingerprints < 0) return this.lookUpByOrder(key, keyLength, entry);
    const end = fingerprints + count;
    const pattern = Math.imul(fingerprint, EACH_BYTE);
    // The bytes before the first fingerprint count as others.
    let others = (1 << ((fingerprints & 3) * 8)) - 1;
    for (let at = fingerprints & ~3; at < end; at += 4) {
      const word = (words[at >>> 2] ^ pattern) | others;
      others = 0;
      // The top bit of each byte that is zero, and of some that are above one.
      let marks = (word - EACH_BYTE) & ~word & (EACH_BYTE << 7);
      for (; marks !== 0; marks &= marks - 1) {
        const byte = (31 - Math.clz32(marks & -marks)) >>> 3;
        const index = at + byte - fingerprints;
        if (index >= count) return -1;
        if (entry.readIf(this, index, key, keyLength)) return index;
      }
    }
    return -1;
  }

  /** The same for a key that begins with the shared prefix, where there are no fingerprints. */
  private lookUpByOrder(
    key: Uint8Array,
    keyLength: number,
    entry: BlockEntry,
  ): number {
    const index = this.findAmong(0, this.count, key, keyLength);
    return index >= 0 && entry.readIf(this, index, key, keyLength) ? index : -1;
  }

  /** The same for a key that begins with the shared prefix and is known not to sort before `low`, nor after entry `high`. */
  findAmong(
    low: number,
    high: number,
    key: Uint8Array,
    keyLength: number,
  ): number {
    const prefix = this.shared;
    let equal = -1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const difference = this.compareEntry(middle, key, prefix, keyLength);
      if (difference < 0) low = middle + 1;
      else {
        high = middle;
        if (difference === 0) equal = middle;
        else if (difference === OUTSIDE) return middle;
      }
    }
    return equal === low ? low : -1 - low;
  }

  /** How long what entry `index` has behind the shared prefix is; it starts at {@linkcode Block.restAt}. No number if the entry leaves the buffer. */
  restLength(index: number): number {
    const { bytes } = this;
    let at = this.entry(index);
    let rest = bytes[at++];
    if (rest >= 0x80) {
      rest = (rest & 0x7f) | (bytes[at++] << 7);
      if (rest >= 0x4000) rest = (rest & 0x3fff) | (bytes[at++] << 14);
    }
    this.restAt = at;
    return rest;
  }

  /** Where what entry `index` has behind the shared prefix starts; its end is in {@linkcode Block.restEnd}. Neither is behind the entries. */
  restStart(index: number): number {
    const { entriesEnd } = this;
    const rest = this.restLength(index);
    const at = this.restAt;
    this.restEnd = at + rest < entriesEnd ? at + rest : entriesEnd;
    return at < entriesEnd ? at : entriesEnd;
  }

  /** Compares the shared prefix with the start of a key; 0 if the key begins with it. The first `known` bytes are taken for equal. */
  comparePrefix(key: Uint8Array, keyLength: number, known: number = 0): number {
    const { bytes, prefixStart, shared } = this;
    const length = keyLength < shared ? keyLength : shared;
    for (let i = known; i < length; i++) {
      const difference = bytes[prefixStart + i] - key[i];
      if (difference !== 0) return difference;
    }
    return shared - length;
  }

  /** Compares the rest of entry `index` with `key[from, to)`; {@linkcode OUTSIDE} if the entry leaves the block. */
  private compareEntry(
    index: number,
    key: Uint8Array,
    from: number,
    to: number,
  ): number {
    const { bytes } = this;
    const rest = this.restLength(index);
    const at = this.restAt;
    if (!(at + rest < this.offsets)) return OUTSIDE; // Also if they are no numbers.
    const length = to - from;
    const shared = rest < length ? rest : length;
    for (let i = 0; i < shared; i++) {
      const difference = bytes[at + i] - key[from + i];
      if (difference !== 0) return difference;
    }
    return rest - length;
  }

  /** Copies the shared prefix to the start of `into`; returns its length. */
  copyPrefix(into: Uint8Array): number {
    return copyInto(
      into,
      0,
      this.bytes,
      this.prefixStart,
      this.prefixStart + this.shared,
    );
  }
}

/**
 * The block at `bytes[start, start + length)`, or throws `CORRUPTION`.
 *
 * @param path The file, for messages.
 * @param offset Where the block stands in the file, for messages.
 */
export function openBlock(
  bytes: Uint8Array,
  start: number,
  length: number,
  path: string,
  offset: number,
): Block {
  const block = new Block();
  if (block.reset(bytes, start, length)) return block;
  throw corruption(path, offset, "a block of entries", "another layout");
}

/** One entry of a block, taken apart. Reused, so that reading allocates nothing. */
export class BlockEntry {
  /** Where the key's rest starts, behind the shared prefix. */
  restStart = 0;
  /** The length of the key's rest. */
  restLength = 0;
  /** Length of the value * 2 + kind. */
  tag = 0;
  /** The stored sequence, relative to the table's. */
  sequence = 0;
  /** Where the value starts. */
  valueStart = 0;
  /** Where the value ends. */
  valueEnd = 0;
  /** After {@linkcode BlockEntry.readIf} said yes: whether the entry is within its block. */
  isWhole = false;

  /** Takes entry `index` of `block` apart; returns false if it leaves the block. */
  read(block: Block, index: number): boolean {
    const rest = block.restLength(index);
    return this.readBehind(block, block.restAt, rest);
  }

  /**
   * Takes entry `index` apart if it has the key, which begins with the shared
   * prefix; returns whether it has. An entry that leaves the block is taken to
   * have it: see {@linkcode BlockEntry.isWhole}.
   */
  readIf(
    block: Block,
    index: number,
    key: Uint8Array,
    keyLength: number,
  ): boolean {
    const { bytes } = block;
    const rest = block.restLength(index);
    const at = block.restAt;
    this.isWhole = at + rest < block.offsets; // No, if they are no numbers.
    if (!this.isWhole) return true;
    const from = keyLength - rest;
    if (from !== block.shared) return false;
    for (let i = 0; i < rest; i++) {
      if (bytes[at + i] !== key[from + i]) return false;
    }
    this.isWhole = this.readBehind(block, at, rest);
    return true;
  }

  /** Takes an entry apart whose key's rest is known to be `rest` bytes from `at` on. */
  private readBehind(block: Block, at: number, rest: number): boolean {
    const { bytes } = block;
    this.restStart = at;
    this.restLength = rest;
    at += rest;
    let tag = bytes[at++];
    if (tag >= 0x80) {
      tag &= 0x7f;
      for (let shift = 7; shift < 35; shift += 7) {
        const byte = bytes[at++];
        tag |= (byte & 0x7f) << shift;
        if (byte < 0x80) break;
      }
    }
    this.tag = tag;
    let sequence = bytes[at++];
    if (sequence >= 0x80) {
      sequence &= 0x7f;
      for (let scale = 128;; scale *= 128) {
        const byte = bytes[at++];
        sequence += (byte & 0x7f) * scale;
        if (byte < 0x80 || scale > 0x1_0000_0000_0000) break;
      }
    }
    this.sequence = sequence;
    this.valueStart = at;
    this.valueEnd = at + (tag >>> 1);
    return this.valueEnd <= block.entriesEnd;
  }
}
