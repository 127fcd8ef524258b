/**
 * A skip list of versioned entries in an arena.
 *
 * Source: W. Pugh, "Skip Lists: A Probabilistic Alternative to Balanced
 * Trees", CACM 1990; branching factor 4 as in LevelDB.
 *
 * Everything lies in one SharedArrayBuffer, so that other threads can read it
 * in place. Single writer, many readers: a node is filled first and then
 * published by atomic stores of the links to it, level 0 first; nodes are never
 * moved or removed. Only hints change later: a reader on another thread must
 * leave them alone and compare keys. All numbers are 32-bit words, a link is the word index of a
 * node, 0 stands for none.
 *
 * ```
 * arena   word 0      words in use
 *         word 1      range tombstones: index of the first record
 *         word 2      range tombstones: index of the last record
 *         word 3      point entries
 *         then        the head's links, and nodes and records behind them
 * node    words -1..  the links, level 0 at -1, level 1 at -2 and so on
 *         word 0, 1   the hint: eight bytes of the key, see below
 *         word 2      key length (bits 0-16), kind (24)
 *         word 3      value length
 *         word 4, 5   sequence, low and high
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
 * @module
 */
import {
  copyBytes,
  copyInto,
  EMPTY,
  sharedPrefixLength,
} from "../encoding/bytes.ts";
import { Cursor, type EntryKind, type Found } from "../cursor.ts";

/** The tallest node. With branching 4 it serves 16 million entries well. */
const MAX_HEIGHT = 12;
const NODE_HEADER = 6;
/** The head has links only: it stands behind them, where the first node's links may begin. */
const HEAD = 4 + MAX_HEIGHT;
const FIRST_FREE = HEAD;
const KEY_LENGTH_MASK = 0x1ffff;
const KIND_SHIFT = 24;
const SIGN = 0x8000_0000;
const HIGH_UNIT = 0x1_0000_0000;
const RANGE_HEADER = 5;
const LEAST_HINT = SIGN | 0;
const GREATEST_HINT = 0x7fff_ffff;
/** Hints are set anew when the list has this many entries, and each time it has 16 times as many. */
const FIRST_REHINT = 16;

/** Bytes of an arena that hold no entry. */
export const ARENA_OVERHEAD = FIRST_FREE * 4;

/** The most bytes of arena that one entry takes. */
export function entryRoom(keyLength: number, valueLength: number): number {
  return (NODE_HEADER + MAX_HEIGHT) * 4 + keyLength + valueLength + 3;
}

/** The most bytes of arena that one range tombstone takes. */
export function rangeRoom(startLength: number, endLength: number): number {
  return RANGE_HEADER * 4 + startLength + endLength + 3;
}

/** One word of a hint: the bytes of `key[at, end)`, as far as there are four. */
function hintWord(key: Uint8Array, at: number, end: number): number {
  if (at + 4 <= end) {
    return ((key[at] << 24) | (key[at + 1] << 16) | (key[at + 2] << 8) |
      key[at + 3]) ^ SIGN;
  }
  let word = 0;
  for (let shift = 24; at < end; at++, shift -= 8) word |= key[at] << shift;
  return word ^ SIGN;
}

/** The skip list. Not to be filled past the arena's size: see {@linkcode SkipList.room}. */
export class SkipList {
  /** The memory that everything lies in. */
  readonly arena: SharedArrayBuffer;
  /** The arena as 32-bit words. */
  readonly words: Int32Array;
  /** The arena as bytes. */
  readonly bytes: Uint8Array;
  private readonly before = new Int32Array(MAX_HEIGHT);
  private readonly tail = new Int32Array(MAX_HEIGHT).fill(HEAD);
  private height = 1;
  private random = 0x9e3779b9 | 0;
  private targetHigh = 0;
  private targetLow = 0;
  /** From where bytes are compared after equal hints. */
  private rest = 8;
  private prefix: Uint8Array = EMPTY;
  private rehintAt = FIRST_REHINT;

