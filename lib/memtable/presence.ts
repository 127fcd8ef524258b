/**
 * Which keys a skip list may have, for lookups of those that it has not: in a
 * store that is larger than its memtable most lookups end at nothing there,
 * and a search for nothing costs as much as one for a key.
 *
 * A Bloom filter (B. Bloom, CACM 1970) with two bits of one word for each key,
 * so that a lookup touches one line of a cache. At 64 bytes an entry, and so
 * eight bits for each, it lets one in twenty pass that is not there; at the
 * 150 that one with a value of a hundred bytes takes, one in eighty.
 *
 * Writes pay nothing for it but a link from each node to the one that was added
 * before: lookups add what came since, a few nodes each, and look at the filter
 * only when all are in it. A store that is filled and not read has none.
 *
 * Invariants:
 * - What was added is there.
 * - It belongs to the thread that fills the list. Others never see it.
 *
 * @module
 */

/** Bytes of arena for each word of the filter. */
const ARENA_BYTES_PER_WORD = 256;
/** The logarithm of the least number of words. */
const MIN_BITS = 4;

/** The filter of one list. */
export class Presence {
  private words = new Int32Array(0);
  private readonly bits: number;

  /** An empty filter for a list in an arena of so many bytes. */
  constructor(arenaBytes: number) {
    const words = arenaBytes / ARENA_BYTES_PER_WORD;
    this.bits = Math.max(MIN_BITS, Math.ceil(Math.log2(words)));
  }

  /** Adds the key with this hash. */
  add(hash: number): void {
    if (this.words.length === 0) this.words = new Int32Array(2 ** this.bits);
    this.words[hash >>> (32 - this.bits)] |= bitsOf(hash);
  }

  /** Whether a key with this hash may be there; that it is not is sure. */
  has(hash: number): boolean {
    const bits = bitsOf(hash);
    return (this.words[hash >>> (32 - this.bits)] & bits) === bits;
  }
}

/** One bit or two, by the ten low bits of the hash. */
function bitsOf(hash: number): number {
  return (1 << hash) | (1 << (hash >>> 5));
}
