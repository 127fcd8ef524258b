/**
 * A program that opens a database and ends in some way, for the tests of what
 * keeps a process alive. Prints one line before it ends.
 *
 * Arguments: directory, way.
 *
 * @module
 */
import process from "node:process";
import { open } from "../../../mod.ts";

const [dir, way] = process.argv.slice(2);
const db = await open(dir, {
  writeBufferSize: 64 * 1024,
  compaction: { background: "worker", minThreshold: 2 },
});
// Of 600 one memtable becomes full, and nobody waits for its flush.
const writes = way === "flushing" ? 600 : 3000;
for (let i = 0; i < writes; i++) {
  await db.put(`key${i % 1000}`, "v".repeat(100), { durability: "buffered" });
}
if (way === "flushed") {
  // Only the worker's answer ends this wait.
  await db.flush();
}
if (way === "closed") await db.close();
const { background } = way === "closed" ? { background: "closed" } : db.stats();
console.log(JSON.stringify({ background, entries: way }));
// Otherwise the database stays open, its worker alive, and the program ends.
