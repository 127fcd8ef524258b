/**
 * Codecs: how keys and values of a program become bytes and come back.
 *
 * @module
 */
import { utf8Bytes } from "./encoding/bytes.ts";
import { invalid, VarveError } from "./errors.ts";

/**
 * Turns values of type `T` into bytes and back.
 *
 * A codec for keys must keep order (`a < b` as keys means `encode(a)` before
 * `encode(b)` as bytes) and say so with `ordered: true`.
 *
 * @example
 * ```ts
 * import { type Codec, open } from "@varve/db";
 *
 * const uint32: Codec<number> = {
 *   ordered: true,
 *   encode(value) {
 *     const bytes = new Uint8Array(4);
 *     new DataView(bytes.buffer).setUint32(0, value); // big-endian keeps order
 *     return bytes;
 *   },
 *   decode: (bytes) =>
 *     new DataView(bytes.buffer, bytes.byteOffset).getUint32(0),
 * };
 *
 * export const openSquares = (path: string) => open(path, { keys: uint32 });
 * ```
 */
export interface Codec<T> {
  /** The bytes of a value. They are copied before the call returns. */
  encode(value: T): Uint8Array;
  /** The value of bytes. They are the codec's to keep. */
  decode(bytes: Uint8Array): T;
  /** Whether the order of values is the order of their bytes. */
  readonly ordered?: boolean;
}

/** Bytes as they are; a string given is taken as UTF-8. The default. */
export const bytes: Codec<Uint8Array> = {
  ordered: true,
  encode: (value: Uint8Array): Uint8Array => value,
  decode: (encoded: Uint8Array): Uint8Array => encoded,
};

const strictDecoder = new TextDecoder("utf-8", {
  fatal: true,
  ignoreBOM: true,
});

/** Strings as UTF-8. Their order is that of code points. A lone surrogate is `INVALID_ARGUMENT`. */
export const utf8: Codec<string> = {
  ordered: true,
  encode(value: string): Uint8Array {
    if (typeof value !== "string" || !value.isWellFormed()) {
      throw invalid(
        `the utf8 codec takes strings without lone surrogates, not ${typeof value}`,
      );
    }
    return utf8Bytes(value);
  },
  decode(encoded: Uint8Array): string {
    return strictDecoder.decode(encoded);
  },
};

/**
 * Anything that JSON can hold, as UTF-8 text. For values only: JSON text does
 * not keep order.
 *
 * @returns A codec for values of type `T`; what JSON does not keep of a `T` is lost.
 */
export function json<T>(): Codec<T> {
  return {
    encode(value: T): Uint8Array {
      let text: string | undefined;
      try {
        text = JSON.stringify(value);
      } catch (cause) {
        throw new VarveError(
          "INVALID_ARGUMENT",
          `the json codec cannot encode the value: ${cause}`,
          { cause },
        );
      }
      if (text === undefined) {
        throw invalid(`the json codec cannot encode ${typeof value}`);
      }
      return utf8Bytes(text);
    },
    decode: (encoded: Uint8Array): T =>
      JSON.parse(strictDecoder.decode(encoded)),
  };
}
