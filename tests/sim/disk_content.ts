/**
 * Bytes of a file, in pages that copies share until one of them is written.
 *
 * Invariants:
 * - A content that was shared or copied never changes again; who holds it asks
 *   for one to write with {@linkcode Content.writable}.
 * - A page is written only while no other content refers to it.
 * - A page that is absent, and what lies behind the length in the last page,
 *   is zeros.
 *
 * @module
 */
import { checksum } from "../../lib/runtime/checksum.ts";

/** Bytes of a page; the unit in which a disk takes up what is not synced. */
export const BLOCK_BYTES = 4096;

const ZEROS = new Uint8Array(BLOCK_BYTES);

/** The index of the block that holds a position. */
export function blockOf(position: number): number {
  return Math.floor(position / BLOCK_BYTES);
}

/** A checksum of a text, going on from `seed`. */
export function checksumText(text: string, seed: number): number {
  return checksum(new TextEncoder().encode(text), seed);
}

/** See the head of this file. */
export class Content {
  #length: number = 0;
  #pages: (Uint8Array | undefined)[] = [];
  /** Which pages are this content's alone. */
  #own: Set<number> | undefined;
  #isShared: boolean = false;

  /** Bytes. */
  get length(): number {
    return this.#length;
  }

  /** This content, which from now on stays as it is. Costs nothing. */
  share(): Content {
    this.#isShared = true;
    return this;
  }

  /** An equal content that may be written: itself, or a copy if it is shared. */
  writable(): Content {
    return this.#isShared ? this.copy() : this;
  }

  /** An equal content that may be written; it has the pages in common. */
  copy(): Content {
    this.#isShared = true;
    const copy = new Content();
    copy.#length = this.#length;
    copy.#pages = this.#pages.slice();
    return copy;
  }

  /** Reads until `into` is full or the content ends; returns how many bytes. */
  read(into: Uint8Array, position: number): number {
    const end = Math.min(this.#length, position + into.length);
    let at = position;
    while (at < end) {
      const index = blockOf(at);
      const start = at - index * BLOCK_BYTES;
      const length = Math.min(BLOCK_BYTES - start, end - at);
      const page = this.#pages[index];
      if (page === undefined) {
        into.fill(0, at - position, at - position + length);
      } else into.set(page.subarray(start, start + length), at - position);
      at += length;
    }
    return at - position;
  }

  /** The bytes from `start` to before `end`, or to where the content ends. */
  slice(start: number = 0, end: number = this.#length): Uint8Array {
    const length = Math.max(0, Math.min(end, this.#length) - start);
    const bytes = new Uint8Array(length);
    this.read(bytes, start);
    return bytes;
  }

  /** Writes; what it skips behind the end becomes zeros. */
  write(bytes: Uint8Array, position: number): void {
    if (bytes.length === 0) return;
    this.extend(position + bytes.length);
    let done = 0;
    while (done < bytes.length) {
      const index = blockOf(position + done);
      const start = position + done - index * BLOCK_BYTES;
      const length = Math.min(BLOCK_BYTES - start, bytes.length - done);
      const isWhole = length === bytes.length;
      this.#ownPage(index).set(
        isWhole ? bytes : bytes.subarray(done, done + length),
        start,
      );
      done += length;
    }
  }

  /** Makes the content at least so long, with zeros. */
  extend(length: number): void {
    if (this.#isShared) throw new Error("a shared content is written");
    if (length <= this.#length) return;
    this.#length = length;
    const pages = Math.ceil(length / BLOCK_BYTES);
    while (this.#pages.length < pages) this.#pages.push(undefined);
  }

  #ownPage(index: number): Uint8Array {
    const page = this.#pages[index];
    this.#own ??= new Set();
    if (page !== undefined && this.#own.has(index)) return page;
    const own = page === undefined ? new Uint8Array(BLOCK_BYTES) : page.slice();
    this.#pages[index] = own;
    this.#own.add(index);
    return own;
  }

  /** A checksum of length and bytes, going on from `seed`. */
  checksum(seed: number): number {
    let sum = checksumText(`${this.#length};`, seed);
    for (const [index, page] of this.#pages.entries()) {
      const length = Math.min(BLOCK_BYTES, this.#length - index * BLOCK_BYTES);
      sum = checksum((page ?? ZEROS).subarray(0, length), sum);
    }
    return sum;
  }
}
