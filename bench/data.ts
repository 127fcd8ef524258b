/**
 * Keys and values of the benchmarks: deterministic, so that every answer can
 * be checked.
 *
 * - Entry `i` has the key number `2 * i`, as 16 decimal digits. Odd numbers are
 *   missing keys that lie among the present ones.
 * - A value has 100 bytes: its key number, its generation (which write of the
 *   key it is), then bytes of which half compresses away.
 *
 * Keys are built in one buffer, again and again: a store copies them. Values are
 * built in one of 4096 places in turn, because some stores refer to a value
 * until its write is through; no more writes than that are under way at a time.
 *
 * @module
 */

export const KEY_BYTES = 16;
export const VALUE_BYTES = 100;
/** What one entry is, in keys and values. */
export const ENTRY_BYTES: number = KEY_BYTES + VALUE_BYTES;
/** The values of `fill100K`. */
export const LARGE_VALUE_BYTES = 100_000;

const STAMP_BYTES = 5;
const TEMPLATE_COUNT = 1024; // a power of two
const VALUE_PLACES = 4096; // a power of two
const LARGE_VALUE_PLACES = 64; // a power of two
const KEY_DIGITS_USED = 10;
const DIGIT_ZERO = 0x30;

/** One in so many answers is compared byte by byte, the others by their stamp. */
const FULL_CHECK_EVERY = 64;

/** A generator of pseudo-random numbers: mulberry32, by Tommy Ettinger. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 0;
  }

  /** A whole number in [0, bound). */
  below(bound: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let x = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return Math.floor(((x ^ (x >>> 14)) >>> 0) / 4294967296 * bound);
  }
}

/** The numbers [0, count) in random order (Fisher and Yates). */
export function shuffled(count: number, seed: number): Uint32Array {
  const random = new Random(seed);
  const numbers = Uint32Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = random.below(i + 1);
    const moved = numbers[i] ?? 0;
    numbers[i] = numbers[j] ?? 0;
    numbers[j] = moved;
  }
  return numbers;
}

/** Runs of random bytes, each said twice: half of it compresses away. */
function makeTemplates(): Uint8Array[] {
  const random = new Random(301);
  return Array.from({ length: TEMPLATE_COUNT }, () => {
    const template = new Uint8Array(VALUE_BYTES);
    const half = VALUE_BYTES / 2;
    for (let i = 0; i < half; i++) template[i] = random.below(256);
    template.copyWithin(half, 0, half);
    return template;
  });
}

/** Views of one buffer. */
function makePlaces(count: number, bytes: number): Uint8Array[] {
  const all = new Uint8Array(count * bytes);
  return Array.from(
    { length: count },
    (_, i) => all.subarray(i * bytes, (i + 1) * bytes),
  );
}

const templates = makeTemplates();
const NO_TEMPLATE = new Uint8Array(VALUE_BYTES);

function templateOf(number: number): Uint8Array {
  return templates[(number >>> 1) & (TEMPLATE_COUNT - 1)] ?? NO_TEMPLATE;
}

const keyBuffer = new Uint8Array(KEY_BYTES).fill(DIGIT_ZERO);
const valuePlaces = makePlaces(VALUE_PLACES, VALUE_BYTES);
let valuePlace = 0;
let largePlaces: Uint8Array[] | undefined;
let largePlace = 0;
const expectedKey = new Uint8Array(KEY_BYTES).fill(DIGIT_ZERO);
const expectedValue = new Uint8Array(VALUE_BYTES);

/** Writes a number in decimal digits to the end of a key of zeros. */
export function writeDigits(into: Uint8Array, number: number): void {
  let rest = number;
  const first = Math.max(0, into.length - KEY_DIGITS_USED);
  for (let i = into.length - 1; i >= first; i--) {
    const tens = Math.floor(rest / 10);
    into[i] = DIGIT_ZERO + rest - tens * 10;
    rest = tens;
  }
}

/** Begins a value with its key number and generation. */
export function writeStamp(
  into: Uint8Array,
  number: number,
  generation: number,
): void {
  into[0] = number;
  into[1] = number >>> 8;
  into[2] = number >>> 16;
  into[3] = number >>> 24;
  into[4] = generation;
}

/** Where an array ends; nothing has no length. */
export const endOf = (bytes: Uint8Array | undefined): number =>
  bytes === undefined ? 0 : bytes.length;

/** Whether `value[start...]` begins with this stamp. */
export function hasStamp(
  value: Uint8Array | undefined,
  start: number,
  number: number,
  generation: number,
): value is Uint8Array {
  return value !== undefined && value[start] === (number & 0xff) &&
    value[start + 1] === ((number >>> 8) & 0xff) &&
    value[start + 2] === ((number >>> 16) & 0xff) &&
    value[start + 3] === number >>> 24 &&
    value[start + 4] === (generation & 0xff);
}

