/**
 * Calls that come again and again, and keep no process alive.
 *
 * @module
 */
import { clearInterval, setInterval } from "node:timers";

/**
 * Calls `call` every `milliseconds`, until what is returned is called.
 *
 * Where the event loop is held up, calls are left out, not made up for.
 */
export function every(milliseconds: number, call: () => void): () => void {
  const timer = setInterval(call, milliseconds);
  timer.unref();
  return () => clearInterval(timer);
}
