/**
 * A memtable as other threads read it, in the arena that its owner fills.
 *
 * Invariants:
 * - Nothing is copied but range tombstones, and nothing is written.
 * - Hints may be set anew during a search, so they only lead to a place: keys
 *   decide whether it is the right one, and find it if it is not.
 * - The arena of a memtable that is gone may be filled anew while it is read
 *   here. Every search and walk ends then too, with a wrong answer or an
 *   error; {@linkcode SharedMemtable.isIntact} tells whether that happened.
 *
 * @module
 */
import type { Found } from "../cursor.ts";
import {
  ArenaNodes,
  FIRST_RANGE,
  GREATEST_HINT,
  HEAD,
  HEIGHT,
  HIGH_UNIT,
  hintWord,
  KEY_LENGTH_MASK,
  LEAST_HINT,
  MAX_HEIGHT,
  NODE_HEADER,
  PREFIX_LENGTH,
  PREFIX_START,
  RANGE_HEADER,
} from "./arena.ts";
import { ReadableMemtable } from "./readable.ts";

/** Which memtable an arena holds, where its owner says so: `words[index]` is `use` while it is this one. */
export interface ArenaUse {
  /** Shared with the owner. */
  readonly words: Int32Array;
  /** The word of the arena. */
  readonly index: number;
  /** What it holds as long as the arena is not used for another memtable. */
  readonly use: number;
}

/** Steps after which a walk looks whether the arena was used anew: garbage may lead in a circle. */
const STEPS_PER_LOOK = 256;

/** Throws because a link or a length leads out of the arena. */
function leftArena(): never {
  throw new Error("a memtable's arena was used anew while it was read");
}

/** The skip list of an arena, for a thread that does not fill it. */
class SharedNodes extends ArenaNodes {
  private readonly use: ArenaUse | undefined;
  /** No node begins here or later. */
  private readonly limit: number;
  private steps = 0;
  /** The last node before the target; HEAD if there is none. */
  private previous = HEAD;
  /** How the node that was found compares with the target. */
  private order = 0;

  constructor(arena: SharedArrayBuffer, use: ArenaUse | undefined) {
    super(arena);
    this.use = use;
    this.limit = this.words.length - NODE_HEADER;
  }

  isIntact(): boolean {
    const { use } = this;
    return use === undefined ||
      Atomics.load(use.words, use.index) === use.use;
  }

  /** Throws if a link leads nowhere, and now and then if the arena was used anew. */
  protected override step(node: number): void {
    if (!(node > HEAD && node <= this.limit)) leftArena();
    if (++this.steps < STEPS_PER_LOOK) return;
    this.steps = 0;
    if (!this.isIntact()) leftArena();
  }

  override after(node: number): number {
    const next = this.words[node - 1];
    if (next !== 0) this.step(next);
    return next;
  }

  override get(
    key: Uint8Array,
    keyLength: number,
    _hash: number,
    sequence: number,
    found: Found,
  ): void {
    const node = this.seek(key, keyLength);
    if (this.order !== 0) return;
    const seen = this.firstSeen(node, node, sequence);
    if (seen === 0 || !this.isSameKey(seen, node)) return;
    const own = this.sequenceOf(seen);
    if (own <= sequence) this.offer(seen, own, found);
  }

  private offer(node: number, sequence: number, found: Found): void {
    const start = this.valueStart(node);
    const end = start + this.valueLength(node);
    if (end < start || end > this.bytes.length) leftArena();
    found.offer(
      sequence,
      this.kindOf(node),
      this.bytes,
      start,
      end,
      this.words,
    );
  }

