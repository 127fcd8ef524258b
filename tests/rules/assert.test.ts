/** The assertions fail where they should: a check that cannot fail is none. */

import { describe, test } from "node:test";
import {
  assert,
  assertAlmostEquals,
  assertArrayIncludes,
  assertEquals,
  assertExists,
  assertFalse,
  assertGreater,
  assertGreaterOrEqual,
  assertInstanceOf,
  AssertionError,
  assertIsError,
  assertLess,
  assertLessOrEqual,
  assertMatch,
  assertNotEquals,
  assertNotInstanceOf,
  assertNotMatch,
  assertNotStrictEquals,
  assertObjectMatch,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
  fail,
  unreachable,
} from "../assert.ts";

const bytes = (...values: number[]) => Uint8Array.from(values);

/** The message of the assertion error with which `fn` must end. */
function complaint(fn: () => void): string {
  try {
    fn();
  } catch (error) {
    if (error instanceof AssertionError) return error.message;
    throw error;
  }
  throw new Error("the assertion did not fail");
}

describe("passes", () => {
  const cases: Record<string, () => void> = {
    assert: () => assert(1),
    assertFalse: () => assertFalse(""),
    "assertEquals of values": () =>
      assertEquals({ a: [1, "b"] }, {
        a: [1, "b"],
      }),
    "assertEquals of bytes": () => assertEquals(bytes(1, 2), bytes(1, 2)),
    "assertEquals of shared bytes": () => {
      const shared = new Uint8Array(new SharedArrayBuffer(2));
      assertEquals<Uint8Array>(shared, bytes(0, 0));
    },
    assertNotEquals: () => assertNotEquals(bytes(1), bytes(2)),
    assertStrictEquals: () => assertStrictEquals(NaN, NaN),
    assertNotStrictEquals: () => assertNotStrictEquals({}, {}),
    assertExists: () => assertExists(0),
    assertInstanceOf: () => assertInstanceOf(new TypeError(), Error),
    assertNotInstanceOf: () => assertNotInstanceOf({}, Map),
    assertIsError: () => assertIsError(new TypeError("abc"), TypeError, "b"),
    assertMatch: () => assertMatch("abc", /b/),
    assertNotMatch: () => assertNotMatch("abc", /d/),
    assertStringIncludes: () => assertStringIncludes("abc", "bc"),
    assertArrayIncludes: () => assertArrayIncludes([[1], [2]], [[2]]),
    assertObjectMatch: () =>
      assertObjectMatch({ a: { b: 1, c: 2 } }, { a: { b: 1 } }),
    assertAlmostEquals: () => assertAlmostEquals(0.1 + 0.2, 0.3),
    assertGreater: () => assertGreater(2, 1),
    assertGreaterOrEqual: () => assertGreaterOrEqual(2n, 2n),
    assertLess: () => assertLess("a", "b"),
    assertLessOrEqual: () => assertLessOrEqual(1, 1),
  };
  for (const [name, fn] of Object.entries(cases)) test(name, fn);
});

describe("fails", () => {
  const cases: Record<string, () => void> = {
    assert: () => assert(0),
    assertFalse: () => assertFalse("x"),
    "assertEquals of values": () => assertEquals({ a: 1 }, { a: 2 }),
    "assertEquals of an undefined property": () =>
      assertEquals<unknown>({ a: undefined }, {}),
    "assertEquals of a longer list": () => assertEquals([1, 2], [1]),
    "assertEquals of classes": () =>
      assertEquals<Uint8Array>(new Uint8ClampedArray(1) as never, bytes(0)),
    assertNotEquals: () => assertNotEquals([1], [1]),
    assertStrictEquals: () => assertStrictEquals({}, {}),
    assertNotStrictEquals: () => assertNotStrictEquals(1, 1),
    "assertExists of undefined": () => assertExists(undefined),
    "assertExists of null": () => assertExists(null),
    assertInstanceOf: () => assertInstanceOf(new Error(), TypeError),
    assertNotInstanceOf: () => assertNotInstanceOf(new Map(), Map),
    "assertIsError of another class": () =>
      assertIsError(new Error("abc"), TypeError),
    "assertIsError of another message": () =>
      assertIsError(new Error("abc"), Error, "d"),
    "assertIsError of no error": () => assertIsError("abc"),
    assertMatch: () => assertMatch("abc", /d/),
    assertNotMatch: () => assertNotMatch("abc", /b/),
    assertStringIncludes: () => assertStringIncludes("abc", "d"),
    assertArrayIncludes: () => assertArrayIncludes([[1]], [[2]]),
    assertObjectMatch: () => assertObjectMatch({ a: 1 }, { b: undefined }),
    assertAlmostEquals: () => assertAlmostEquals(1, 1.001),
    assertGreater: () => assertGreater(1, 1),
    assertGreaterOrEqual: () => assertGreaterOrEqual(1, 2),
    assertLess: () => assertLess(1, 1),
    assertLessOrEqual: () => assertLessOrEqual(NaN, 1),
    "assertThrows without a throw": () => void assertThrows(() => {}),
    "assertThrows of another class": () =>
      void assertThrows(() => {
        throw new Error("abc");
      }, TypeError),
    "assertThrows of another message": () =>
      void assertThrows(
        () => {
          throw new Error("abc");
        },
        Error,
        "d",
      ),
    fail: () => fail(),
    unreachable: () => unreachable(),
  };
  for (const [name, fn] of Object.entries(cases)) {
    test(name, () => assertGreater(complaint(fn).length, 0));
  }
});

describe("assertRejects", () => {
  const rejection = async (fn: () => Promise<unknown>) => {
    try {
      await fn();
    } catch (error) {
      return error;
    }
    return undefined;
  };

  test("gives the error", async () => {
    const error = new TypeError("abc");
    const given = await assertRejects(
      () => Promise.reject(error),
      TypeError,
      "b",
    );
    assertStrictEquals(given, error);
  });

  const wrong: Record<string, () => Promise<unknown>> = {
    "a promise that resolves": () => assertRejects(() => Promise.resolve()),
    "another class": () =>
      assertRejects(() => Promise.reject(new Error("abc")), TypeError),
    "another message": () =>
      assertRejects(() => Promise.reject(new Error("abc")), Error, "d"),
    "a throw instead of a rejection": () =>
      assertRejects(() => {
        throw new Error("abc");
      }, Error),
  };
  for (const [name, fn] of Object.entries(wrong)) {
    test(`fails on ${name}`, async () => {
      assertInstanceOf(await rejection(fn), AssertionError);
    });
  }
});

test("assertThrows() gives what was thrown", () => {
  const error = new RangeError("abc");
  const thrown = assertThrows(
    () => {
      throw error;
    },
    RangeError,
    /^a/,
  );
  assertStrictEquals(thrown, error);
});

test("a difference in bytes is named by its offset, however deep", () => {
  const long = new Uint8Array(100_000);
  const other = long.slice();
  other[70_000] = 0xab;
  const message = complaint(() => assertEquals([[long]], [[other]], "page"));
  assertStringIncludes(message, "at [0]: at [0]: ");
  assertStringIncludes(message, "from offset 70000, actual 00 00");
  assertStringIncludes(message, "expected ab 00");
  assertMatch(message, /: page$/);
  assertLess(message.length, 500);
});
