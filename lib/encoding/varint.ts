/**
 * Variable-length unsigned integers: seven bits a byte, least significant
 * first, the top bit set on every byte but the last (LEB128). Values up to
 * 2^53 - 1.
 *
 * @module
 */

/** The most bytes that one varint takes. */
export const MAX_VARINT_LENGTH = 8;

/** Writes `value` at `at`; returns the position after it. */
export function putVarint(
  into: Uint8Array,
  at: number,
  value: number,
): number {
  while (value > 0x7fff_ffff) {
    into[at++] = (value % 128) | 0x80;
    value = Math.floor(value / 128);
  }
  while (value > 0x7f) {
    into[at++] = (value & 0x7f) | 0x80;
    value >>>= 7;
  }
  into[at++] = value;
  return at;
}

/** How many bytes {@linkcode putVarint} writes for `value`. */
export function varintLength(value: number): number {
  let length = 1;
  while (value > 0x7f) {
    value = Math.floor(value / 128);
    length++;
  }
  return length;
}

/** A decoder that walks over bytes. Reading past the end makes `failed` true and yields zeros. */
export class Decoder {
  /** The bytes walked over. */
  readonly bytes: Uint8Array;
  /** Where the next read starts. */
  position: number;
  /** Where the bytes end. */
  readonly end: number;
  /** Whether any read went past the end or met a varint too long or too large. */
  failed = false;

  /** Walks over `bytes[position, end)`. */
  constructor(bytes: Uint8Array, position: number, end: number) {
    this.bytes = bytes;
    this.position = position;
    this.end = end;
  }

  /** Reads one byte. */
  byte(): number {
    if (this.position >= this.end) {
      this.failed = true;
      return 0;
    }
    return this.bytes[this.position++];
  }

  /** Reads a varint. */
  varint(): number {
    let value = 0;
    let scale = 1;
    for (let i = 0; i < MAX_VARINT_LENGTH; i++) {
      const byte = this.byte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (value > Number.MAX_SAFE_INTEGER) break;
        return this.failed ? 0 : value;
      }
      scale *= 128;
    }
    this.failed = true;
    return 0;
  }

  /** Reads a varint length and skips that many bytes; returns where they start. The end is `position`. */
  skipSized(): number {
    const length = this.varint();
    const start = this.position;
    if (length > this.end - start) {
      this.failed = true;
      return start;
    }
    this.position = start + length;
    return start;
  }

  /** Reads a varint length and a copy of that many bytes. */
  sized(): Uint8Array {
    const start = this.skipSized();
    return this.bytes.slice(start, this.position);
  }
}

/** A growing encoder, for records that are not hot. */
export class Encoder {
  private bytes = new Uint8Array(256);
  private length = 0;

  private reserve(count: number): void {
    if (this.length + count <= this.bytes.length) return;
    const grown = new Uint8Array(
      Math.max(this.bytes.length * 2, this.length + count),
    );
    grown.set(this.bytes);
    this.bytes = grown;
  }

  /** Appends one byte. */
  byte(value: number): this {
    this.reserve(1);
    this.bytes[this.length++] = value;
    return this;
  }

  /** Appends a varint. */
  varint(value: number): this {
    this.reserve(MAX_VARINT_LENGTH);
    this.length = putVarint(this.bytes, this.length, value);
    return this;
  }

  /** Appends bytes as they are. */
  raw(bytes: Uint8Array): this {
    this.reserve(bytes.length);
    this.bytes.set(bytes, this.length);
    this.length += bytes.length;
    return this;
  }

  /** Appends a varint length and the bytes. */
  sized(bytes: Uint8Array): this {
    return this.varint(bytes.length).raw(bytes);
  }

  /** What was appended, as a copy. */
  finish(): Uint8Array {
    return this.bytes.slice(0, this.length);
  }
}
