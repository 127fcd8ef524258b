/**
 * Loaded before each test file on Deno: reports what no test catches.
 *
 * Deno's `node:test` keeps silent about an error while a file loads, about a
 * promise that is rejected and awaited by nobody, and about a throw in a timer.
 * Bun and Node fail on them; so does the runner, which looks for this line.
 *
 * @module
 */

import { UNCAUGHT } from "./counts.ts";

addEventListener("error", (event) => {
  console.error(UNCAUGHT, event.error ?? event.message);
});

addEventListener("unhandledrejection", (event) => {
  console.error(UNCAUGHT, event.reason);
});
