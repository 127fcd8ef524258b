/**
 * The documentation tells the truth: its programs type-check against `mod.ts`
 * and its links lead somewhere.
 *
 * A program is a block marked `ts`, in a Markdown file or in a JSDoc comment.
 * In Markdown, a block without an import goes on with the one before it.
 */

import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join, posix } from "node:path";
import process from "node:process";
import { describe, test } from "node:test";
import { pathToFileURL } from "node:url";
import { assert, assertEquals, assertGreater, assertMatch } from "../assert.ts";
import { withTempDir } from "../temp.ts";
import {
  findAnchors,
  findExamples,
  findLinks,
  findPrograms,
} from "../tools/markdown.ts";
import {
  hasProjectFile,
  listFiles,
  listSources,
  readProjectFile,
  ROOT,
} from "../tools/project.ts";
import { assertNone } from "../tools/violations.ts";

/** Only Deno checks types; on the other runtimes it need not be done again. */
const DENO = "deno" in process.versions ? process.execPath : undefined;
const skip = DENO === undefined ? "types are checked on Deno" : false;

const MOD_URL = pathToFileURL(join(ROOT, "mod.ts")).href;

function listDocs(): string[] {
  const inDocs = hasProjectFile("docs") ? listFiles("docs") : [];
  return ["README.md", "CHANGELOG.md", ...inDocs].filter((path) =>
    path.endsWith(".md") && hasProjectFile(path)
  );
}

/** Type-checks programs, given by name; gives what the checker says. */
function checkPrograms(
  programs: ReadonlyMap<string, string>,
  mod: string = MOD_URL,
): Promise<string[]> {
  return withTempDir((dir) => {
    const config = {
      imports: { "@varve/db": mod, "jsr:@varve/db": mod },
      compilerOptions: { strict: true },
      lock: false,
    };
    writeFileSync(join(dir, "deno.json"), JSON.stringify(config));
    for (const [name, text] of programs) {
      const path = join(dir, name);
      mkdirSync(dirname(path), { recursive: true });
      // The export makes it a module, so that names do not clash.
      writeFileSync(path, `${text}export {};\n`);
    }
    const { stdout, stderr, status } = spawnSync(
      DENO ?? "deno",
      ["check", "--quiet", ...programs.keys()],
      { cwd: dir, encoding: "utf8", env: { ...process.env, NO_COLOR: "1" } },
    );
    return status === 0 ? [] : [`${stdout}${stderr}` || "deno check failed"];
  });
}

function nameAll(path: string, texts: string[]): [string, string][] {
  return texts.map((text, index) => [`${path}.${index + 1}.ts`, text]);
}

test("the programs in Markdown and JSDoc type-check", { skip }, async () => {
  const programs = new Map([
    ...listDocs().flatMap((path) =>
      nameAll(path, findPrograms(readProjectFile(path)))
    ),
    ...listSources().flatMap((path) =>
      nameAll(path, findExamples(readProjectFile(path)))
    ),
  ]);
  assertGreater(programs.size, 0);
  assertNone(await checkPrograms(programs));
});

test("the check of programs sees a wrong type", { skip }, async () => {
  const text = "Text\n```ts\nimport { a } from '@varve/db';\n```\nand\n" +
    "```ts\nconst b: string = a;\nconsole.log(b);\n```\n";
  const mod = (value: string) =>
    `data:application/typescript,export const a = ${value};`;
  const programs = new Map(nameAll("x.md", findPrograms(text)));
  assertEquals(programs.size, 1);
  assertNone(await checkPrograms(programs, mod("'text'")));
  const [complaint = ""] = await checkPrograms(programs, mod("1"));
  assertMatch(complaint, /'number' is not assignable to type 'string'/);
  assertMatch(complaint, /x\.md\.1\.ts:7:7/);
});

/** The links of a document that lead nowhere. */
function findBrokenLinks(
  path: string,
  text: string,
  read: (path: string) => string | undefined,
): string[] {
  return findLinks(text).flatMap(({ target, line }) => {
    if (/^[a-z][a-z+.-]*:/i.test(target)) return [];
    const [to = "", anchor] = target.split("#");
    const other = to === ""
      ? path
      : posix.normalize(posix.join(posix.dirname(path), decodeURI(to)));
    const found = other === path ? text : read(other);
    const broken = found === undefined ||
      (anchor !== undefined && other.endsWith(".md") &&
        !findAnchors(found).has(anchor));
    return broken ? [`${path}:${line} leads nowhere: ${target}`] : [];
  });
}

test("the links of the documentation lead somewhere", () => {
  const read = (path: string) => {
    if (path.startsWith("..") || !hasProjectFile(path)) return undefined;
    return path.endsWith(".md") ? readProjectFile(path) : "";
  };
  const docs = listDocs();
  assertGreater(docs.length, 0);
  const broken = docs.flatMap((path) =>
    findBrokenLinks(path, readProjectFile(path), read)
  );
  assertNone(broken);
});

describe("the check of links", () => {
  const read = (path: string) =>
    path === "docs/B.md" ? "# One `two`, three\n" : undefined;
  const cases: [string, string[]][] = [
    ["[b](docs/B.md) and [c](./docs/B.md#one-two-three)", []],
    ["[web](https://example.org/x) [here](#title)\n## Title", []],
    ["`[no](link.md)`\n```\n[no](link.md)\n```", []],
    ["x\n[b](docs/C.md)", ["README.md:2 leads nowhere: docs/C.md"]],
    ["[b](docs/B.md#two)", ["README.md:1 leads nowhere: docs/B.md#two"]],
    ["[here](#nowhere)", ["README.md:1 leads nowhere: #nowhere"]],
    ["![i](i.png 'x')\n\n[r]: r.md", ["README.md:3 leads nowhere: r.md"]],
    ['![i](i.png "x")', ["README.md:1 leads nowhere: i.png"]],
  ];
  for (const [text, expected] of cases) {
    test(JSON.stringify(text), () => {
      assertEquals(findBrokenLinks("README.md", text, read), expected);
    });
  }
});

test("findPrograms() keeps lines in place and begins anew at an import", () => {
  const text = "# T\n```ts\nimport 'a';\n```\n```sh\nls\n```\n" +
    "````ts\nb();\n````\n```ts\nimport 'c';\n```\n";
  const programs = findPrograms(text);
  assertEquals(programs.map((program) => program.split("\n")), [
    ["", "", "import 'a';", "", "", "", "", "", "b();", ""],
    ["", "", "", "", "", "", "", "", "", "", "", "import 'c';", ""],
  ]);
});

test("findExamples() takes each example of a JSDoc comment", () => {
  const source = [
    "const s = '/** ```ts no ``` */';",
    "/**",
    " * What.",
    " *",
    " * @example",
    " * ```ts",
    " * a();",
    " *   b * c;",
    " * ```",
    " */",
    "// ```ts",
    "  /** ```text",
    "   * d",
    "   */",
  ].join("\n");
  const examples = findExamples(source);
  assertEquals(examples.length, 1);
  assertEquals(examples[0]?.split("\n"), [
    ...["", "", "", "", "", ""],
    "a();",
    "  b * c;",
    "",
  ]);
  assert(!examples[0]?.includes("no"));
});
