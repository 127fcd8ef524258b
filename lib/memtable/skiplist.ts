/**
 * A skip list of versioned entries in an arena, for the thread that fills it.
 *
 * Source: W. Pugh, "Skip Lists: A Probabilistic Alternative to Balanced
 * Trees", CACM 1990. The branching factor is 2, not 4 as in LevelDB: a search
 * that does not look again at the node where the level above stopped then
 * touches a quarter fewer nodes, and random inserts cost what those touches
 * cost. Searches of a large list begin on a low level (search_index.ts). The
 * layout, and what other threads may rely on, is in arena.ts; they read by way
 * of shared_memtable.ts.
 *
 * @module
 */
import {
  copyBytes,
  copyInto,
  copyViewed,
  EMPTY,
  sharedPrefixLength,
} from "../encoding/bytes.ts";
import type { EntryKind, Found } from "../cursor.ts";
import { hashKey, keyHash } from "../encoding/hash.ts";
import {
  ArenaNodes,
  ENTRIES,
  FIRST_RANGE,
  GREATEST_HINT,
  HEAD,
  HEIGHT,
  HIGH_UNIT,
  hintWord,
  KEY_LENGTH_MASK,
  KIND_SHIFT,
  LAST_RANGE,
  LEAST_HINT,
  MAX_HEIGHT,
  NODE_HEADER,
  OLDEST,
  PREFIX_LENGTH,
  PREFIX_START,
  RANGE_HEADER,
  USED,
  WAITING,
} from "./arena.ts";
import { Presence } from "./presence.ts";
import { INDEX_LEVEL, NO_NODE, SearchIndex } from "./search_index.ts";

/** Hints are set anew when the list has this many entries, and each time it has 16 times as many. */
const FIRST_REHINT = 16;

/** From so many entries on lookups remember where they ended. */
const REMEMBERED_FROM = 256;
/** Bits of the number of places that they remember at most: 256 KiB of them. */
const PLACE_BITS_MAX = 16;
/** Nodes that a lookup goes on from a place that is not the right one any more. */
const STEPS_FROM_PLACE = 3;

/**
 * Nodes that a search goes on from the index, before it is made from the head:
 * mostly it needs a few, but many came behind one node of the index where keys
 * are added in order, and many lie there where keys have the same hint.
 */
const STEPS_FROM_INDEX = 16;

/** Nodes that one lookup adds to the filter at most. */
const ADDED_AT_ONCE = 16;

/** The skip list. Not to be filled past the arena's size: see {@linkcode SkipList.room}. */
export class SkipList extends ArenaNodes {
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
  private readonly index = new SearchIndex();
  private readonly presence: Presence;
  /** The last node that the filter has not yet, which leads to the one before; 0 if it has all. */
  private waiting = 0;
  /** The length of the arena: on V8, asking it costs a call out of the compiled code. */
  private readonly size: number;
  /** By the hash of the key looked for: the node behind which a lookup ended; 0 for none. */
  private places: Int32Array = new Int32Array(0);
  private placeShift = 0;
  /** With so many entries there are to be more places. */
  private placesUntil = REMEMBERED_FROM;

  /** An empty list in `arena`, whatever was in it. */
  constructor(arena: SharedArrayBuffer) {
    super(arena);
    this.size = arena.byteLength;
    this.presence = new Presence(this.size);
    this.words.fill(0, 0, HEAD);
    this.words[USED] = HEAD;
    this.words[HEIGHT] = this.height;
  }

  /** Bytes of arena in use. */
  get used(): number {
    return this.words[USED] * 4;
  }

  /** Bytes of arena left. */
  get room(): number {
    return this.size - this.words[USED] * 4;
  }

