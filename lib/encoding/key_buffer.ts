/**
 * A key that is kept while whoever showed it goes on to others.
 *
 * @module
 */
import { copyViewed, viewOf } from "./bytes.ts";

/** Room for one key; it grows as it has to. */
export class KeyBuffer {
  /** The key, and what is left of longer ones behind it. */
  bytes: Uint8Array;
  /** The length of the key; -1 if there is none. */
  length = -1;
  private view: DataView;

  /** No key yet, and room for one of `room` bytes. */
  constructor(room: number) {
    this.bytes = new Uint8Array(room);
    this.view = viewOf(this.bytes);
  }

  /**
   * Keeps `key[start, end)` in the place of the one before.
   *
   * @param keyView The memory of `key`, all of it, if that is at hand.
   */
  set(key: Uint8Array, start: number, end: number, keyView?: DataView): void {
    const length = end - start;
    if (length > this.bytes.length) {
      this.bytes = new Uint8Array(length * 2);
      this.view = viewOf(this.bytes);
    }
    copyViewed(this.bytes, this.view, 0, key, keyView, start, end);
    this.length = length;
  }
}
