/**
 * What a worker does to the life of a process, and where it can be started.
 *
 * Combination: its own.
 */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { open } from "../../mod.ts";
import { assert, assertEquals, assertLess } from "../assert.ts";
import { withTempDir } from "../temp.ts";

const CHILD = fileURLToPath(
  new URL("./support/exit_child.ts", import.meta.url),
);
const IS_DENO = "Deno" in globalThis;
const IS_BUN = process.versions.bun !== undefined;

/** Runs a command; returns the last line that it printed, as JSON. */
function runChild(command: string, args: string[]): { background: string } {
  const start = performance.now();
  const { status, stdout, stderr } = spawnSync(command, args, {
    encoding: "utf8",
    timeout: 60_000,
    stdio: ["ignore", "pipe", "pipe"],
  });
  assertEquals(status, 0, stderr);
  assertLess(performance.now() - start, 30_000);
  return JSON.parse(stdout.trim().split("\n").at(-1) ?? "");
}

function runtimeArgs(script: string, permissions = ["-A"]): string[] {
  return IS_DENO ? ["run", "--no-check", ...permissions, script] : [script];
}

for (const way of ["open", "flushing", "flushed", "closed"]) {
  test(`a program that ends with its database ${way} ends, and loses nothing`, async () => {
    await withTempDir(async (dir) => {
      const { background } = runChild(process.execPath, [
        ...runtimeArgs(CHILD),
        dir,
        way,
      ]);
      assertEquals(background, way === "closed" ? "closed" : "worker");
      await using db = await open(dir);
      const entries = way === "flushing" ? 600 : 1000;
      assertEquals([...db.scan().keys()].length, entries);
    });
  });
}

test(
  "a program with permissions for the directory only needs no other for its worker",
  {
    skip: IS_DENO ? false : "only Deno has permissions",
  },
  async () => {
    await withTempDir((dir) => {
      const permissions = [
        `--allow-read=${dir}`,
        `--allow-write=${dir}`,
        "--no-prompt",
      ];
      const args = [...runtimeArgs(CHILD, permissions), dir, "flushed"];
      assertEquals(runChild(process.execPath, args).background, "worker");
    });
  },
);

test("a compiled program has a worker, wherever it is started", {
  skip: IS_BUN ? false : "this is how Bun compiles",
}, async () => {
  await withTempDir((dir) => {
    const program = join(dir, "program");
    const { status, stderr } = spawnSync(process.execPath, [
      "build",
      "--compile",
      CHILD,
      "--outfile",
      program,
    ], { encoding: "utf8" });
    assertEquals(status, 0, stderr);
    assertEquals(
      runChild(program, [join(dir, "data"), "flushed"]).background,
      "worker",
    );
  });
});

test("the worker's module does nothing when a program imports it", async () => {
  const module = await import("../../lib/worker.ts");
  assert(Object.keys(module).length === 0);
});