  /**
   * Adds an entry. Its sequence must be higher than every one that its key has
   * in the list.
   *
   * @param valueView The memory of `value`, all of it, if that is at hand.
   */
  add(
    sequence: number,
    kind: EntryKind,
    key: Uint8Array,
    keyLength: number,
    value: Uint8Array,
    valueStart: number,
    valueEnd: number,
    valueView?: DataView,
  ): void {
    const words = this.words;
    this.target(key, keyLength);
    const height = this.randomHeight();
    const splice = this.findSplice(key, keyLength, height);
    // The newest of the versions that the key has, if it has any.
    const next = words[splice[0] - 1];
    const isFirst = next === 0 || this.compareTo(next, key, keyLength) !== 0;
    const valueLength = valueEnd - valueStart;
    const node = words[USED] + height;
    const data = (node + NODE_HEADER) * 4;
    words[node] = this.targetHigh;
    words[node + 1] = this.targetLow;
    words[node + 2] = keyLength | (kind << KIND_SHIFT);
    words[node + 3] = valueLength;
    words[node + 4] = sequence | 0;
    words[node + 5] = sequence < HIGH_UNIT
      ? 0
      : Math.floor(sequence / HIGH_UNIT);
    // mutant oldest-of-the-key: what is behind another key's versions is passed by
    words[node + OLDEST] = isFirst ? node : words[next + OLDEST];
    copyInto(this.bytes, data, key, 0, keyLength);
    copyViewed(
      this.bytes,
      this.view,
      data + keyLength,
      value,
      valueView,
      valueStart,
      valueEnd,
    );
    words[USED] = (data + keyLength + valueLength + 3) >>> 2;
    words[ENTRIES]++;
    words[node + WAITING] = this.waiting;
    this.waiting = node;
    for (let level = 1; level <= height; level++) {
      const link = splice[level - 1] - level;
      const behind = words[link];
      words[node - level] = behind;
      Atomics.store(words, link, node);
      if (behind === 0) this.tail[level - 1] = node;
    }
    if (words[ENTRIES] === this.rehintAt) {
      this.rehintAt *= 16;
      this.rehint();
    }
  }

  /** Adds a range tombstone to the arena's list of them. */
  addRange(sequence: number, start: Uint8Array, end: Uint8Array): void {
    const words = this.words;
    const record = words[USED];
    const data = (record + RANGE_HEADER) * 4;
    words[record] = 0;
    words[record + 1] = start.length;
    words[record + 2] = end.length;
    words[record + 3] = sequence | 0;
    words[record + 4] = Math.floor(sequence / HIGH_UNIT);
    const middle = copyInto(this.bytes, data, start, 0, start.length);
    const stop = copyInto(this.bytes, middle, end, 0, end.length);
    words[USED] = (stop + 3) >>> 2;
    const last = words[LAST_RANGE];
    words[LAST_RANGE] = record;
    Atomics.store(words, last === 0 ? FIRST_RANGE : last, record);
  }

  /** Offers the newest entry of the key that a reader at `sequence` sees. */
  override get(
    key: Uint8Array,
    keyLength: number,
    hash: number,
    sequence: number,
    found: Found,
  ): void {
    const words = this.words;
    if (words[ENTRIES] === 0 || !this.mayHave(hash)) return;
    this.target(key, keyLength);
    let node = this.find(key, keyLength, hash);
    if (node === 0 || this.compareTo(node, key, keyLength) !== 0) return;
    let own = this.sequenceOf(node);
    if (own > sequence) {
      node = this.firstSeen(node, node, sequence);
      if (node === 0 || this.compareTo(node, key, keyLength) !== 0) return;
      own = this.sequenceOf(node);
    }
    const start = this.valueStart(node);
    found.offer(
      own,
      ((words[node + 2] >>> KIND_SHIFT) & 1) as EntryKind,
      this.bytes,
      start,
      start + words[node + 3],
      words,
    );
  }

  /** Whether a key with this hash may be in the list. Adds to the filter some of what it has not yet. */
  private mayHave(hash: number): boolean {
    const { presence } = this;
    if (this.waiting === 0) return presence.has(hash);
    let node = this.waiting;
    for (let n = ADDED_AT_ONCE; n > 0 && node !== 0; n--) {
      const start = this.keyStart(node);
      hashKey(this.bytes, start, start + this.keyLength(node));
      // mutant filter-has-what-was-taken: otherwise a lookup misses what is in the memtable
      presence.add(keyHash.bits);
      node = this.words[node + WAITING];
    }
    this.waiting = node;
    // mutant filter-has-all: before that, it says nothing of what it has not
    return node !== 0 || presence.has(hash);
  }

