/**
 * The assertions of every test: names and semantics of `@std/assert`, built on
 * `node:assert`, so that the same test file runs on Deno, Bun and Node.
 *
 * - Equality is `isDeepStrictEqual`: prototypes count (a `Buffer` never equals
 *   a `Uint8Array`), `undefined` properties count, `0` is not `-0`.
 * - Messages are cut to a readable length; two byte arrays that differ are
 *   reported by the first offset at which they do.
 *
 * @module
 */

import { AssertionError } from "node:assert";
import { inspect, isDeepStrictEqual } from "node:util";

export { AssertionError };

/** A constructor, abstract ones and ones with private arguments included. */
// deno-lint-ignore no-explicit-any -- no narrower type accepts every constructor.
type Constructor<T> = abstract new (...args: any[]) => T;

const SHOWN_CHARACTERS_MAX = 1_200;
const SHOWN_BYTES = 16;

function throwFailure(
  what: string,
  message: string | undefined,
  caller: unknown,
): never {
  throw new AssertionError({
    message: message === undefined ? what : `${what}: ${message}`,
    // The stack then starts at the test and not in this file.
    // deno-lint-ignore ban-types -- the option is declared as Function.
    stackStartFn: caller as Function,
  });
}

function show(value: unknown): string {
  const text = inspect(value, {
    depth: 6,
    maxArrayLength: 60,
    breakLength: 80,
  });
  if (text.length <= SHOWN_CHARACTERS_MAX) return text;
  return `${
    text.slice(0, SHOWN_CHARACTERS_MAX)
  }... (${text.length} characters)`;
}

function showBytes(bytes: Uint8Array, from: number): string {
  const part = Array.from(
    bytes.subarray(from, from + SHOWN_BYTES),
    (byte) => byte.toString(16).padStart(2, "0"),
  );
  return part.length === 0 ? "(end)" : part.join(" ");
}

/** Where and how two byte arrays differ. */
function explainBytes(actual: Uint8Array, expected: Uint8Array): string {
  const shorter = Math.min(actual.length, expected.length);
  let offset = 0;
  while (offset < shorter && actual[offset] === expected[offset]) offset++;
  return `${actual.constructor.name}(${actual.length}) is not ` +
    `${expected.constructor.name}(${expected.length}): from offset ${offset}, ` +
    `actual ${showBytes(actual, offset)}, ` +
    `expected ${showBytes(expected, offset)}`;
}

/** The first path at which two values differ, so that long lists stay readable. */
function explain(actual: unknown, expected: unknown): string {
  if (actual instanceof Uint8Array && expected instanceof Uint8Array) {
    return explainBytes(actual, expected);
  }
  if (Array.isArray(actual) && Array.isArray(expected)) {
    const length = Math.max(actual.length, expected.length);
    for (let i = 0; i < length; i++) {
      if (isDeepStrictEqual(actual[i], expected[i])) continue;
      const lengths = actual.length === expected.length
        ? ""
        : `lengths ${actual.length} and ${expected.length}; `;
      return `${lengths}at [${i}]: ${explain(actual[i], expected[i])}`;
    }
  }
  return `actual ${show(actual)}\nexpected ${show(expected)}`;
}

/** Asserts that `value` is truthy. */
export function assert(value: unknown, message?: string): asserts value {
  if (!value) throwFailure("Expected a truthy value", message, assert);
}

/** Asserts that `value` is falsy. */
export function assertFalse(value: unknown, message?: string): void {
  if (value) {
    throwFailure(
      `Expected a falsy value, got ${show(value)}`,
      message,
      assertFalse,
    );
  }
}

/** Asserts that both values are deeply equal, prototypes included. */
export function assertEquals<T>(
  actual: T,
  expected: T,
  message?: string,
): void {
  if (isDeepStrictEqual(actual, expected)) return;
  throwFailure(
    `Values are not equal: ${explain(actual, expected)}`,
    message,
    assertEquals,
  );
}

/** Asserts that both values are not deeply equal. */
export function assertNotEquals<T>(
  actual: T,
  expected: T,
  message?: string,
): void {
  if (!isDeepStrictEqual(actual, expected)) return;
  throwFailure(
    `Values are equal: ${show(actual)}`,
    message,
    assertNotEquals,
  );
}

/** Asserts that both are the same value (`Object.is`). */
export function assertStrictEquals<T>(
  actual: unknown,
  expected: T,
  message?: string,
): asserts actual is T {
  if (Object.is(actual, expected)) return;
  throwFailure(
    `Values are not the same: ${explain(actual, expected)}`,
    message,
    assertStrictEquals,
  );
}

