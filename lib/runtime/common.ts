/**
 * What is the same on Deno, Bun and Node: clocks, timers, threads.
 *
 * @module
 */
import { pause } from "./pause.ts";
import type { Runtime } from "./runtime.ts";
import { startWorker } from "./threads.ts";
import { every, later, sleep } from "./timers.ts";

/** The part of a runtime that does not depend on which it is. */
export const COMMON: Omit<Runtime, "name" | "files" | "slabResults"> = {
  wallClock: () => Date.now(),
  monotonicClock: () => performance.now(),
  pause,
  sleep,
  later,
  every,
  startWorker,
};
