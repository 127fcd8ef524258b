/**
 * Opens databases for the tests of the engine: as the engine does, but where
 * compactions run and by which strategy may be set for a whole run.
 *
 * `VARVE_TEST_BACKGROUND` and `VARVE_TEST_STRATEGY` stand in for the options
 * `compaction.background` and `compaction.strategy` that a test leaves out. So
 * the same tests run in every combination; see `tests/run.ts`. What a test
 * sets itself stays as it is.
 *
 * @module
 */
import process from "node:process";
import { openWith as engineOpenWith } from "../lib/open.ts";
import type { Runtime } from "../lib/runtime/runtime.ts";
import { type Db, open as engineOpen, type Options } from "../mod.ts";

/** What stands in for options that a test leaves out. Wrong values are the engine's to refuse. */
const DEFAULTS: readonly (readonly [name: string, value: string])[] = [
  ["background", process.env.VARVE_TEST_BACKGROUND ?? ""],
  ["strategy", process.env.VARVE_TEST_STRATEGY ?? ""],
].flatMap(([name, value]) => value === "" ? [] : [[name, value]]);

const isPlain = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** The options with what stands in for those left out. Wrong options stay wrong in the same way. */
export function withTestDefaults<K, V>(
  options: Options<K, V> | undefined,
): Options<K, V> | undefined {
  if (DEFAULTS.length === 0) return options;
  const given: unknown = options === undefined ? {} : options;
  if (!isPlain(given)) return options;
  const { compaction = {} } = given;
  if (!isPlain(compaction)) return options;
  const merged = { ...compaction };
  for (const [name, value] of DEFAULTS) {
    if (merged[name] === undefined) merged[name] = value;
  }
  return { ...given, compaction: merged };
}

/** `open` of `mod.ts`. */
export function open<K = Uint8Array, V = Uint8Array>(
  path: string,
  options?: Options<K, V>,
): Promise<Db<K, V>> {
  return engineOpen(path, withTestDefaults(options));
}

/** `openWith` of `lib/open.ts`. */
export function openWith<K = Uint8Array, V = Uint8Array>(
  runtime: Runtime,
  path: string,
  options?: Options<K, V>,
): Promise<Db<K, V>> {
  return engineOpenWith(runtime, path, withTestDefaults(options));
}
