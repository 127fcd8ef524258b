/**
 * Works on a database on the real file system for a long time, and sees that
 * memory, handles and disk stay flat and that answers stay right.
 *
 *     deno task soak [--minutes M] [--seed S] [--strategy size-tiered|leveled]
 *
 * The same file runs on Bun and Node. The last line is `N passed, N failed`.
 *
 * The soak runs in a process of its own, for V8 is told to keep the place of
 * new objects small. It would let it grow to 128 MiB in each of the four
 * threads, within minutes, by what the soak itself throws away; a leak would
 * not show beside that. See soak.ts.
 *
 * @module
 */
import { spawn } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";

/** V8 has two halves of so many MiB for new objects, in each thread. */
const FLAG = "--max-semi-space-size=4";

function command(): string[] {
  const soak = fileURLToPath(new URL("./soak.ts", import.meta.url));
  if ("Deno" in globalThis) return ["run", "-A", `--v8-flags=${FLAG}`, soak];
  return process.versions.bun === undefined ? [FLAG, soak] : [soak];
}

const soak = spawn(process.execPath, [...command(), ...process.argv.slice(2)], {
  stdio: "inherit",
});
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => soak.kill(signal));
}
soak.on("exit", (code) => process.exit(code ?? 1));
