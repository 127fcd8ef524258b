/**
 * Giving way to the event loop.
 *
 * @module
 */
import { setImmediate } from "node:timers";

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