/** Asserts that both are not the same value (`Object.is`). */
export function assertNotStrictEquals<T>(
  actual: T,
  expected: T,
  message?: string,
): void {
  if (!Object.is(actual, expected)) return;
  throwFailure(
    `Values are the same: ${show(actual)}`,
    message,
    assertNotStrictEquals,
  );
}

/** Asserts that `actual` is neither `undefined` nor `null`. */
export function assertExists<T>(
  actual: T,
  message?: string,
): asserts actual is NonNullable<T> {
  if (actual !== undefined && actual !== null) return;
  throwFailure(`Expected a value, got ${actual}`, message, assertExists);
}

/** Asserts that `actual` is an instance of `type`. */
export function assertInstanceOf<T>(
  actual: unknown,
  type: Constructor<T>,
  message?: string,
): asserts actual is T {
  if (actual instanceof type) return;
  throwFailure(
    `Expected an instance of ${type.name}, got ${show(actual)}`,
    message,
    assertInstanceOf,
  );
}

/** Asserts that `actual` is no instance of `type`. */
export function assertNotInstanceOf<T>(
  actual: unknown,
  type: Constructor<T>,
  message?: string,
): void {
  if (!(actual instanceof type)) return;
  throwFailure(
    `Expected no instance of ${type.name}, got ${show(actual)}`,
    message,
    assertNotInstanceOf,
  );
}

/** Asserts that `error` is an error of `type` whose message includes `part`. */
export function assertIsError<E extends Error = Error>(
  error: unknown,
  type?: Constructor<E>,
  part?: string | RegExp,
  message?: string,
): asserts error is E {
  if (!(error instanceof Error)) {
    throwFailure(
      `Expected an Error, got ${show(error)}`,
      message,
      assertIsError,
    );
  }
  if (type !== undefined && !(error instanceof type)) {
    throwFailure(
      `Expected an error of ${type.name}, got ${show(error)}`,
      message,
      assertIsError,
    );
  }
  if (part === undefined) return;
  const fits = typeof part === "string"
    ? error.message.includes(part)
    : part.test(error.message);
  if (!fits) {
    throwFailure(
      `Expected an error message with ${show(part)}, got ${
        show(error.message)
      }`,
      message,
      assertIsError,
    );
  }
}

/** Asserts that `actual` matches `pattern`. */
export function assertMatch(
  actual: string,
  pattern: RegExp,
  message?: string,
): void {
  if (pattern.test(actual)) return;
  throwFailure(
    `Expected ${show(actual)} to match ${pattern}`,
    message,
    assertMatch,
  );
}

/** Asserts that `actual` does not match `pattern`. */
export function assertNotMatch(
  actual: string,
  pattern: RegExp,
  message?: string,
): void {
  if (!pattern.test(actual)) return;
  throwFailure(
    `Expected ${show(actual)} not to match ${pattern}`,
    message,
    assertNotMatch,
  );
}

/** Asserts that `actual` contains `part`. */
export function assertStringIncludes(
  actual: string,
  part: string,
  message?: string,
): void {
  if (actual.includes(part)) return;
  throwFailure(
    `Expected ${show(actual)} to contain ${show(part)}`,
    message,
    assertStringIncludes,
  );
}

/** Asserts that every value of `expected` is, deeply equal, in `actual`. */
export function assertArrayIncludes<T>(
  actual: ArrayLike<T>,
  expected: ArrayLike<T>,
  message?: string,
): void {
  const have = Array.from(actual);
  const missing = Array.from(expected).filter((value) =>
    !have.some((other) => isDeepStrictEqual(value, other))
  );
  if (missing.length === 0) return;
  throwFailure(
    `Expected ${show(have)} to include ${show(missing)}`,
    message,
    assertArrayIncludes,
  );
}

/** Asserts that `actual` has at least the properties of `expected`, deeply. */
export function assertObjectMatch(
  actual: object,
  expected: object,
  message?: string,
): void {
  if (includesProperties(actual, expected)) return;
  throwFailure(
    `Expected ${show(actual)} to match ${show(expected)}`,
    message,
    assertObjectMatch,
  );
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null &&
    Object.getPrototypeOf(value) === Object.prototype;
}

function includesProperties(actual: object, expected: object): boolean {
  return Object.entries(expected).every(([name, want]) => {
    if (!(name in actual)) return false;
    const have: unknown = Reflect.get(actual, name);
    return isPlainObject(want) && typeof have === "object" && have !== null
      ? includesProperties(have, want)
      : isDeepStrictEqual(have, want);
  });
}

