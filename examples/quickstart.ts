/**
 * Varve in a dozen lines: `deno run -A examples/quickstart.ts`, or the same
 * file under `bun` or `node`.
 *
 * @module
 */
import { tmpdir } from "node:os";
import { open, utf8 } from "../mod.ts";

await using db = await open(`${tmpdir()}/varve-quickstart`, {
  keys: utf8,
  values: utf8,
});

await db.put("fruit/apple", "green");
await db.put("fruit/banana", "yellow");
await db.put("fruit/cherry", "red");
await db.put("tree/oak", "tall");
console.log(db.get("fruit/apple")); // green

using before = db.snapshot();
await db.deleteRange("fruit/b", "fruit/d"); // [start, end): one record

for (const [key, value] of db.scan({ prefix: "fruit/" })) {
  console.log(key, value); // fruit/apple green
}
console.log([...before.scan({ prefix: "fruit/" }).keys()]); // still all three
