/**
 * Compiles the baselines in C++: LevelDB and RocksDB without any runtime.
 *
 * They need g++ and the libraries with their headers (Debian: `g++`,
 * `libleveldb-dev`, `librocksdb-dev`).
 *
 * @module
 */
import { existsSync, mkdirSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { NATIVE } from "../results.ts";
import type { Target } from "../run_step.ts";

/** The libraries, by the name of the store. */
const LIBRARIES: Readonly<Record<string, string>> = {
  "leveldb-native": "leveldb",
  "rocksdb-native": "rocksdb",
};

/** The stores that can be compiled. */
export const NATIVE_STORES: readonly string[] = Object.keys(LIBRARIES);

/** Scenarios that the programs have; the others are about reopening. */
const SCENARIOS = [
  "fillseq",
  "fillrandom",
  "fillbatch",
  "overwrite",
  "reads",
  "deleterandom",
  "fill100K",
  "fillsync",
  "fillsync 64 writers",
  "ycsb",
];

const here = (name: string): string =>
  fileURLToPath(new URL(name, import.meta.url));

/** Compiles a store's program if that can be done here; says why not if it cannot. */
export async function nativeTarget(store: string): Promise<Target | undefined> {
  const library = LIBRARIES[store] ?? "";
  const source = here(`${library}.cc`);
  const program = here(`build/${library}`);
  const newest = Math.max(
    ...[source, here("harness.h"), here("level.h")].map((file) =>
      statSync(file).mtimeMs
    ),
  );
  if (!existsSync(program) || statSync(program).mtimeMs < newest) {
    mkdirSync(here("build/"), { recursive: true });
    if (!await compile(source, program, library)) {
      console.error(`${store}: left out, g++ or lib${library}-dev is missing`);
      return undefined;
    }
  }
  return {
    store,
    runtime: NATIVE,
    command: [program],
    arguments: [],
    takes: ({ name }) => SCENARIOS.includes(name),
  };
}

async function compile(
  source: string,
  program: string,
  library: string,
): Promise<boolean> {
  const args = ["-std=c++17", "-O2", "-pthread", "-o", program, source];
  try {
    const { success } = await new Deno.Command("g++", {
      args: [...args, `-l${library}`],
      stdin: "null",
      stderr: "piped",
    }).output();
    return success;
  } catch {
    return false; // no g++
  }
}
