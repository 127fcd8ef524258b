/** The architecture's import rules hold, and their checker sees violations. */

import { describe, test } from "node:test";
import { assert, assertEquals, assertGreater } from "../assert.ts";
import { checkSources, type Sources, tierOf } from "../tools/import_rules.ts";
import { listSources, readProjectFile } from "../tools/project.ts";
import { findImports, lex } from "../tools/source.ts";
import { assertNone } from "../tools/violations.ts";

/** What the checker says of made-up files, each begun with a comment. */
function complaints(files: Record<string, string>): string[] {
  const sources: Sources = new Map(
    Object.entries(files).map(([file, text]) => [file, `/** x */\n${text}`]),
  );
  return checkSources(sources).map(({ file, line, what }) =>
    `${file}:${line} ${what}`
  );
}

test("the library keeps the import rules", () => {
  const sources: Sources = new Map(
    listSources().map((file) => [file, readProjectFile(file)]),
  );
  assertGreater(sources.size, 0);
  const violations = checkSources(sources).map(({ file, line, what }) =>
    `${file}:${line} ${what}`
  );
  assertNone(violations);
});

test("every source of the library is found", () => {
  const sources = listSources();
  assert(sources.includes("lib/errors.ts"));
  assert(sources.includes("lib/runtime/runtime.ts"));
});

describe("the checker finds", () => {
  const empty = "";
  const cases: [string, Record<string, string>, string[]][] = [
    [
      "an import upwards",
      {
        "lib/wal/writer.ts": 'import { x } from "../version/edit.ts";',
        "lib/version/edit.ts": empty,
      },
      [
        "lib/wal/writer.ts:2 imports upwards: " +
        "lib/version/edit.ts (tier 3 from 2)",
      ],
    ],
    [
      "an import of a type upwards",
      {
        "lib/errors.ts": 'import type { X } from "./db.ts";',
        "lib/db.ts": empty,
      },
      ["lib/errors.ts:2 imports upwards: lib/db.ts (tier 6 from 0)"],
    ],
    [
      "a re-export upwards, over several lines",
      {
        "lib/read/get.ts": 'export {\n  a,\n  b,\n} from "../write/batch.ts";',
        "lib/write/batch.ts": empty,
      },
      ["lib/read/get.ts:2 imports upwards: lib/write/batch.ts (tier 5 from 4)"],
    ],
    [
      "a star re-export upwards",
      { "lib/db.ts": 'export * from "../mod.ts";', "mod.ts": empty },
      ["lib/db.ts:2 imports upwards: mod.ts (tier 7 from 6)"],
    ],
    [
      "a dynamic import upwards",
      {
        "lib/cache/block.ts": 'const m = await import("../open.ts");',
        "lib/open.ts": empty,
      },
      ["lib/cache/block.ts:2 imports upwards: lib/open.ts (tier 6 from 2)"],
    ],
    [
      "an import for its effects upwards",
      { "lib/types.ts": 'import "./open.ts";', "lib/open.ts": empty },
      ["lib/types.ts:2 imports upwards: lib/open.ts (tier 6 from 0)"],
    ],
    [
      "a dynamic import of what is computed",
      { "lib/db.ts": "await import(name);" },
      ["lib/db.ts:2 imports what is not a plain string"],
    ],
    [
      "an import of a file that is not there",
      { "lib/db.ts": 'import "./gone.ts";' },
      ['lib/db.ts:2 imports "./gone.ts", which is no file of the library'],
    ],
    [
      "a built-in module outside the runtime folder",
      { "lib/wal/reader.ts": 'import { openSync } from "node:fs";' },
      [
        'lib/wal/reader.ts:2 imports "node:fs", which is not a relative path',
      ],
    ],
    [
      "a package in the runtime folder",
      { "lib/runtime/node.ts": 'import lmdb from "npm:lmdb";' },
      [
        'lib/runtime/node.ts:2 imports "npm:lmdb", ' +
        "which is neither relative nor a built-in",
      ],
    ],
    [
      "a circle of two",
      {
        "lib/read/a.ts": 'import { b } from "./b.ts";',
        "lib/read/b.ts": 'export { a } from "./a.ts";',
      },
      [
        "lib/read/a.ts:1 imports in a circle: " +
        "lib/read/a.ts -> lib/read/b.ts -> lib/read/a.ts",
      ],
    ],
    [
      "a circle with an inline type import, which stays an import",
      {
        "lib/read/a.ts": 'import { type B } from "./b.ts";',
        "lib/read/b.ts": 'import { a } from "./a.ts";',
      },
      [
        "lib/read/a.ts:1 imports in a circle: " +
        "lib/read/a.ts -> lib/read/b.ts -> lib/read/a.ts",
      ],
    ],
    [
      "a file in no tier",
      { "lib/utils/misc.ts": empty },
      ["lib/utils/misc.ts:1 belongs to no tier"],
    ],
    [
      "waiting in a pure file",
      {
        "lib/compaction/elision.ts":
          "export async function f() {\n await 1;\n}",
      },
      [
        "lib/compaction/elision.ts:2 uses async",
        "lib/compaction/elision.ts:3 uses await",
      ],
    ],
    [
      "a runtime in a pure file",
      {
        "lib/compaction/merge_stream.ts":
          'import { r } from "../runtime/select.ts";',
        "lib/runtime/select.ts": empty,
      },
      [
        "lib/compaction/merge_stream.ts:2 is pure, " +
        "yet imports lib/runtime/select.ts",
      ],
    ],
  ];
  for (const [name, files, expected] of cases) {
    test(name, () => assertEquals(complaints(files), expected));
  }

  const uses: [string, string][] = [
    ["Deno", "Deno.openSync(path)"],
    ["Deno", "globalThis.Deno"],
    ["Bun", "typeof Bun"],
    ["process", "x = process.pid"],
    ["process", "`${process.pid}`"],
    ["performance", "performance.now()"],
    ["crypto", "globalThis.crypto.randomUUID()"],
    ["setTimeout", "setTimeout(f, 1)"],
    ["setTimeout", "globalThis . setTimeout(f, 1)"],
    ["setInterval", "const s = setInterval;"],
    ["setImmediate", "setImmediate(f)"],
    ["navigator", "navigator.hardwareConcurrency"],
    ["Date.now", "f(Date.now())"],
    ["new Date", "new Date()"],
    ["Math.random", "Math\n.random()"],
    ["new Worker", "new Worker(url)"],
  ];
  for (const [name, code] of uses) {
    test(`${code.replace("\n", " ")} outside the runtime folder`, () => {
      assertEquals(complaints({ "lib/write/queue.ts": code }), [
        `lib/write/queue.ts:2 uses ${name}`,
      ]);
      assertEquals(complaints({ "lib/runtime/deno.ts": code }), []);
    });
  }

  test("a file that does not begin with a comment", () => {
    const bare: Sources = new Map([["lib/db.ts", "export {};\n/** late */"]]);
    assertEquals(checkSources(bare).map(({ what }) => what), [
      "does not begin with a comment",
    ]);
  });
});

