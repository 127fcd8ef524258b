/**
 * The project stands alone: none of its files names a place outside it, be it
 * a path of somebody's machine or the host of a package registry.
 */

import { describe, test } from "node:test";
import { assert, assertEquals, assertGreater } from "../assert.ts";
import { listProjectFiles, readProjectFile } from "../tools/project.ts";
import { assertNone } from "../tools/violations.ts";

/** Written in parts, because this file is a file of the project too. */
const OUTSIDE: readonly (readonly [string, RegExp])[] = [
  ["a neighbouring directory", new RegExp(["\\.\\.", "shared\\b"].join("/"))],
  ["a path of a workplace", absolute("work")],
  ["a path of a workplace", absolute("tmp", "tools")],
  ["a path of a workplace", absolute("tmp", "rc")],
  ["a path of a workplace", absolute("root")],
  ["a path of a home directory", absolute("(?:home|Users)", "\\w+")],
  ["a registry", host("npmjs", "(?:org|com)")],
  ["a registry", host("npmmirror", "com")],
  ["a registry", host("yarnpkg", "com")],
  ["a registry", host("jsr", "io")],
  ["a registry", host("deno", "land")],
  ["a registry", host("pkg", "github", "com")],
  ["a registry", host("unpkg", "com")],
  ["a registry", host("jsdelivr", "net")],
  ["a registry", host("esm", "sh")],
];

/** An absolute path that begins with these directories. */
function absolute(...parts: string[]): RegExp {
  return new RegExp(`(?<![\\w.*)\\]}/-])/${parts.join("/")}(?![\\w-])`);
}

/** A host, or a part of one. */
function host(...labels: string[]): RegExp {
  return new RegExp(`(?<![\\w-])${labels.join("\\.")}(?![\\w-])`, "i");
}

/** What a text says of places outside, with the line. */
function findOutside(text: string): string[] {
  return text.split("\n").flatMap((line, index) =>
    OUTSIDE.flatMap(([what, pattern]) => {
      const match = pattern.exec(line);
      return match === null ? [] : [`${index + 1} names ${what}: ${match[0]}`];
    })
  );
}

test("no file of the project names a place outside it", () => {
  const files = listProjectFiles();
  assertGreater(files.length, 0);
  assert(files.includes("deno.json"));
  const found = files.flatMap((file) =>
    findOutside(readProjectFile(file)).map((what) => `${file}:${what}`)
  );
  assertNone(found);
});

describe("the check finds", () => {
  const texts: [string, string][] = [
    ["see ../" + "shared/API.md", "a neighbouring directory"],
    ['"/' + 'work/main/x"', "a path of a workplace"],
    [". /" + "tmp/rc", "a path of a workplace"],
    ["PATH=/" + "tmp/tools/bin", "a path of a workplace"],
    ["at /" + "root/.npm", "a path of a workplace"],
    ["(/" + "home/ann/db)", "a path of a home directory"],
    ["https://registry.npm" + "js.org/bun", "a registry"],
    ["https://jsr" + ".io/@varve/db", "a registry"],
    ["from https://deno" + ".land/x/y", "a registry"],
  ];
  for (const [text, what] of texts) {
    test(text, () => {
      const found = findOutside(`first line\n${text}`);
      assertEquals(found.length, 1);
      assert(found[0]?.startsWith(`2 names ${what}`));
    });
  }
});

describe("the check lets pass", () => {
  const texts = [
    "shared memory, ./lib/shared, a/work/b, ./work/, /workers",
    "/tmp/example, /tmp/toolsmith, the path's root, /rooted",
    "`jsr:@varve/db`, npm, deno.json, Deno landed, isomorphic.io",
  ];
  for (const text of texts) {
    test(text, () => assertEquals(findOutside(text), []));
  }
});
