/**
 * A posting: how often a term occurs in a file, and the first lines that it
 * occurs on.
 *
 * Bytes: varint count, then for each line the varint distance from the line
 * before it.
 *
 * @module
 */

/** A term with more lines than this in a file keeps the first ones. */
const LINES_MAX = 8;

/** Where a term occurs in a file. */
export interface Posting {
  /** How often it occurs. */
  count: number;
  /** The first lines that it occurs on, ascending, from 0. */
  readonly lines: number[];
}

/** Counts one more occurrence. */
export function addOccurrence(posting: Posting, line: number): void {
  posting.count++;
  const { lines } = posting;
  if (lines.length < LINES_MAX && lines.at(-1) !== line) lines.push(line);
}

/** The bytes of a posting. */
export function encodePosting(posting: Posting): Uint8Array {
  const bytes: number[] = [];
  appendVarint(bytes, posting.count);
  let previous = 0;
  for (const line of posting.lines) {
    appendVarint(bytes, line - previous);
    previous = line;
  }
  return Uint8Array.from(bytes);
}

/** The posting that bytes stand for. */
export function decodePosting(bytes: Uint8Array): Posting {
  const numbers: number[] = [];
  let value = 0;
  let shift = 0;
  for (const byte of bytes) {
    value |= (byte & 0x7f) << shift;
    shift += 7;
    if (byte < 0x80) {
      numbers.push(value);
      value = 0;
      shift = 0;
    }
  }
  const [count = 0, ...distances] = numbers;
  let line = 0;
  return { count, lines: distances.map((distance) => line += distance) };
}

function appendVarint(bytes: number[], value: number): void {
  while (value >= 0x80) {
    bytes.push((value & 0x7f) | 0x80);
    value >>>= 7;
  }
  bytes.push(value);
}