  /** An empty list in `arena`, whatever was in it. */
  constructor(arena: SharedArrayBuffer) {
    this.arena = arena;
    this.words = new Int32Array(arena);
    this.bytes = new Uint8Array(arena);
    this.words.fill(0, 0, FIRST_FREE);
    this.words[0] = FIRST_FREE;
  }

  /** Bytes of arena in use. */
  get used(): number {
    return this.words[0] * 4;
  }

  /** Bytes of arena left. */
  get room(): number {
    return this.arena.byteLength - this.words[0] * 4;
  }

  /** Point entries in the list. */
  get entries(): number {
    return this.words[3];
  }

  /** Adds an entry. Its sequence must be higher than every one in the list. */
  add(
    sequence: number,
    kind: EntryKind,
    key: Uint8Array,
    keyLength: number,
    value: Uint8Array,
    valueStart: number,
    valueEnd: number,
  ): void {
    const words = this.words;
    this.target(key, keyLength);
    this.findSplice(key, keyLength);
    const height = this.randomHeight();
    const valueLength = valueEnd - valueStart;
    const node = words[0] + height;
    const data = (node + NODE_HEADER) * 4;
    words[node] = this.targetHigh;
    words[node + 1] = this.targetLow;
    words[node + 2] = keyLength | (kind << KIND_SHIFT);
    words[node + 3] = valueLength;
    words[node + 4] = sequence | 0;
    words[node + 5] = Math.floor(sequence / HIGH_UNIT);
    copyInto(this.bytes, data, key, 0, keyLength);
    copyInto(this.bytes, data + keyLength, value, valueStart, valueEnd);
    words[0] = (data + keyLength + valueLength + 3) >>> 2;
    words[3]++;
    for (let level = 1; level <= height; level++) {
      const next = words[this.before[level - 1] - level];
      words[node - level] = next;
      if (next === 0) this.tail[level - 1] = node;
    }
    for (let level = 1; level <= height; level++) {
      Atomics.store(words, this.before[level - 1] - level, node);
    }
    if (words[3] === this.rehintAt) this.rehint();
  }

  /** Adds a range tombstone to the arena's list of them. */
  addRange(sequence: number, start: Uint8Array, end: Uint8Array): void {
    const words = this.words;
    const record = words[0];
    const data = (record + RANGE_HEADER) * 4;
    words[record] = 0;
    words[record + 1] = start.length;
    words[record + 2] = end.length;
    words[record + 3] = sequence | 0;
    words[record + 4] = Math.floor(sequence / HIGH_UNIT);
    this.bytes.set(start, data);
    this.bytes.set(end, data + start.length);
    words[0] = (data + start.length + end.length + 3) >>> 2;
    const last = words[2];
    words[2] = record;
    Atomics.store(words, last === 0 ? 1 : last, record);
  }

  /** Offers the newest entry of the key that a reader at `sequence` sees. */
  get(
    key: Uint8Array,
    keyLength: number,
    sequence: number,
    found: Found,
  ): void {
    this.target(key, keyLength);
    let node = this.lowerBound(key, keyLength);
    const words = this.words;
    while (node !== 0 && this.compareTo(node, key, keyLength) === 0) {
      const own = this.sequenceOf(node);
      if (own <= sequence) {
        const start = this.valueStart(node);
        found.offer(
          own,
          ((words[node + 2] >>> KIND_SHIFT) & 1) as EntryKind,
          this.bytes,
          start,
          start + words[node + 3],
        );
        return;
      }
      node = words[node - 1];
    }
  }

  /** The first node at or after the key; 0 if none. */
  seek(key: Uint8Array, keyLength: number): number {
    this.target(key, keyLength);
    return this.lowerBound(key, keyLength);
  }

  /** The last node before the key; 0 if none. */
  seekBefore(key: Uint8Array, keyLength: number): number {
    this.seek(key, keyLength);
    return this.beforeLast;
  }

  /** The first node; 0 if the list is empty. */
  first(): number {
    return this.words[HEAD - 1];
  }

  /** The last node; 0 if the list is empty. */
  last(): number {
    const words = this.words;
    let node = HEAD;
    for (let level = this.height; level > 0; level--) {
      for (let next = words[node - level]; next !== 0;) {
        node = next;
        next = words[node - level];
      }
    }
    return node === HEAD ? 0 : node;
  }

