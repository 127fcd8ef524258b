/** The runner of the tests counts what ran and is green by nothing else. */

import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { describe, test } from "node:test";
import {
  assert,
  assertEquals,
  assertMatch,
  assertStringIncludes,
} from "../assert.ts";
import { withTempDir } from "../temp.ts";
import { countBun, countDeno, countNode, judge } from "../tools/counts.ts";
import { ROOT } from "../tools/project.ts";
import { isUsable, PINNED } from "../tools/runtimes.ts";

describe("countDeno()", () => {
  test("counts tests, not the groups around them", () => {
    const report = `<testsuites><testsuite>
      <testcase name="a &quot;b&quot; &lt; c" line="1"></testcase>
      <testcase name="group"><failure message="x">y</failure></testcase>
      <testcase name="skipped"><skipped/></testcase>
      <testcase name="group &gt; one"/>
      <testcase name="group &gt; inner"></testcase>
      <testcase name="group &gt; inner &gt; two"><failure>z</failure></testcase>
      <testcase name="cancelled"><error message="Cancelled"/></testcase>
      </testsuite></testsuites>`;
    assertEquals(countDeno(report), { passed: 2, failed: 2, skipped: 1 });
  });

  test("takes no report that is cut short", () => {
    assertEquals(countDeno('<testsuites><testcase name="a"/>'), undefined);
    assertEquals(countDeno(""), undefined);
  });
});

describe("countBun()", () => {
  test("reads the totals at the end, not what a test prints", () => {
    const output = "bun test\n\n 9 pass\n 9 fail\nRan 18 tests\n\n" +
      " 5 pass\n 2 skip\n 1 todo\n 3 fail\nRan 11 tests across 1 file. [5ms]\n";
    assertEquals(countBun(output), { passed: 5, failed: 3, skipped: 3 });
  });

  test("takes no output without totals", () => {
    assertEquals(countBun("bun test\n\nx.test.ts:\n"), undefined);
    assertEquals(countBun("\nRan away\n"), undefined);
  });
});

describe("countNode()", () => {
  const report = "# tests 15\n# pass 5\n# fail 1\n# cancelled 2\n" +
    "# skipped 3\n# todo 4\n";
  test("counts what was cancelled as failed", () => {
    assertEquals(countNode(report), { passed: 5, failed: 3, skipped: 7 });
  });

  test("takes no report that is cut short", () => {
    assertEquals(countNode(report.slice(0, -7)), undefined);
    assertEquals(countNode(""), undefined);
  });
});

test("judge() counts silence as a failure", () => {
  const counts = (passed: number, failed: number, skipped = 0) => ({
    passed,
    failed,
    skipped,
  });
  assertEquals(judge(undefined, true), counts(0, 1));
  assertEquals(judge(counts(0, 0), true), counts(0, 1));
  assertEquals(judge(counts(5, 0), false), counts(5, 1));
  assertEquals(judge(counts(5, 2), false), counts(5, 2));
  assertEquals(judge(counts(5, 0), true), counts(5, 0));
  assertEquals(judge(counts(0, 0, 1), true), counts(0, 0, 1));
});

test("isUsable() wants the pinned Bun, and Node from 24 on", () => {
  assert(isUsable("bun", PINNED.bun));
  assert(!isUsable("bun", "1.0.0"));
  assert(!isUsable("node", "22.20.0"));
  assert(isUsable("node", "24.0.0"));
  assert(isUsable("node", "100.1.2"));
});

