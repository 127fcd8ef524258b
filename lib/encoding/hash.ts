/**
 * Hash of a user key for filters and for the fingerprints in blocks.
 *
 * Two 32-bit lanes of MurmurHash3's mixing (Austin Appleby, public domain):
 * the first picks a filter line, the second the bits in it. The lanes are left
 * in {@linkcode keyHash} rather than returned, so that no object is made.
 *
 * The function is part of the table format: changing it needs a new version.
 *
 * @module
 */

/** The lanes of the last {@linkcode hashKey}. */
export const keyHash: { line: number; bits: number } = { line: 0, bits: 0 };

function finalMix(hash: number): number {
  hash ^= hash >>> 16;
  hash = Math.imul(hash, 0x85ebca6b);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}

/** Hashes `key[start, end)` into {@linkcode keyHash}. */
export function hashKey(key: Uint8Array, start: number, end: number): void {
  const length = end - start;
  let hash = 0x2545f491 ^ length;
  let at = start;
  for (const whole = end - (length & 3); at < whole; at += 4) {
    let word = key[at] | (key[at + 1] << 8) | (key[at + 2] << 16) |
      (key[at + 3] << 24);
    word = Math.imul(word, 0xcc9e2d51);
    word = (word << 15) | (word >>> 17);
    hash ^= Math.imul(word, 0x1b873593);
    hash = (hash << 13) | (hash >>> 19);
    hash = (Math.imul(hash, 5) + 0xe6546b64) | 0;
  }
  let tail = 0;
  for (let shift = 0; at < end; at++, shift += 8) tail |= key[at] << shift;
  hash ^= Math.imul(tail, 0xcc9e2d51);
  keyHash.line = finalMix(hash) >>> 0;
  keyHash.bits = finalMix(hash ^ 0x9e3779b9) | 0;
}

/** What blocks hold of the hash of each key: the low byte of the second lane. */
export function fingerprintOf(bits: number): number {
  return bits & 0xff;
}
