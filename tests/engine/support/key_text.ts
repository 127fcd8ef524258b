/**
 * Keys as text: strings of characters below 256, one for each byte, so that
 * the order of strings is the order of bytes.
 *
 * @module
 */

/** Bounds as key characters. */
export interface TextRange {
  gt?: string;
  gte?: string;
  lt?: string;
  lte?: string;
  prefix?: string;
}

/** Key characters as bytes. */
export function toBytes(key: string): Uint8Array {
  const bytes = new Uint8Array(key.length);
  for (let i = 0; i < key.length; i++) bytes[i] = key.charCodeAt(i);
  return bytes;
}

/** Bytes as key characters. */
export function fromBytes(bytes: Uint8Array): string {
  let key = "";
  for (let at = 0; at < bytes.length; at += 4096) {
    // `apply` takes it as it is; a spread would step through it, which takes longer.
    key += String.fromCharCode.apply(
      null,
      bytes.subarray(at, at + 4096) as unknown as number[],
    );
  }
  return key;
}

/** Bounds as bytes. */
export function toByteRange(
  range: TextRange,
): { [name in keyof TextRange]: Uint8Array } {
  return Object.fromEntries(
    Object.entries(range).map(([name, key]) => [name, toBytes(key)]),
  );
}
