/**
 * Keys as numbers that sort as the keys do.
 *
 * What sorted keys have behind their shared prefix mostly uses few values of
 * each byte: digits, hexadecimal digits, letters. Taken as digits of a number
 * in a mixed radix, each place with as many values as occur there and two for
 * whatever lies below and above them, many bytes fit in a small integer, and
 * keys that are spread evenly are numbers spread evenly.
 *
 * Invariant: of two keys with the prefix, the one that sorts first has a code
 * that is not greater. Keys with the same code are told apart by their bytes.
 *
 * @module
 */
import type { Block } from "./block.ts";

/** What codes stay below: they are to be small integers on every engine. */
const CODES_MAX = 2 ** 30;
/** Codes for each key: with more places hardly two keys more would differ. */
const CODES_PER_KEY = 1024;
/** Keys that are looked at to learn which values occur; others may lie beyond. */
const SAMPLES = 64;
/** The most places of which some value fits in a code: each has a radix of 3 at least. */
const PLACES_MAX = 33;

/** How the keys of a block become numbers. */
export class KeyCode {
  /** No code is above; none is below 1. */
  readonly largest: number;
  /** One less than the lowest byte of each place. */
  private readonly lows: Int16Array = new Int16Array(PLACES_MAX).fill(255);
  /** The digit for whatever lies above the highest byte of each place. */
  private readonly tops: Int16Array = new Int16Array(PLACES_MAX);
  /** What a digit of each place counts. */
  private readonly weights: Int32Array = new Int32Array(PLACES_MAX);
  private readonly places: number;

  /** Codes for keys like those of `block`, which has one at least. */
  constructor(block: Block) {
    const { lows, tops, weights } = this;
    const seen = this.learn(block);
    const enough = Math.min(CODES_MAX, block.count * CODES_PER_KEY);
    let codes = 1;
    let places = 0;
    while (places < seen && codes < enough) {
      const top = tops[places] - lows[places] + 1;
      if (codes * (top + 1) >= CODES_MAX) break;
      tops[places++] = top;
      codes *= top + 1;
    }
    this.places = places;
    this.largest = codes;
    for (let i = 0; i < places; i++) {
      codes /= tops[i] + 1;
      weights[i] = codes;
    }
  }

  /** Leaves in `lows` one less than the lowest byte of each place, and in `tops` the highest one; returns how many places there are. */
  private learn(block: Block): number {
    const { lows, tops } = this;
    const { bytes, count } = block;
    const step = Math.ceil(count / SAMPLES);
    let places = 0;
    for (let next = 0; next < count + step - 1; next += step) {
      const start = block.restStart(next < count ? next : count - 1);
      const length = Math.min(block.restEnd - start, PLACES_MAX);
      if (length > places) places = length;
      for (let i = 0; i < length; i++) {
        const byte = bytes[start + i];
        if (byte <= lows[i]) lows[i] = byte - 1;
        if (byte > tops[i]) tops[i] = byte;
      }
    }
    return places;
  }

  /** The code of a key, of which `bytes[at, end)` is behind the shared prefix. */
  of(bytes: Uint8Array, at: number, end: number): number {
    const { lows, tops, weights, places } = this;
    let code = 1;
    for (let i = 0; i < places && at < end; i++) {
      const digit = bytes[at++] - lows[i];
      if (digit <= 0) break;
      const top = tops[i];
      code += Math.imul(digit < top ? digit : top, weights[i]);
      if (digit >= top) break;
    }
    return code;
  }
}
