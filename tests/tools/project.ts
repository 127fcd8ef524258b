/**
 * Where the project lies and which files it has, for the tests of its rules.
 *
 * @module
 */

import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The project's own directory. */
export const ROOT: string = fileURLToPath(new URL("../..", import.meta.url));

const NOT_OURS = new Set([".git", "node_modules", "coverage"]);

/** Reads a file of the project as text. */
export function readProjectFile(path: string): string {
  return readFileSync(join(ROOT, path), "utf8");
}

/** Whether the project has a file or directory. */
export function hasProjectFile(path: string): boolean {
  return existsSync(join(ROOT, path));
}

/** All files below a directory of the project, as paths from its root. */
export function listFiles(dir: string): string[] {
  const files: string[] = [];
  for (const entry of readdirSync(join(ROOT, dir), { withFileTypes: true })) {
    if (NOT_OURS.has(entry.name)) continue;
    const path = dir === "" ? entry.name : `${dir}/${entry.name}`;
    if (entry.isDirectory()) files.push(...listFiles(path));
    else if (entry.isFile()) files.push(path);
  }
  return files.sort();
}

/** The source files of the library: `mod.ts` and all below `lib/`. */
export function listSources(): string[] {
  const files = listFiles("lib").filter((path) => path.endsWith(".ts"));
  return hasProjectFile("mod.ts") ? ["mod.ts", ...files] : files;
}

/**
 * The files that belong to the project: what git has or would take; without
 * git, for instance in an archive, everything.
 */
export function listProjectFiles(): string[] {
  const git = spawnSync("git", [
    "ls-files",
    "-z",
    "--cached",
    "--others",
    "--exclude-standard",
  ], { cwd: ROOT, encoding: "utf8" });
  if (git.status !== 0) return listFiles("");
  return git.stdout.split("\0").filter((path) =>
    path !== "" && hasProjectFile(path)
  );
}
