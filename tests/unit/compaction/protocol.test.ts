/** Errors between threads: the code and the words outlive the way. */
import { test } from "node:test";
import { DirectorySyncError } from "../../../lib/compaction/job.ts";
import { errorOf, plainError } from "../../../lib/compaction/protocol.ts";
import { VarveError } from "../../../lib/errors.ts";
import { assertEquals, assertInstanceOf } from "../../assert.ts";

test("an error of the engine keeps code and message, and whether it latches; any other is IO", () => {
  const cases: readonly [unknown, string, string, boolean][] = [
    [new VarveError("CORRUPTION", "damaged"), "CORRUPTION", "damaged", false],
    [new DirectorySyncError(new Error("lost")), "IO", "lost", true],
    [new TypeError("odd"), "IO", "odd", false],
    ["only words", "IO", "only words", false],
  ];
  for (const [error, code, message, isOfDirectory] of cases) {
    const plain = structuredClone(plainError(error));
    assertEquals(plain as unknown, { code, message, isOfDirectory });
    const again = errorOf(plain);
    assertInstanceOf(again, VarveError);
    assertEquals(again instanceof DirectorySyncError, isOfDirectory);
    assertEquals([again.code, again.message], [code, message]);
  }
});
