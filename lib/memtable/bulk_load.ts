/**
 * Fills memtables with many entries at once, in the order of their keys.
 *
 * Each insertion then begins where the one before it ended, in memory that is
 * cached, where insertions in the order of time would each wait for some
 * twenty nodes to come from memory.
 *
 * Invariants:
 * - The entries of one load lie in one buffer, and their sequences rise.
 * - Entries of the same key are added in the order of their sequences.
 *
 * @module
 */
import type { EntryKind } from "../cursor.ts";
import { copyInto, EMPTY } from "../encoding/bytes.ts";
import { orderOfKeys } from "../encoding/key_order.ts";
import { MAX_KEY_LENGTH } from "../options.ts";
import type { Memtable } from "./memtable.ts";

/** The most entries of one load: what is remembered of them takes 128 MiB. */
const ENTRIES_MAX = 2 ** 21;
/** Entries that are looked at together, before they are copied. */
const AHEAD = 64;
/** Entries that are remembered from the start. */
const FIRST_CAPACITY = 1024;
/** Words of a remembered entry: where its key and its value start and end, */
const KEY_START = 0;
const KEY_END = 1;
const VALUE_START = 2;
const VALUE_END = 3;
/** its sequence and its kind. */
const SEQUENCE = 4;
const KIND = 5;
const WORDS = 6;

/** Entries that wait to be added to a memtable. */
export class BulkLoad {
  private bytes: Uint8Array = EMPTY;
  private entries = new Float64Array(FIRST_CAPACITY * WORDS);
  private count = 0;
  /** Kept, so that the compiler keeps what it is made of. */
  protected touched = 0;
  private readonly key = new Uint8Array(MAX_KEY_LENGTH);

  /** Whether no entry more is taken. */
  get isFull(): boolean {
    return this.count === ENTRIES_MAX;
  }

  /** Remembers an entry that lies in `bytes`, which must not change until it is moved. */
  add(
    sequence: number,
    kind: EntryKind,
    bytes: Uint8Array,
    keyStart: number,
    keyEnd: number,
    valueStart: number,
    valueEnd: number,
  ): void {
    let at = this.count++ * WORDS;
    if (at === this.entries.length) {
      const grown = new Float64Array(at * 2);
      grown.set(this.entries);
      this.entries = grown;
    }
    this.bytes = bytes;
    const { entries } = this;
    entries[at++] = keyStart;
    entries[at++] = keyEnd;
    entries[at++] = valueStart;
    entries[at++] = valueEnd;
    entries[at++] = sequence;
    entries[at] = kind;
  }

  /** Adds every entry to a memtable that has room for them, and forgets them. */
  moveTo(memtable: Memtable): void {
    if (this.count === 0) return;
    const { bytes, entries, key } = this;
    const order = this.order();
    for (let i = 0; i < order.length; i++) {
      if (i % AHEAD === 0) this.touch(order, i);
      const at = order[i] * WORDS;
      const keyStart = entries[at + KEY_START];
      memtable.add(
        entries[at + SEQUENCE],
        entries[at + KIND] as EntryKind,
        key,
        copyInto(key, 0, bytes, keyStart, entries[at + KEY_END]),
        bytes,
        entries[at + VALUE_START],
        entries[at + VALUE_END],
      );
    }
    memtable.rehint();
    this.count = 0;
    this.bytes = EMPTY;
  }

  /**
   * Looks at the next entries. What one needs comes from memory while the next
   * is looked at; where each is copied first, the processor waits for each.
   */
  private touch(order: Uint32Array, from: number): void {
    const { bytes, entries } = this;
    const to = Math.min(order.length, from + AHEAD);
    let sum = 0;
    for (let i = from; i < to; i++) {
      const at = order[i] * WORDS;
      sum += bytes[entries[at + KEY_START]] +
        bytes[entries[at + VALUE_END] - 1];
    }
    this.touched = sum;
  }

  private order(): Uint32Array {
    const { bytes, entries, count } = this;
    const starts = new Float64Array(count);
    const lengths = new Uint32Array(count);
    for (let i = 0, at = 0; i < count; i++, at += WORDS) {
      starts[i] = entries[at + KEY_START];
      lengths[i] = entries[at + KEY_END] - starts[i];
    }
    return orderOfKeys({ bytes, starts, lengths, count });
  }
}
