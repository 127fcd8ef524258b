/**
 * Shows that memory stays bounded while a program writes without a pause.
 *
 * ```text
 * deno run -A bench/memory.ts [--entries 5000000] [--directory DIR]
 * ```
 *
 * Also under `bun` and `node`. Each variant runs in a process of its own, on a
 * fresh directory, with default options but buffered durability:
 * one awaits every 1,000th put, the other every 100,000th.
 *
 * @module
 */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { open } from "../mod.ts";
import { checkValue, keyOf, Random, valueOf } from "./data.ts";
import {
  directoryBytes,
  mebibytes,
  peakMemoryBytes,
  thousands,
} from "./machine.ts";

const AWAIT_EVERY = [1_000, 100_000];
const REPORT_EVERY = 1_000_000;
const CHECKED_READS = 10_000;

/** Knuth's multiplier: odd, so that each entry gets a key number of its own. */
const SCATTER = 2654435761;

const keyNumber = (entry: number): number => Math.imul(entry, SCATTER) >>> 0;

async function writeWithoutPause(
  directory: string,
  entries: number,
  awaitEvery: number,
): Promise<void> {
  const db = await open(directory, { durability: "buffered" });
  const start = performance.now();
  const report = (written: number) => {
    const { memtable, frozenCount, stalls, tableCount } = db.stats();
    const seconds = (performance.now() - start) / 1000;
    console.log(
      `${thousands(written).padStart(11)} entries, ` +
        `${seconds.toFixed(1).padStart(6)} s: ` +
        `peak ${mebibytes(peakMemoryBytes())}, ` +
        `now ${mebibytes(process.memoryUsage().rss)}; ` +
        `memtables ${mebibytes(memtable.bytes)}, ${frozenCount} frozen, ` +
        `${tableCount} tables, ` +
        `stalled ${stalls.count} times, ${stalls.seconds.toFixed(1)} s`,
    );
  };
  for (let entry = 0; entry < entries; entry++) {
    const number = keyNumber(entry);
    const done = db.put(keyOf(number), valueOf(number, 1));
    const written = entry + 1;
    if (written % awaitEvery === 0 || written === entries) await done;
    if (written % REPORT_EVERY === 0) report(written);
  }
  report(entries);
  const random = new Random(1);
  for (let i = 0; i < CHECKED_READS; i++) {
    const number = keyNumber(random.below(entries));
    checkValue(db.get(keyOf(number)), number, 1);
  }
  await db.close();
  console.log(
    `closed: peak ${mebibytes(peakMemoryBytes())}, ` +
      `${mebibytes(directoryBytes(directory))} on disk`,
  );
}

/** Runs this file again as the process of one variant. */
async function runVariant(
  entries: number,
  awaitEvery: number,
  base: string,
): Promise<void> {
  console.log(`\nawaiting every ${thousands(awaitEvery)}th put`);
  const directory = mkdtempSync(join(base, "varve-memory-"));
  try {
    const child = spawn(process.execPath, [
      ...("Deno" in globalThis ? ["run", "-A"] : []),
      fileURLToPath(import.meta.url),
      ...["--entries", String(entries), "--every", String(awaitEvery)],
      ...["--directory", join(directory, "store")],
    ], { stdio: "inherit" });
    const code = await new Promise((resolve, reject) => {
      child.on("exit", (exitCode, signal) => resolve(exitCode ?? signal));
      child.on("error", reject);
    });
    if (code !== 0) throw new Error(`the process ended with ${code}`);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

const { values } = parseArgs({
  options: {
    entries: { type: "string", default: "5000000" },
    directory: { type: "string", default: tmpdir() },
    every: { type: "string" },
  },
});
const entries = Number(values.entries);
if (values.every !== undefined) {
  await writeWithoutPause(values.directory, entries, Number(values.every));
} else {
  for (const every of AWAIT_EVERY) {
    await runVariant(entries, every, values.directory);
  }
}
