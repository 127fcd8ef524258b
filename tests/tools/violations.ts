/**
 * Reports everything that breaks a rule, in full and one per line.
 *
 * @module
 */

import { fail } from "../assert.ts";

/** Fails with all of `violations`, unless there are none. */
export function assertNone(violations: readonly string[]): void {
  if (violations.length > 0) fail(`\n${violations.join("\n")}`);
}
