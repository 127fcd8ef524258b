/**
 * Fixed-width little-endian integers.
 *
 * 48-bit integers hold file offsets and sequence numbers: both stay below
 * 2^48, so a JavaScript number holds them exactly.
 *
 * @module
 */

/** The largest 48-bit integer. */
export const U48_MAX: number = 2 ** 48 - 1;

/** Writes an unsigned 16-bit integer. */
export function putU16(into: Uint8Array, at: number, value: number): void {
  into[at] = value;
  into[at + 1] = value >>> 8;
}

/** Reads an unsigned 16-bit integer. */
export function getU16(from: Uint8Array, at: number): number {
  return from[at] | (from[at + 1] << 8);
}

/** Writes an unsigned 32-bit integer. */
export function putU32(into: Uint8Array, at: number, value: number): void {
  into[at] = value;
  into[at + 1] = value >>> 8;
  into[at + 2] = value >>> 16;
  into[at + 3] = value >>> 24;
}

/** Reads an unsigned 32-bit integer. */
export function getU32(from: Uint8Array, at: number): number {
  return (from[at] | (from[at + 1] << 8) | (from[at + 2] << 16) |
    (from[at + 3] << 24)) >>> 0;
}

/** Writes an unsigned 48-bit integer. */
export function putU48(into: Uint8Array, at: number, value: number): void {
  putU32(into, at, value >>> 0);
  putU16(into, at + 4, Math.floor(value / 0x1_0000_0000));
}

/** Reads an unsigned 48-bit integer. */
export function getU48(from: Uint8Array, at: number): number {
  return getU16(from, at + 4) * 0x1_0000_0000 + getU32(from, at);
}
