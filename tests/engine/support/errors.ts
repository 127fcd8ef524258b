/**
 * Assertions on the code of a {@linkcode VarveError}.
 *
 * @module
 */
import { type ErrorCode, VarveError } from "../../../mod.ts";
import { assertEquals, assertRejects, assertThrows } from "../../assert.ts";

/** The call must return a promise that rejects with this code; returns the error. */
export async function rejectsWith(
  code: ErrorCode,
  call: () => Promise<unknown>,
): Promise<VarveError> {
  const error = await assertRejects(call, VarveError);
  assertEquals(error.code, code, error.message);
  return error;
}

/** The call must throw, at once, with this code; returns the error. */
export function throwsWith(code: ErrorCode, call: () => unknown): VarveError {
  const error = assertThrows(call, VarveError);
  assertEquals(error.code, code, error.message);
  return error;
}
