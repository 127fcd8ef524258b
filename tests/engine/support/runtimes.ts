/**
 * Programs on every runtime, for tests that compare them.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import process from "node:process";

/** The runtime that runs the tests. */
export const THIS: string = "Deno" in globalThis
  ? "deno"
  : "Bun" in globalThis
  ? "bun"
  : "node";

/** What a program said, and how it ended. */
export interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A runtime that programs can be run on, or cannot. */
export interface OtherRuntime {
  readonly name: string;
  /** Why not, if it cannot be found here; `false` if it can. */
  readonly skip: string | false;
  /** Runs a program to its end. */
  run(script: string, args: readonly string[]): Ended;
}

/** Deno, Bun and Node. The runner says where they are; this one's executable is known without it. */
export const EVERY_RUNTIME: readonly OtherRuntime[] = ["deno", "bun", "node"]
  .map((name) => {
    const variable = `VARVE_${name.toUpperCase()}`;
    const path = process.env[variable] ??
      (name === THIS ? process.execPath : undefined);
    const flags = name === "deno" ? ["run", "--no-check", "-A"] : [];
    return {
      name,
      skip: path === undefined ? `the runner gave no ${variable}` : false,
      run: (script, args) =>
        spawnSync(path ?? "", [...flags, script, ...args], {
          encoding: "utf8",
        }),
    };
  });
