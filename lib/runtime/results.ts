/**
 * Makes the byte arrays that reads return.
 *
 * Invariants:
 * - A result is a copy: no later change of its source shows in it, and no
 *   other result shares its bytes.
 * - A result never lies in a SharedArrayBuffer, even if its source does.
 *
 * On V8 a new small array costs 300 to 900 ns, a view of a shared slab 40 to
 * 130 ns; on JSC a `slice` costs 35 to 60 ns and beats the view. A slab stays
 * in memory as long as any result in it, and cannot be transferred to another
 * thread: that would empty the other results in it. To transfer one, slice it.
 *
 * @module
 */
import { markAsUntransferable } from "node:worker_threads";

/** The bytes of a slab: how much one small kept result can pin. */
const SLAB_BYTES = 16 * 1024;
/** The longest result that is carved from a slab. */
const CARVED_BYTES_MAX = 1024;
/** Up to here V8 copies faster by a loop than by `set` on a subarray. */
const LOOP_BYTES_MAX_V8 = 32;
/** The same on JSC, where a subarray is dearer. */
const LOOP_BYTES_MAX_JSC = 80;
/** Up to here JSC copies faster by a loop than by `slice`. */
const LOOP_INSTEAD_OF_SLICE_BYTES_MAX = 40;

/** Makes results, in the way that is cheap on the runtime. */
export class Results {
  readonly #isSlab: boolean;
  readonly #loopBytesMax: number;
  /** The slab. Asking a view for its buffer costs a call out of the compiled code on V8. */
  #buffer: ArrayBuffer = new ArrayBuffer(0);
  #slab: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  #slabWords: Int32Array<ArrayBuffer> = new Int32Array(0);
  #used: number = 0;

  /**
   * Makes a maker of results.
   *
   * @param slab Whether small results are carved from a shared slab.
   */
  constructor(slab: boolean) {
    this.#isSlab = slab;
    this.#loopBytesMax = slab ? LOOP_BYTES_MAX_V8 : LOOP_BYTES_MAX_JSC;
  }

  /**
   * A copy of `source` from `start` to before `end`.
   *
   * @param source A plain `Uint8Array` (a `Buffer` slices without copying).
   * @param words The memory of `source` as words, if there are such: the
   * first word at its first byte, the last one at or after `end`.
   */
  copy(
    source: Uint8Array,
    start: number,
    end: number,
    words?: Int32Array,
  ): Uint8Array<ArrayBuffer> {
    const length = end - start;
    if (this.#isSlab && length <= CARVED_BYTES_MAX && length > 0) {
      if (words !== undefined) return this.#copyWords(words, start, end);
      const offset = this.#reserve(length);
      const slab = this.#slab;
      copyInto(slab, offset, source, start, end, this.#loopBytesMax);
      return new Uint8Array(this.#buffer, offset, length);
    }
    if (!this.#isSlab && length <= LOOP_INSTEAD_OF_SLICE_BYTES_MAX) {
      const result = new Uint8Array(length);
      let i = 0;
      for (let at = start; i + 4 <= length; i += 4, at += 4) {
        result[i] = source[at] as number;
        result[i + 1] = source[at + 1] as number;
        result[i + 2] = source[at + 2] as number;
        result[i + 3] = source[at + 3] as number;
      }
      for (; i < length; i++) result[i] = source[start + i] as number;
      return result;
    }
    // Always in a buffer of its own, and never in a shared one.
    return source.slice(start, end) as Uint8Array<ArrayBuffer>;
  }

  /**
   * A copy by whole words, each of which no other result has a part in: the
   * result lies in its first word as it does in the source's.
   */
  #copyWords(
    words: Int32Array,
    start: number,
    end: number,
  ): Uint8Array<ArrayBuffer> {
    const first = start >>> 2;
    const count = ((end + 3) >>> 2) - first;
    const padding = -this.#used & 3;
    const to = (this.#reserve(padding + count * 4) + 3) >>> 2;
    const slab = this.#slabWords;
    for (let i = 0; i < count; i++) slab[to + i] = words[first + i];
    return new Uint8Array(this.#buffer, to * 4 + (start & 3), end - start);
  }

  /** A copy of a piece of `a` followed by a piece of `b`. */
  copyTwo(
    a: Uint8Array,
    aStart: number,
    aEnd: number,
    b: Uint8Array,
    bStart: number,
    bEnd: number,
  ): Uint8Array<ArrayBuffer> {
    const loopBytesMax = this.#loopBytesMax;
    const aLength = aEnd - aStart;
    const length = aLength + bEnd - bStart;
    if (!this.#isSlab || length > CARVED_BYTES_MAX || length === 0) {
      const result = new Uint8Array(length);
      copyInto(result, 0, a, aStart, aEnd, loopBytesMax);
      copyInto(result, aLength, b, bStart, bEnd, loopBytesMax);
      return result;
    }
    const offset = this.#reserve(length);
    const slab = this.#slab;
    copyInto(slab, offset, a, aStart, aEnd, loopBytesMax);
    copyInto(slab, offset + aLength, b, bStart, bEnd, loopBytesMax);
    return new Uint8Array(this.#buffer, offset, length);
  }

  /** Sets `length` bytes of the slab aside and tells where they start. */
  #reserve(length: number): number {
    if (this.#used + length > this.#slab.length) {
      const buffer = new ArrayBuffer(SLAB_BYTES);
      this.#buffer = buffer;
      this.#slab = new Uint8Array(buffer);
      this.#slabWords = new Int32Array(buffer);
      markAsUntransferable(buffer);
      this.#used = 0;
    }
    const offset = this.#used;
    this.#used = offset + length;
    return offset;
  }
}

/** Copies a piece of `source` to `offset` of `target`. */
function copyInto(
  target: Uint8Array,
  offset: number,
  source: Uint8Array,
  start: number,
  end: number,
  loopBytesMax: number,
): void {
  if (end - start <= loopBytesMax) {
    for (let from = start, to = offset; from < end; from++, to++) {
      target[to] = source[from] as number;
    }
  } else {
    target.set(source.subarray(start, end), offset);
  }
}
