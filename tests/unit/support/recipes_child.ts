/**
 * A process that follows all recipes, each in a directory of its own, and
 * ends without closing what is to be left as a killed process leaves it.
 *
 * Argument: the directory above. Prints `done` at the end.
 *
 * @module
 */
import { writeSync } from "node:fs";
import process from "node:process";
import { open } from "../../../mod.ts";
import { RECIPES, Session } from "./recipes.ts";

const [base] = process.argv.slice(2);
for (const recipe of RECIPES) {
  const db = await open(`${base}/${recipe.name}`, recipe.options);
  await recipe.run(new Session(db));
  if (recipe.ending === "closed") await db.close();
}
writeSync(1, "done\n");
process.exit(0);
