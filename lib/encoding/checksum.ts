/**
 * What a checksum is seeded with: the place of the bytes.
 *
 * A checksum over (file number, offset, bytes) does not match bytes that are
 * whole but were read from, or written to, the wrong place.
 *
 * @module
 */

/** The 32-bit seed for bytes at `offset` of the file numbered `fileNumber`. */
export function placeSeed(fileNumber: number, offset: number): number {
  const high = Math.floor(offset / 0x1_0000_0000);
  // mutant checksum-of-place: without the place, whole bytes in the wrong place are believed
  return (Math.imul(fileNumber + 1, 0x9e3779b1) ^ (offset | 0) ^
    Math.imul(high, 0x85ebca6b)) >>> 0;
}
