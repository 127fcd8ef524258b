/**
 * Checks of what programs pass in.
 *
 * @module
 */
import type { Codec } from "../codecs.ts";
import { compareBytes, describeBytes, utf8Bytes } from "../encoding/bytes.ts";
import { describe, invalid, typeName } from "../errors.ts";
import { MAX_KEY_LENGTH, MAX_VALUE_LENGTH } from "../options.ts";
import type { Durability, WriteOptions } from "../types.ts";

/**
 * The same bytes as a plain array: `subarray` calls the constructor of the
 * array's class, and one of the program's own may do anything.
 */
function plain(bytes: Uint8Array): Uint8Array {
  return bytes.constructor === Uint8Array
    ? bytes
    : new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
}

/**
 * The bytes of a key or value. They may be the caller's own.
 *
 * @param what What it is, for the message.
 */
export function bytesOf(
  value: unknown,
  codec: Codec<never> | Codec<unknown> | undefined,
  what: string,
): Uint8Array {
  let encoded = value;
  if (codec !== undefined) encoded = (codec as Codec<unknown>).encode(value);
  else if (typeof value === "string") return utf8Bytes(value);
  if (encoded instanceof Uint8Array) return plain(encoded);
  throw invalid(
    codec === undefined
      ? `${what} is ${typeName(value)}; a Uint8Array or a string is accepted`
      : `the codec made ${typeName(encoded)} of ${what}, not a Uint8Array`,
  );
}

/** Throws unless the key is short enough; returns it. */
export function checkKey(key: Uint8Array): Uint8Array {
  if (key.length <= MAX_KEY_LENGTH) return key;
  throw invalid(
    `a key has ${key.length} bytes; at most ${MAX_KEY_LENGTH} are accepted`,
  );
}

/** Throws unless the value is short enough; returns it. */
export function checkValue(value: Uint8Array): Uint8Array {
  if (value.length <= MAX_VALUE_LENGTH) return value;
  throw invalid(
    `a value has ${value.length} bytes; at most ${MAX_VALUE_LENGTH} are accepted`,
  );
}

/** Throws unless start is before end. */
export function checkRange(start: Uint8Array, end: Uint8Array): void {
  if (compareBytes(start, end) < 0) return;
  throw invalid(
    `the range from "${describeBytes(start)}" to "${
      describeBytes(end)
    }" is empty; start must be before end`,
  );
}

/** The durability of one write. */
export function durabilityOf(
  options: WriteOptions | undefined,
  fallback: Durability,
): Durability {
  if (options === undefined) return fallback;
  if (typeof options !== "object" || options === null) {
    throw invalid(`write options are ${typeName(options)}, not an object`);
  }
  for (const name in options) {
    if (name !== "durability") {
      throw invalid(`${name} is no option of a write; durability is accepted`);
    }
  }
  const { durability } = options;
  if (durability === undefined) return fallback;
  if (durability === "sync" || durability === "buffered") return durability;
  throw invalid(
    `durability is ${describe(durability)}; "sync" and "buffered" are accepted`,
  );
}
