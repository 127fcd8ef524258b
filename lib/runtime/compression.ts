/**
 * Zstandard (RFC 8878), as the runtimes have it built in.
 *
 * @module
 */
import * as zlib from "node:zlib";
import { VarveError } from "../errors.ts";

/** What of `node:zlib` is used; an older runtime may not have it. */
interface Zstandard {
  readonly zstdCompressSync?: (bytes: Uint8Array) => Uint8Array;
  readonly zstdDecompressSync?: (
    bytes: Uint8Array,
    options: { readonly maxOutputLength: number },
  ) => Uint8Array;
}

const { zstdCompressSync, zstdDecompressSync }: Zstandard = zlib;

/** Whether the runtime can compress. */
export const CAN_COMPRESS: boolean = zstdCompressSync !== undefined &&
  zstdDecompressSync !== undefined;

/** A frame that {@linkcode decompress} makes the bytes of again. */
export function compress(bytes: Uint8Array): Uint8Array {
  if (zstdCompressSync === undefined) throw missing();
  return zstdCompressSync(bytes);
}

/**
 * The bytes of a frame. Whoever calls says how many there are: one at least.
 *
 * @returns Those bytes; `undefined` if it is a frame of another length, or none.
 * @throws `RangeError` if there is no memory for them.
 */
export function decompress(
  frame: Uint8Array,
  length: number,
): Uint8Array | undefined {
  if (zstdDecompressSync === undefined) throw missing();
  try {
    // What ends too early is an error on some runtimes, and empty on others.
    const bytes = zstdDecompressSync(frame, { maxOutputLength: length });
    // A plain array: what the runtimes make is a Buffer.
    return bytes.length === length
      ? new Uint8Array(bytes.buffer, bytes.byteOffset, length)
      : undefined;
  } catch (error) {
    if (error instanceof RangeError && !isTooLong(error)) throw error;
    return undefined;
  }
}

/** Whether an error says that there are more bytes than were expected. */
function isTooLong(error: RangeError): boolean {
  return (error as { readonly code?: unknown }).code === "ERR_BUFFER_TOO_LARGE";
}

function missing(): VarveError {
  return new VarveError("IO", "this runtime has no Zstandard in node:zlib");
}
