/**
 * Runs the micro-benchmarks: `deno task bench:micro [PATTERN]`, or this file
 * under `bun` or `node`. They say where time goes within an operation; what an
 * operation costs, the suite says. PATTERN chooses by name.
 *
 * They need mitata, one of the packages of `bench/peers`. Under Deno it is
 * installed when it is missing; for the others, `npm install` there.
 *
 * @module
 */
import process from "node:process";
import { peersAreInstalled, peersDirectory } from "../stores/load.ts";

if (!peersAreInstalled()) {
  if (!("Deno" in globalThis)) {
    throw new Error(`npm install in ${peersDirectory()} first`);
  }
  const { installPeers } = await import("../install_peers.ts");
  await installPeers();
}
// Loaded now, because they need what was installed.
const { runAll } = await import("./suite.ts");
const { defineMemtable } = await import("./memtable.ts");
const { defineTable } = await import("./table.ts");
const { defineMerge } = await import("./merge.ts");
const { defineLog } = await import("./log.ts");
const { defineCodecs } = await import("./codecs.ts");

defineMemtable();
defineTable();
defineMerge();
defineLog();
defineCodecs();
await runAll(new RegExp(process.argv[2] ?? "."));