describe("the checker lets pass", () => {
  const cases: [string, Record<string, string>][] = [
    [
      "imports sideways and downwards",
      {
        "mod.ts": 'export { open } from "./lib/open.ts";',
        "lib/open.ts": 'import { Db } from "./db.ts";',
        "lib/db.ts": 'import type { T } from "./types.ts";',
        "lib/types.ts": "",
      },
    ],
    [
      "a circle of types",
      {
        "lib/read/a.ts": 'import type { B } from "./b.ts";',
        "lib/read/b.ts": 'import { a } from "./a.ts";',
      },
    ],
    [
      "built-in modules in the runtime folder",
      {
        "lib/runtime/bun.ts": 'import "node:fs";\nimport "bun:ffi";',
      },
    ],
    [
      "names in comments, strings, templates and regular expressions",
      {
        "lib/wal/format.ts": [
          "// Deno, Bun, process, performance",
          "/* new Date() import('node:fs') */",
          "const a = \"Deno.cwd() from 'x'\";",
          "const b = 'it\\'s Math.random()';",
          "const c = `Date.now() ${a} setTimeout`;",
          "const d = /Bun[\"'`]/.test(a) ? 1 / 2 : 3 / 4;",
        ].join("\n"),
      },
    ],
    [
      "members and keys that are called like a global",
      {
        "lib/read/get.ts":
          "clock.performance.now(); this.process(1); ({ crypto: 1 }); " +
          "type A = { process?: number }; reprocess(); queueMicrotask(f);",
      },
    ],
    [
      "waiting in a file that is not pure",
      { "lib/compaction/job.ts": "export async function f() { await 1; }" },
    ],
  ];
  for (const [name, files] of cases) {
    test(name, () => assertEquals(complaints(files), []));
  }
});

test("lex() keeps the length and lines of the source", () => {
  const text = "a /* b\nc */ + `d${e /* f */}g` // h\n + 'i\\'' / j / k;\n";
  const { code } = lex(text);
  assertEquals(code.length, text.length);
  assertEquals(
    code,
    "a     \n     + ` ${e        } `     \n + '   ' / j / k;\n",
  );
});

test("findImports() finds each kind with its line", () => {
  const text = [
    'import a from "./a.ts";',
    'import type { B } from "./b.ts";',
    'export * as c from "./c.ts";',
    'export type { D } from "./d.ts";',
    'import "./e.ts";',
    'const f = import("./f.ts");',
    'import type from "./g.ts";',
    'type H = import("./h.ts").H;',
    "const i = import.meta.url;",
  ].join("\n");
  assertEquals(
    findImports(lex(text)).map(({ kind, target, line }) =>
      `${line} ${kind} ${target}`
    ),
    [
      "1 import ./a.ts",
      "2 type ./b.ts",
      "3 export ./c.ts",
      "4 type ./d.ts",
      "5 import ./e.ts",
      "6 dynamic ./f.ts",
      "7 import ./g.ts",
      "8 dynamic ./h.ts",
    ],
  );
});

test("tierOf() orders the folders as the architecture does", () => {
  const order = [
    "lib/encoding/varint.ts",
    "lib/runtime/deno.ts",
    "lib/wal/reader.ts",
    "lib/version/edit.ts",
    "lib/compaction/job.ts",
    "lib/write/batch.ts",
    "lib/db.ts",
    "mod.ts",
  ];
  assertEquals(order.map(tierOf), [0, 1, 2, 3, 4, 5, 6, 7]);
  assertEquals(tierOf("lib/other.ts"), -1);
});
