/** The manifests agree with each other, and the pinned versions are the same. */

import { test } from "node:test";
import {
  assert,
  assertEquals,
  assertGreater,
  assertMatch,
  assertStringIncludes,
} from "../assert.ts";
import { hasProjectFile, readProjectFile } from "../tools/project.ts";
import { PINNED } from "../tools/runtimes.ts";

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly license: string;
  readonly exports: Record<string, string>;
  readonly scripts?: Record<string, string>;
  readonly tasks?: Record<string, unknown>;
}

function readManifest(path: string): Manifest {
  return JSON.parse(readProjectFile(path));
}

const deno = readManifest("deno.json");

for (const path of ["jsr.json", "package.json"]) {
  test(`${path} agrees with deno.json`, () => {
    const { name, version, license, exports } = readManifest(path);
    assertEquals(
      { name, version, license, exports },
      {
        name: deno.name,
        version: deno.version,
        license: deno.license,
        exports: deno.exports,
      },
    );
  });
}

test("what is exported exists and the name is the package's", () => {
  assertEquals(deno.name, "@varve/db");
  assertMatch(deno.version, /^\d+\.\d+\.\d+$/);
  for (const target of Object.values(deno.exports)) {
    assertMatch(target, /^\.\//);
    assert(hasProjectFile(target), target);
  }
});

test("the changelog has a section for the version", () => {
  assertStringIncludes(
    readProjectFile("CHANGELOG.md"),
    `\n## [${deno.version}]`,
  );
});

test("every script of package.json runs a task with the pinned Deno", () => {
  const { scripts = {} } = readManifest("package.json");
  const tasks = Object.keys(deno.tasks ?? {});
  for (const [name, script] of Object.entries(scripts)) {
    assertEquals(script, `npx -y deno@${PINNED.deno} task ${name}`);
    assert(tasks.includes(name), name);
  }
  assert("test" in scripts);
});

test("nothing is installed: package.json has no dependencies", () => {
  const fields = Object.keys(readManifest("package.json"));
  assertEquals(fields.filter((field) => /dependencies$/i.test(field)), []);
});

test("what the benchmarks compare with is pinned, and apart from the package", () => {
  const manifest = JSON.parse(readProjectFile("bench/peers/package.json"));
  const { devDependencies, ...rest } = manifest;
  assertEquals(
    Object.keys(rest).filter((field) => /dependencies$/i.test(field)),
    [],
  );
  assertEquals(manifest.private, true);
  for (const version of Object.values<string>(devDependencies)) {
    assertMatch(version, /^\d+\.\d+\.\d+$/);
  }
});

test(".ci/run uses the pinned Deno only", () => {
  const used = [...readProjectFile(".ci/run").matchAll(/deno@([\w.-]+)/g)];
  assertGreater(used.length, 0);
  for (const [, version] of used) assertEquals(version, PINNED.deno);
});