  /** The node after another; 0 if none. */
  after(node: number): number {
    return this.words[node - 1];
  }

  /** The newest version of a node's key. The node before it is then known to {@linkcode SkipList.beforeLast}. */
  newestOf(node: number): number {
    const start = this.keyStart(node);
    const length = this.keyLength(node);
    return this.seek(this.bytes.subarray(start, start + length), length);
  }

  /** The node before the one that the last search found; 0 if none. */
  get beforeLast(): number {
    return this.before[0] === HEAD ? 0 : this.before[0];
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

  /** Where a node's key starts in {@linkcode SkipList.bytes}. */
  keyStart(node: number): number {
    return (node + NODE_HEADER) * 4;
  }

  /** The length of a node's key. */
  keyLength(node: number): number {
    return this.words[node + 2] & KEY_LENGTH_MASK;
  }

  /** Where a node's value starts in {@linkcode SkipList.bytes}. */
  valueStart(node: number): number {
    return this.keyStart(node) + this.keyLength(node);
  }

  /** The length of a node's value. */
  valueLength(node: number): number {
    return this.words[node + 3];
  }

  /** Sets the hint that {@linkcode lowerBound} looks for. */
  private target(key: Uint8Array, keyLength: number): void {
    const skip = this.prefix.length;
    const order = skip === 0 ? 0 : this.comparePrefix(key, keyLength);
    if (order !== 0) {
      this.targetHigh = order < 0 ? LEAST_HINT : GREATEST_HINT;
      this.targetLow = this.targetHigh;
    } else {
      this.targetHigh = hintWord(key, skip, keyLength);
      this.targetLow = hintWord(key, skip + 4, keyLength);
    }
    // Keys with and without the prefix may share the least and the greatest hint.
    const isExtreme = this.targetLow === this.targetHigh &&
      (this.targetLow === LEAST_HINT || this.targetLow === GREATEST_HINT);
    this.rest = isExtreme ? 0 : skip + 8;
  }

  /** 0 if the key begins with the prefix; otherwise on which side of such keys it is. */
  private comparePrefix(key: Uint8Array, keyLength: number): number {
    const { prefix } = this;
    const shared = keyLength < prefix.length ? keyLength : prefix.length;
    for (let i = 0; i < shared; i++) {
      const difference = key[i] - prefix[i];
      if (difference !== 0) return difference;
    }
    return keyLength - shared === 0 && keyLength < prefix.length ? -1 : 0;
  }

  /** Sets every hint anew, for the prefix that all keys share now: that of the first and the last. */
  private rehint(): void {
    this.rehintAt *= 16;
    const { bytes, words } = this;
    const first = this.keyStart(this.first());
    const last = this.keyStart(this.tail[0]);
    const shared = sharedPrefixLength(
      bytes,
      first,
      first + this.keyLength(this.first()),
      bytes,
      last,
      last + this.keyLength(this.tail[0]),
    );
    if (shared === this.prefix.length) return;
    this.prefix = copyBytes(bytes, first, first + shared);
    for (let node = this.first(); node !== 0; node = words[node - 1]) {
      const start = this.keyStart(node) + shared;
      const end = start - shared + this.keyLength(node);
      words[node] = hintWord(bytes, start, end);
      words[node + 1] = hintWord(bytes, start + 4, end);
    }
  }

  /** Finds where the target goes, trying the end of the list first: sequential inserts then cost no search. */
  private findSplice(key: Uint8Array, keyLength: number): void {
    const last = this.tail[0];
    if (last !== HEAD && this.compareTo(last, key, keyLength) < 0) {
      this.before.set(this.tail);
    } else this.lowerBound(key, keyLength);
  }

  /** The first node at or after the target; `before` is left with the nodes that link past it. */
  private lowerBound(key: Uint8Array, keyLength: number): number {
    const words = this.words;
    const high = this.targetHigh;
    const low = this.targetLow;
    let node = HEAD;
    let passed = 0;
    for (let level = this.height; level > 0; level--) {
      let next = words[node - level];
      while (next !== 0 && next !== passed) {
        const nextHigh = words[next];
        if (nextHigh > high) break;
        if (nextHigh === high) {
          const nextLow = words[next + 1];
          if (nextLow > low) break;
          if (nextLow === low && this.compareRest(next, key, keyLength) >= 0) {
            break;
          }
        }
        node = next;
        next = words[node - level];
      }
      passed = next;
      this.before[level - 1] = node;
    }
    return passed;
  }

  /** Compares a node's key with the target, whose hint is set. */
  private compareTo(node: number, key: Uint8Array, keyLength: number): number {
    const high = this.words[node];
    if (high !== this.targetHigh) return high < this.targetHigh ? -1 : 1;
    const low = this.words[node + 1];
    if (low !== this.targetLow) return low < this.targetLow ? -1 : 1;
    return this.compareRest(node, key, keyLength);
  }

  /** Compares what is behind equal hints. */
  private compareRest(
    node: number,
    key: Uint8Array,
    keyLength: number,
  ): number {
    const bytes = this.bytes;
    const start = (node + NODE_HEADER) * 4;
    const length = this.words[node + 2] & KEY_LENGTH_MASK;
    const shared = length < keyLength ? length : keyLength;
    for (let i = this.rest; i < shared; i++) {
      const difference = bytes[start + i] - key[i];
      if (difference !== 0) return difference;
    }
    return length - keyLength;
  }

  /** 1 with probability 3/4, 2 with 3/16 and so on (xorshift32, Marsaglia 2003). */
  private randomHeight(): number {
    let random = this.random;
    random ^= random << 13;
    random ^= random >>> 17;
    random ^= random << 5;
    this.random = random;
    let height = 1;
    while (height < MAX_HEIGHT && (random & 3) === 0) {
      height++;
      random >>>= 2;
    }
    while (this.height < height) this.before[this.height++] = HEAD;
    return height;
  }
}

/**
 * A cursor over a skip list.
 *
 * There are no back links: stepping back from a key costs a search for its
 * newest version. The versions of a key are noted on the way, so that each
 * step back among them costs nothing more.
 */
export class SkipListCursor extends Cursor {
  private readonly list: SkipList;
  private node = 0;
  /** Newer versions of the key, newest first, that stepping back comes to; */
  private readonly newer: number[] = [];
  /** and the node before them, if they are known; -1 if not. */
  private beforeKey = -1;

