/**
 * The arena of a memtable: a skip list of versioned entries and a list of
 * range tombstones, in one SharedArrayBuffer that threads read in place.
 *
 * All numbers are 32-bit words, a link is the word index of a node, 0 stands
 * for none.
 *
 * ```
 * arena   word 0      words in use
 *         word 1      range tombstones: index of the first record
 *         word 2      range tombstones: index of the last record
 *         word 3      point entries
 *         word 4      height: how many levels have nodes
 *         word 5, 6   where the prefix of the hints starts, in bytes, and its
 *                     length; see below
 *         word 7      unused
 *         then        the head's links, and nodes and records behind them
 * node    words -1..  the links, level 0 at -1, level 1 at -2 and so on
 *         word 0, 1   the hint: eight bytes of the key, see below
 *         word 2      key length (bits 0-16), kind (24)
 *         word 3      value length
 *         word 4, 5   sequence, low and high
 *         word 6      the oldest version of the key, which may be the node
 *         word 7      a node that waits for the filter, see skiplist.ts
 *         then        key bytes, value bytes, padding to a whole word
 * range   word 0      link to the next record
 *         word 1, 2   lengths of start and end
 *         word 3, 4   sequence, low and high
 *         then        start bytes, end bytes, padding
 * ```
 *
 * A hint is the eight key bytes behind the prefix that all keys shared when
 * the hints were last set, big-endian, zero-padded, the top bit of each word
 * inverted so that signed comparison of the words orders as bytes do. A key
 * without that prefix has the least or the greatest hint. Hints that differ
 * decide; equal ones leave the rest to the bytes. Keys that begin alike, as
 * most programs' do, would otherwise have hints that say nothing.
 *
 * Order: key ascending, sequence descending.
 *
 * Single writer, many readers: a node is filled first and then published by
 * atomic stores of the links to it, level 0 first; nodes are never moved or
 * removed. Only hints change later. Another thread may meet hints of two
 * prefixes, and so must check with keys what hints led it to.
 *
 * @module
 */
import type { EntryKind, Found } from "../cursor.ts";
import { compareRanges } from "../encoding/bytes.ts";

/** The tallest node. With branching 2 it serves millions of entries well. */
export const MAX_HEIGHT = 18;
/** Words of a node before its key. */
export const NODE_HEADER = 8;
/** Where a node has the oldest version of its key. */
export const OLDEST = 6;
/** Where a node has another one, while it waits to be added to the filter. */
export const WAITING = 7;
/** Words of the record of a range tombstone before its start. */
export const RANGE_HEADER = 5;
/** Word: words in use. */
export const USED = 0;
/** Word: the first record of a range tombstone. */
export const FIRST_RANGE = 1;
/** Word: the last record of a range tombstone. */
export const LAST_RANGE = 2;
/** Word: point entries. */
export const ENTRIES = 3;
/** Word: levels that have nodes. */
export const HEIGHT = 4;
/** Word: the byte at which the prefix of the hints starts. */
export const PREFIX_START = 5;
/** Word: the length of the prefix of the hints. */
export const PREFIX_LENGTH = 6;
/** The head has links only: it stands behind them, where the first node's links may begin. */
export const HEAD: number = 8 + MAX_HEIGHT;
/** Bits of a node's word 2 that are the key's length. */
export const KEY_LENGTH_MASK = 0x1ffff;
/** Where a node's word 2 has the kind. */
export const KIND_SHIFT = 24;
/** What the high word of a sequence counts. */
export const HIGH_UNIT = 0x1_0000_0000;
/** After so many versions of one key, a search for what is behind them pays. */
const VERSIONS_WALKED = 8;
const SIGN = 0x8000_0000;
/** The hint of keys before all that have the prefix. */
export const LEAST_HINT: number = SIGN | 0;
/** The hint of keys after all that have the prefix. */
export const GREATEST_HINT = 0x7fff_ffff;

/** Bytes of an arena that hold no entry. */
export const ARENA_OVERHEAD: number = HEAD * 4;

/** The most bytes of arena that one entry takes. */
export function entryRoom(keyLength: number, valueLength: number): number {
  return (NODE_HEADER + MAX_HEIGHT) * 4 + keyLength + valueLength + 3;
}

/** The most bytes of arena that one range tombstone takes. */
export function rangeRoom(startLength: number, endLength: number): number {
  return RANGE_HEADER * 4 + startLength + endLength + 3;
}

/** One word of a hint: the bytes of `key[at, end)`, as far as there are four. */
export function hintWord(key: Uint8Array, at: number, end: number): number {
  if (at + 4 <= end) {
    return ((key[at] << 24) | (key[at + 1] << 16) | (key[at + 2] << 8) |
      key[at + 3]) ^ SIGN;
  }
  let word = 0;
  for (let shift = 24; at < end; at++, shift -= 8) word |= key[at] << shift;
  return word ^ SIGN;
}

/** The nodes of an arena, as cursors walk over them. */
export abstract class ArenaNodes {
  /** The memory that everything lies in. */
  readonly arena: SharedArrayBuffer;
  /** The arena as 32-bit words. */
  readonly words: Int32Array;
  /** The arena as bytes. */
  readonly bytes: Uint8Array;
  /** The arena as a view. */
  readonly view: DataView;
  /** The node before the one that {@linkcode ArenaNodes.findVersion} found; 0 if none. */
  beforeVersion = 0;

