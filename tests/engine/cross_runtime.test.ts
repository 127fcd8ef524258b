/**
 * One format for all: databases that each runtime wrote open on this one, with
 * the same contents, closed or killed.
 *
 * @module
 */
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
import { EVERY_RUNTIME, THIS } from "./support/runtimes.ts";

const CHILD = fileURLToPath(
  new URL("../unit/support/recipes_child.ts", import.meta.url),
);

for (const runtime of EVERY_RUNTIME) {
  const { name, skip } = runtime;
  if (skip) console.log(`# databases of ${name} are not read: ${skip}`);

  test(`${THIS} reads, writes and reads again what ${name} wrote`, {
    ...LONG,
    skip,
  }, () =>
    withTempDir(async (base) => {
      // It follows all recipes.
      const { status, stdout, stderr } = runtime.run(CHILD, [base]);
      assertEquals([status, stdout], [0, "done\n"], stderr);
      for (const recipe of RECIPES) {
        const { model } = await makeInMemory(recipe);
        let rows: ModelRow[] = model.rows({}, false, Infinity);
        const dir = `${base}/${recipe.name}`;
        if (recipe.ending === "torn") continue; // Nothing tears a file here.
        const message = `${recipe.name}, written by ${name}`;
        {
          await using db = await open(dir, { createIfMissing: false });
          assertHolds(db, rows, message);
          assertEquals(db.stats().wal.lostTailBytes, 0, message);
          await db.put(toBytes("\xff\xff\xff"), name);
        }
        rows = [...rows, ["\xff\xff\xff", toBytes(name)]];
        await using db = await open(dir, { createIfMissing: false });
        assertHolds(db, rows, `${message}, opened again`);
      }
    }));
}
