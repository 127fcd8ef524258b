/**
 * Rows side by side in one memory, to be filled again and again.
 *
 * A row here is no object: four places say where its key and its value lie. A
 * table copies what it has of a block at once and notes the places in one loop,
 * so that a row of a long walk costs a third of two arrays on JSC.
 *
 * Invariant: what lies between places is unspecified.
 *
 * @module
 */
import type { Cursor } from "./cursor.ts";
import { copyViewed, viewOf } from "./encoding/bytes.ts";

/** A memory that has so many bytes taken is full, so that places stay below 2^31. */
export const BYTES_MAX: number = 1024 * 1024 * 1024;
/** The most rows that lie in one memory. */
export const ROWS_MAX = 1024;
/** A row's places: where its key starts and ends, and where its value does. */
export const PLACES_PER_ROW = 4;
/** There are places for a row of so many bytes from the start; for smaller ones more are made. */
const USUAL_ROW_BYTES = 64;

/** The memory of an array that begins with it, as far as it is whole words. */
function wordsOf({ buffer }: Uint8Array<ArrayBuffer>): Int32Array<ArrayBuffer> {
  return new Int32Array(buffer, 0, buffer.byteLength >>> 2);
}

/** Rows in one memory. */
export class RowBuffer {
  /** The memory. */
  bytes: Uint8Array<ArrayBuffer>;
  /** The same memory. */
  view: DataView;
  /** The same memory, as far as it is whole words. */
  words: Int32Array<ArrayBuffer>;
  /** {@linkcode PLACES_PER_ROW} for each row. */
  places: Int32Array<ArrayBuffer>;
  /** Rows in it. */
  count = 0;
  /** Bytes taken. */
  used = 0;
  /** The longest of the rows that were added one by one. */
  private longest = 0;
  /** What `bytes` and `places` have room for, unless a program has handed them to another thread. */
  private room: number;
  private placesRoom: number;

  /** No rows yet, and room for so many bytes; it grows for a row that needs more. */
  constructor(bytes: number) {
    const rows = Math.min(ROWS_MAX, Math.ceil(bytes / USUAL_ROW_BYTES));
    this.bytes = new Uint8Array(bytes);
    this.view = viewOf(this.bytes);
    this.words = wordsOf(this.bytes);
    this.room = bytes;
    this.places = new Int32Array(rows * PLACES_PER_ROW);
    this.placesRoom = this.places.length;
  }

  /** Whether another row would rather begin the next memory: no more than an eighth is left, or less than the longest row takes, or there are as many rows or bytes as may be. */
  get isFull(): boolean {
    const { count, used, longest, bytes: { length } } = this;
    const left = length - used;
    return count >= ROWS_MAX ||
      count > 0 &&
        (left <= length >>> 3 || left < longest || used >= BYTES_MAX);
  }

  /** Forgets its rows, and has its memory anew if that is gone. */
  clear(): void {
    this.count = 0;
    this.used = 0;
    this.longest = 0;
    const { room, placesRoom } = this;
    // Of no bytes nothing tells whether they are gone.
    if (this.bytes.length !== room || room === 0) {
      this.use(new Uint8Array(room));
    }
    if (this.places.length !== placesRoom || placesRoom === 0) {
      this.places = new Int32Array(placesRoom);
    }
  }

  private use(bytes: Uint8Array<ArrayBuffer>): void {
    this.bytes = bytes;
    this.view = viewOf(bytes);
    this.words = wordsOf(bytes);
    this.room = bytes.length;
  }

  /** Adds the entry that a cursor stands on. */
  addEntry(entry: Cursor): void {
    const { key, keyStart, keyEnd, value, valueStart, valueEnd } = entry;
    this.makeRoom(keyEnd - keyStart + valueEnd - valueStart);
    const { bytes, view, used } = this;
    const middle = copyViewed(
      bytes,
      view,
      used,
      key,
      entry.keyView,
      keyStart,
      keyEnd,
    );
    const end = copyViewed(
      bytes,
      view,
      middle,
      value,
      entry.view,
      valueStart,
      valueEnd,
    );
    this.note(used, middle, middle, end);
    this.used = end;
  }

  /** Adds a key and its value. */
  add(key: Uint8Array, value: Uint8Array): void {
    this.makeRoom(key.length + value.length);
    const { bytes, used } = this;
    const middle = used + key.length;
    const end = middle + value.length;
    bytes.set(key, used);
    bytes.set(value, middle);
    this.note(used, middle, middle, end);
    this.used = end;
  }

  /** Notes where a row lies; its place was {@linkcode reserve}d. */
  note(
    keyStart: number,
    keyEnd: number,
    valueStart: number,
    valueEnd: number,
  ): void {
    const { places, count } = this;
    const at = count * PLACES_PER_ROW;
    places[at] = keyStart;
    places[at + 1] = keyEnd;
    places[at + 2] = valueStart;
    places[at + 3] = valueEnd;
    this.count = count + 1;
  }

  /** Forgets the rows behind the first `count`, which take `used` bytes. */
  cut(count: number, used: number): void {
    this.count = count;
    this.used = used;
  }

  /** Becomes a copy of what another one holds, in memory of its own and no more than that. */
  copyFrom({ bytes, places, count, used }: RowBuffer): void {
    this.use(bytes.slice(0, used));
    this.places = places.slice(0, count * PLACES_PER_ROW);
    this.placesRoom = this.places.length;
    this.count = count;
    this.used = used;
  }

  /** Sees to it that so many more rows have places. */
  reserve(rows: number): void {
    const places = (this.count + rows) * PLACES_PER_ROW;
    if (places > this.places.length) this.growPlaces(places);
  }

  /** Sees to it that a row of so many bytes has room and a place. */
  private makeRoom(length: number): void {
    if (length > this.longest) this.longest = length;
    const needed = this.used + length;
    if (needed > this.bytes.length) this.growBytes(needed);
    this.reserve(1);
  }

  private growBytes(needed: number): void {
    const doubled = Math.min(this.bytes.length * 2, BYTES_MAX);
    const grown = new Uint8Array(Math.max(needed, doubled));
    // Without rows, the memory may be another thread's by now.
    if (this.used > 0) grown.set(this.bytes.subarray(0, this.used));
    this.use(grown);
  }

  private growPlaces(needed: number): void {
    const grown = new Int32Array(Math.max(needed, this.places.length * 2));
    if (this.count > 0) grown.set(this.places);
    this.places = grown;
    this.placesRoom = grown.length;
  }
}
