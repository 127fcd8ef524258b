/**
 * Byte strings: order, shared prefixes, bounds, UTF-8.
 *
 * Keys are ordered as unsigned bytes, a prefix before what it begins. Hot
 * callers pass (buffer, start, end) so that no view is made per comparison.
 *
 * @module
 */

/** The empty byte string. */
export const EMPTY: Uint8Array = new Uint8Array(0);

const encoder = new TextEncoder();

/** Negative, zero or positive as `a[aStart, aEnd)` sorts before, with or after `b[bStart, bEnd)`. */
export function compareRanges(
  a: Uint8Array,
  aStart: number,
  aEnd: number,
  b: Uint8Array,
  bStart: number,
  bEnd: number,
): number {
  const aLength = aEnd - aStart;
  const bLength = bEnd - bStart;
  const shared = aLength < bLength ? aLength : bLength;
  for (let i = 0; i < shared; i++) {
    const difference = a[aStart + i] - b[bStart + i];
    if (difference !== 0) return difference;
  }
  return aLength - bLength;
}

/** {@linkcode compareRanges} over whole arrays. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  return compareRanges(a, 0, a.length, b, 0, b.length);
}

/** How many leading bytes `a[aStart, aEnd)` and `b[bStart, bEnd)` share. */
export function sharedPrefixLength(
  a: Uint8Array,
  aStart: number,
  aEnd: number,
  b: Uint8Array,
  bStart: number,
  bEnd: number,
): number {
  const shared = Math.min(aEnd - aStart, bEnd - bStart);
  let i = 0;
  while (i < shared && a[aStart + i] === b[bStart + i]) i++;
  return i;
}

/** The least byte string greater than every one that begins with `prefix`; `undefined` if there is none. */
export function prefixSuccessor(prefix: Uint8Array): Uint8Array | undefined {
  let length = prefix.length;
  while (length > 0 && prefix[length - 1] === 0xff) length--;
  if (length === 0) return undefined;
  const successor = prefix.slice(0, length);
  successor[length - 1]++;
  return successor;
}

/** The least byte string greater than `key`: `key` and a zero byte. */
export function keySuccessor(key: Uint8Array): Uint8Array {
  const successor = new Uint8Array(key.length + 1);
  successor.set(key);
  return successor;
}

/** UTF-8 bytes of a string. */
export function utf8Bytes(text: string): Uint8Array {
  return encoder.encode(text);
}

/**
 * Encodes `text` as UTF-8 at `into[at...]`.
 *
 * Short ASCII strings, what most keys are, skip the encoder: a loop over char
 * codes costs a fifth of a call to it.
 *
 * @returns The position after the text, or -1 if `into` may be too small.
 */
export function encodeUtf8Into(
  text: string,
  into: Uint8Array,
  at: number,
): number {
  const length = text.length;
  if (at + length * 3 > into.length) return -1;
  if (length <= 64) {
    let i = 0;
    for (; i < length; i++) {
      const code = text.charCodeAt(i);
      if (code > 0x7f) break;
      into[at + i] = code;
    }
    if (i === length) return at + length;
  }
  const rest = at === 0 ? into : into.subarray(at);
  return at + encoder.encodeInto(text, rest).written;
}

/**
 * Copies `from[start, end)` to `into[at...]`: a loop for short runs, where
 * making a view costs more than it saves.
 *
 * @returns The position after the copy.
 */
export function copyInto(
  into: Uint8Array,
  at: number,
  from: Uint8Array,
  start: number,
  end: number,
): number {
  if (end - start <= 32) {
    for (let i = start; i < end; i++) into[at++] = from[i];
    return at;
  }
  into.set(
    start === 0 && end === from.length ? from : from.subarray(start, end),
    at,
  );
  return at + end - start;
}

/** The memory of an array, all of it, for {@linkcode copyViewed}. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Copies of fewer bytes are cheaper byte by byte, */
const VIEWED_BYTES_MIN = 16;
/** and those of more by `set`, whatever it leaves. */
const VIEWED_BYTES_MAX = 192;

/**
 * {@linkcode copyInto} where both memories are also at hand as DataViews: by
 * words, the last of which overlaps the one before it. That takes as long or
 * less, and makes no view for the collector to find: a merge copies each entry
 * twice, which left JSC up to 100 MB of them.
 *
 * @param fromView Undefined if there is none after all.
 * @returns The position after the copy.
 */
export function copyViewed(
  into: Uint8Array,
  intoView: DataView,
  at: number,
  from: Uint8Array,
  fromView: DataView | undefined,
  start: number,
  end: number,
): number {
  // Places that were reckoned with as doubles keep engines from inlining this.
  const length = (end - start) | 0;
  const isViewed = fromView !== undefined && length >= VIEWED_BYTES_MIN &&
    length <= VIEWED_BYTES_MAX;
  if (!isViewed) return copyInto(into, at, from, start, end);
  let to = at | 0;
  let source = start | 0;
  const next = to + length;
  const last = source + length - 4;
  intoView.setInt32(next - 4, fromView.getInt32(last, true), true);
  for (; source < last; source += 4, to += 4) {
    intoView.setInt32(to, fromView.getInt32(source, true), true);
  }
  return next;
}

/**
 * {@linkcode copyViewed} from a memory that is at hand as words: all words of
 * the source that are whole are read as such.
 *
 * @param words The memory of `from`: the first word at its first byte.
 */
export function copyWords(
  into: Uint8Array,
  intoView: DataView,
  at: number,
  from: Uint8Array,
  words: Int32Array,
  start: number,
  end: number,
): void {
  if (end - start > VIEWED_BYTES_MAX) {
    into.set(from.subarray(start, end), at);
    return;
  }
  let to = at | 0;
  let source = start | 0;
  for (; source < end && (source & 3) !== 0; source++) {
    into[to++] = from[source];
  }
  for (; source + 4 <= end; source += 4, to += 4) {
    intoView.setInt32(to, words[source >>> 2], true);
  }
  for (; source < end; source++) into[to++] = from[source];
}

/** A copy in a plain ArrayBuffer of its own, whatever the source lies in. */
export function copyBytes(
  source: Uint8Array,
  start: number,
  end: number,
): Uint8Array {
  const copy = new Uint8Array(end - start);
  copyInto(copy, 0, source, start, end);
  return copy;
}

/** Bytes for a message: printable ASCII as it is, the rest as `\xNN`, cut at 48 bytes. */
export function describeBytes(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes.subarray(0, 48)) {
    text += byte >= 0x20 && byte < 0x7f && byte !== 0x5c
      ? String.fromCharCode(byte)
      : `\\x${byte.toString(16).padStart(2, "0")}`;
  }
  return bytes.length > 48 ? `${text}... (${bytes.length} bytes)` : text;
}