/** Asserts that two numbers differ by no more than `tolerance`. */
export function assertAlmostEquals(
  actual: number,
  expected: number,
  tolerance: number = 1e-7 * Math.max(Math.abs(expected), Number.MIN_VALUE),
  message?: string,
): void {
  if (Object.is(actual, expected)) return;
  if (Math.abs(actual - expected) <= tolerance) return;
  throwFailure(
    `Expected ${actual} within ${tolerance} of ${expected}`,
    message,
    assertAlmostEquals,
  );
}

/** Asserts `actual > expected`. */
export function assertGreater<T>(
  actual: T,
  expected: T,
  message?: string,
): void {
  if (actual > expected) return;
  throwFailure(
    `Expected ${show(actual)} > ${show(expected)}`,
    message,
    assertGreater,
  );
}

/** Asserts `actual >= expected`. */
export function assertGreaterOrEqual<T>(
  actual: T,
  expected: T,
  message?: string,
): void {
  if (actual >= expected) return;
  throwFailure(
    `Expected ${show(actual)} >= ${show(expected)}`,
    message,
    assertGreaterOrEqual,
  );
}

/** Asserts `actual < expected`. */
export function assertLess<T>(
  actual: T,
  expected: T,
  message?: string,
): void {
  if (actual < expected) return;
  throwFailure(
    `Expected ${show(actual)} < ${show(expected)}`,
    message,
    assertLess,
  );
}

/** Asserts `actual <= expected`. */
export function assertLessOrEqual<T>(
  actual: T,
  expected: T,
  message?: string,
): void {
  if (actual <= expected) return;
  throwFailure(
    `Expected ${show(actual)} <= ${show(expected)}`,
    message,
    assertLessOrEqual,
  );
}

/** Asserts that `fn` throws; returns what it threw. */
export function assertThrows(fn: () => unknown, message?: string): unknown;
/** Asserts that `fn` throws an error of `type` whose message includes `part`. */
export function assertThrows<E extends Error = Error>(
  fn: () => unknown,
  type: Constructor<E>,
  part?: string | RegExp,
  message?: string,
): E;
export function assertThrows<E extends Error = Error>(
  fn: () => unknown,
  typeOrMessage?: Constructor<E> | string,
  part?: string | RegExp,
  message?: string,
): unknown {
  const type = typeof typeOrMessage === "function" ? typeOrMessage : undefined;
  const said = typeof typeOrMessage === "string" ? typeOrMessage : message;
  let thrown: unknown;
  try {
    fn();
  } catch (error) {
    thrown = error;
    if (type !== undefined) assertIsError(error, type, part, said);
    return thrown;
  }
  return throwFailure("Expected the function to throw", said, assertThrows);
}

/** Asserts that `fn` gives a promise that rejects; resolves to the reason. */
export function assertRejects(
  fn: () => PromiseLike<unknown>,
  message?: string,
): Promise<unknown>;
/** Asserts that the promise of `fn` rejects with an error of `type`. */
export function assertRejects<E extends Error = Error>(
  fn: () => PromiseLike<unknown>,
  type: Constructor<E>,
  part?: string | RegExp,
  message?: string,
): Promise<E>;
export async function assertRejects<E extends Error = Error>(
  fn: () => PromiseLike<unknown>,
  typeOrMessage?: Constructor<E> | string,
  part?: string | RegExp,
  message?: string,
): Promise<unknown> {
  const type = typeof typeOrMessage === "function" ? typeOrMessage : undefined;
  const said = typeof typeOrMessage === "string" ? typeOrMessage : message;
  let promise: PromiseLike<unknown>;
  try {
    promise = fn();
  } catch (error) {
    // A synchronous throw is another behaviour than a rejection.
    return throwFailure(
      `Expected a rejection, but the function threw ${show(error)}`,
      said,
      assertRejects,
    );
  }
  if (typeof promise?.then !== "function") {
    throwFailure(
      `Expected a promise, got ${show(promise)}`,
      said,
      assertRejects,
    );
  }
  try {
    await promise;
  } catch (error) {
    if (type !== undefined) assertIsError(error, type, part, said);
    return error;
  }
  return throwFailure("Expected the promise to reject", said, assertRejects);
}

/** Fails at once. */
export function fail(message?: string): never {
  throwFailure("Failed", message, fail);
}

/** Fails because the test came where it must never come. */
export function unreachable(message?: string): never {
  throwFailure("Unreachable", message, unreachable);
}
