/**
 * Entries of other sizes than those of `data.ts`, and those as one of them.
 *
 * A key is its number in decimal digits behind zeros. A value is its stamp (key
 * number and generation), then random bytes that depend on the key number.
 *
 * @module
 */
import {
  checkBytes,
  checkKey,
  checkValue,
  endOf,
  hasStamp,
  isFullCheckDue,
  KEY_BYTES,
  keyOf,
  Random,
  VALUE_BYTES,
  valueOf,
  writeDigits,
  writeStamp,
  wrong,
} from "./data.ts";

/** How large keys and values are, how they are built, and how they are checked. */
export interface Shape {
  readonly keyBytes: number;
  readonly valueBytes: number;
  /** The key with a number, in a buffer that the next call overwrites. */
  keyOf(number: number): Uint8Array;
  /** The value of a key number, in a buffer that a later call overwrites. */
  valueOf(number: number, generation: number): Uint8Array;
  /** Fails unless `key`, or `key[start, end)`, is the key with this number. */
  checkKey(key: Uint8Array, number: number, start?: number, end?: number): void;
  /** Fails unless `value`, or `value[start, end)`, is what the key number was last given. */
  checkValue(
    value: Uint8Array | undefined,
    number: number,
    generation: number,
    start?: number,
    end?: number,
  ): void;
}

/** The entries of `data.ts`. */
export const STANDARD: Shape = {
  keyBytes: KEY_BYTES,
  valueBytes: VALUE_BYTES,
  keyOf,
  valueOf,
  checkKey: (key, number, start, end) => checkKey(key, number, start, end),
  checkValue,
};

/** Bytes of keys and values of one entry. */
export const entryBytes = ({ keyBytes, valueBytes }: Shape): number =>
  keyBytes + valueBytes;

/** The bodies of values begin at so many places of one list of random bytes. */
const BODIES = 1024; // a power of two
const DIGIT_ZERO = 0x30;

/** Shapes of any size. Each value is built in one place: for stores that copy what they are given. */
export function shapeOf(keyBytes: number, valueBytes: number): Shape {
  if (keyBytes === KEY_BYTES && valueBytes === VALUE_BYTES) return STANDARD;
  const random = new Random(303);
  const bytes = Uint8Array.from(
    { length: valueBytes + BODIES },
    () => random.below(256),
  );
  const keyBuffer = new Uint8Array(keyBytes).fill(DIGIT_ZERO);
  const expectedKey = keyBuffer.slice();
  const valueBuffer = new Uint8Array(valueBytes);
  const expectedValue = valueBuffer.slice();
  const write = (into: Uint8Array, number: number, generation: number) => {
    const from = (number >>> 1) & (BODIES - 1);
    into.set(bytes.subarray(from, from + valueBytes));
    writeStamp(into, number, generation);
    return into;
  };
  return {
    keyBytes,
    valueBytes,
    keyOf(number) {
      writeDigits(keyBuffer, number);
      return keyBuffer;
    },
    valueOf: (number, generation) => write(valueBuffer, number, generation),
    checkKey: (key, number, start, end) =>
      checkKey(key, number, start, end, expectedKey),
    checkValue(value, number, generation, start = 0, end = endOf(value)) {
      const isWhole = end - start === valueBytes;
      if (!isWhole || !hasStamp(value, start, number, generation)) {
        wrong(`value of key ${number}`, generation, value);
      }
      if (!isFullCheckDue()) return;
      const expected = write(expectedValue, number, generation);
      checkBytes(value, start, expected, number, generation);
    },
  };
}