  override seek(key: Uint8Array, keyLength: number): number {
    const { words } = this;
    const prefixStart = words[PREFIX_START];
    const skip = words[PREFIX_LENGTH];
    const side = skip === 0
      ? 0
      : this.comparePrefix(prefixStart, skip, key, keyLength);
    let high = side < 0 ? LEAST_HINT : GREATEST_HINT;
    let low = high;
    if (side === 0) {
      high = hintWord(key, skip, keyLength);
      low = hintWord(key, skip + 4, keyLength);
    }
    // Keys with and without the prefix may share the least and the greatest hint.
    const isExtreme = low === high &&
      (low === LEAST_HINT || low === GREATEST_HINT);
    const rest = isExtreme ? 0 : skip + 8;
    const node = this.searchByHints(high, low, rest, key, keyLength);
    return this.isFirstNotBefore(node, key, keyLength)
      ? node
      : this.searchByKeys(key, keyLength);
  }

  private comparePrefix(
    prefixStart: number,
    prefixLength: number,
    key: Uint8Array,
    keyLength: number,
  ): number {
    const { bytes } = this;
    const shared = keyLength < prefixLength ? keyLength : prefixLength;
    for (let i = 0; i < shared; i++) {
      const difference = key[i] - bytes[prefixStart + i];
      if (difference !== 0) return difference;
    }
    return keyLength < prefixLength ? -1 : 0;
  }

  /** The first node at or after the target, if no hint has changed on the way. */
  private searchByHints(
    high: number,
    low: number,
    rest: number,
    key: Uint8Array,
    keyLength: number,
  ): number {
    const { words } = this;
    let node = HEAD;
    let passed = 0;
    for (let level = this.levels(); level > 0; level--) {
      let next = words[node - level];
      while (next !== 0 && next !== passed) {
        this.step(next);
        const nextHigh = words[next];
        if (nextHigh > high) break;
        if (nextHigh === high) {
          const nextLow = words[next + 1];
          if (nextLow > low) break;
          if (
            nextLow === low && this.compareFrom(next, rest, key, keyLength) >= 0
          ) break;
        }
        node = next;
        next = words[node - level];
      }
      passed = next;
    }
    this.previous = node;
    return passed;
  }

  /** Whether a search ended at the right place. Leaves how the node compares. */
  private isFirstNotBefore(
    node: number,
    key: Uint8Array,
    keyLength: number,
  ): boolean {
    this.order = node === 0 ? 1 : this.compareKey(node, key, keyLength);
    if (!(this.order >= 0)) return false;
    const { previous } = this;
    return previous === HEAD || this.compareKey(previous, key, keyLength) < 0;
  }

  /** The first node at or after the target, by keys alone. */
  private searchByKeys(key: Uint8Array, keyLength: number): number {
    const { words } = this;
    let node = HEAD;
    let passed = 0;
    this.order = 1;
    for (let level = this.levels(); level > 0; level--) {
      let next = words[node - level];
      while (next !== 0 && next !== passed) {
        this.step(next);
        const order = this.compareKey(next, key, keyLength);
        if (order >= 0) {
          this.order = order;
          break;
        }
        node = next;
        next = words[node - level];
      }
      passed = next;
    }
    this.previous = node;
    return passed;
  }

  protected override levels(): number {
    const height = this.words[HEIGHT];
    return height > 0 && height <= MAX_HEIGHT ? height : 1;
  }

  /** Hints may be of two prefixes. */
  protected override compareNodes(a: number, b: number): number {
    return this.compareKeys(a, b);
  }

  override seekBefore(key: Uint8Array, keyLength: number): number {
    this.seek(key, keyLength);
    return this.previous === HEAD ? 0 : this.previous;
  }

  override last(): number {
    const { words } = this;
    let node = HEAD;
    for (let level = this.levels(); level > 0; level--) {
      for (let next = words[node - level]; next !== 0;) {
        this.step(next);
        node = next;
        next = words[node - level];
      }
    }
    return node === HEAD ? 0 : node;
  }

  private compareKey(node: number, key: Uint8Array, keyLength: number): number {
    return this.compareFrom(node, 0, key, keyLength);
  }