function writeValue(into: Uint8Array, number: number, generation: number) {
  into.set(templateOf(number));
  writeStamp(into, number, generation);
}

/** The key with this number, below 2^32, in a buffer that the next call overwrites. */
export function keyOf(number: number): Uint8Array {
  writeDigits(keyBuffer, number);
  return keyBuffer;
}

/** The value of a key number, in a place that is used again 4096 calls later. */
export function valueOf(number: number, generation: number): Uint8Array {
  valuePlace = (valuePlace + 1) & (VALUE_PLACES - 1);
  const value = valuePlaces[valuePlace] ?? NO_TEMPLATE;
  writeValue(value, number, generation);
  return value;
}

/** 100 KB of random bytes that begin with a key number, in a place that is used again 64 calls later. */
export function largeValueOf(number: number): Uint8Array {
  if (largePlaces === undefined) {
    largePlaces = makePlaces(LARGE_VALUE_PLACES, LARGE_VALUE_BYTES);
    const random = new Random(302);
    for (const place of largePlaces) {
      for (let i = 0; i < place.length; i++) place[i] = random.below(256);
    }
  }
  largePlace = (largePlace + 1) & (LARGE_VALUE_PLACES - 1);
  const value = largePlaces[largePlace] ?? NO_TEMPLATE;
  new DataView(value.buffer, value.byteOffset).setUint32(0, number);
  return value;
}

let checks = 0;

/** Fails unless `value`, or `value[start, end)`, is what the key number was last given. */
export function checkValue(
  value: Uint8Array | undefined,
  number: number,
  generation: number,
  start = 0,
  end: number = endOf(value),
): void {
  if (
    end - start !== VALUE_BYTES || !hasStamp(value, start, number, generation)
  ) wrong(`value of key ${number}`, generation, value);
  if (!isFullCheckDue()) return;
  writeValue(expectedValue, number, generation);
  checkBytes(value, start, expectedValue, number, generation);
}

/** Whether this answer is the one in so many that is compared byte by byte. */
export function isFullCheckDue(): boolean {
  return ++checks % FULL_CHECK_EVERY === 0;
}

/** Fails unless a value with the right stamp has the right bytes behind it. */
export function checkBytes(
  value: Uint8Array,
  start: number,
  expected: Uint8Array,
  number: number,
  generation: number,
): void {
  for (let i = STAMP_BYTES; i < expected.length; i++) {
    if (value[start + i] !== expected[i]) {
      wrong(`value of key ${number}, byte ${i}`, generation, value);
    }
  }
}

/** Fails unless `value`, or `value[start, end)`, is of the key number, and one of two generations or in between. */
export function checkValueBetween(
  value: Uint8Array | undefined,
  number: number,
  first: number,
  last: number,
  start = 0,
  end: number = endOf(value),
): void {
  const found = value?.[start + STAMP_BYTES - 1] ?? 0;
  // One byte holds a generation: it is known but for multiples of 256.
  const behind = (found - first) & 0xff;
  const generation = behind <= last - first ? found : last & 0xff;
  checkValue(value, number, generation, start, end);
}

/** Fails unless `value` is the large one of this key number. */
export function checkLargeValue(
  value: Uint8Array | undefined,
  number: number,
): void {
  if (
    value?.length !== LARGE_VALUE_BYTES ||
    new DataView(value.buffer, value.byteOffset).getUint32(0) !== number
  ) wrong(`large value of key ${number}`, 1, value?.subarray(0, STAMP_BYTES));
}

/** Fails unless `key`, or `key[start, end)`, is the key with this number; `expected` is room for it. */
export function checkKey(
  key: Uint8Array,
  number: number,
  start = 0,
  end: number = key.length,
  expected: Uint8Array = expectedKey,
): void {
  if (end - start !== expected.length) wrong(`key ${number}`, 0, key);
  writeDigits(expected, number);
  for (let i = expected.length - 1; i >= 0; i--) {
    if (key[start + i] !== expected[i]) wrong(`key ${number}`, 0, key);
  }
}

/** Fails unless a key that is not there was not found. */
export function checkMissing(
  value: Uint8Array | undefined,
  number: number,
): void {
  if (value !== undefined) wrong(`missing key ${number}`, 0, value);
}

/** Fails unless a count is right. */
export function checkCount(what: string, found: number, expected: number) {
  if (found !== expected) {
    throw new Error(`wrong answer: ${what}: ${found}, not ${expected}`);
  }
}

/** Fails with what was found, or its beginning, in the place of what was right. */
export function wrong(
  what: string,
  generation: number,
  found: Uint8Array | undefined,
): never {
  const shown = found?.subarray(0, VALUE_BYTES);
  throw new Error(
    `wrong answer: ${what}, generation ${generation}: found ${
      shown === undefined ? "nothing" : shown.toHex?.() ?? shown.join(" ")
    }`,
  );
}