  /** The nodes in `arena`. */
  constructor(arena: SharedArrayBuffer) {
    this.arena = arena;
    this.words = new Int32Array(arena);
    this.bytes = new Uint8Array(arena);
    this.view = new DataView(arena);
  }

  /**
   * Offers the newest entry of the key that a reader at `sequence` sees.
   *
   * @param hash The second lane of the key's hash (encoding/hash.ts).
   */
  abstract get(
    key: Uint8Array,
    keyLength: number,
    hash: number,
    sequence: number,
    found: Found,
  ): void;

  /** The first node at or after the key; 0 if none. */
  abstract seek(key: Uint8Array, keyLength: number): number;

  /** The last node before the key; 0 if none. */
  abstract seekBefore(key: Uint8Array, keyLength: number): number;

  /** The last node; 0 if there is none. */
  abstract last(): number;

  /** The first node; 0 if there is none. */
  first(): number {
    return this.words[HEAD - 1];
  }

  /** The node after another; 0 if none. */
  after(node: number): number {
    return this.words[node - 1];
  }

  /** The first node behind all versions of the key of a node; 0 if none. */
  behindKey(node: number): number {
    return this.after(this.words[node + OLDEST]);
  }

  /**
   * The first node with a key after that of `node`, or with the same key and a
   * sequence at or below `sequence`; 0 if none. The node before it is left in
   * {@linkcode ArenaNodes.beforeVersion}.
   */
  findVersion(node: number, sequence: number): number {
    const { words } = this;
    let before = HEAD;
    let passed = 0;
    for (let level = this.levels(); level > 0; level--) {
      let next = words[before - level];
      while (next !== 0 && next !== passed) {
        this.step(next);
        const order = this.compareNodes(next, node);
        if (
          order > 0 || order === 0 && this.sequenceOf(next) <= sequence
        ) break;
        before = next;
        next = words[before - level];
      }
      passed = next;
    }
    this.beforeVersion = before === HEAD ? 0 : before;
    return passed;
  }

  /**
   * From `version` on, a version of the key of `node`, the first node that is
   * of another key or at or below `sequence`; 0 if none. A few are looked at,
   * the rest is passed by a search.
   */
  firstSeen(version: number, node: number, sequence: number): number {
    for (let steps = 0; steps < VERSIONS_WALKED; steps++) {
      if (
        version === 0 || this.sequenceOf(version) <= sequence ||
        !this.isSameKey(version, node)
      ) return version;
      version = this.after(version);
    }
    return this.findVersion(node, sequence);
  }

  /** Negative, zero or positive as a node's key sorts before, with or after that of another. */
  protected compareNodes(a: number, b: number): number {
    const { words } = this;
    return words[a] - words[b] || words[a + 1] - words[b + 1] ||
      this.compareKeys(a, b);
  }

  /** The same, whatever the hints are. */
  protected compareKeys(a: number, b: number): number {
    const { bytes } = this;
    const start = this.keyStart(a);
    const other = this.keyStart(b);
    const end = start + this.keyLength(a);
    return compareRanges(
      bytes,
      start,
      end,
      bytes,
      other,
      other + this.keyLength(b),
    );
  }

  /** Whether two nodes are versions of one key. Keys begin at a word, and neighbours differ at their ends. */
  isSameKey(a: number, b: number): boolean {
    const { words, bytes } = this;
    const length = this.keyLength(a);
    if (length !== this.keyLength(b)) return false;
    const start = this.keyStart(a);
    const other = this.keyStart(b);
    const wordsEnd = length & ~3;
    for (let i = length - 1; i >= wordsEnd; i--) {
      if (bytes[start + i] !== bytes[other + i]) return false;
    }
    for (let i = (length >>> 2) - 1; i >= 0; i--) {
      if (words[(start >>> 2) + i] !== words[(other >>> 2) + i]) return false;
    }
    return true;
  }

  /** How many levels have nodes. */
  protected levels(): number {
    return this.words[HEIGHT];
  }

  /** Called for each node that a link led to, before it is looked at. */
  protected step(_node: number): void {}

  /** Point entries. */
  get entries(): number {
    return this.words[ENTRIES];
  }

  /** The sequence of a node. */
  sequenceOf(node: number): number {
    const high = this.words[node + 5];
    const low = this.words[node + 4] >>> 0;
    return high === 0 ? low : high * HIGH_UNIT + low;
  }

  /** Put or tombstone. */
  kindOf(node: number): EntryKind {
    return ((this.words[node + 2] >>> KIND_SHIFT) & 1) as EntryKind;
  }

  /** Where a node's key starts in {@linkcode ArenaNodes.bytes}. */
  keyStart(node: number): number {
    return (node + NODE_HEADER) * 4;
  }

  /** The length of a node's key. */
  keyLength(node: number): number {
    return this.words[node + 2] & KEY_LENGTH_MASK;
  }

  /** Where a node's value starts in {@linkcode ArenaNodes.bytes}. */
  valueStart(node: number): number {
    return this.keyStart(node) + this.keyLength(node);
  }

  /** The length of a node's value. */
  valueLength(node: number): number {
    return this.words[node + 3];
  }
}
