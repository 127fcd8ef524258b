/**
 * What is fuzzed, and what every case of it must keep to.
 *
 * A case is a target and a seed, and nothing else: it is run again by these
 * two. It throws if the target did what it must not.
 *
 * @module
 */
import { type ErrorCode, VarveError } from "../../../mod.ts";
import type { Random } from "../../engine/support/random.ts";
import { endLimit, setLimit } from "./allocations.ts";

/** Something that decodes bytes. */
export interface Target {
  /** Its name on the command line. */
  readonly name: string;
  /** Makes an input and decodes it; throws if what came of it is wrong. */
  run(random: Random): void | Promise<void>;
}

/** How large a buffer may be beside what is decoded. */
const ALLOWANCE = 64 * 1024;
const MULTIPLE = 8;

/** What a decoder came to. */
export type Outcome<T> = { readonly value: T } | { readonly refused: string };

/**
 * Decodes `inputLength` bytes: the value, or that it was refused with
 * `CORRUPTION`. Every other error, and a buffer that is too large, is thrown.
 */
export function decode<T>(inputLength: number, call: () => T): Outcome<T> {
  setLimit(ALLOWANCE + MULTIPLE * inputLength);
  try {
    return { value: call() };
  } catch (error) {
    return { refused: refusalOf(error, ["CORRUPTION"]) };
  } finally {
    endLimit();
  }
}

/** The message of a {@linkcode VarveError} with one of these codes; throws any other error. */
export function refusalOf(error: unknown, codes: readonly ErrorCode[]): string {
  if (!(error instanceof VarveError)) {
    throw new Error(`not a VarveError: ${error}`, { cause: error });
  }
  if (!codes.includes(error.code)) {
    throw new Error(`not ${codes}: ${error.code}, ${error.message}`, {
      cause: error,
    });
  }
  return error.message;
}

/** `bytes` with foreign ones around: what is read beyond them changes the outcome. */
export function surrounded(
  bytes: Uint8Array,
  fill: number,
): { readonly bytes: Uint8Array; readonly start: number } {
  const start = SURROUND;
  const whole = new Uint8Array(bytes.length + 2 * SURROUND).fill(fill);
  whole.set(bytes, start);
  return { bytes: whole, start };
}

const SURROUND = 300;
/** What lies around an input: each must give the same outcome. */
export const FILLS: readonly number[] = [0x00, 0x41, 0xff];
