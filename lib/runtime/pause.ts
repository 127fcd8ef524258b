/**
 * Giving way to the event loop, and timers.
 *
 * @module
 */
import { clearTimeout, setImmediate, setTimeout } from "node:timers";

/**
 * Lets the event loop run what is due, timers and I/O included, once.
 *
 * An immediate runs after the loop has polled for I/O, on every runtime. A
 * settled promise would not do: microtasks run before anything else does.
 */
export function pause(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

/** Resolves after some milliseconds; the process stays alive until then. */
export function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, milliseconds);
  });
}

/** Calls back after some milliseconds, unless the process ends before. Returns what cancels it. */
export function later(milliseconds: number, callback: () => void): () => void {
  const timer = setTimeout(callback, milliseconds);
  timer.unref();
  return () => clearTimeout(timer);
}
