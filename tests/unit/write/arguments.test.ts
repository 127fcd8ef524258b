/** Checks of what programs pass in. */
import { test } from "node:test";
import { type Codec, utf8 } from "../../../lib/codecs.ts";
import { MAX_KEY_LENGTH, MAX_VALUE_LENGTH } from "../../../lib/options.ts";
import {
  bytesOf,
  checkKey,
  checkRange,
  checkValue,
  durabilityOf,
} from "../../../lib/write/arguments.ts";
import {
  assertEquals,
  assertStrictEquals,
  assertStringIncludes,
} from "../../assert.ts";
import { throwsWith } from "../../engine/support/errors.ts";
import { toBytes } from "../support/entries.ts";

test("bytesOf() takes bytes and strings, and names what it refuses", () => {
  const bytes = toBytes("abc");
  assertStrictEquals(bytesOf(bytes, undefined, "key"), bytes);
  assertEquals(bytesOf("é", undefined, "key"), toBytes("\xc3\xa9"));
  const refused: [value: unknown, name: string][] = [
    [5, "number"],
    [undefined, "undefined"],
    [null, "null"],
    [true, "boolean"],
    [[1, 2], "Array"],
    [new ArrayBuffer(3), "ArrayBuffer"],
    [new Uint16Array(3), "Uint16Array"],
    [Object.create(null), "object"],
    [10n, "bigint"],
    [Symbol("s"), "symbol"],
  ];
  for (const [value, name] of refused) {
    const error = throwsWith(
      "INVALID_ARGUMENT",
      () => bytesOf(value, undefined, "key"),
    );
    assertStringIncludes(error.message, `key is ${name};`);
  }
});

test("bytesOf() with a codec takes what the codec makes, if it makes bytes", () => {
  assertEquals(bytesOf("abc", utf8, "key"), toBytes("abc"));
  // deno-lint-ignore no-explicit-any -- a codec of a program without types.
  const wrong: Codec<any> = { encode: (value: any) => value, decode: (b) => b };
  const error = throwsWith(
    "INVALID_ARGUMENT",
    () => bytesOf("abc", wrong, "value"),
  );
  assertStringIncludes(error.message, "the codec made string of value");
});

test("keys and values up to their greatest length, included", () => {
  checkKey(new Uint8Array(MAX_KEY_LENGTH));
  throwsWith(
    "INVALID_ARGUMENT",
    () => checkKey(new Uint8Array(MAX_KEY_LENGTH + 1)),
  );
  // Not 256 MiB in earnest: only the length is looked at.
  const ofLength = (length: number): Uint8Array =>
    Object.defineProperty(new Uint8Array(0), "length", { value: length });
  checkValue(ofLength(MAX_VALUE_LENGTH));
  throwsWith(
    "INVALID_ARGUMENT",
    () => checkValue(ofLength(MAX_VALUE_LENGTH + 1)),
  );
});

test("a range must hold a key", () => {
  checkRange(toBytes(""), toBytes("\0"));
  checkRange(toBytes("a"), toBytes("a\0"));
  for (const [start, end] of [["a", "a"], ["b", "a"], ["", ""], ["a\0", "a"]]) {
    throwsWith(
      "INVALID_ARGUMENT",
      () => checkRange(toBytes(start), toBytes(end)),
    );
  }
});

test("durabilityOf(): the option, else what the database says", () => {
  assertEquals(durabilityOf(undefined, "sync"), "sync");
  assertEquals(durabilityOf({}, "buffered"), "buffered");
  assertEquals(durabilityOf({ durability: "sync" }, "buffered"), "sync");
  assertEquals(durabilityOf({ durability: "buffered" }, "sync"), "buffered");
  // deno-lint-ignore no-explicit-any -- what a program without types may pass.
  const wrong: any[] = [
    { durability: "none" },
    { durability: 1 },
    null,
    5,
    "sync",
  ];
  for (const options of wrong) {
    throwsWith("INVALID_ARGUMENT", () => durabilityOf(options, "sync"));
  }
  const named: [durability: unknown, name: string][] = [
    [1, "number 1"],
    ["none", '"none"'],
    [null, "null"],
    [{}, "Object"],
    [() => {}, "function"],
  ];
  for (const [durability, name] of named) {
    // deno-lint-ignore no-explicit-any -- the same.
    const options: any = { durability };
    const { message } = throwsWith(
      "INVALID_ARGUMENT",
      () => durabilityOf(options, "sync"),
    );
    assertStringIncludes(message, `durability is ${name};`);
  }
});
