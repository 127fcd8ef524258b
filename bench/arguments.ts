/**
 * What the command lines of the benchmarks have in common.
 *
 * @module
 */
import { type RuntimeName, RUNTIMES } from "../tests/tools/runtimes.ts";

/** What is measured where nothing else is said. */
export const DEFAULT_RUNTIMES: readonly RuntimeName[] = ["deno", "bun"];

/** A whole number from 1, with or without `_` in it. */
export function wholeNumber(option: string, text: string): number {
  const number = Number(text.replaceAll("_", ""));
  if (Number.isSafeInteger(number) && number >= 1) return number;
  throw new Error(`${option} ${text}: a whole number from 1`);
}

/** One of some names. */
export function oneOf<T extends string>(
  option: string,
  names: readonly T[],
  text: string,
): T {
  const found = names.find((name) => name === text);
  if (found !== undefined) return found;
  throw new Error(`${option} ${text}: one of ${names.join(", ")}`);
}

/** The runtimes that are asked for. */
export function runtimesOf(
  names: readonly string[] | undefined,
): readonly RuntimeName[] {
  return names?.map((name) => oneOf("--runtime", RUNTIMES, name)) ??
    DEFAULT_RUNTIMES;
}
