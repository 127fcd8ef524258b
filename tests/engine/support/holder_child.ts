/**
 * A process that opens a database, says so, and holds it until it is killed
 * or its standard input ends; then it closes it and ends by itself.
 *
 * Argument: the directory.
 *
 * @module
 */
import process from "node:process";
import { open } from "../../open.ts";

const db = await open(process.argv[2]);
await db.put("held by", String(process.pid));
console.log(JSON.stringify({ pid: process.pid }));
for await (const _ of process.stdin);
await db.close();
console.log(JSON.stringify("closed"));
