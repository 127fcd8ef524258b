/**
 * Timers.
 *
 * @module
 */
import {
  clearInterval,
  clearTimeout,
  setInterval,
  setTimeout,
} from "node:timers";

/** Resolves after some milliseconds; the process stays alive until then. */
export function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, milliseconds);
  });
}

/** Calls `call` after some milliseconds, unless the process ends before. Returns what cancels it. */
export function later(milliseconds: number, call: () => void): () => void {
  const timer = setTimeout(call, milliseconds);
  timer.unref();
  return () => clearTimeout(timer);
}

/**
 * Calls `call` every `milliseconds`, until what is returned is called. Keeps
 * no process alive.
 *
 * Where the event loop is held up, calls are left out, not made up for.
 */
export function every(milliseconds: number, call: () => void): () => void {
  const timer = setInterval(call, milliseconds);
  timer.unref();
  return () => clearInterval(timer);
}
