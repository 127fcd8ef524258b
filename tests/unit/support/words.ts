/**
 * Bytes as the words of a memory.
 *
 * @module
 */

/** A copy of `bytes` as words, the last one padded. */
export function wordsOf(bytes: Uint8Array): Int32Array {
  const words = new Int32Array(Math.ceil(bytes.length / 4));
  new Uint8Array(words.buffer).set(bytes);
  return words;
}
