/**
 * Many cursors as one sorted sequence.
 *
 * A binary heap of the cursors: going on costs one comparison while one source
 * stays in front, and up to 2 log2(sources) otherwise. Doubles (the same
 * key and sequence in two sources, as after the replay of a log whose
 * memtable had become a table) come one after the other.
 *
 * The direction is fixed. In reverse, the order is exactly the opposite: the
 * oldest version of a key comes first.
 *
 * @module
 */
import type { Cursor } from "../cursor.ts";
import { compareRanges } from "../encoding/bytes.ts";

/** A merge of cursors, all walked in one direction. */
export class MergingCursor {
  /** The cursor that stands on the next entry; `undefined` at the end. */
  top: Cursor | undefined;
  private readonly sources: readonly Cursor[];
  private readonly reverse: boolean;
  private readonly heap: Cursor[] = [];
  /** Where in the heap the source is that is next after the one in front; 0 if that is to be found out. It stays there as long as only the one in front moves. */
  private secondAt = 0;

  /** A merge of `sources`, which it closes in the end. Stands nowhere until it is moved. */
  constructor(sources: readonly Cursor[], reverse: boolean) {
    this.sources = sources;
    this.reverse = reverse;
  }

  /** Whether the source in front is the only one left. */
  get isAlone(): boolean {
    return this.heap.length === 1;
  }

  /** The source that is next after the one in front; `undefined` if that is the only one left. */
  get second(): Cursor | undefined {
    if (this.heap.length < 2) return undefined;
    return this.heap[this.secondAt || this.findSecond()];
  }

  private findSecond(): number {
    const heap = this.heap;
    const isLast = heap.length > 2 && this.isBefore(heap[2], heap[1]);
    return this.secondAt = isLast ? 2 : 1;
  }

  /** Moves every source to its first entry. */
  seekToFirst(): void {
    for (const source of this.sources) source.seekToFirst();
    this.build();
  }

  /** Moves every source to its last entry. */
  seekToLast(): void {
    for (const source of this.sources) source.seekToLast();
    this.build();
  }

  /** Moves every source to its first entry at or after the key. */
  seek(key: Uint8Array, length: number): void {
    for (const source of this.sources) source.seek(key, length);
    this.build();
  }

  /** Moves every source to its last entry before the key. */
  seekBefore(key: Uint8Array, length: number): void {
    for (const source of this.sources) source.seekBefore(key, length);
    this.build();
  }

  /** Goes on to the next entry in the direction of the merge. */
  advance(): void {
    const top = this.top;
    if (top === undefined) return;
    if (this.reverse) top.previous();
    else top.next();
    this.topMoved(top);
  }

  /** Moves only the source in front, past what is known to be hidden: to the first entry at or after `key`, or in reverse to the last before it. */
  skipTop(key: Uint8Array): void {
    const top = this.top;
    if (top === undefined) return;
    top.skip(key, key.length, this.reverse);
    this.topMoved(top);
  }

  /** Moves only the source in front: see {@linkcode Cursor.passVersions}. */
  passVersions(sequence: number): void {
    const top = this.top;
    if (top === undefined) return;
    top.passVersions(sequence);
    this.topMoved(top);
  }

  /** In reverse, moves only the source in front: see {@linkcode Cursor.previousKey}. */
  previousKey(): void {
    const top = this.top;
    if (top === undefined) return;
    top.previousKey();
    this.topMoved(top);
  }

  /** Leaves out what the source in front still has. */
  dropTop(): void {
    const top = this.top;
    if (top === undefined) return;
    top.close();
    this.topMoved(top);
  }

  /** Closes every source. */
  close(): void {
    this.heap.length = 0;
    this.top = undefined;
    for (const source of this.sources) source.close();
  }

  private build(): void {
    const heap = this.heap;
    heap.length = 0;
    for (const source of this.sources) {
      if (source.valid) heap.push(source);
    }
    for (let at = (heap.length >>> 1) - 1; at >= 0; at--) this.sink(at);
    this.secondAt = 0;
    this.top = heap[0];
  }

  private topMoved(top: Cursor): void {
    const heap = this.heap;
    if (!top.valid) return this.topEnded();
    if (heap.length === 1) return;
    const at = this.secondAt || this.findSecond();
    const second = heap[at];
    if (!this.isBefore(second, top)) return;
    this.top = heap[0] = second;
    heap[at] = top;
    this.secondAt = 0;
    if (2 * at + 1 < heap.length) this.sink(at);
  }

  private topEnded(): void {
    const heap = this.heap;
    const last = heap.pop();
    if (last !== undefined && heap.length > 0) {
      heap[0] = last;
      this.sink(0);
    }
    this.secondAt = 0;
    this.top = heap[0];
  }

  private sink(at: number): void {
    const heap = this.heap;
    const count = heap.length;
    const sinking = heap[at];
    for (;;) {
      let child = 2 * at + 1;
      if (child >= count) break;
      if (child + 1 < count && this.isBefore(heap[child + 1], heap[child])) {
        child++;
      }
      if (!this.isBefore(heap[child], sinking)) break;
      heap[at] = heap[child];
      at = child;
    }
    heap[at] = sinking;
  }

  private isBefore(a: Cursor, b: Cursor): boolean {
    const order = compareRanges(
      a.key,
      a.keyStart,
      a.keyEnd,
      b.key,
      b.keyStart,
      b.keyEnd,
    ) || b.sequence - a.sequence;
    return this.reverse ? order > 0 : order < 0;
  }
}
