/**
 * A program of share_threads.test.ts that leaves a reader thread without a
 * word, and one attached reader in its own thread: neither must keep the
 * process alive.
 *
 * @module
 */
import process from "node:process";
import { attach, open } from "../../../mod.ts";

const db = await open(process.argv[2], { durability: "buffered" });
await db.put("a", "1");
const reader = await attach(db.share());
reader.snapshot();
await db.close();
console.log(JSON.stringify("closed"));
const other = await open(process.argv[2], { durability: "buffered" });
(await attach(other.share())).snapshot();
console.log(JSON.stringify("left open"));
