/**
 * One format for all: databases that each runtime wrote open on this one, with
 * the same contents, closed or killed.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import process from "node:process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { assertEquals } from "../assert.ts";
import { open } from "../open.ts";
import { withTempDir } from "../temp.ts";
import { assertHolds } from "../unit/support/contents.ts";
import { toBytes } from "../unit/support/entries.ts";
import { makeInMemory, RECIPES } from "../unit/support/recipes.ts";
import { LONG } from "./support/configs.ts";
import type { ModelRow } from "./support/model.ts";

const CHILD = fileURLToPath(
  new URL("../unit/support/recipes_child.ts", import.meta.url),
);

const THIS = "Deno" in globalThis
  ? "deno"
  : "Bun" in globalThis
  ? "bun"
  : "node";

/** The executable of a runtime; this one's is known without the runner. */
function pathOf(runtime: string): string | undefined {
  const named = process.env[`VARVE_${runtime.toUpperCase()}`];
  return named ?? (runtime === THIS ? process.execPath : undefined);
}

/** Lets a runtime follow all recipes in `base`. */
function writeWith(runtime: string, path: string, base: string): void {
  const flags = runtime === "deno" ? ["run", "--no-check", "-A"] : [];
  const { status, stdout, stderr } = spawnSync(path, [...flags, CHILD, base], {
    encoding: "utf8",
  });
  assertEquals([status, stdout], [0, "done\n"], stderr);
}

for (const runtime of ["deno", "bun", "node"]) {
  const path = pathOf(runtime);
  const reason = `the runner gave no VARVE_${runtime.toUpperCase()}`;
  const skip = path === undefined ? reason : false;
  if (skip) console.log(`# databases of ${runtime} are not read: ${reason}`);

  test(`${THIS} reads, writes and reads again what ${runtime} wrote`, {
    ...LONG,
    skip,
  }, () =>
    withTempDir(async (base) => {
      writeWith(runtime, path ?? "", base);
      for (const recipe of RECIPES) {
        const { model } = await makeInMemory(recipe);
        let rows: ModelRow[] = model.rows({}, false, Infinity);
        const dir = `${base}/${recipe.name}`;
        if (recipe.ending === "torn") continue; // Nothing tears a file here.
        const message = `${recipe.name}, written by ${runtime}`;
        {
          await using db = await open(dir, { createIfMissing: false });
          assertHolds(db, rows, message);
          assertEquals(db.stats().wal.lostTailBytes, 0, message);
          await db.put(toBytes("\xff\xff\xff"), runtime);
        }
        rows = [...rows, ["\xff\xff\xff", toBytes(runtime)]];
        await using db = await open(dir, { createIfMissing: false });
        assertHolds(db, rows, `${message}, opened again`);
      }
    }));
}
