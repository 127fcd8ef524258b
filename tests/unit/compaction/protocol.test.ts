/** Errors between threads: the code and the words outlive the way. */
import { test } from "node:test";
import { errorOf, plainError } from "../../../lib/compaction/protocol.ts";
import { VarveError } from "../../../lib/errors.ts";
import { assertEquals, assertInstanceOf } from "../../assert.ts";

test("an error of the engine keeps code and message; any other is IO", () => {
  const cases: readonly [unknown, string, string][] = [
    [new VarveError("CORRUPTION", "damaged"), "CORRUPTION", "damaged"],
    [new TypeError("odd"), "IO", "odd"],
    ["only words", "IO", "only words"],
  ];
  for (const [error, code, message] of cases) {
    const plain = plainError(error);
    assertEquals(structuredClone(plain), { code, message } as typeof plain);
    const again = errorOf(plain);
    assertInstanceOf(again, VarveError);
    assertEquals([again.code, again.message], [code, message]);
  }
});