  /** Stands nowhere until it is moved. */
  constructor(list: SkipList) {
    super();
    this.list = list;
    this.key = list.bytes;
    this.value = list.bytes;
  }

  override seekToFirst(): void {
    this.jump(this.list.first());
  }

  override seekToLast(): void {
    this.jump(this.list.last());
  }

  override seek(key: Uint8Array, length: number): void {
    this.jump(this.list.seek(key, length));
  }

  override seekBefore(key: Uint8Array, length: number): void {
    this.jump(this.list.seekBefore(key, length));
  }

  override next(): void {
    this.jump(this.list.after(this.node));
  }

  override previous(): void {
    const { list, newer } = this;
    if (this.beforeKey < 0) {
      let version = list.newestOf(this.node);
      this.beforeKey = list.beforeLast;
      for (; version !== this.node; version = list.after(version)) {
        newer.push(version);
      }
    }
    const version = newer.pop();
    if (version === undefined) this.jump(this.beforeKey);
    else this.stand(version);
  }

  private jump(node: number): void {
    this.beforeKey = -1;
    this.newer.length = 0;
    this.stand(node);
  }

  private stand(node: number): void {
    this.node = node;
    if (node === 0) {
      this.valid = false;
      return;
    }
    const list = this.list;
    this.valid = true;
    this.keyStart = list.keyStart(node);
    this.keyEnd = this.keyStart + list.keyLength(node);
    this.sequence = list.sequenceOf(node);
    this.kind = list.kindOf(node);
    this.valueStart = this.keyEnd;
    this.valueEnd = this.keyEnd + list.valueLength(node);
  }
}
