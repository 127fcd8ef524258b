/** The reader of coverage reports: what it adds up is what a bound is held against. */
import { test } from "node:test";
import { assertEquals, assertThrows } from "../assert.ts";
import { addCoverage, percent, readLcov } from "../tools/lcov.ts";

const REPORT = `SF:/x/lib/a.ts
FN:3,first
FN:9,second
FNDA:0,second
FNDA:4,first
FNF:2
FNH:1
BRDA:5,1,0,0
BRDA:5,1,1,7
BRDA:2,1,0,-
BRF:3
BRH:1
DA:3,4
LF:10
LH:9
end_of_record
SF:/x/lib/b.ts
FNF:0
FNH:0
BRF:1
BRH:1
LF:2
LH:2
end_of_record
`;

test("a report is read file by file, with what was not reached in the order of the lines", () => {
  const [a, b, ...rest] = readLcov(REPORT);
  assertEquals(rest, []);
  assertEquals([a.path, b.path], ["/x/lib/a.ts", "/x/lib/b.ts"]);
  assertEquals(a.branches, { found: 3, hit: 1 });
  assertEquals(a.functions, { found: 2, hit: 1 });
  assertEquals(a.lines, { found: 10, hit: 9 });
  assertEquals(a.unreached, [
    { line: 2, what: "branch" },
    { line: 5, what: "branch" },
    { line: 9, what: "function second" },
  ]);
  assertEquals(b.unreached, []);
});

test("files are added up by their counts, not by their shares", () => {
  const sum = addCoverage(readLcov(REPORT));
  assertEquals(sum.branches, { found: 4, hit: 2 });
  assertEquals(percent(sum.branches), 50);
  assertEquals(percent({ found: 0, hit: 0 }), 100);
});

test("a report without totals is refused, not taken for nothing to reach", () => {
  assertThrows(
    () => readLcov(REPORT.replace("BRF:3\n", "")),
    Error,
    "/x/lib/a.ts has no BRF",
  );
});