  /**
   * The first node at or after the target, for lookups. It is mostly behind
   * the node that it was behind last time: nodes stay where they are, so
   * whatever two neighbours the target lies between, they are the right ones.
   */
  private find(key: Uint8Array, keyLength: number, hash: number): number {
    const words = this.words;
    if (words[ENTRIES] >= this.placesUntil) this.makePlaces();
    const places = this.places;
    if (places.length === 0) return this.lowerBound(key, keyLength);
    const slot = hash >>> this.placeShift;
    const place = places[slot];
    if (place !== 0 && this.compareTo(place, key, keyLength) < 0) {
      let before = place;
      for (let i = 0; i <= STEPS_FROM_PLACE; i++) {
        const next = words[before - 1];
        if (next === 0 || this.compareTo(next, key, keyLength) >= 0) {
          if (i > 0) places[slot] = before;
          return next;
        }
        before = next;
      }
    }
    const node = this.lowerBound(key, keyLength);
    places[slot] = this.beforeLast;
    return node;
  }

  /** Makes as many places as there are entries, or more. */
  private makePlaces(): void {
    const bits = Math.min(
      PLACE_BITS_MAX,
      32 - Math.clz32(this.words[ENTRIES]),
    );
    this.places = new Int32Array(2 ** bits);
    this.placeShift = 32 - bits;
    this.placesUntil = bits === PLACE_BITS_MAX ? Infinity : 2 ** bits;
  }

  /** The first node at or after the key; 0 if none. */
  override seek(key: Uint8Array, keyLength: number): number {
    this.target(key, keyLength);
    return this.lowerBound(key, keyLength);
  }

  /** The last node before the key; 0 if none. */
  override seekBefore(key: Uint8Array, keyLength: number): number {
    this.seek(key, keyLength);
    return this.beforeLast;
  }

  /** The last node; 0 if the list is empty. */
  override last(): number {
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

  /** The node before the one that the last search found; 0 if none. */
  private get beforeLast(): number {
    return this.before[0] === HEAD ? 0 : this.before[0];
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

  /**
   * Sets every hint anew, for the prefix that all keys share now: that of the
   * first and the last. Keys that were added in their order shared more when
   * hints were set last, and those that came later have no hint.
   */
  rehint(): void {
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
    this.index.clear();
    words[PREFIX_START] = first;
    words[PREFIX_LENGTH] = shared;
    for (let node = this.first(); node !== 0; node = words[node - 1]) {
      const start = this.keyStart(node) + shared;
      const end = start - shared + this.keyLength(node);
      words[node] = hintWord(bytes, start, end);
      words[node + 1] = hintWord(bytes, start + 4, end);
    }
  }

  /** Finds the nodes behind which a target of some height goes, trying the end of the list first: sequential inserts then cost no search. */
  private findSplice(
    key: Uint8Array,
    keyLength: number,
    height: number,
  ): Int32Array {
    const last = this.tail[0];
    if (last !== HEAD && this.compareTo(last, key, keyLength) < 0) {
      return this.tail;
    }
    this.lowerBound(key, keyLength, height);
    return this.before;
  }

  /** The first node at or after the target; `before` is left with the nodes that link past it, of the levels up to `height` at least. */
  private lowerBound(
    key: Uint8Array,
    keyLength: number,
    height = 1,
  ): number {
    const { words, index } = this;
    if (words[ENTRIES] >= index.dueAt) index.make(words, words[ENTRIES]);
    const near = height > INDEX_LEVEL
      ? NO_NODE
      : index.before(this.targetHigh, this.targetLow);
    if (near !== NO_NODE) {
      const max = STEPS_FROM_INDEX;
      const found = this.descend(near, INDEX_LEVEL, max, key, keyLength);
      if (found !== NO_NODE) return found;
    }
    return this.descend(HEAD, this.height, Infinity, key, keyLength);
  }

  /** Searches from a node before the target, which has links of `level`; {@linkcode NO_NODE} if that takes more than `max` steps. */
  private descend(
    node: number,
    level: number,
    max: number,
    key: Uint8Array,
    keyLength: number,
  ): number {
    const words = this.words;
    const high = this.targetHigh;
    const low = this.targetLow;
    let passed = 0;
    let steps = 0;
    for (; level > 0; level--) {
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
        if (++steps > max) return NO_NODE;
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

  /** 1 with probability 1/2, 2 with 1/4 and so on (xorshift32, Marsaglia 2003). */
  private randomHeight(): number {
    let random = this.random;
    random ^= random << 13;
    random ^= random >>> 17;
    random ^= random << 5;
    this.random = random;
    let height = 1;
    while (height < MAX_HEIGHT && (random & 1) === 0) {
      height++;
      random >>>= 1;
    }
    if (this.height < height) {
      this.height = height;
      this.words[HEIGHT] = height;
    }
    return height;
  }
}
