/**
 * The checksum of every file format: CRC-32 (ISO-HDLC, the one of zlib).
 *
 * It lives in `lib/runtime/` only because the fast one is the runtimes' own.
 *
 * @module
 */
import { crc32 } from "node:zlib";

/**
 * The CRC-32 of `bytes`, going on from `seed`.
 *
 * @param bytes What to sum up.
 * @param seed 0, or the checksum of what came before `bytes`.
 * @returns An unsigned 32-bit number.
 */
export function checksum(bytes: Uint8Array, seed: number): number {
  return crc32(bytes, seed);
}