describe("tests/run.ts", () => {
  // On the other runtimes there is no Deno to run it with.
  const skip = "deno" in process.versions ? false : "the runner runs on Deno";

  const runFiles = (files: Record<string, string>, ...args: string[]) =>
    withTempDir((dir) => {
      for (const [name, text] of Object.entries(files)) {
        const head = 'import { describe, test } from "node:test";\n';
        writeFileSync(join(dir, name), head + text);
      }
      const { stdout, status } = spawnSync(process.execPath, [
        "run",
        "-A",
        "--no-check",
        "tests/run.ts",
        `--dir=${dir}`,
        ...args,
      ], { cwd: ROOT, encoding: "utf8" });
      return { lines: stdout.trimEnd().split("\n"), stdout, status };
    });

  test("adds up what the runtimes report", { skip }, async () => {
    const { lines, status } = await runFiles({
      "a.test.ts": 'test("one", () => {});\n' +
        'describe("two", () => { test("three", () => {}); });\n',
      "b.test.ts": 'test("four", async () => {});\n' +
        'test("five", { skip: true }, () => {});\n',
      "not_a_test.ts": "throw new Error();",
    });
    assertEquals(lines.at(-1), "9 passed, 0 failed");
    for (const [index, name] of ["deno", "bun", "node"].entries()) {
      const line = lines.at(index - 5) ?? "";
      assert(line.startsWith(`${name} `), line);
      assertStringIncludes(line, " 3 passed, 0 failed, 1 skipped");
    }
    assertEquals(status, 0);
  });

  test("fails whatever way a file fails", { skip }, async () => {
    const files = {
      "assert.test.ts": 'test("a", () => { throw new Error("why"); });\n',
      "empty.test.ts": "describe;",
      "exit.test.ts": 'import process from "node:process";\n' +
        'test("a", () => {}); test("b", () => process.exit(0));\n',
      "float.test.ts":
        'test("a", () => void Promise.reject(new Error("float")));\n',
      "load.test.ts": 'test("a", () => {});\nthrow new Error("at load");\n',
    };
    const { lines, stdout, status } = await runFiles(files);
    for (const name of Object.keys(files)) {
      for (const runtime of ["deno", "bun ", "node"]) {
        assertMatch(stdout, new RegExp(`^FAIL ${runtime} .*/${name} `, "m"));
      }
    }
    assertStringIncludes(stdout, "why");
    assertMatch(lines.at(-1) ?? "", /^\d+ passed, 15 failed$/);
    assertEquals(status, 1);
  });

  test("ends a file that hangs", { skip }, async () => {
    const { lines, stdout, status } = await runFiles({
      "hang.test.ts": 'test("a", () => { for (;;); });\n',
    }, "--file-limit=2");
    assertMatch(stdout, /Killed after 2 s/);
    assertEquals(lines.at(-1), "0 passed, 3 failed");
    assertEquals(status, 1);
  });

  test(
    "a file that says that it leaves no combination open must not",
    { skip },
    async () => {
      const head = "/**\n * Combination: its own.\n */\n" +
        `import { openWith } from "${ROOT}/tests/open.ts";\n` +
        `import { memoryRuntime } from "${ROOT}/lib/runtime/memory.ts";\n`;
      const opening = (compaction: string) =>
        `test("a", async () => {
         const options = { compaction: ${compaction} };
         await (await openWith(memoryRuntime(), "/db", options)).close();
       });\n`;
      const own = '{ background: "off", strategy: "leveled" }';
      const { lines, stdout } = await runFiles({
        "own.test.ts": head + opening(own),
        "background.test.ts": head + opening('{ strategy: "leveled" }'),
        "strategy.test.ts": head + opening('{ background: "off" }'),
        "unmarked.test.ts": head.replace("Combination", "") + opening("{}"),
      }, "node");
      assertMatch(stdout, /^FAIL node .*\/background.test.ts /m);
      assertMatch(stdout, /^FAIL node .*\/strategy.test.ts /m);
      assertEquals(lines.at(-1), "2 passed, 2 failed");
    },
  );

  test("fails if nothing ran", { skip }, async () => {
    const { lines, stdout, status } = await runFiles({}, "node");
    assertMatch(stdout, /^node ran no test$/m);
    assertEquals(lines.at(-1), "0 passed, 1 failed");
    assertEquals(status, 1);
  });
});
