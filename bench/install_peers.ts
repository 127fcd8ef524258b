/**
 * Installs the packages that Varve is compared with: `bench/peers/package.json`
 * into `bench/peers/node_modules`, by npm, without running their scripts: all of
 * them bring binaries.
 *
 * @module
 */
import { peersAreInstalled, peersDirectory } from "./stores/load.ts";

/** Installs them unless they are there. */
export async function installPeers(): Promise<void> {
  if (peersAreInstalled()) return;
  console.error("installing bench/peers/node_modules");
  const { success } = await new Deno.Command(
    Deno.build.os === "windows" ? "npm.cmd" : "npm",
    {
      args: [
        "install",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--no-package-lock",
      ],
      cwd: peersDirectory(),
      stdin: "null",
      stdout: "null",
      stderr: "inherit",
    },
  ).output();
  if (!success) {
    throw new Error(
      `npm install in ${peersDirectory()} failed: the peers that need no ` +
        "package (bun-sqlite, node-sqlite, deno-kv) do without it",
    );
  }
}

if (import.meta.main) await installPeers();
