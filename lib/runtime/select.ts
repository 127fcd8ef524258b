/**
 * Chooses the runtime that the program runs on.
 *
 * @module
 */
import type { Runtime } from "./runtime.ts";

let selected: Promise<Runtime> | undefined;

/**
 * The runtime of this process; the same one at every call.
 *
 * @throws If there is neither Deno, Bun nor Node.
 */
export function selectRuntime(): Promise<Runtime> {
  selected ??= loadRuntime();
  return selected;
}

/** Loads the one adapter that is needed. The imports are literal, for bundlers. */
async function loadRuntime(): Promise<Runtime> {
  // Deno and Bun also have what Node has, so they are asked for first.
  if ("Deno" in globalThis) return (await import("./deno.ts")).denoRuntime();
  if ("Bun" in globalThis) return (await import("./bun.ts")).bunRuntime();
  return (await import("./node.ts")).nodeRuntime();
}
