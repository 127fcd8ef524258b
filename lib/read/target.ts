/**
 * Where a program wants a value: in memory of its own.
 *
 * @module
 */
import type { Found } from "../cursor.ts";
import { copyWords, EMPTY, viewOf } from "../encoding/bytes.ts";
import { describe, invalid } from "../errors.ts";

/** The target of the last call is remembered, and so kept in memory, if it is no longer than this. */
const KEPT_BYTES_MAX = 1024 * 1024;

/** Whether an array's memory may change its length: what is remembered of it would no longer be true. */
function mayResize({ buffer }: Uint8Array): boolean {
  return (buffer as ArrayBuffer).resizable === true ||
    (buffer as unknown as SharedArrayBuffer).growable === true;
}

/** A place in memory of the program's. */
export class Target {
  private bytes: Uint8Array = EMPTY;
  private view: DataView | undefined;
  private offset = 0;

  /**
   * Aims at `bytes[offset...]`.
   *
   * @throws `INVALID_ARGUMENT` if that is no such place.
   */
  aim(bytes: unknown, offset: unknown): void {
    if (bytes !== this.bytes || this.view === undefined) this.use(bytes);
    const isPlace = Number.isInteger(offset) && (offset as number) >= 0 &&
      (offset as number) <= this.bytes.length;
    if (!isPlace) {
      throw invalid(
        `offset ${describe(offset)} of a target of ${this.bytes.length} bytes`,
      );
    }
    this.offset = offset as number;
  }

  private use(bytes: unknown): void {
    if (!(ArrayBuffer.isView(bytes) && bytes instanceof Uint8Array)) {
      throw invalid(
        `a target is ${describe(bytes)}; a Uint8Array is accepted`,
      );
    }
    const { length } = bytes;
    // There is no view of memory that was handed to another thread.
    const isKept = length > 0 && length <= KEPT_BYTES_MAX && !mayResize(bytes);
    this.view = isKept ? viewOf(bytes) : undefined;
    this.bytes = bytes;
  }

  /** Forgets a target that is too long to be kept. */
  leave(): void {
    if (this.view === undefined) this.bytes = EMPTY;
  }

  /** Copies the value that was found, if there is room for it; returns its length. */
  take({ value, start, end, words }: Found): number {
    const { bytes, view, offset } = this;
    const length = end - start;
    if (length === 0 || length > bytes.length - offset) return length;
    if (view !== undefined && words !== undefined) {
      copyWords(bytes, view, offset, value, words, start, end);
    } else bytes.set(value.subarray(start, end), offset);
    return length;
  }
}