  /** Compares a node's key with the target from byte `from` on. */
  private compareFrom(
    node: number,
    from: number,
    key: Uint8Array,
    keyLength: number,
  ): number {
    const { bytes } = this;
    const start = (node + NODE_HEADER) * 4;
    const length = this.words[node + 2] & KEY_LENGTH_MASK;
    const shared = length < keyLength ? length : keyLength;
    for (let i = from; i < shared; i++) {
      const difference = bytes[start + i] - key[i];
      if (difference !== 0) return difference;
    }
    return length - keyLength;
  }
}

/**
 * A memtable in an arena that another thread fills, or has filled.
 *
 * Range tombstones are copied: those up to the sequence that {@linkcode
 * SharedMemtable.follow} was told last count, and no others.
 */
export class SharedMemtable extends ReadableMemtable<SharedNodes> {
  /** The lowest sequence in it. */
  readonly oldest: number;
  override newest: number;
  /** The word that links to the next record of a range tombstone, */
  private nextRange = FIRST_RANGE;
  /** and the sequence of the record that the word belongs to. */
  private lastRange = 0;

  /**
   * The memtable in `arena`.
   *
   * @param newest Its highest sequence; of one that is still filled, the
   * highest that shall count until {@linkcode follow} is called.
   * @param oldest Its lowest sequence.
   * @param use How to see that the arena was used anew. Without it, it must
   * not be.
   */
  constructor(
    arena: SharedArrayBuffer,
    newest: number,
    oldest: number,
    use?: ArenaUse,
  ) {
    super(new SharedNodes(arena, use));
    this.newest = newest;
    this.oldest = oldest;
    this.follow(newest);
  }

  /**
   * Whether the arena still holds this memtable: if not, all that was read
   * since the last time is void. Where plain reads may be late
   * (runtime/memory_order.ts) the caller keeps them before this look.
   */
  isIntact(): boolean {
    return this.nodes.isIntact();
  }

  /** Fragments of range tombstones. */
  override get rangeTombstones(): number {
    return this.ranges.size;
  }

  /** Whether {@linkcode follow} might find another range tombstone. */
  get hasMoreRanges(): boolean {
    return Atomics.load(this.nodes.words, this.nextRange) !== 0;
  }

  /**
   * Takes in what was written up to `newest`. Costs a look at one word if
   * there is no new range tombstone.
   *
   * @param snapshots Who will read at an older sequence, ascending; without
   * it, every range tombstone is kept.
   */
  follow(newest: number, snapshots?: readonly number[]): void {
    if (newest > this.newest) this.newest = newest;
    const { words } = this.nodes;
    for (;;) {
      const record = Atomics.load(words, this.nextRange);
      if (record === 0) return;
      const sequence = this.addRange(record, newest, snapshots);
      if (sequence > newest) return;
      this.nextRange = record;
      this.lastRange = sequence;
    }
  }

  /** Takes one record in, unless it is newer than `newest`; returns its sequence. */
  private addRange(
    record: number,
    newest: number,
    snapshots: readonly number[] | undefined,
  ): number {
    const { words, bytes } = this.nodes;
    if (!(record >= HEAD && record + RANGE_HEADER <= words.length)) leftArena();
    const start = (record + RANGE_HEADER) * 4;
    const middle = start + words[record + 1];
    const end = middle + words[record + 2];
    if (!(middle >= start && end >= middle && end <= bytes.length)) leftArena();
    const high = words[record + 4];
    const low = words[record + 3] >>> 0;
    const sequence = high * HIGH_UNIT + low;
    if (sequence <= this.lastRange) leftArena(); // Or a circle would not end.
    if (sequence <= newest) {
      this.rangesChanged();
      this.ranges.add(
        new Uint8Array(bytes.subarray(start, middle)),
        new Uint8Array(bytes.subarray(middle, end)),
        sequence,
        snapshots,
      );
    }
    return sequence;
  }

  /** Does nothing: a reader keeps no memtable alive. */
  override retain(): void {}

  /** Does nothing. */
  override release(): void {}
}
